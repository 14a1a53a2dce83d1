//! May they: those who judge are asked in their order, usually the node authorizer, then the stored roles and bindings.

use std::sync::Arc;

use access::authorization::Link;
use arc_swap::ArcSwap;
use catalog::walk;
use futures::FutureExt as _;
use policy::rbac::{Request, Roles};
use serde_json::{Value, json};
use store::{Range, Store};

use super::counts::Judged;
use super::node;
use super::selection::{self, Selection};
use super::webhook_authorizer::WebhookAuthorizer;
use crate::derived::Derived;
use api::request::Info;
use crate::object;
use crate::user::User;
use crate::webhook::Services;

/// What is judged.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    pub is_resource: bool,
    pub path: String,
    pub verb: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub fields: Selection,
    pub labels: Selection,
}

impl Attributes {
    pub fn of(info: &Info) -> Self {
        let (fields, labels) = selection::of_request(info);
        Self {
            fields,
            labels,
            is_resource: info.is_resource,
            path: info.path.clone(),
            verb: info.verb.to_owned(),
            group: info.group.clone(),
            version: info.version.clone(),
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
                version: text("version"),
                resource: text("resource"),
                subresource: text("subresource"),
                namespace: text("namespace"),
                name: text("name"),
                path: String::new(),
                fields: Selection::of_review(walk::at(resource, "fieldSelector")),
                labels: Selection::of_review(walk::at(resource, "labelSelector")),
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

/// What one of them says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Deny,
    /// The next is asked.
    NoOpinion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    pub verdict: Verdict,
    pub reason: String,
    pub error: Option<String>,
}

impl Opinion {
    pub fn none() -> Self {
        Self { verdict: Verdict::NoOpinion, reason: String::new(), error: None }
    }
}

/// What all of them come to.
pub enum Decision {
    Allow(String),
    Deny(String),
    /// Not allowed, and somebody could not judge.
    Failed { reason: String, error: String },
}

impl Decision {
    /// Upstream: `endpoints/filters/metrics.go`. Differs: a denial is not told from nobody's having allowed it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allowed",
            Self::Deny(_) => "no-opinion",
            Self::Failed { .. } => "error",
        }
    }
}

enum Judge {
    Always(Verdict, &'static str),
    Node,
    Rbac,
    Webhook(Box<WebhookAuthorizer>),
}

impl Judge {
    /// Type and name. Differs: names of those that are no webhooks are their types in lower case, whatever the file calls them.
    fn labels(&self) -> (&'static str, &str) {
        match self {
            Self::Always(Verdict::Allow, _) => ("AlwaysAllow", "alwaysallow"),
            Self::Always(..) => ("AlwaysDeny", "alwaysdeny"),
            Self::Node => ("Node", "node"),
            Self::Rbac => ("RBAC", "rbac"),
            Self::Webhook(hook) => ("Webhook", hook.name()),
        }
    }
}

pub struct Authorizer {
    roles: Derived<Roles>,
    node: node::NodeAuthorizer,
    judges: ArcSwap<Vec<Judge>>,
    counts: Judged,
    /// Those of the start that are no webhooks. Upstream: Node and RBAC cannot join later.
    begun_with: Vec<&'static str>,
}

/// Those of a kind that must be there from the start.
fn kinds(links: &[Link]) -> Vec<&'static str> {
    let kind = |link: &Link| match link {
        Link::Node => Some("Node"),
        Link::Rbac => Some("RBAC"),
        _ => None,
    };
    links.iter().filter_map(kind).collect()
}

fn judges(links: Vec<Link>, services: &Services, counts: &Judged) -> Result<Vec<Judge>, String> {
    let judge = |link| {
        Ok(match link {
            Link::AlwaysAllow => Judge::Always(Verdict::Allow, ""),
            // Upstream: `pkg/authorization/authorizerfactory/builtin.go`.
            Link::AlwaysDeny => Judge::Always(Verdict::NoOpinion, "Everything is forbidden."),
            Link::Node => Judge::Node,
            Link::Rbac => Judge::Rbac,
            Link::Webhook(link) => Judge::Webhook(Box::new(WebhookAuthorizer::new(*link, services, counts.clone())?)),
        })
    };
    links.into_iter().map(judge).collect()
}

fn build(tables: &[Range]) -> Roles {
    let values = |at: usize| tables.get(at).map(|t| t.scan("", "").map(|r| object::parse(&r.value)).collect::<Vec<_>>()).unwrap_or_default();
    Roles::new(&values(0), &values(1), &values(2), &values(3))
}

