//! Mutating webhooks, one after the other: each sees what those before it made.
//!
//! Upstream: apiserver `pkg/admission/plugin/webhook/mutating/dispatcher.go`.

use api::ApiError;
use serde_json::Value;

use super::attributes::Attributes;
use super::hooks::{Failure, Hook};
use super::rounds::Rounds;
use super::versions;
use crate::registry::Served;
use crate::wire;

/// Calls all that apply; tells whether one changed the object.
pub async fn dispatch(hooks: &[Hook], attributes: &mut Attributes<'_>, rounds: &mut Rounds) -> Result<bool, ApiError> {
    let mut changed = false;
    for (index, hook) in hooks.iter().enumerate() {
        let Some(form) = hook.applies(attributes).await? else { continue };
        if !rounds.calls(&hook.uid) {
            continue;
        }
        let served = versions::served(attributes.call, &form)?;
        let object = versions::convert_some(attributes.call, attributes.object.as_ref(), &served).await?;
        let new = match hook.call(attributes, &form, &served, &object, true).await {
            Ok(answer) => patched(attributes, hook, &served, &object, &answer.patch),
            Err(failure) => Err(failure),
        };
        let new = match new {
            Ok(new) => new,
            Err(failure) => {
                fail(hook, failure, attributes, rounds, index)?;
                None
            }
        };
        if let Some(new) = new {
            attributes.object = Some(versions::convert(attributes.call, &new, &served, &attributes.call.served).await?);
            changed = true;
            rounds.changed();
        }
        rounds.called(&hook.uid, hook.wants_to_know);
    }
    Ok(changed)
}

fn fail(hook: &Hook, failure: Failure, attributes: &Attributes<'_>, rounds: &Rounds, index: usize) -> Result<(), ApiError> {
    hook.judge(failure)?;
    attributes.call.notes.annotate(&format!("failed-open.mutation.webhook.admission.k8s.io/round_{}_index_{index}", rounds.number()), &hook.name);
    Ok(())
}

/// The object with a webhook's patch, made to fit its type and defaulted; none where nothing changed.
fn patched(attributes: &Attributes<'_>, hook: &Hook, served: &Served, object: &Value, patch: &[u8]) -> Result<Option<Value>, Failure> {
    if matches!(patch.trim_ascii(), b"" | b"[]") {
        return Ok(None);
    }
    if attributes.object.is_none() || attributes.subject.operation == "CONNECT" {
        return Err(Failure::Refused(ApiError::internal(format!("admission webhook {:?} attempted to modify the object, which is not supported for this operation", hook.name))));
    }
    let new = patch::apply_json_patch(object, patch).map_err(|error| match error {
        patch::JsonPatchError::Malformed(_) => Failure::Calling(format!("received undecodable patch in webhook response: {error}")),
        other => Failure::Refused(ApiError::internal(other)),
    })?;
    let new = wire::conform(served, &attributes.call.info.subresource, new).map_err(|error| Failure::Refused(ApiError::internal(error)))?;
    Ok((new != *object).then_some(new))
}
