//! LimitRanger: asks the rules with the ranges of the request's namespace.

use api::{ApiError, meta};
use catalog::walk;
use serde_json::Value;

use super::{Operation, is};
use crate::object;
use crate::rest::Call;

fn ranges(call: &Call) -> Vec<Value> {
    let table = call.server.store.table("/registry/limitranges");
    let prefix = format!("{}/", call.namespace());
    call.server.store.view().table(table).scan(&prefix, "").map(|r| object::parse(&r.value)).collect()
}

pub fn mutate(call: &Call, pod: &mut Value) {
    let ranges = ranges(call);
    if ranges.is_empty() {
        return;
    }
    policy::limits::default_pod(pod, &ranges);
    // What was filled decides the class.
    let class = catalog::core::pod::qos_class(walk::at(pod, "spec"));
    if let Some(status) = walk::existing_mut(pod, "status") {
        status.insert("qosClass".into(), class.into());
    }
}

pub fn check(call: &Call, operation: Operation, object: &Value) -> Result<(), ApiError> {
    let faults = match operation {
        Operation::Create if is(call, "", "pods") => policy::limits::check_pod(object, &ranges(call)),
        Operation::Create | Operation::Update if is(call, "", "persistentvolumeclaims") && walk::at(object, "metadata.deletionTimestamp").is_null() => policy::limits::check_claim(object, &ranges(call)),
        _ => return Ok(()),
    };
    let why = match faults.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(ApiError::forbidden(&call.resource(), meta::name(object), why))
}
