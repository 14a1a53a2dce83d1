//! MutatingAdmissionPolicies and their bindings, one after the other: each sees what those before it made.
//!
//! Upstream: apiserver `pkg/admission/plugin/policy/mutating/dispatcher.go`, `policy/generic/policy_dispatcher.go`.

use std::time::Instant;

use api::ApiError;
use policy::mutating::{Change, Policy};
use policy::validating::Binding;
use serde_json::Value;

use super::attributes::Attributes;
use super::counts::Owner;
use super::inputs::Shown;
use super::policies::{Bound, bound_params, is_excluded};
use super::rounds::Rounds;
use super::versions;
use crate::registry::Served;
use crate::wire;

/// Lets policies change the object; tells whether one did.
pub async fn dispatch(policies: &[Bound<Policy>], attributes: &mut Attributes<'_>, rounds: &mut Rounds) -> Result<bool, ApiError> {
    if policies.is_empty() || is_excluded(attributes) || attributes.subject.operation == "CONNECT" {
        return Ok(false);
    }
    let (mut changed, mut failures) = (false, Vec::new());
    for bound in policies {
        let Some(form) = attributes.matched(&bound.policy.common.matcher, false)? else { continue };
        for binding in &bound.bindings {
            let mut fail = |why: String| {
                if !bound.policy.common.fails_open {
                    failures.push(format!("policy '{}' with binding '{}' denied request: {why}", bound.policy.common.name, binding.name));
                }
            };
            let params = match bound_params(attributes, bound.policy.common.param_kind.as_ref(), binding) {
                Ok(params) => params.unwrap_or_default(),
                Err(why) => {
                    fail(why);
                    continue;
                }
            };
            for param in &params {
                let served = versions::served(attributes.call, &form)?;
                let uid = key(&bound.policy, binding, param);
                let begin = Instant::now();
                let made = invoke(&bound.policy, attributes, (&form, &served), param, &uid, rounds).await?;
                let failure = made.as_ref().err().and_then(|whys| whys.first()).map(String::as_str);
                attributes.call.server.metrics.policies.changed(&bound.policy.common.name, &binding.name, failure, begin.elapsed());
                match made {
                    Ok(one) => changed |= one,
                    Err(whys) => whys.into_iter().for_each(&mut fail),
                }
            }
        }
    }
    match failures.first() {
        Some(_) => Err(refused(attributes, &failures)),
        None => Ok(changed),
    }
}

fn key(policy: &Policy, binding: &Binding, param: &Value) -> String {
    format!("policy/{}/{}/{}/{}", policy.common.name, binding.name, api::meta::namespace(param), api::meta::name(param))
}

/// All mutations of a policy, in order. One that fails does not stop those after it.
async fn invoke(policy: &Policy, attributes: &mut Attributes<'_>, (form, served): (&policy::matching::Form, &Served), param: &Value, uid: &str, rounds: &mut Rounds) -> Result<Result<bool, Vec<String>>, ApiError> {
    let namespace = attributes.namespace_object();
    let shown = Shown::of(attributes, form, served).await?;
    match attributes.hold(&policy.common.conditions, Owner::policy(&policy.common.name), shown.inputs(&namespace, param)) {
        Err(why) => return Ok(Err(vec![why])),
        Ok(holds) if !holds || !rounds.calls(uid) || attributes.object.is_none() => return Ok(Ok(false)),
        Ok(_) => {}
    }
    let (before, mut failures) = (shown.object.clone(), Vec::new());
    let mut current = shown;
    for index in 0..policy.len() {
        let new = policy.change(index, current.inputs(&namespace, param)).and_then(|change| apply(attributes, served, &current.object, &change));
        match new {
            Ok(new) => current.object = new,
            Err(why) => failures.push(why),
        }
    }
    let changed = current.object != before;
    if changed {
        attributes.object = Some(versions::convert(attributes.call, &current.object, served, &attributes.call.served).await?);
        rounds.changed();
    }
    rounds.called(uid, policy.wants_to_know);
    Ok(if failures.is_empty() { Ok(changed) } else { Err(failures) })
}

/// The object with a change, made to fit its type and defaulted.
fn apply(attributes: &Attributes<'_>, served: &Served, object: &Value, change: &Change) -> Result<Value, String> {
    let part = &attributes.call.info.subresource;
    let new = match change {
        Change::Patch(operations) => match patch::apply_json_patch(object, operations.to_string().as_bytes()) {
            Ok(new) => new,
            // Upstream: a patch whose test fails is not applied, and that is no fault.
            Err(error) if error.is_failed_test() => return Ok(object.clone()),
            Err(error) => return Err(format!("JSONPath: {error}")),
        },
        Change::Configuration(configuration) => {
            let of = wire::type_in(served, part).ok_or("type converter must not be nil")?;
            patch::merge_configuration(object, configuration, of).map_err(|why| format!("error applying patch: {why}"))?
        }
    };
    wire::conform(served, part, new).map_err(|e| e.to_string())
}

/// Upstream: the first failure is the message, all are causes.
fn refused(attributes: &Attributes<'_>, failures: &[String]) -> ApiError {
    let first = failures.first().map(String::as_str).unwrap_or_default();
    let mut error = ApiError::forbidden(&attributes.call.resource(), &attributes.shown_name(), first);
    error.message = first.to_owned();
    error.reason = api::Reason::Invalid;
    failures.iter().fold(error, |error, why| error.with_cause("", why, ""))
}
