//! Patches of all four kinds, and who owns which field afterwards.

use api::{ApiError, meta};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Response, StatusCode};
use jiff::Timestamp;
use patch::{ApplyError, JsonPatchError, Set, Write};
use serde_json::{Value, json};

use super::{Call, create, update};
use crate::respond::Body;
use crate::wire::{self, FieldValidation};

const APPLY_CBOR: &str = "application/apply-patch+cbor";
/// What custom resources take: they have no merge keys.
const ACCEPTED_CUSTOM: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";

pub async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    if media(call) == "application/apply-patch+yaml" || (media(call) == APPLY_CBOR && call.server.config.gates.cbor) {
        return apply(call).await;
    }
    let custom = call.served.resource.custom.is_some();
    if custom && !ACCEPTED_CUSTOM.split(", ").any(|accepted| accepted == media(call)) {
        return Err(ApiError::unsupported_media_type(ACCEPTED_CUSTOM));
    }
    if call.query.has("force") {
        let error = api::FieldError::forbidden(&api::Path::new("force"), "may not be specified for non-apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[error]));
    }
    let repeated = repeated(call);
    let change = |old: &Value| {
        let patched = patched(call, old)?;
        let (value, faults) = conformed(call, patched, &repeated)?;
        faults.into_iter().for_each(|fault| call.notes.warn(fault));
        check_identity(call, &value)?;
        Ok(value)
    };
    let record = update::update(call, &change).await?;
    Ok(call.respond(StatusCode::OK, &record))
}

fn media(call: &Call) -> &str {
    let header = call.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    header.split(';').next().unwrap_or_default().trim()
}

fn schema_of(call: &Call) -> Option<&schema::Type> {
    let resource = &call.served.resource;
    if let Some(custom) = &resource.custom {
        return Some(&custom.of);
    }
    schema::by_kind(&resource.group, &resource.version, &resource.kind)
}

/// The object with the request's patch applied.
pub fn patched(call: &Call, old: &Value) -> Result<Value, ApiError> {
    match media(call) {
        "application/json-patch+json" => patch::apply_json_patch(old, &call.body).map_err(|error| match error {
            JsonPatchError::Malformed(_) => ApiError::bad_request(error.to_string()),
            JsonPatchError::TooLarge(why) => ApiError::too_large(&why),
            JsonPatchError::DoesNotApply(why) => {
                // Upstream: 422 without a kind.
                let mut invalid = ApiError::invalid("", "", "", &[]);
                invalid.message = format!("the server rejected our request due to an error in our request: {why}");
                invalid.details = json!({});
                invalid
            }
        }),
        "application/merge-patch+json" => {
            let mut object = old.clone();
            patch::apply_merge_patch(&mut object, body(call)?);
            Ok(object)
        }
        "application/strategic-merge-patch+json" => match schema_of(call) {
            Some(of) if call.info.subresource != "scale" => patch::apply_strategic(old, body(call)?, of).map_err(|error| ApiError::bad_request(error.to_string())),
            _ => {
                let mut object = old.clone();
                patch::apply_merge_patch(&mut object, body(call)?);
                Ok(object)
            }
        },
        _ => Err(ApiError::unsupported_media_type(ACCEPTED)),
    }
}

fn body(call: &Call) -> Result<Value, ApiError> {
    let decoded = codec::decode_untyped(&call.body, codec::Strictness::Ignore);
    decoded.map(|d| d.value).map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))
}

/// Fields that a merge patch says twice.
fn repeated(call: &Call) -> Vec<String> {
    if media(call) == "application/json-patch+json" {
        return Vec::new();
    }
    codec::decode_untyped(&call.body, codec::Strictness::Collect).map(|d| d.strict_errors).unwrap_or_default()
}

/// A patched object made to fit its type, and what strict decoding has to say of it.
// Upstream: apiserver `pkg/endpoints/handlers/patch.go`: faults are told of the field `patch`, whose value is the whole object.
fn conformed(call: &Call, value: Value, repeated: &[String]) -> Result<(Value, Vec<String>), ApiError> {
    let refused = |value: &Value, why: String| {
        let error = api::FieldError::invalid(&api::Path::new("patch"), value.to_string(), why);
        ApiError::invalid("", "", "", &[error])
    };
    let given = value.clone();
    let mut faults = repeated.to_vec();
    let value = match (&call.served.resource.custom, schema_of(call)) {
        (Some(custom), _) => {
            let mut value = value;
            let unknown = custom.conform(&mut value).map_err(|why| refused(&given, why))?;
            faults.extend(unknown.iter().map(|path| format!("unknown field {path:?}")));
            value
        }
        (None, Some(of)) => {
            let conformed = codec::conform(value, of, codec::Strictness::Collect).map_err(|error| refused(&given, error.to_string()))?;
            faults.extend(conformed.strict_errors);
            conformed.value
        }
        (None, None) => value,
    };
    match FieldValidation::of(call)? {
        FieldValidation::Ignore => Ok((value, Vec::new())),
        FieldValidation::Strict if !faults.is_empty() => Err(refused(&given, format!("strict decoding error: {}", faults.join(", ")))),
        _ => Ok((value, faults)),
    }
}

