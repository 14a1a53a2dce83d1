//! May they: node authorizer, then RBAC, over the stored roles and bindings.

use catalog::walk;
use policy::rbac::{Request, Roles};
use serde_json::{Value, json};
use store::{Range, Store};

use super::node;
use crate::derived::Derived;
use crate::info::Info;
use crate::object;
use crate::user::User;

/// What is judged.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    pub is_resource: bool,
    pub path: String,
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
}

impl Attributes {
    pub fn of(info: &Info) -> Self {
        Self {
            is_resource: info.is_resource,
            path: info.path.clone(),
            verb: info.verb.to_owned(),
            group: info.group.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            namespace: info.namespace.clone(),
            name: info.name.clone(),
        }
    }

    pub fn of_review(spec: &Value) -> Self {
        let resource = walk::at(spec, "resourceAttributes");
        let text = |key| walk::text(resource, key).to_owned();
        if resource.is_object() {
            return Self {
                is_resource: true,
                verb: text("verb"),
                group: text("group"),
                resource: text("resource"),
                subresource: text("subresource"),
                namespace: text("namespace"),
                name: text("name"),
                path: String::new(),
            };
        }
        let other = walk::at(spec, "nonResourceAttributes");
        Self { path: walk::text(other, "path").to_owned(), verb: walk::text(other, "verb").to_owned(), ..Self::default() }
    }

    fn request<'a>(&'a self, user: &'a User) -> Request<'a> {
        Request {
            user: &user.name,
            groups: &user.groups,
            verb: &self.verb,
            group: &self.group,
            resource: &self.resource,
            subresource: &self.subresource,
            namespace: &self.namespace,
            name: &self.name,
            path: (!self.is_resource).then_some(&self.path),
        }
    }

    /// Upstream's words for what was refused.
    pub fn refusal(&self, user: &User) -> String {
        if !self.is_resource {
            return format!("User {:?} cannot {} path {:?}", user.name, self.verb, self.path);
        }
        let resource = if self.subresource.is_empty() { self.resource.clone() } else { format!("{}/{}", self.resource, self.subresource) };
        let scope = if self.namespace.is_empty() { "at the cluster scope".to_owned() } else { format!("in the namespace {:?}", self.namespace) };
        format!("User {:?} cannot {} resource {resource:?} in API group {:?} {scope}", user.name, self.verb, self.group)
    }
}

pub enum Decision {
    Allow(String),
    Deny(String),
}

pub struct Authorizer {
    roles: Derived<Roles>,
    node: node::NodeAuthorizer,
}

fn build(tables: &[Range]) -> Roles {
    let values = |at: usize| tables.get(at).map(|t| t.scan("", "").map(|r| object::parse(&r.value)).collect::<Vec<_>>()).unwrap_or_default();
    Roles::new(&values(0), &values(1), &values(2), &values(3))
}

impl Authorizer {
    pub fn new(store: &Store) -> Self {
        let tables = ["clusterroles", "roles", "clusterrolebindings", "rolebindings"].iter().map(|t| store.table(&format!("/registry/{t}"))).collect();
        Self { roles: Derived::new(tables, build), node: node::NodeAuthorizer::new(store) }
    }

    pub fn decide(&self, store: &Store, user: &User, attributes: &Attributes) -> Decision {
        // Upstream: members of system:masters may do anything, before any other question.
        if user.is_in("system:masters") {
            return Decision::Allow(String::new());
        }
        let mut reason = String::new();
        if let Some(node) = user.node() {
            match self.node.decide(store, node, attributes) {
                node::Verdict::Allow => return Decision::Allow(String::new()),
                node::Verdict::NoOpinion(why) => reason = why,
            }
        }
        match self.roles.get(store).allows(&attributes.request(user)) {
            Some(by) => Decision::Allow(by),
            None => Decision::Deny(reason),
        }
    }

    pub fn allows(&self, store: &Store, user: &User, attributes: &Attributes) -> bool {
        matches!(self.decide(store, user, attributes), Decision::Allow(_))
    }

    /// Everything a user may do in a namespace, for `kubectl auth can-i --list`.
    pub fn rules_of(&self, store: &Store, user: &User, namespace: &str) -> Value {
        let (mut resource, mut other) = (Vec::new(), Vec::new());
        if user.is_in("system:masters") {
            resource.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
            other.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
        }
        for rule in self.roles.get(store).rules_of(&user.name, &user.groups, namespace) {
            if rule.get("nonResourceURLs").is_some_and(|u| !u.is_null()) { other.push(rule) } else { resource.push(rule) }
        }
        json!({"resourceRules": resource, "nonResourceRules": other, "incomplete": false})
    }

    /// Rules that a user lacks of those given: what stops the escalation of rights.
    pub fn missing(&self, store: &Store, user: &User, namespace: &str, rules: &[Value]) -> Vec<String> {
        if user.is_in("system:masters") {
            return Vec::new();
        }
        self.roles.get(store).missing(&user.name, &user.groups, namespace, rules)
    }

    pub fn rules_of_role(&self, store: &Store, reference: &Value, namespace: &str) -> Vec<Value> {
        self.roles.get(store).rules_of_role(walk::text(reference, "kind"), walk::text(reference, "name"), namespace)
    }
}
