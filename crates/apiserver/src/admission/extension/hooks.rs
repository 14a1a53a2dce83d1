//! Webhook configurations as they are in force.

use std::time::{Duration, Instant};

use api::meta;
use catalog::walk;
use policy::matching::{Form, Matcher};
use policy::mutating;
use policy::review::{self, Answer, Fault};
use policy::scope::Conditions;
use policy::validating::{Binding, Policy};
use serde_json::Value;
use store::{Range, Store};

use super::attributes::Attributes;
use super::counts::Owner;
use super::inputs::Shown;
use super::policies::Bound;
use super::versions;
use crate::derived::Derived;
use crate::object;
use crate::registry::Served;
use crate::webhook::{Caller, Target};

/// One webhook of a configuration.
pub struct Hook {
    pub name: String,
    /// Tells it apart from all others, also from those of the same name.
    pub uid: String,
    pub matcher: Matcher,
    target: Result<Target, String>,
    pub fails_open: bool,
    pub wants_to_know: bool,
    timeout: Duration,
    versions: Vec<String>,
    side_effects: String,
    conditions: Conditions,
    /// Whether it may change objects.
    changes: bool,
}

/// All that is configured.
pub struct Configured {
    pub mutating: Vec<Hook>,
    pub validating: Vec<Hook>,
    pub policies: Vec<Bound<Policy>>,
    pub changing: Vec<Bound<mutating::Policy>>,
}

impl Configured {
    pub fn derived(store: &Store) -> Derived<Self> {
        let tables = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"];
        let tables = tables.iter().map(|t| store.table(&format!("/registry/{t}"))).collect();
        Derived::new(tables, |tables| Self {
            mutating: hooks_of(tables.first(), true),
            validating: hooks_of(tables.get(1), false),
            policies: bound(tables.get(2), tables.get(3), Policy::of, |p| &p.common.name),
            changing: bound(tables.get(4), tables.get(5), mutating::Policy::of, |p| &p.common.name),
        })
    }

    pub fn is_empty(&self) -> bool {
        !self.changes() && self.validating.is_empty() && self.policies.is_empty()
    }

    /// Whether anything is configured that may change objects.
    pub fn changes(&self) -> bool {
        !(self.mutating.is_empty() && self.changing.is_empty())
    }
}

/// Upstream: configurations by name, webhooks as they are listed.
fn hooks_of(table: Option<&Range>, changes: bool) -> Vec<Hook> {
    let configurations = table.into_iter().flat_map(|t| t.scan("", "")).map(|r| object::parse(&r.value));
    let of = |configuration: Value| {
        let owner = meta::name(&configuration).to_owned();
        walk::list(&configuration, "webhooks").iter().enumerate().map(|(i, hook)| Hook::of(&owner, i, hook, changes)).collect::<Vec<_>>()
    };
    configurations.flat_map(of).collect()
}

/// Policies with their bindings; what nobody binds is left out.
fn bound<P>(policies: Option<&Range>, bindings: Option<&Range>, make: fn(&Value) -> P, name: fn(&P) -> &String) -> Vec<Bound<P>> {
    let all = |table: Option<&Range>| table.into_iter().flat_map(|t| t.scan("", "")).map(|r| object::parse(&r.value)).collect::<Vec<_>>();
    let bindings: Vec<Binding> = all(bindings).iter().map(Binding::of).collect();
    let of = |policy: P| {
        let own = bindings.iter().filter(|b| b.policy == *name(&policy)).cloned().collect();
        Bound { bindings: own, policy }
    };
    all(policies).iter().filter(|p| bindings.iter().any(|b| b.policy == meta::name(p))).map(make).map(of).collect()
}

/// What a call came to, when it is no answer.
pub enum Failure {
    /// The webhook could not be asked: its failure policy decides.
    Calling(String),
    /// The request fails, whatever the policy.
    Refused(api::ApiError),
}

impl Hook {
    fn of(owner: &str, index: usize, hook: &Value, changes: bool) -> Self {
        let name = walk::text(hook, "name").to_owned();
        let seconds = walk::at(hook, "timeoutSeconds").as_u64().unwrap_or(10).clamp(1, 30);
        Self {
            uid: format!("{owner}/{name}/{index}"),
            matcher: Matcher::of(hook),
            target: Target::of(&hook["clientConfig"]),
            fails_open: walk::text(hook, "failurePolicy") == "Ignore",
            wants_to_know: walk::text(hook, "reinvocationPolicy") == "IfNeeded",
            timeout: Duration::from_secs(seconds),
            versions: walk::list(hook, "admissionReviewVersions").iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            side_effects: walk::text(hook, "sideEffects").to_owned(),
            conditions: Conditions::of(hook, false),
            changes,
            name,
        }
    }

