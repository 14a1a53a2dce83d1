//! PodNodeSelector and PodTolerationRestriction: a namespace's wishes on where its pods go.

use api::{ApiError, GroupResource, meta};
use policy::node_selector::Fault;
use serde_json::Value;

use crate::object;
use crate::rest::Call;

fn namespace(call: &Call) -> Result<Value, ApiError> {
    let table = call.server.store.table("/registry/namespaces");
    let found = call.server.store.view().get(table, call.namespace());
    found.map(|r| object::parse(&r.value)).ok_or_else(|| ApiError::not_found(&GroupResource::new("", "namespaces"), call.namespace()))
}

// Upstream: what is no API error is told as it is, as the server's.
fn unreadable(why: String) -> ApiError {
    ApiError::passed_on(500, why)
}

pub fn select(call: &Call, pod: &mut Value) -> Result<(), ApiError> {
    let namespace = namespace(call)?;
    call.server.plugins.node_selectors.mutate(pod, &namespace).map_err(|fault| told(call, pod, fault))
}

pub fn check_selector(call: &Call, pod: &Value) -> Result<(), ApiError> {
    call.server.plugins.node_selectors.check(pod, &namespace(call)?).map_err(|fault| told(call, pod, fault))
}

fn told(call: &Call, pod: &Value, fault: Fault) -> ApiError {
    match fault {
        Fault::Conflict(why) => ApiError::forbidden(&call.resource(), meta::name(pod), why),
        Fault::Unreadable(why) => unreadable(why),
    }
}

pub fn tolerate(call: &Call, pod: &mut Value, is_new: bool) -> Result<(), ApiError> {
    call.server.plugins.tolerations.mutate(pod, &namespace(call)?, is_new).map_err(unreadable)
}

pub fn check_tolerations(call: &Call, pod: &Value) -> Result<(), ApiError> {
    call.server.plugins.tolerations.check(pod, &namespace(call)?).map_err(unreadable)
}