fn check_identity(call: &Call, value: &Value) -> Result<(), ApiError> {
    let name = meta::name(value);
    if name == call.info.name {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("the name of the object ({name}) does not match the name on the URL ({})", call.info.name)))
}

/// Server-side apply.
async fn apply(call: &Call) -> Result<Response<Body>, ApiError> {
    let manager = call.query.get("fieldManager");
    if manager.is_empty() {
        let error = api::FieldError::required(&api::Path::new("fieldManager"), "is required for apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[error]));
    }
    let decoded = wire::decode_applied(call)?;
    match FieldValidation::of(call)? {
        // Upstream: of an apply only repeated keys are told so; what the schema does not know fails anyway.
        FieldValidation::Strict if !decoded.warnings.is_empty() => return Err(ApiError::bad_request(format!("error strict decoding YAML: error converting YAML to JSON: {}", decoded.warnings.join(", ")))),
        FieldValidation::Ignore => {}
        _ => decoded.warnings.iter().for_each(|w| call.notes.warn(format!("error converting YAML to JSON: {w}"))),
    }
    let mut applied = decoded.value;
    if call.info.subresource != "scale" {
        // What the schema does not know is a fault, whatever the directive says; what it knows is then made to fit.
        with_write(call, manager, &call.info.subresource, |write| patch::check_applied(&applied, write)).map_err(apply_error)?;
        if call.served.resource.custom.is_none()
            && let Some(of) = schema_of(call)
        {
            applied = codec::conform(applied, of, codec::Strictness::Ignore).map_err(|error| ApiError::bad_request(error.to_string()))?.value;
        }
    }
    if meta::name(&applied).is_empty() {
        meta::set(&mut applied, "name", call.info.name.clone());
    }
    check_identity(call, &applied)?;
    let absent = call.server.store.view().get(call.served.table, &call.key()).is_none();
    let (code, record) = if absent && call.info.subresource.is_empty() {
        let object = merged(call, None, &applied, manager)?;
        (StatusCode::CREATED, create::create(call, object).await?)
    } else {
        (StatusCode::OK, update::update(call, &|old| merged(call, Some(old), &applied, manager)).await?)
    };
    Ok(call.respond(code, &record))
}

fn merged(call: &Call, live: Option<&Value>, applied: &Value, manager: &str) -> Result<Value, ApiError> {
    let force = call.query.flag("force");
    with_write(call, manager, &call.info.subresource, |write| patch::apply(live, applied.clone(), force, write)).map_err(apply_error)
}

fn apply_error(error: ApplyError) -> ApiError {
    match error {
        ApplyError::Conflicts(conflicts) => {
            let causes: Vec<_> = conflicts.0.iter().map(|c| (c.message(), c.field())).collect();
            ApiError::apply_conflict(conflicts.to_string(), &causes)
        }
        ApplyError::Bad(why) => ApiError::bad_request(why),
        other @ ApplyError::NotTyped { .. } => ApiError::passed_on(500, other.to_string()),
    }
}

/// Does something with who writes here, now, and what the kind looks like.
fn with_write<T>(call: &Call, manager: &str, part: &str, act: impl FnOnce(&Write<'_>) -> T) -> T {
    let now = api::time::rfc3339(Timestamp::now());
    let api_version = call.served.resource.api_version();
    let reset = reset_fields(call);
    let untyped = schema::Type { unknown: schema::Unknown::Keep, ..schema::Type::default() };
    let of = schema_of(call).unwrap_or(&untyped);
    act(&Write { manager, api_version: &api_version, subresource: part, now: &now, of, reset: Some(&reset) })
}

/// What an endpoint resets, nobody gains there: status on the object, all but status on `status`.
fn reset_fields(call: &Call) -> Set {
    match call.info.subresource.as_str() {
        "status" => Set::of_fields(["spec", "metadata.labels"]),
        _ if call.served.resource.has_status() => Set::of_fields(["status"]),
        _ => Set::default(),
    }
}

/// Records who owns what after a write that is no apply.
pub fn track(call: &Call, object: &mut Value, old: Option<&Value>, part: &str) {
    if media(call) == "application/apply-patch+yaml" && call.info.verb == "patch" {
        return;
    }
    let manager = match call.query.get("fieldManager") {
        "" => user_agent_prefix(call),
        manager => manager.to_owned(),
    };
    with_write(call, &manager, part, |write| patch::track_update(old, object, write));
}

/// Upstream: the client's name, what stands before the first slash, at most 128 bytes.
fn user_agent_prefix(call: &Call) -> String {
    let agent = call.headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let prefix = agent.split('/').next().unwrap_or_default();
    let kept: String = prefix.chars().filter(|c| !c.is_control()).take(128).collect();
    if kept.is_empty() { "unknown".into() } else { kept }
}
