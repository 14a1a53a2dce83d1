//! Webhook configurations as they are in force.

use std::time::Duration;

use api::meta;
use bytes::Bytes;
use catalog::walk;
use policy::matching::{Form, Matcher};
use policy::review::{self, Answer, Fault, Question};
use serde_json::Value;
use store::{Range, Store};

use super::attributes::Attributes;
use super::versions;
use crate::derived::Derived;
use crate::object;
use crate::registry::Served;
use crate::webhook::Target;

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
}

/// All that is configured.
pub struct Configured {
    pub mutating: Vec<Hook>,
    pub validating: Vec<Hook>,
}

impl Configured {
    pub fn derived(store: &Store) -> Derived<Self> {
        let tables = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"].iter().map(|t| store.table(&format!("/registry/{t}"))).collect();
        Derived::new(tables, |tables| Self { mutating: hooks_of(tables.first()), validating: hooks_of(tables.get(1)) })
    }

    pub fn is_empty(&self) -> bool {
        self.mutating.is_empty() && self.validating.is_empty()
    }
}

/// Upstream: configurations by name, webhooks as they are listed.
fn hooks_of(table: Option<&Range>) -> Vec<Hook> {
    let configurations = table.into_iter().flat_map(|t| t.scan("", "")).map(|r| object::parse(&r.value));
    let of = |configuration: Value| {
        let owner = meta::name(&configuration).to_owned();
        walk::list(&configuration, "webhooks").iter().enumerate().map(|(i, hook)| Hook::of(&owner, i, hook)).collect::<Vec<_>>()
    };
    configurations.flat_map(of).collect()
}

/// What a call came to, when it is no answer.
pub enum Failure {
    /// The webhook could not be asked: its failure policy decides.
    Calling(String),
    /// The request fails, whatever the policy.
    Refused(api::ApiError),
}

impl Hook {
    fn of(owner: &str, index: usize, hook: &Value) -> Self {
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
            name,
        }
    }

    /// Whether the webhook is to be called, and in which form it wants the request.
    pub fn applies(&self, attributes: &Attributes<'_>) -> Result<Option<Form>, api::ApiError> {
        attributes.matched(&self.matcher, false)
    }

    /// Asks. Warnings and annotations of the answer are noted.
    pub async fn call(&self, attributes: &Attributes<'_>, form: &Form, served: &Served, object: &Value, mutating: bool) -> Result<Answer, Failure> {
        if attributes.dry_run && !matches!(self.side_effects.as_str(), "None" | "NoneOnDryRun") {
            return Err(Failure::Refused(api::ApiError::bad_request(format!("admission webhook {:?} does not support dry run", self.name))));
        }
        let Some(version) = self.versions.iter().map(String::as_str).find(|v| matches!(*v, "v1" | "v1beta1")) else {
            return Err(Failure::Calling("could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)".into()));
        };
        let target = self.target.as_ref().map_err(|why| Failure::Calling(format!("could not get REST client: {why}")))?;
        let uid = uuid::Uuid::new_v4().to_string();
        let question = self.question(attributes, form, served, object, version, &uid);
        let body = attributes.call.server.hooks.post(target, question, self.timeout).await;
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

    fn question(&self, attributes: &Attributes<'_>, form: &Form, served: &Served, object: &Value, version: &str, uid: &str) -> Bytes {
        let call = attributes.call;
        let old = attributes.old.as_ref().map(|old| versions::convert(old, &call.served, served)).unwrap_or_default();
        let form_kind = versions::kind_in(served, &call.info.subresource, &attributes.kind, attributes.subject.operation == "CONNECT");
        let question = Question {
            uid,
            subject: &attributes.subject,
            kind: &attributes.kind,
            form,
            form_kind: &form_kind,
            user: &attributes.user,
            object,
            old: &old,
            options: &attributes.options,
            dry_run: attributes.dry_run,
        };
        object::to_bytes(&review::question(version, &question))
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
