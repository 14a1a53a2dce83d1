//! ValidatingAdmissionPolicies and their bindings, asked one after the other.
//!
//! Upstream: apiserver `pkg/admission/plugin/policy/validating/dispatcher.go`. Of several denials the first is told.

use std::collections::BTreeMap;

use api::{ApiError, Reason, meta};
use catalog::walk;
use policy::validating::{Binding, Policy, Refusal, Verdict};
use serde_json::{Value, json};

use super::attributes::Attributes;
use super::counts::Owner;
use super::inputs::Shown;
use super::{params, versions};

/// A policy with all that bind it.
pub struct Bound<P> {
    pub policy: P,
    pub bindings: Vec<Binding>,
}

/// What is denied, by whom.
struct Denial {
    policy: String,
    binding: Option<String>,
    refusal: Refusal,
}

/// Questions that policies are not asked: denying them could lock everybody out.
///
/// Upstream: `pkg/kubeapiserver/admission/exclusion/resources.go`.
pub fn is_excluded(attributes: &Attributes<'_>) -> bool {
    let kinds = ["selfsubjectreviews", "tokenreviews", "localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"];
    matches!(attributes.subject.group.as_str(), "authentication.k8s.io" | "authorization.k8s.io") && kinds.contains(&attributes.subject.resource.as_str())
}

pub async fn dispatch(policies: &[Bound<Policy>], attributes: &Attributes<'_>) -> Result<(), ApiError> {
    if policies.is_empty() || is_excluded(attributes) {
        return Ok(());
    }
    let mut denials = Vec::new();
    for bound in policies {
        ask(bound, attributes, &mut denials).await?;
    }
    match denials.into_iter().next() {
        Some(denial) => Err(refused(attributes, &denial)),
        None => Ok(()),
    }
}

async fn ask(bound: &Bound<Policy>, attributes: &Attributes<'_>, denials: &mut Vec<Denial>) -> Result<(), ApiError> {
    let common = &bound.policy.common;
    let misconfigured = |binding: Option<&Binding>, why: String| {
        let what = if binding.is_some() { "binding" } else { "policy" };
        Denial { policy: common.name.clone(), binding: binding.map(|b| b.name.clone()), refusal: Refusal { message: format!("failed to configure {what}: {why}"), ..Refusal::default() } }
    };
    let form = match attributes.matched(&common.matcher, false) {
        Ok(Some(form)) => form,
        Ok(None) => return Ok(()),
        Err(error) => {
            denials.extend((!common.fails_open).then(|| misconfigured(None, error.message)));
            return Ok(());
        }
    };
    let served = versions::served(attributes.call, &form)?;
    let shown = Shown::of(attributes, &form, &served).await?;
    let mut notes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for binding in &bound.bindings {
        let found = bound_params(attributes, common.param_kind.as_ref(), binding);
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(why) => {
                denials.extend((!common.fails_open).then(|| misconfigured(Some(binding), why)));
                continue;
            }
        };
        let namespace = attributes.namespace_object();
        for params in &found {
            let inputs = shown.inputs(&namespace, params);
            let holds = attributes.hold(&common.conditions, Owner::policy(&common.name), inputs);
            let verdict = bound.policy.judge(inputs, holds);
            enforce(attributes, &common.name, binding, verdict, denials, &mut notes);
        }
    }
    for (key, values) in notes {
        attributes.call.notes.annotate(&format!("{}/{key}", common.name), &values.join(", "));
    }
    Ok(())
}

/// The parameters with which a binding is about the request; none where it is not about it.
pub fn bound_params(attributes: &Attributes<'_>, kind: Option<&(String, String)>, binding: &Binding) -> Result<Option<Vec<Value>>, String> {
    if let Some(matcher) = &binding.matcher
        && attributes.matched(matcher, true).map_err(|e| e.message)?.is_none()
    {
        return Ok(None);
    }
    params::collect(attributes.call, kind, &binding.param_ref, &attributes.subject.namespace).map(Some)
}

/// Does what the binding says is to be done with what did not pass.
fn enforce(attributes: &Attributes<'_>, policy: &str, binding: &Binding, verdict: Verdict, denials: &mut Vec<Denial>, notes: &mut BTreeMap<String, Vec<String>>) {
    let denial = |refusal: Refusal| Denial { policy: policy.to_owned(), binding: Some(binding.name.clone()), refusal };
    for refusal in verdict.refusals {
        for action in &binding.actions {
            let label = match action.as_str() {
                "Deny" => "deny",
                "Warn" => "warn",
                _ => "audit",
            };
            attributes.call.server.metrics.policies.judged(policy, &binding.name, label, &refusal);
            match action.as_str() {
                "Deny" => denials.push(denial(refusal.clone())),
                "Warn" => attributes.call.notes.warn(format!("Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{}': {}", binding.name, refusal.message)),
                _ => {
                    let failure = json!([{"message": refusal.message, "policy": policy, "binding": binding.name, "expressionIndex": refusal.index, "validationActions": binding.actions}]);
                    attributes.call.notes.annotate("validation.policy.admission.k8s.io/validation_failure", &failure.to_string());
                }
            }
        }
    }
    for (key, value) in verdict.annotations {
        let values = notes.entry(key).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }
    denials.extend(verdict.failed_annotations.into_iter().map(|message| denial(Refusal { message, ..Refusal::default() })));
}

fn refused(attributes: &Attributes<'_>, denial: &Denial) -> ApiError {
    let by = denial.binding.as_ref().map(|b| format!(" with binding '{b}'")).unwrap_or_default();
    let message = format!("ValidatingAdmissionPolicy '{}'{by} denied request: {}", denial.policy, denial.refusal.message);
    let mut error = ApiError::forbidden(&attributes.call.resource(), &attributes.shown_name(), &message).with_cause("", &message, "");
    (error.code, error.reason) = match denial.refusal.reason.as_str() {
        "Forbidden" => (403, Reason::Forbidden),
        "RequestEntityTooLarge" => (413, Reason::RequestEntityTooLarge),
        _ => (422, Reason::Invalid),
    };
    error
}

impl Attributes<'_> {
    /// The name for messages: what is created may have none yet.
    ///
    /// Upstream: apiserver `pkg/admission/errors.go`.
    pub fn shown_name(&self) -> String {
        let object = self.object.as_ref().unwrap_or(&Value::Null);
        [self.subject.name.as_str(), meta::name(object), walk::text(object, "metadata.generateName"), "Unknown"].into_iter().find(|n| !n.is_empty()).unwrap_or_default().to_owned()
    }

    /// The variable `namespaceObject`: none for what is in no namespace, nor for namespaces themselves.
    pub fn namespace_object(&self) -> Value {
        if self.subject.group.is_empty() && self.subject.resource == "namespaces" { Value::Null } else { self.namespace.clone().unwrap_or_default() }
    }
}