    /// Whether the webhook is to be called, and in which form it wants the request.
    pub async fn applies(&self, attributes: &Attributes<'_>) -> Result<Option<Form>, api::ApiError> {
        let Some(form) = attributes.matched(&self.matcher, false)? else { return Ok(None) };
        if self.conditions.is_empty() {
            return Ok(Some(form));
        }
        let served = versions::served(attributes.call, &form)?;
        let shown = Shown::of(attributes, &form, &served).await?;
        let owner = Owner { kind: "webhook", part: self.part(), name: &self.name };
        match attributes.hold(&self.conditions, owner, shown.inputs(&Value::Null, &Value::Null)) {
            Ok(holds) => Ok(holds.then_some(form)),
            Err(_) if self.fails_open => Ok(None),
            Err(why) => Err(api::ApiError::forbidden(&attributes.call.resource(), &attributes.subject.name, why)),
        }
    }

    /// What admission it is part of, as labels tell it.
    fn part(&self) -> &'static str {
        if self.changes { "admit" } else { "validating" }
    }

    /// Asks. Warnings and annotations of the answer are noted.
    pub async fn call(&self, attributes: &Attributes<'_>, form: &Form, served: &Served, object: &Value, mutating: bool) -> Result<Answer, Failure> {
        let begin = Instant::now();
        let answer = self.ask(attributes, form, served, object, mutating).await;
        let counts = &attributes.call.server.metrics.hooks;
        let took = begin.elapsed();
        attributes.call.notes.waited(took, self.changes);
        counts.asked(&self.name, self.part(), attributes.subject.operation, took, matches!(answer, Err(Failure::Refused(_))));
        if self.fails_open && matches!(answer, Err(Failure::Calling(_))) {
            counts.failed_open(&self.name, self.part());
        }
        answer
    }

    async fn ask(&self, attributes: &Attributes<'_>, form: &Form, served: &Served, object: &Value, mutating: bool) -> Result<Answer, Failure> {
        if attributes.dry_run && !matches!(self.side_effects.as_str(), "None" | "NoneOnDryRun") {
            return Err(Failure::Refused(api::ApiError::bad_request(format!("admission webhook {:?} does not support dry run", self.name))));
        }
        let Some(version) = self.versions.iter().map(String::as_str).find(|v| matches!(*v, "v1" | "v1beta1")) else {
            return Err(Failure::Calling("could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)".into()));
        };
        let target = self.target.as_ref().map_err(|why| Failure::Calling(format!("could not get REST client: {why}")))?;
        let uid = uuid::Uuid::new_v4().to_string();
        let old = versions::convert_some(attributes.call, attributes.old.as_ref(), served).await.map_err(Failure::Refused)?;
        let question = object::to_bytes(&attributes.question(version, &uid, form, served, (object, &old)));
        let body = attributes.call.server.hooks.post_as(if self.changes { Caller::Mutating } else { Caller::Validating }, target, question, self.timeout).await;
        let body = body.map_err(|e| Failure::Calling(format!("failed to call webhook: {e}")))?;
        let answer = review::answer(version, &uid, mutating, &body).map_err(|fault| match fault {
            Fault::Undecodable(why) => Failure::Calling(format!("failed to call webhook: {why}")),
            Fault::Invalid(why) => Failure::Calling(format!("received invalid webhook response: {why}")),
        })?;
        let notes = &attributes.call.notes;
        answer.annotations.iter().for_each(|(key, value)| notes.annotate(&format!("{}/{key}", self.name), value));
        answer.warnings.iter().for_each(|warning| notes.warn(warning));
        if answer.allowed { Ok(answer) } else { Err(Failure::Refused(api::ApiError::from_status(review::denial(&self.name, &answer.result)))) }
    }

    /// What the failure policy makes of a failure: an error, or none where the request goes on.
    pub fn judge(&self, failure: Failure) -> Result<(), api::ApiError> {
        match failure {
            Failure::Refused(error) => Err(error),
            Failure::Calling(why) if self.fails_open => {
                tracing::warn!(webhook = self.name, why, "could not call a webhook, failing open");
                Ok(())
            }
            Failure::Calling(why) => Err(api::ApiError::internal(format!("failed calling webhook {:?}: {why}", self.name))),
        }
    }
}
