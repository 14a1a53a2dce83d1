//! RBAC: roles, bindings, and the question whether they allow a request.
//!
//! Upstream: `pkg/registry/rbac/validation/rule.go` and `plugin/pkg/auth/authorizer/rbac`.

use std::collections::HashMap;

use serde_json::Value;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn texts(value: &Value, key: &str) -> Vec<Box<str>> {
    list(value, key).iter().filter_map(Value::as_str).map(Into::into).collect()
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub user: &'a str,
    pub groups: &'a [String],
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    /// Set for paths that are no resource.
    pub path: Option<&'a str>,
}

/// One rule, ready for matching.
#[derive(Debug, Clone)]
pub struct Rule {
    verbs: Vec<Box<str>>,
    groups: Vec<Box<str>>,
    resources: Vec<Box<str>>,
    names: Vec<Box<str>>,
    paths: Vec<Box<str>>,
}

impl Rule {
    pub fn new(rule: &Value) -> Self {
        Self {
            verbs: texts(rule, "verbs"),
            groups: texts(rule, "apiGroups"),
            resources: texts(rule, "resources"),
            names: texts(rule, "resourceNames"),
            paths: texts(rule, "nonResourceURLs"),
        }
    }

    fn has(list: &[Box<str>], wanted: &str) -> bool {
        list.iter().any(|item| &**item == "*" || &**item == wanted)
    }

    fn allows(&self, request: &Request) -> bool {
        if !Self::has(&self.verbs, request.verb) {
            return false;
        }
        match request.path {
            Some(path) => self.paths.iter().any(|p| path_matches(p, path)),
            None => {
                Self::has(&self.groups, request.group)
                    && self.resources.iter().any(|r| resource_matches(r, request.resource, request.subresource))
                    && (self.names.is_empty() || self.names.iter().any(|n| &**n == request.name))
            }
        }
    }

    /// Whether this rule alone covers one made of single values.
    fn covers(&self, one: &Single) -> bool {
        if !Self::has(&self.verbs, one.verb) {
            return false;
        }
        match one.path {
            Some(path) => self.paths.iter().any(|p| &**p == path || path_matches(p, path)),
            None => {
                let resource = self.resources.iter().any(|r| {
                    let (base, part) = one.resource.split_once('/').unwrap_or((one.resource, ""));
                    &**r == one.resource || resource_matches(r, base, part)
                });
                Self::has(&self.groups, one.group) && resource && (self.names.is_empty() || one.name.is_some_and(|name| self.names.iter().any(|n| &**n == name)))
            }
        }
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

fn resource_matches(pattern: &str, resource: &str, subresource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match (pattern.split_once('/'), subresource) {
        (None, "") => pattern == resource,
        (Some((base, part)), wanted) if !wanted.is_empty() => part == wanted && (base == resource || base == "*"),
        _ => false,
    }
}

/// A rule taken apart to single values, for the check against escalation.
struct Single<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    name: Option<&'a str>,
    path: Option<&'a str>,
}

/// A subject of a binding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    Group(String),
}

struct Binding {
    name: String,
    role_kind: String,
    role: String,
    namespace: String,
}

/// All roles and bindings at one moment.
#[derive(Default)]
pub struct Roles {
    cluster_roles: HashMap<String, Vec<Value>>,
    roles: HashMap<(String, String), Vec<Value>>,
    compiled: HashMap<(String, String), Vec<Rule>>,
    by_subject: HashMap<Subject, Vec<Binding>>,
}

fn metadata<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get("metadata").map(|m| text(m, key)).unwrap_or_default()
}

impl Roles {
    pub fn new(cluster_roles: &[Value], roles: &[Value], cluster_bindings: &[Value], bindings: &[Value]) -> Self {
        let mut all = Self::default();
        for role in cluster_roles.iter().chain(roles) {
            let (namespace, name) = (metadata(role, "namespace").to_owned(), metadata(role, "name").to_owned());
            let rules = list(role, "rules").to_vec();
            all.compiled.insert((namespace.clone(), name.clone()), rules.iter().map(Rule::new).collect());
            if namespace.is_empty() {
                all.cluster_roles.insert(name, rules);
            } else {
                all.roles.insert((namespace, name), rules);
            }
        }
        for binding in cluster_bindings.iter().chain(bindings) {
            let namespace = metadata(binding, "namespace");
            let reference = &binding["roleRef"];
            for subject in list(binding, "subjects") {
                let subject = match text(subject, "kind") {
                    "User" => Subject::User(text(subject, "name").to_owned()),
                    "Group" => Subject::Group(text(subject, "name").to_owned()),
                    "ServiceAccount" => {
                        let of = match text(subject, "namespace") {
                            "" => namespace,
                            given => given,
                        };
                        Subject::User(format!("system:serviceaccount:{of}:{}", text(subject, "name")))
                    }
                    _ => continue,
                };
                let bound = Binding { name: metadata(binding, "name").to_owned(), role_kind: text(reference, "kind").to_owned(), role: text(reference, "name").to_owned(), namespace: namespace.to_owned() };
                all.by_subject.entry(subject).or_default().push(bound);
            }
        }
        all
    }

