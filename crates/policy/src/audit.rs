//! Which requests are recorded, and how much of them: an audit policy, read once, asked for each request.
//!
//! Upstream: `staging/src/k8s.io/apiserver/pkg/audit/policy`. The first rule that matches decides.

use serde_json::{Value, json};

pub use crate::rbac::Request;

/// How much is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    None,
    Metadata,
    Request,
    RequestResponse,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Metadata, Self::Request, Self::RequestResponse].into_iter().find(|l| l.name() == text)
    }
}

pub const STAGES: [&str; 4] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];

/// What is to be recorded of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub level: Level,
    omit_stages: Vec<String>,
    pub omit_managed_fields: bool,
}

impl Verdict {
    pub fn records(&self, stage: &str) -> bool {
        self.level > Level::None && !self.omit_stages.iter().any(|s| s == stage)
    }
}

/// A policy whose rules are known to be right.
pub struct Policy {
    rules: Vec<Value>,
    omit_stages: Vec<String>,
    omit_managed_fields: bool,
}

impl Policy {
    /// Reads a `Policy` of `audit.k8s.io/v1`. All faults at once, each with its field.
    pub fn read(policy: &Value) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        if policy["kind"] != "Policy" || policy["apiVersion"] != "audit.k8s.io/v1" {
            faults.push(format!("it must be a Policy of audit.k8s.io/v1, not {} of {}", policy["kind"], policy["apiVersion"]));
        }
        let rules = policy["rules"].as_array().cloned().unwrap_or_default();
        if rules.is_empty() {
            faults.push("rules: at least one rule is needed".into());
        }
        check_stages(&policy["omitStages"], "omitStages", &mut faults);
        for (at, rule) in rules.iter().enumerate() {
            check_rule(rule, &format!("rules[{at}]"), &mut faults);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { rules, omit_stages: texts(&policy["omitStages"]), omit_managed_fields: policy["omitManagedFields"] == true })
    }

    /// What is recorded where nobody says otherwise: every change by whom and to what, no contents, and who read Secrets;
    /// not the constant small writes by which components show that they live.
    pub fn default_rules() -> Value {
        json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
            {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}, {"group": "", "resources": ["events", "nodes/status", "pods/status"]}, {"group": "events.k8s.io", "resources": ["events"]}]},
            {"level": "None", "resources": [{"group": "authorization.k8s.io"}, {"group": "authentication.k8s.io"}]},
            {"level": "None", "userGroups": ["system:nodes"], "verbs": ["get", "list", "watch"]},
            {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}]},
            {"level": "None", "verbs": ["get", "list", "watch", "head", "options"]},
            {"level": "Metadata"},
        ]})
    }

    pub fn judge(&self, request: &Request) -> Verdict {
        let Some(rule) = self.rules.iter().find(|r| matches(r, request)) else {
            return Verdict { level: Level::None, omit_stages: Vec::new(), omit_managed_fields: self.omit_managed_fields };
        };
        let omit_stages = self.omit_stages.iter().cloned().chain(texts(&rule["omitStages"])).collect();
        let omit_managed_fields = rule["omitManagedFields"].as_bool().unwrap_or(self.omit_managed_fields);
        Verdict { level: rule["level"].as_str().and_then(Level::parse).unwrap_or(Level::None), omit_stages, omit_managed_fields }
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn check_stages(list: &Value, field: &str, faults: &mut Vec<String>) {
    for stage in texts(list).iter().filter(|s| !STAGES.contains(&s.as_str())) {
        faults.push(format!("{field}: {stage:?} is no stage; there are {}", STAGES.join(", ")));
    }
}

fn check_rule(rule: &Value, field: &str, faults: &mut Vec<String>) {
    if rule["level"].as_str().and_then(Level::parse).is_none() {
        faults.push(format!("{field}.level: {} is no level; there are None, Metadata, Request, RequestResponse", rule["level"]));
    }
    check_stages(&rule["omitStages"], &format!("{field}.omitStages"), faults);
    let about_paths = !texts(&rule["nonResourceURLs"]).is_empty();
    let about_resources = ["resources", "namespaces"].iter().any(|key| rule[*key].as_array().is_some_and(|l| !l.is_empty()));
    if about_paths && about_resources {
        faults.push(format!("{field}: nonResourceURLs cannot stand beside resources or namespaces"));
    }
    for url in texts(&rule["nonResourceURLs"]) {
        if url != "*" && (!url.starts_with('/') || url.trim_end_matches('*').contains('*')) {
            faults.push(format!("{field}.nonResourceURLs: {url:?} must begin with \"/\", with a \"*\" only at its end"));
        }
    }
}

/// An empty list takes everything.
fn takes(list: &Value, wanted: &str) -> bool {
    list.as_array().is_none_or(|l| l.is_empty() || l.iter().any(|v| v == wanted))
}

fn matches(rule: &Value, request: &Request) -> bool {
    let groups = texts(&rule["userGroups"]);
    if !takes(&rule["users"], request.user) || !takes(&rule["verbs"], request.verb) || !(groups.is_empty() || groups.iter().any(|g| request.groups.contains(g))) {
        return false;
    }
    let paths = texts(&rule["nonResourceURLs"]);
    let resources = rule["resources"].as_array().map_or(&[][..], Vec::as_slice);
    let namespaces = rule["namespaces"].as_array().is_some_and(|n| !n.is_empty());
    match request.path {
        Some(path) => {
            let any = paths.is_empty() && resources.is_empty() && !namespaces;
            any || paths.iter().any(|p| p == "*" || p == path || p.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix)))
        }
        None => {
            let here = !namespaces || takes(&rule["namespaces"], request.namespace);
            let what = resources.is_empty() || resources.iter().any(|r| is_resource(r, request));
            paths.is_empty() && here && what
        }
    }
}

