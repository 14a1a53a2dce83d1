//! Priority and fairness, the pure part: which flow a request belongs to, and how many seats each level has.
//!
//! Upstream: `staging/src/k8s.io/apiserver/pkg/util/flowcontrol`. Reads FlowSchemas and PriorityLevelConfigurations as
//! they are stored; never queues anything itself.

use serde_json::Value;

/// Upstream: a list or watch that takes more seats than this counts as this many.
pub const MAX_WIDTH: u32 = 10;
/// Upstream: one seat for each 100 kB that a list holds in memory at once.
const BYTES_PER_SEAT: u64 = 100_000;
/// Upstream: a list that is streamed from the cache holds no more than this.
const STREAMED: u64 = 1_000_000;

/// A request, as far as flows look at it.
pub struct Request<'a> {
    pub user: &'a str,
    pub groups: &'a [String],
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    /// Set for requests that are about no resource.
    pub path: Option<&'a str>,
}

/// The flow of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Flow<'a> {
    pub schema: &'a str,
    pub schema_uid: &'a str,
    pub level: &'a Level,
    /// What tells flows of one schema apart: a user, a namespace, nothing.
    pub distinguisher: String,
}

/// A priority level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    pub name: String,
    pub uid: String,
    pub exempt: bool,
    /// Seats of its own when all are busy.
    pub nominal: u32,
    /// Seats of these that others may use while they are free.
    pub lendable: u32,
    /// Seats of others that it may use at once.
    pub borrowing: u32,
    pub queuing: Option<Queuing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queuing {
    pub queues: usize,
    pub hand: usize,
    pub length: usize,
}

struct Schema {
    name: String,
    uid: String,
    level: usize,
    distinguisher: Distinguisher,
    rules: Vec<Value>,
}

enum Distinguisher {
    None,
    ByUser,
    ByNamespace,
}

/// All schemas in the order in which they are asked, and the levels they lead to.
pub struct Flows {
    schemas: Vec<Schema>,
    levels: Vec<Level>,
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

impl Flows {
    /// `seats` are shared out among the limited levels by their shares.
    pub fn new(schemas: &[Value], levels: &[Value], seats: u32) -> Self {
        let shares: u64 = levels.iter().map(shares_of).sum();
        let levels: Vec<Level> = levels.iter().map(|l| level(l, shares.max(1), seats)).collect();
        let mut found: Vec<(u64, Schema)> = schemas.iter().filter_map(|s| schema(s, &levels)).collect();
        found.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        Self { schemas: found.into_iter().map(|(_, s)| s).collect(), levels }
    }

    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The first schema that matches. None only where the mandatory `catch-all` is not there yet.
    pub fn classify(&self, request: &Request) -> Option<Flow<'_>> {
        let schema = self.schemas.iter().find(|s| s.rules.iter().any(|rule| matches(rule, request)))?;
        let distinguisher = match schema.distinguisher {
            Distinguisher::None => String::new(),
            Distinguisher::ByUser => request.user.to_owned(),
            Distinguisher::ByNamespace => request.namespace.to_owned(),
        };
        Some(Flow { schema: &schema.name, schema_uid: &schema.uid, level: &self.levels[schema.level], distinguisher })
    }
}

fn shares_of(level: &Value) -> u64 {
    let kind = if text(level, "/spec/type") == "Exempt" { "exempt" } else { "limited" };
    number(level, &format!("/spec/{kind}/nominalConcurrencyShares")).unwrap_or(if kind == "exempt" { 0 } else { 30 })
}

/// Upstream: nominal seats are rounded up, so that every share counts.
fn level(object: &Value, all_shares: u64, seats: u32) -> Level {
    let exempt = text(object, "/spec/type") == "Exempt";
    let kind = if exempt { "exempt" } else { "limited" };
    let nominal = (u64::from(seats) * shares_of(object)).div_ceil(all_shares) as u32;
    let percent = |key: &str| number(object, &format!("/spec/{kind}/{key}"));
    // Upstream: `apf_controller.go` rounds halves up, so that levels of one seat lend it too.
    let of_nominal = |percent: u64| ((u64::from(nominal) * percent.min(10_000) + 50) / 100) as u32;
    let queuing = (text(object, "/spec/limited/limitResponse/type") == "Queue").then(|| {
        let of = |key: &str, default: u64| number(object, &format!("/spec/limited/limitResponse/queuing/{key}")).unwrap_or(default).clamp(1, 10_000) as usize;
        let queues = of("queues", 64);
        Queuing { queues, hand: of("handSize", 8).min(queues), length: of("queueLengthLimit", 50) }
    });
    Level {
        name: text(object, "/metadata/name").into(),
        uid: text(object, "/metadata/uid").into(),
        exempt,
        nominal,
        lendable: of_nominal(percent("lendablePercent").unwrap_or(0).min(100)),
        borrowing: percent("borrowingLimitPercent").map_or(seats, of_nominal),
        queuing,
    }
}

