//! The flow schemas and priority levels that every cluster begins with.
//!
//! Upstream: `staging/src/k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap/default.go`; the two of each that are mandatory
//! come back when somebody changes them, the others while their annotation says so.

use serde_json::{Value, json};

const AUTOUPDATE: &str = "apf.kubernetes.io/autoupdate-spec";

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": kind, "metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}}, "spec": spec})
}

pub fn levels() -> Vec<Value> {
    let limited = |name: &str, shares: u32, lendable: u32, queues: u32, hand: u32| {
        let response = json!({"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 50}});
        let spec = json!({"type": "Limited", "limited": {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}});
        object("PriorityLevelConfiguration", name, spec)
    };
    vec![
        object("PriorityLevelConfiguration", "exempt", json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}})),
        object("PriorityLevelConfiguration", "catch-all", json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}})),
        limited("system", 30, 33, 64, 6),
        limited("node-high", 40, 25, 64, 6),
        limited("leader-election", 10, 0, 16, 4),
        limited("workload-high", 40, 50, 128, 6),
        limited("workload-low", 100, 90, 128, 6),
        limited("global-default", 20, 50, 128, 6),
    ]
}

fn group(name: &str) -> Value {
    json!({"kind": "Group", "group": {"name": name}})
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "user": {"name": name}})
}

fn system_account(name: &str) -> Value {
    json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}})
}

/// Some verbs on some resources.
fn on(verbs: &[&str], group: &str, resources: &[&str], namespaces: &[&str], cluster: bool) -> Value {
    let mut rule = json!({"verbs": verbs, "apiGroups": [group], "resources": resources, "namespaces": namespaces});
    if cluster {
        rule["clusterScope"] = true.into();
    }
    rule
}

/// Whatever these subjects ask.
fn anything(subjects: &[Value]) -> Value {
    json!([{"subjects": subjects, "resourceRules": [on(&["*"], "*", &["*"], &["*"], true)], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}])
}

fn schema(name: &str, level: &str, precedence: u32, by: &str, rules: Value) -> Value {
    let mut spec = json!({"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": rules});
    if !by.is_empty() {
        spec["distinguisherMethod"] = json!({"type": by});
    }
    object("FlowSchema", name, spec)
}

pub fn schemas() -> Vec<Value> {
    const ELECT: [&str; 3] = ["get", "create", "update"];
    const EVERYWHERE: [&str; 1] = ["*"];
    let everybody = [group("system:unauthenticated"), group("system:authenticated")];
    let (controllers, scheduler) = (user("system:kube-controller-manager"), user("system:kube-scheduler"));
    let leases = on(&ELECT, "coordination.k8s.io", &["leases"], &EVERYWHERE, false);
    let old_locks = |namespaces: &[&str]| on(&ELECT, "", &["endpoints", "configmaps"], namespaces, false);
    let nodes_own = [on(&["*"], "", &["nodes", "nodes/status"], &EVERYWHERE, true), on(&["*"], "coordination.k8s.io", &["leases"], &EVERYWHERE, false)];
    let probes = json!([{"subjects": everybody, "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]}]);
    vec![
        schema("exempt", "exempt", 1, "", anything(&[group("system:masters")])),
        schema("probes", "exempt", 2, "", probes),
        schema(
            "system-leader-election",
            "leader-election",
            100,
            "ByUser",
            json!([{"subjects": [controllers, scheduler, system_account("*")], "resourceRules": [old_locks(&["kube-system"]), leases]}]),
        ),
        schema(
            "endpoint-controller",
            "workload-high",
            150,
            "ByUser",
            json!([{"subjects": [controllers, system_account("endpoint-controller"), system_account("endpointslicemirroring-controller")],
                "resourceRules": [on(&ELECT, "", &["endpoints"], &EVERYWHERE, false)]}]),
        ),
        schema("workload-leader-election", "leader-election", 200, "ByUser", json!([{"subjects": [system_account("*")], "resourceRules": [old_locks(&EVERYWHERE), leases]}])),
        schema("system-node-high", "node-high", 400, "ByUser", json!([{"subjects": [group("system:nodes")], "resourceRules": nodes_own}])),
        schema("system-nodes", "system", 500, "ByUser", anything(&[group("system:nodes")])),
        schema("kube-controller-manager", "workload-high", 800, "ByNamespace", anything(std::slice::from_ref(&controllers))),
        schema("kube-scheduler", "workload-high", 800, "ByNamespace", anything(std::slice::from_ref(&scheduler))),
        schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", anything(&[system_account("*")])),
        schema("service-accounts", "workload-low", 9000, "ByUser", anything(&[group("system:serviceaccounts")])),
        schema("global-default", "global-default", 9900, "ByUser", anything(&everybody)),
        schema("catch-all", "catch-all", 10_000, "ByUser", anything(&everybody)),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_are_as_their_rules_say() {
        let kinds = catalog::builtin();
        for mut object in [super::levels(), super::schemas()].concat() {
            let rules = &kinds.iter().find(|kind| object["kind"] == *kind.kind).unwrap().rules;
            (rules.default)(&mut object);
            assert_eq!((rules.validate)(&object, None), []);
        }
    }
}