/// Upstream: `pods`, `pods/log`, `*/status`, `pods/*`, `*`; an empty group is the core group.
fn is_resource(wanted: &Value, request: &Request) -> bool {
    if wanted["group"].as_str().unwrap_or_default() != request.group {
        return false;
    }
    let resources = texts(&wanted["resources"]);
    let named = takes(&wanted["resourceNames"], request.name);
    let combined = if request.subresource.is_empty() { request.resource.to_owned() } else { format!("{}/{}", request.resource, request.subresource) };
    named
        && (resources.is_empty()
            || resources.iter().any(|r| {
                r == "*"
                    || *r == combined
                    || !request.subresource.is_empty() && (r.strip_prefix("*/") == Some(request.subresource) || r.strip_suffix("/*") == Some(request.resource))
                    || request.subresource.is_empty() && r.strip_suffix("/*") == Some(request.resource)
            }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(policy: &Policy, verb: &str, group: &str, resource: &str, subresource: &str) -> Level {
        let groups = ["system:authenticated".to_owned()];
        policy.judge(&Request { user: "jane", groups: &groups, verb, group, resource, subresource, name: "x", namespace: "a", path: None }).level
    }

    #[test]
    fn the_default_records_changes_and_readers_of_secrets() {
        let policy = Policy::read(&Policy::default_rules()).expect("the default is right");
        assert_eq!(level(&policy, "create", "", "pods", ""), Level::Metadata);
        assert_eq!(level(&policy, "get", "", "pods", ""), Level::None);
        assert_eq!(level(&policy, "list", "", "secrets", ""), Level::Metadata);
        assert_eq!(level(&policy, "patch", "", "pods", "status"), Level::None);
        assert_eq!(level(&policy, "create", "", "pods", "exec"), Level::Metadata);
        assert_eq!(level(&policy, "update", "coordination.k8s.io", "leases", ""), Level::None);
    }

    #[test]
    fn rules_match_as_upstreams() {
        let rules = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [
            {"level": "Request", "resources": [{"group": "", "resources": ["*/status"]}]},
            {"level": "RequestResponse", "namespaces": ["a"], "users": ["jane"], "resources": [{"group": "apps"}]},
            {"level": "Metadata", "nonResourceURLs": ["/healthz*"]},
        ]});
        let policy = Policy::read(&rules).expect("right");
        assert_eq!(level(&policy, "get", "", "pods", "status"), Level::Request);
        assert_eq!(level(&policy, "get", "", "pods", ""), Level::None);
        assert_eq!(level(&policy, "get", "apps", "deployments", "scale"), Level::RequestResponse);
        let probe = Request { user: "x", groups: &[], verb: "get", group: "", resource: "", subresource: "", name: "", namespace: "", path: Some("/healthz/ping") };
        assert_eq!(policy.judge(&probe).level, Level::Metadata);
    }

    #[test]
    fn all_faults_are_told() {
        let bad = json!({"apiVersion": "v1", "kind": "Policy", "omitStages": ["Later"], "rules": [{"level": "Much"}, {"level": "None", "nonResourceURLs": ["x"], "namespaces": ["a"]}]});
        assert_eq!(Policy::read(&bad).err().map(|f| f.len()), Some(5));
    }
}