fn schema(object: &Value, levels: &[Level]) -> Option<(u64, Schema)> {
    let wanted = text(object, "/spec/priorityLevelConfiguration/name");
    // Upstream: a schema whose level does not exist matches nothing, and says so in its status.
    let level = levels.iter().position(|l| l.name == wanted)?;
    let distinguisher = match text(object, "/spec/distinguisherMethod/type") {
        "ByUser" => Distinguisher::ByUser,
        "ByNamespace" => Distinguisher::ByNamespace,
        _ => Distinguisher::None,
    };
    let rules = object.pointer("/spec/rules").and_then(Value::as_array).cloned().unwrap_or_default();
    let schema = Schema { name: text(object, "/metadata/name").into(), uid: text(object, "/metadata/uid").into(), level, distinguisher, rules };
    Some((number(object, "/spec/matchingPrecedence").unwrap_or(1000), schema))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn holds(value: &Value, key: &str, wanted: &str) -> bool {
    list(value, key).iter().any(|v| v == "*" || v == wanted)
}

fn matches(rule: &Value, request: &Request) -> bool {
    if !list(rule, "subjects").iter().any(|s| is_subject(s, request)) {
        return false;
    }
    match request.path {
        Some(path) => list(rule, "nonResourceRules").iter().any(|r| holds(r, "verbs", request.verb) && list(r, "nonResourceURLs").iter().any(|u| covers(u.as_str().unwrap_or_default(), path))),
        None => list(rule, "resourceRules").iter().any(|r| is_resource(r, request)),
    }
}

fn is_subject(subject: &Value, request: &Request) -> bool {
    match text(subject, "/kind") {
        "User" => matches!(text(subject, "/user/name"), name if name == "*" || name == request.user),
        "Group" => matches!(text(subject, "/group/name"), name if name == "*" || request.groups.iter().any(|g| g == name)),
        "ServiceAccount" => {
            let Some((namespace, account)) = request.user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) else { return false };
            let name = text(subject, "/serviceAccount/name");
            text(subject, "/serviceAccount/namespace") == namespace && (name == "*" || name == account)
        }
        _ => false,
    }
}

fn is_resource(rule: &Value, request: &Request) -> bool {
    let joined;
    let resource = if request.subresource.is_empty() {
        request.resource
    } else {
        joined = format!("{}/{}", request.resource, request.subresource);
        &joined
    };
    holds(rule, "verbs", request.verb)
        && holds(rule, "resources", resource)
        && holds(rule, "apiGroups", request.group)
        && if request.namespace.is_empty() { rule.get("clusterScope") == Some(&Value::Bool(true)) } else { holds(rule, "namespaces", request.namespace) }
}

fn covers(rule: &str, path: &str) -> bool {
    if rule == "*" || rule == path {
        return true;
    }
    let prefix = rule.strip_suffix('*').unwrap_or(rule);
    path.strip_prefix(prefix.strip_suffix('/').unwrap_or(prefix)).is_some_and(|rest| rest.starts_with('/'))
}

/// The seats of a list over so many objects of such a size. Upstream: `list_work_estimator.go`, lists from the cache.
pub fn list_width(objects: u64, limit: Option<u64>, object_bytes: u64) -> u32 {
    let loaded = limit.filter(|l| *l > 0).map_or(objects, |l| l.min(objects));
    let bytes = loaded.saturating_mul(object_bytes).min(STREAMED);
    (bytes.div_ceil(BYTES_PER_SEAT) as u32).clamp(1, MAX_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_defaults;

    fn defaults() -> Flows {
        Flows::new(&flow_defaults::schemas(), &flow_defaults::levels(), 600)
    }

    fn flow_of(user: &str, groups: &[&str], verb: &str, resource: &str, namespace: &str) -> String {
        let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        let request = Request { user, groups: &groups, verb, group: if resource == "leases" { "coordination.k8s.io" } else { "" }, resource, subresource: "", namespace, path: None };
        let flows = defaults();
        let flow = flows.classify(&request).expect("catch-all matches everything");
        format!("{} {} {}", flow.schema, flow.level.name, flow.distinguisher)
    }

    #[test]
    fn requests_find_their_flows() {
        assert_eq!(flow_of("admin", &["system:masters", "system:authenticated"], "list", "pods", ""), "exempt exempt ");
        assert_eq!(flow_of("system:node:a", &["system:nodes", "system:authenticated"], "update", "leases", "kube-node-lease"), "system-node-high node-high system:node:a");
        assert_eq!(flow_of("system:node:a", &["system:nodes", "system:authenticated"], "get", "pods", "x"), "system-nodes system system:node:a");
        assert_eq!(flow_of("system:kube-scheduler", &["system:authenticated"], "list", "pods", ""), "kube-scheduler workload-high ");
        assert_eq!(flow_of("system:serviceaccount:kube-system:x", &["system:serviceaccounts", "system:authenticated"], "get", "pods", "a"), "kube-system-service-accounts workload-high a");
        assert_eq!(flow_of("system:serviceaccount:a:x", &["system:serviceaccounts", "system:authenticated"], "get", "pods", "a"), "service-accounts workload-low system:serviceaccount:a:x");
        assert_eq!(flow_of("jane", &["system:authenticated"], "get", "pods", "a"), "global-default global-default jane");
    }

    #[test]
    fn seats_are_shared_out() {
        let flows = defaults();
        let level = |name: &str| flows.levels().iter().find(|l| l.name == name).expect("a default level").clone();
        // 245 shares in all.
        assert_eq!((level("workload-low").nominal, level("workload-low").lendable), (245, 221));
        assert_eq!((level("catch-all").nominal, level("catch-all").queuing), (13, None));
        assert!(level("exempt").exempt && level("exempt").nominal == 0);
    }

    #[test]
    fn lists_take_seats_by_their_bytes() {
        assert_eq!(list_width(0, None, 0), 1);
        assert_eq!(list_width(5_000, Some(100), 3_000), 3);
        assert_eq!(list_width(5_000, None, 3_000), 10);
    }

    #[test]
    fn paths_match_by_prefix() {
        assert!(covers("/healthz", "/healthz") && covers("/healthz", "/healthz/ping") && covers("/apis/*", "/apis/x") && covers("*", "/x"));
        assert!(!covers("/healthz", "/healthzz") && !covers("/apis/*", "/api"));
    }
}