    fn bindings<'a>(&'a self, user: &str, groups: &'a [String], namespace: &'a str) -> impl Iterator<Item = &'a Binding> {
        let of_user = self.by_subject.get(&Subject::User(user.to_owned()));
        let of_groups = groups.iter().filter_map(|g| self.by_subject.get(&Subject::Group(g.clone())));
        of_user.into_iter().chain(of_groups).flatten().filter(move |b| b.namespace.is_empty() || b.namespace == namespace)
    }

    fn key(binding: &Binding) -> (String, String) {
        let namespace = if binding.role_kind == "Role" { binding.namespace.clone() } else { String::new() };
        (namespace, binding.role.clone())
    }

    /// The reason why a request is allowed, none where no rule allows it.
    pub fn allows(&self, request: &Request) -> Option<String> {
        let namespace = if request.path.is_some() { "" } else { request.namespace };
        let found = self.bindings(request.user, request.groups, namespace).find(|b| self.compiled.get(&Self::key(b)).is_some_and(|rules| rules.iter().any(|r| r.allows(request))))?;
        let kind = if found.namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
        let place = if found.namespace.is_empty() { found.name.clone() } else { format!("{}/{}", found.name, found.namespace) };
        Some(format!("RBAC: allowed by {kind} \"{place}\" of {} \"{}\" to User \"{}\"", found.role_kind, found.role, request.user))
    }

    /// All rules that hold for a user in a namespace.
    pub fn rules_of(&self, user: &str, groups: &[String], namespace: &str) -> Vec<Value> {
        let keys = self.bindings(user, groups, namespace).map(Self::key);
        keys.flat_map(|(namespace, name)| if namespace.is_empty() { self.cluster_roles.get(&name) } else { self.roles.get(&(namespace, name)) }.cloned().unwrap_or_default()).collect()
    }

    pub fn rules_of_role(&self, kind: &str, name: &str, namespace: &str) -> Vec<Value> {
        let found = if kind == "ClusterRole" { self.cluster_roles.get(name) } else { self.roles.get(&(namespace.to_owned(), name.to_owned())) };
        found.cloned().unwrap_or_default()
    }

    /// Those of the wanted rules that a user does not hold.
    pub fn missing(&self, user: &str, groups: &[String], namespace: &str, wanted: &[Value]) -> Vec<String> {
        let held: Vec<Rule> = self.rules_of(user, groups, namespace).iter().map(Rule::new).collect();
        let mut missing = Vec::new();
        for rule in wanted {
            let rule = Rule::new(rule);
            for verb in &rule.verbs {
                for path in &rule.paths {
                    let one = Single { verb, group: "", resource: "", name: None, path: Some(path) };
                    if !held.iter().any(|h| h.covers(&one)) {
                        missing.push(format!("{{NonResourceURLs:[\"{path}\"], Verbs:[\"{verb}\"]}}"));
                    }
                }
                for (group, resource) in rule.groups.iter().flat_map(|g| rule.resources.iter().map(move |r| (g, r))) {
                    let names: Vec<Option<&str>> = if rule.names.is_empty() { vec![None] } else { rule.names.iter().map(|n| Some(&**n)).collect() };
                    for name in names {
                        let one = Single { verb, group, resource, name, path: None };
                        if !held.iter().any(|h| h.covers(&one)) {
                            let shown = name.map(|n| format!(", ResourceNames:[\"{n}\"]")).unwrap_or_default();
                            missing.push(format!("{{APIGroups:[\"{group}\"], Resources:[\"{resource}\"]{shown}, Verbs:[\"{verb}\"]}}"));
                        }
                    }
                }
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn allowed(roles: &Roles, user: &str, verb: &str, resource: &str, namespace: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        roles.allows(&Request { user, groups: &[], verb, group: "", resource, subresource, namespace, name: "x", path: None }).is_some()
    }

    #[test]
    fn roles_reach_as_far_as_their_bindings() {
        let reader = json!({"metadata": {"name": "reader"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "*/log"]}]});
        let bind = |namespace: Option<&str>, user: &str| json!({"metadata": {"name": "b", "namespace": namespace}, "roleRef": {"kind": "ClusterRole", "name": "reader"}, "subjects": [{"kind": "User", "name": user}]});
        let roles = Roles::new(&[reader], &[], &[bind(None, "all")], &[bind(Some("a"), "one")]);
        assert!(allowed(&roles, "all", "get", "pods", "b") && allowed(&roles, "one", "get", "pods", "a") && allowed(&roles, "one", "get", "pods/log", "a"));
        assert!(!allowed(&roles, "one", "get", "pods", "b") && !allowed(&roles, "one", "list", "pods", "a") && !allowed(&roles, "one", "get", "pods/exec", "a"));
        let wanted = [json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]})];
        assert_eq!(roles.missing("one", &[], "a", &wanted), ["{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}"]);
    }
}