impl Authorizer {
    pub fn new(store: &Store, services: &Services, links: Vec<Link>, counts: Judged) -> Result<Self, String> {
        let tables = ["clusterroles", "roles", "clusterrolebindings", "rolebindings"].iter().map(|t| store.table(&format!("/registry/{t}"))).collect();
        let begun_with = kinds(&links);
        let judges = ArcSwap::from_pointee(judges(links, services, &counts)?);
        Ok(Self { counts, roles: Derived::new(tables, build), node: node::NodeAuthorizer::new(store), judges, begun_with })
    }

    /// Asks others from now on. Upstream: `pkg/kubeapiserver/authorizer/reload.go`.
    pub fn renew(&self, services: &Services, links: Vec<Link>) -> Result<(), String> {
        if let Some(late) = kinds(&links).into_iter().find(|kind| !self.begun_with.contains(kind)) {
            return Err(format!("authorizer type {late} is not allowed if it was not enabled at initial server startup"));
        }
        self.judges.store(Arc::new(judges(links, services, &self.counts)?));
        Ok(())
    }

    fn asks_webhooks(&self) -> bool {
        self.judges.load().iter().any(|judge| matches!(judge, Judge::Webhook(_)))
    }

    /// Upstream: apiserver `pkg/authorization/union/union.go`.
    pub async fn decide(&self, store: &Store, user: &User, attributes: &Attributes) -> Decision {
        // Upstream: members of system:masters may do anything, before any other question.
        if user.is_in("system:masters") {
            return Decision::Allow(String::new());
        }
        let (mut reasons, mut errors) = (Vec::new(), Vec::new());
        for judge in self.judges.load_full().iter() {
            let opinion = self.ask(judge, store, user, attributes).await;
            if opinion.verdict != Verdict::NoOpinion {
                let (kind, name) = judge.labels();
                self.counts.decided(kind, name, opinion.verdict == Verdict::Allow);
            }
            match (opinion.verdict, opinion.error) {
                (Verdict::Allow, _) => return Decision::Allow(opinion.reason),
                (Verdict::Deny, Some(error)) => return Decision::Failed { reason: opinion.reason, error },
                (Verdict::Deny, None) => return Decision::Deny(opinion.reason),
                (Verdict::NoOpinion, error) => {
                    errors.extend(error);
                    reasons.extend(Some(opinion.reason).filter(|r| !r.is_empty()));
                }
            }
        }
        let reason = reasons.join("\n");
        match errors.as_slice() {
            [] => Decision::Deny(reason),
            [one] => Decision::Failed { reason, error: one.clone() },
            many => Decision::Failed { reason, error: format!("[{}]", many.join(", ")) },
        }
    }

    async fn ask(&self, judge: &Judge, store: &Store, user: &User, attributes: &Attributes) -> Opinion {
        let said = |verdict, reason: String| Opinion { verdict, reason, error: None };
        match judge {
            Judge::Always(verdict, reason) => said(*verdict, (*reason).to_owned()),
            Judge::Node => match user.node().map(|node| self.node.decide(store, node, attributes)) {
                Some(node::Verdict::Allow) => said(Verdict::Allow, String::new()),
                Some(node::Verdict::NoOpinion(why)) => said(Verdict::NoOpinion, why),
                None => Opinion::none(),
            },
            Judge::Rbac => match self.roles.get(store).allows(&attributes.request(user)) {
                Some(by) => said(Verdict::Allow, by),
                None => Opinion::none(),
            },
            Judge::Webhook(webhook) => webhook.decide(user, attributes).await,
        }
    }

    pub async fn allows(&self, store: &Store, user: &User, attributes: &Attributes) -> bool {
        matches!(self.decide(store, user, attributes).await, Decision::Allow(_))
    }

    /// The same for those who cannot wait. Only where a webhook judges does it wait, and then others go on meanwhile.
    pub fn decide_now(&self, store: &Store, user: &User, attributes: &Attributes) -> Decision {
        let decision = self.decide(store, user, attributes);
        if self.asks_webhooks() {
            return tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(decision));
        }
        // Without a webhook nothing in it waits.
        decision.now_or_never().unwrap_or_else(|| Decision::Deny(String::new()))
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
        let mut status = json!({"resourceRules": resource, "nonResourceRules": other, "incomplete": false});
        if self.asks_webhooks() {
            status["incomplete"] = true.into();
            status["evaluationError"] = "webhook authorizer does not support user rule resolution".into();
        }
        status
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
