//! The forms in which one stored object is served, and ways between them.

use api::{ApiError, GroupVersionKind};
use policy::matching::Form;
use serde_json::Value;
use std::sync::Arc;

use crate::registry::Served;
use crate::rest::Call;

fn form_of(served: &Served) -> Form {
    let resource = &served.resource;
    Form { group: resource.group.to_string(), version: resource.version.to_string(), resource: resource.plural.to_string() }
}

fn has_part(served: &Served, part: &str) -> bool {
    part.is_empty() || served.resource.subresource(part).is_some()
}

/// All forms of the call's objects, in the order of discovery.
///
/// Upstream: `EquivalentResourceRegistry` by the key of storage.
pub fn equivalents(call: &Call) -> Vec<Form> {
    let registry = call.server.registry();
    registry.all.iter().filter(|s| s.table == call.served.table && has_part(s, &call.info.subresource)).map(|s| form_of(s)).collect()
}

/// What serves a form.
pub fn served(call: &Call, form: &Form) -> Result<Arc<Served>, ApiError> {
    let unknown = || ApiError::internal(format!("unable to convert to {}/{}, Resource={}: unknown kind", form.group, form.version, form.resource));
    call.server.registry().find(&form.group, &form.version, &form.resource).cloned().ok_or_else(unknown)
}

/// The kind of the call's part in another form.
pub fn kind_in(of: &Served, part: &str, own: &GroupVersionKind, connects: bool) -> GroupVersionKind {
    if connects {
        return own.clone();
    }
    of.resource.subresource(part).and_then(|s| s.kind.clone()).unwrap_or_else(|| of.resource.gvk())
}

/// An object of one form in another; what is of another kind (a scale, options) is the same in all.
pub async fn convert(call: &Call, value: &Value, from: &Served, to: &Served) -> Result<Value, ApiError> {
    let kind = |served: &Served| served.resource.api_version();
    let own = value["apiVersion"].as_str() == Some(&kind(from));
    if !own || kind(from) == kind(to) {
        return Ok(value.clone());
    }
    if to.resource.custom.is_some() {
        let mut converted = call.converted(vec![value.clone()], &to.resource.version).await?;
        return converted.pop().ok_or_else(|| ApiError::internal("a conversion lost its object"));
    }
    let stored = match from.resource.conversion {
        Some(conversion) => (conversion.to_stored)(value.clone()),
        None => value.clone(),
    };
    let mut shown = match to.resource.conversion {
        Some(conversion) => (conversion.from_stored)(stored),
        None => stored,
    };
    shown["apiVersion"] = kind(to).into();
    Ok(shown)
}

/// The same for what may be absent, which is null.
pub async fn convert_some(call: &Call, value: Option<&Value>, to: &Served) -> Result<Value, ApiError> {
    match value {
        Some(value) => convert(call, value, &call.served, to).await,
        None => Ok(Value::Null),
    }
}
