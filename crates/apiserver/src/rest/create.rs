//! Creating objects.

use api::{ApiError, FieldError, Path, meta, names};
use http::{Response, StatusCode};
use jiff::Timestamp;
use rand::Rng;
use serde_json::Value;
use std::sync::Arc;
use store::{Expect, Record, Write, WriteError};

use super::{Call, patch};
use crate::admission::{self, Operation};
use crate::object;
use crate::respond::Body;
use crate::wire;

/// Upstream: names are generated anew this often before the conflict is told.
const GENERATE_TRIES: usize = 8;
/// Upstream: letters and digits that cannot spell words or be confused.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Upstream: etcd's limit, 1.5 MiB.
pub const MAX_OBJECT: usize = 1536 << 10;

pub async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    let resource = &call.served.resource;
    let value = wire::decode_object(call, resource.gvk())?;
    let record = create(call, value).await?;
    Ok(call.respond(StatusCode::CREATED, &record))
}

/// Creates an object, whoever made it: a POST, an apply, a PUT of what is absent.
pub async fn create(call: &Call, object: Value) -> Result<Arc<Record>, ApiError> {
    let generated = meta::name(&object).is_empty() && !meta::text(&object, "generateName").is_empty();
    if !generated {
        return create_once(call, object, false).await;
    }
    for _ in 0..GENERATE_TRIES {
        match create_once(call, object.clone(), true).await {
            Err(error) if error.reason == api::Reason::AlreadyExists => {}
            other => return other,
        }
    }
    let mut error = ApiError::already_exists(&call.resource(), meta::text(&object, "generateName"));
    error.message += ", the server was not able to generate a unique name for the object";
    Err(error)
}

async fn create_once(call: &Call, mut object: Value, generated: bool) -> Result<Arc<Record>, ApiError> {
    let resource = &call.served.resource;
    check_namespace(call, &mut object)?;
    if !meta::resource_version(&object).is_empty() {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    if generated {
        let name = generate_name(meta::text(&object, "generateName"));
        meta::set(&mut object, "name", name);
    }
    stamp(&mut object, resource.rules.generation);
    resource.default(&mut object);
    resource.prepare(&mut object, None);
    // Upstream: what admission adds is nobody's.
    patch::track(call, &mut object, None, "");
    let mut reserved = admission::mutate(call, Operation::Create, &mut object, None).await?;
    resource.default(&mut object);
    (resource.rules.settle)(&mut object).into_iter().for_each(|w| call.notes.warn(w));
    validate(call, &object)?;
    admission::validate(call, Operation::Create, Some(&object), None).await?;
    let record = store(call, object).await;
    if let Some(reserved) = &mut reserved {
        reserved.settle(record.is_ok());
    }
    record
}

/// All faults of a new object.
fn validate(call: &Call, object: &Value) -> Result<(), ApiError> {
    let resource = &call.served.resource;
    let mut errors = catalog::metadata::validate(object, resource);
    errors.extend(resource.validate(object));
    if errors.is_empty() {
        // Upstream: what a path cannot hold is told last, whatever the kind's own rules for names.
        let name = meta::name(object);
        errors.extend(names::path_segment(name).into_iter().map(|fault| FieldError::invalid(&Path::new("metadata.name"), name, fault)));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(&resource.group, &resource.kind, meta::name(object), &errors));
    }
    resource.warnings("", object, None).into_iter().for_each(|w| call.notes.warn(w));
    Ok(())
}

pub fn check_namespace(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let (asked, given) = (call.namespace().to_owned(), meta::namespace(object).to_owned());
    if !call.served.resource.namespaced {
        // Upstream: cluster-scoped objects lose a namespace that the client's defaulting gave them.
        meta::set(object, "namespace", Value::Null);
        return Ok(());
    }
    if asked.is_empty() {
        return Err(ApiError::bad_request("an empty namespace may not be set during creation"));
    }
    if !given.is_empty() && given != asked {
        return Err(ApiError::bad_request("the namespace of the provided object does not match the namespace sent on the request"));
    }
    meta::set(object, "namespace", asked);
    Ok(())
}

/// Upstream: the base is cut so that the whole is a label of DNS.
fn generate_name(base: &str) -> String {
    let mut end = base.len().min(63 - 5);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut rng = rand::rng();
    let tail: String = (0..5).map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())] as char).collect();
    format!("{}{tail}", &base[..end])
}

/// Metadata that only the server sets.
fn stamp(object: &mut Value, generation: bool) {
    let metadata = meta::metadata_mut(object);
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
        metadata.remove(key);
    }
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), api::time::rfc3339(Timestamp::now()).into());
    if generation {
        metadata.insert("generation".into(), 1.into());
    }
}

async fn store(call: &Call, object: Value) -> Result<Arc<Record>, ApiError> {
    let key: Arc<str> = object::key(call.namespace(), meta::name(&object)).into();
    let name = meta::name(&object).to_owned();
    if call.dry_run()? {
        return match call.server.store.view().get(call.served.table, &key) {
            Some(_) => Err(ApiError::already_exists(&call.resource(), &name)),
            None => call.dry_record(key, object, 0),
        };
    }
    let (value, index) = call.stored_form(object).await?;
    let write = Write::Put { table: call.served.table, key, value, index, expect: Expect::Absent };
    let written = call.server.store.write(write).await.map_err(|error| match error {
        WriteError::Exists(_) => ApiError::already_exists(&call.resource(), &name),
        other => store_error(other),
    })?;
    call.seen_one(written).await
}

/// A failure of the store itself.
pub fn store_error(error: WriteError) -> ApiError {
    tracing::warn!(%error, "could not write");
    ApiError::internal(error)
}
