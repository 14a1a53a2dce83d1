//! Admission by what extends the API: webhooks and policies that are objects themselves.
//!
//! Their configuration is derived from the stored objects on each use, so that a change is in force for the very next
//! request. Requests that nothing is configured for cost a comparison of pointers.

mod attributes;
mod changing;
mod counts;
mod hooks;
mod inputs;
mod mutating;
mod params;
mod policies;
mod rounds;
pub mod typecheck;
mod validating;
mod versions;

use api::ApiError;
use serde_json::Value;

pub use attributes::Attributes;
pub use counts::{ConditionCounts, HookCounts, PolicyCounts};
pub use hooks::Configured;
pub use rounds::Rounds;

use super::Operation;
use super::turns::Step;
use crate::rest::Call;

/// Whether admission by extensions is about this request at all.
fn is_asked(call: &Call, operation: Operation) -> bool {
    let resource = &call.served.resource;
    // Parts that are posted are admitted as what they are, before the object behind them changes.
    let posted = matches!(call.info.subresource.as_str(), "binding" | "eviction" | "token") && operation != Operation::Connect;
    !call.notes.unasked && !posted && !policy::matching::is_exempt(&resource.group, &resource.kind)
}

/// Lets extensions change the object of a write. Tells whether one did.
pub async fn admit(call: &Call, operation: Operation, object: &mut Value, old: Option<&Value>, rounds: &mut Rounds) -> Result<bool, ApiError> {
    let configured = call.server.configured.get(&call.server.store);
    if !configured.changes() || !is_asked(call, operation) {
        return Ok(false);
    }
    let mut attributes = Attributes::of(call, operation, Some(object), old)?;
    let changed = change(&configured, &mut attributes, rounds).await?;
    if changed {
        attributes.write_back(object)?;
    }
    Ok(changed)
}

/// Lets extensions refuse.
pub async fn validate(call: &Call, operation: Operation, object: Option<&Value>, old: Option<&Value>) -> Result<(), ApiError> {
    let configured = call.server.configured.get(&call.server.store);
    if configured.is_empty() || !is_asked(call, operation) {
        return Ok(());
    }
    let mut attributes = Attributes::of(call, operation, object, old)?.with_identity();
    if operation == Operation::Delete {
        // Upstream: a deletion is mutating admission's business too, though there is nothing to change.
        change(&configured, &mut attributes, &mut Rounds::default()).await?;
    }
    refuse(&configured, &attributes).await
}

/// Policies, then webhooks.
async fn change(configured: &Configured, attributes: &mut Attributes<'_>, rounds: &mut Rounds) -> Result<bool, ApiError> {
    let step = Step::admit(attributes.call, attributes.subject.operation);
    let (mut by_policies, mut by_webhooks) = (false, false);
    if let Some(turn) = step.of("MutatingAdmissionPolicy") {
        by_policies = turn.ends(changing::dispatch(&configured.changing, attributes, rounds).await)?;
    }
    if let Some(turn) = step.of("MutatingAdmissionWebhook") {
        by_webhooks = turn.ends(mutating::dispatch(&configured.mutating, attributes, rounds).await)?;
    }
    Ok(by_policies || by_webhooks)
}

/// Policies, then webhooks.
async fn refuse(configured: &Configured, attributes: &Attributes<'_>) -> Result<(), ApiError> {
    let step = Step::validate(attributes.call, attributes.subject.operation);
    if let Some(turn) = step.of("ValidatingAdmissionPolicy") {
        turn.ends(policies::dispatch(&configured.policies, attributes).await)?;
    }
    if let Some(turn) = step.of("ValidatingAdmissionWebhook") {
        turn.ends(validating::dispatch(&configured.validating, attributes).await)?;
    }
    Ok(())
}

/// Admits what is posted to a part of an object, or a question that is not stored: a Binding, an Eviction, a review.
pub async fn post(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let configured = call.server.configured.get(&call.server.store);
    if configured.is_empty() || call.notes.unasked {
        return Ok(());
    }
    let mut rounds = Rounds::default();
    loop {
        let mut attributes = Attributes::of(call, Operation::Create, Some(object), None)?;
        let changed = change(&configured, &mut attributes, &mut rounds).await?;
        if changed {
            attributes.write_back(object)?;
        }
        if !changed || !rounds.again() {
            break;
        }
    }
    let attributes = Attributes::of(call, Operation::Create, Some(object), None)?;
    refuse(&configured, &attributes).await
}

/// Admits a connection: exec, attach, port-forward, proxies. `options` is the kind that the query stands for.
pub async fn connect(call: &Call, options: Value) -> Result<(), ApiError> {
    let configured = call.server.configured.get(&call.server.store);
    if configured.is_empty() || call.notes.unasked {
        return Ok(());
    }
    let mut attributes = Attributes::of(call, Operation::Connect, Some(&options), None)?;
    change(&configured, &mut attributes, &mut Rounds::default()).await?;
    refuse(&configured, &attributes).await
}
