//! Bodies of requests to values, values to the forms that clients ask for.

use api::{ApiError, GroupVersionKind};
use bytes::Bytes;
use catalog::custom::Custom;
use codec::{DecodeError, Strictness};
use http::header::CONTENT_TYPE;
use serde_json::Value;
use store::Record;

use crate::config::Gates;
use crate::registry::Served;
use crate::respond::{self, CBOR, PROTOBUF};
use crate::rest::Call;

/// An object and what strict decoding had to say about it.
pub struct Decoded {
    pub value: Value,
    pub warnings: Vec<String>,
}

/// What to do with unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl FieldValidation {
    pub fn of(call: &Call) -> Result<Self, ApiError> {
        match call.query.get("fieldValidation") {
            "" | "Warn" => Ok(Self::Warn),
            "Ignore" => Ok(Self::Ignore),
            "Strict" => Ok(Self::Strict),
            other => {
                let kind = if call.info.verb == "patch" { "PatchOptions" } else if call.info.verb == "create" { "CreateOptions" } else { "UpdateOptions" };
                let error = api::FieldError::not_supported(&api::Path::new("fieldValidation"), other, &["Ignore", "Warn", "Strict"]);
                Err(ApiError::invalid("meta.k8s.io", kind, "", &[error]))
            }
        }
    }
}

/// Decodes the body as an object of the kind that the endpoint speaks. Who sent it is told what was not understood.
pub fn decode_object(call: &Call, expected: GroupVersionKind) -> Result<Value, ApiError> {
    let custom = call.served.resource.custom.as_deref().filter(|_| expected == call.served.resource.gvk());
    let decoded = decode_body(&call.body, content_type(call), &expected, custom, call.server.config.gates)?;
    if call.server.audit.is_some() {
        call.notes.name(&decoded.value);
    }
    let warned = match FieldValidation::of(call)? {
        FieldValidation::Strict if !decoded.warnings.is_empty() => return Err(strict_error(&decoded.warnings, &expected)),
        FieldValidation::Warn => decoded.warnings,
        FieldValidation::Strict | FieldValidation::Ignore => Vec::new(),
    };
    warned.into_iter().for_each(|warning| call.notes.warn(warning));
    Ok(decoded.value)
}

/// Decodes a configuration to be applied, as it stands: nothing is dropped yet.
pub fn decode_applied(call: &Call) -> Result<Decoded, ApiError> {
    let expected = call.served.resource.gvk();
    let decoded = if call.body.starts_with(codec::CBOR_MAGIC) {
        let value = codec::decode_cbor(&call.body).map_err(|error| ApiError::bad_request(format!("error decoding CBOR: {error}")))?;
        codec::Decoded { value, strict_errors: Vec::new() }
    } else {
        let text = std::str::from_utf8(&call.body).map_err(|e| ApiError::bad_request(format!("the body is not UTF-8: {e}")))?;
        codec::decode_yaml(text, Strictness::Collect).map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?
    };
    let mut value = decoded.value;
    check_kind(&mut value, &expected, call.served.resource.custom.is_some())?;
    Ok(Decoded { value, warnings: decoded.strict_errors })
}

fn content_type(call: &Call) -> &str {
    call.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Upstream: all strict faults in one message.
pub fn strict_error(faults: &[String], expected: &GroupVersionKind) -> ApiError {
    let why = format!("strict decoding error: {}", faults.join(", "));
    cannot_handle(expected, &why)
}

fn cannot_handle(expected: &GroupVersionKind, why: &str) -> ApiError {
    ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}", kind = expected.kind, version = expected.version))
}

/// Decodes a body of any media type that is accepted.
pub fn decode_body(body: &[u8], content_type: &str, expected: &GroupVersionKind, custom: Option<&Custom>, gates: Gates) -> Result<Decoded, ApiError> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let of = schema::by_kind(&expected.group, &expected.version, &expected.kind);
    let failed = |error: DecodeError| match error {
        DecodeError::UnknownKind { .. } => ApiError::bad_request(error.to_string()),
        other => cannot_handle(expected, &other.to_string()),
    };
    let decoded = match media {
        "" | "application/json" | "*/*" => match of {
            Some(of) => codec::decode_json(body, of, Strictness::Collect).map_err(failed)?,
            None => codec::decode_untyped(body, Strictness::Collect).map_err(failed)?,
        },
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            let text = std::str::from_utf8(body).map_err(|e| ApiError::bad_request(format!("the body is not UTF-8: {e}")))?;
            conformed(codec::decode_yaml(text, Strictness::Collect).map_err(failed)?, of).map_err(failed)?
        }
        CBOR if gates.cbor => {
            let value = codec::decode_cbor(body).map_err(failed)?;
            conformed(codec::Decoded { value, strict_errors: Vec::new() }, of).map_err(failed)?
        }
        PROTOBUF if custom.is_none() => {
            let object = match of {
                Some(of) => codec::decode_proto_as(body, of),
                None => codec::decode_proto(body),
            };
            let object = object.map_err(failed)?;
            let mut value = object.value;
            if !object.kind.is_empty() {
                value["kind"] = object.kind.into();
                value["apiVersion"] = object.api_version.into();
            }
            codec::Decoded { value, strict_errors: Vec::new() }
        }
        _ => return Err(ApiError::unsupported_media_type(&respond::accepted(custom.is_some(), gates))),
    };
    let (mut value, mut warnings) = (decoded.value, decoded.strict_errors);
    check_kind(&mut value, expected, custom.is_some())?;
    if let Some(custom) = custom {
        let unknown = custom.conform(&mut value).map_err(|why| cannot_handle(expected, &why))?;
        warnings.extend(unknown.iter().map(|path| format!("unknown field {path:?}")));
    }
    Ok(Decoded { value, warnings })
}

/// What was read without a type made to fit one.
fn conformed(mut decoded: codec::Decoded, of: Option<&schema::Type>) -> Result<codec::Decoded, DecodeError> {
    if let Some(of) = of {
        let typed = codec::conform(decoded.value, of, Strictness::Collect)?;
        decoded.value = typed.value;
        decoded.strict_errors.extend(typed.strict_errors);
    }
    Ok(decoded)
}

/// A body may leave out what it is; if it says so it must be right.
fn check_kind(value: &mut Value, expected: &GroupVersionKind, is_custom: bool) -> Result<(), ApiError> {
    if !value.is_object() {
        return Err(cannot_handle(expected, "the body is not an object"));
    }
    let api_version = expected.api_version();
    let found = GroupVersionKind::from_api_version(value["apiVersion"].as_str().unwrap_or_default(), value["kind"].as_str().unwrap_or_default());
    if found.version.is_empty() {
        value["apiVersion"] = api_version.into();
    } else if found.api_version() != api_version {
        return Err(ApiError::bad_request(format!("the API version in the data ({}) does not match the expected API version ({api_version})", found.api_version())));
    }
    if found.kind.is_empty() {
        value["kind"] = expected.kind.clone().into();
    } else if found.kind != expected.kind && is_custom {
        let error = api::FieldError::invalid(&api::Path::new("kind"), found.kind.as_str(), format!("must be {}", expected.kind));
        return Err(ApiError::invalid(&expected.group, &expected.kind, api::meta::name(value), &[error]));
    } else if found.kind != expected.kind {
        return Err(ApiError::bad_request(format!("{} in version {:?} cannot be handled as a {}: converting (v1.{}) to (core.{}): unknown conversion", found.kind, found.version, expected.kind, found.kind, expected.kind)));
    }
    Ok(())
}

/// The type of what a part of a resource speaks.
pub fn type_in<'a>(served: &'a Served, part: &str) -> Option<&'a schema::Type> {
    let resource = &served.resource;
    match (resource.subresource(part).and_then(|s| s.kind.as_ref()), &resource.custom) {
        (Some(kind), _) => schema::by_kind(&kind.group, &kind.version, &kind.kind),
        (None, Some(custom)) => Some(&custom.of),
        (None, None) => schema::by_kind(&resource.group, &resource.version, &resource.kind),
    }
}

/// An object that somebody changed made to fit its type again, and defaulted: what is unknown goes.
pub fn conform(served: &Served, part: &str, value: Value) -> Result<Value, DecodeError> {
    let resource = &served.resource;
    let own = resource.gvk();
    let kind = resource.subresource(part).and_then(|s| s.kind.as_ref()).unwrap_or(&own);
    let mut value = match schema::by_kind(&kind.group, &kind.version, &kind.kind) {
        Some(of) => codec::conform(value, of, Strictness::Ignore)?.value,
        None => value,
    };
    if *kind == own {
        if let Some(custom) = &resource.custom {
            custom.conform(&mut value).map_err(DecodeError::Type)?;
        }
        resource.default(&mut value);
    }
    Ok(value)
}

/// `DeleteOptions`; null where there is no body.
pub fn decode_options(call: &Call) -> Result<Value, ApiError> {
    if call.body.is_empty() {
        return Ok(Value::Null);
    }
    let Some(of) = schema::by_kind("", "v1", "DeleteOptions") else { return Ok(Value::Null) };
    if call.body.starts_with(codec::CBOR_MAGIC) && call.server.config.gates.cbor {
        return codec::decode_cbor(&call.body).map_err(|e| ApiError::bad_request(e.to_string()));
    }
    if call.body.starts_with(codec::MAGIC) {
        return codec::decode_proto_as(&call.body, of).map(|o| o.value).map_err(|e| ApiError::bad_request(e.to_string()));
    }
    let decoded = match content_type(call).split(';').next().unwrap_or_default() {
        "application/yaml" => codec::decode_yaml(&String::from_utf8_lossy(&call.body), Strictness::Ignore),
        _ => codec::decode_json(&call.body, of, Strictness::Ignore),
    };
    decoded.map(|d| d.value).map_err(|e| ApiError::bad_request(e.to_string()))
}

/// A value as YAML.
// Differs: in YAML's flow style, which is JSON; upstream writes block style.
pub fn to_yaml(value: &Value) -> Option<String> {
    serde_json::to_string_pretty(value).ok()
}

fn type_of(value: &Value) -> Option<&'static schema::Type> {
    let found = GroupVersionKind::from_api_version(value["apiVersion"].as_str()?, value["kind"].as_str()?);
    schema::by_kind(&found.group, &found.version, &found.kind)
}

/// The CBOR form.
pub fn to_cbor(value: &Value) -> Vec<u8> {
    codec::encode_cbor(value, type_of(value))
}

/// The protobuf form with its envelope; none for kinds that have no such form.
pub fn to_protobuf(value: &Value) -> Option<Vec<u8>> {
    codec::encode_proto(value, type_of(value)?).ok()
}

/// A watch event in protobuf around an object in JSON.
pub fn protobuf_event(kind: &str, object: &[u8]) -> Option<Vec<u8>> {
    let value = crate::object::parse(object);
    to_protobuf(&value).map(|bytes| codec::watch_frame(kind, &bytes))
}

/// The bare protobuf message of a stored object, encoded once and shared.
pub fn record_message(record: &Record) -> &Bytes {
    record.protobuf(|bytes| {
        let value = crate::object::parse(bytes);
        type_of(&value).and_then(|of| codec::encode_message(&value, of).ok()).unwrap_or_default().into()
    })
}
