//! Changing objects: one pipeline for PUT, every kind of patch, and writes to parts of an object.

use std::sync::Arc;

use api::{ApiError, meta};
use catalog::Resource;
use http::{Response, StatusCode};
use serde_json::Value;
use store::{Expect, Record, Write, WriteError};

use super::create::{self, MAX_OBJECT, store_error};
use super::{Call, delete, patch};
use crate::admission::{self, Operation};
use crate::object;
use crate::respond::Body;
use crate::wire;

/// How often a change that names no revision is tried again on top of a newer object.
const TRIES: usize = 8;

pub async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    let resource = &call.served.resource;
    let value = wire::decode_object(call, resource.gvk())?;
    check_name(call, &value)?;
    let absent = call.server.store.view().get(call.served.table, &call.key()).is_none();
    let (code, record) = if absent && resource.rules.create_on_update && call.info.subresource.is_empty() {
        (StatusCode::CREATED, create::create(call, value).await?)
    } else {
        (StatusCode::OK, update(call, &|_| Ok(value.clone())).await?)
    };
    Ok(call.respond(code, &record))
}

fn check_name(call: &Call, value: &Value) -> Result<(), ApiError> {
    let name = meta::name(value);
    if name != call.info.name {
        let shown = if name.is_empty() { "name must be provided".to_owned() } else { format!("the name of the object ({name}) does not match the name on the URL ({})", call.info.name) };
        return Err(ApiError::bad_request(shown));
    }
    let namespace = meta::namespace(value);
    if call.served.resource.namespaced && !namespace.is_empty() && namespace != call.info.namespace {
        return Err(ApiError::bad_request(format!("the namespace of the object ({namespace}) does not match the namespace on the URL ({})", call.info.namespace)));
    }
    Ok(())
}

/// What an update makes of the present object; asked again when another write was faster.
pub type Change<'a> = &'a (dyn Fn(&Value) -> Result<Value, ApiError> + Send + Sync);

/// Makes a new object of the present one and stores it; on a race the change is made again. One that names a
/// revision then meets a newer one and is refused.
pub async fn update(call: &Call, change: Change<'_>) -> Result<Arc<Record>, ApiError> {
    let mut tries = TRIES;
    loop {
        let record = call.found().await?;
        let old = call.read(&record);
        let mut object = change(&old)?;
        check_preconditions(call, &object, &old, &record)?;
        take_system_fields(&mut object, &old);
        let settled = finish(call, object, &old, &record).await;
        match settled {
            Err(Failure::Raced) if tries > 0 => {
                tries -= 1;
                call.server.store.fresh().await.map_err(store_error)?;
            }
            Err(Failure::Raced) => return Err(ApiError::modified(&call.resource(), &call.info.name)),
            Err(Failure::Api(error)) => return Err(*error),
            Ok(record) => return Ok(record),
        }
    }
}

enum Failure {
    Raced,
    Api(Box<ApiError>),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

fn check_preconditions(call: &Call, object: &Value, old: &Value, record: &Record) -> Result<(), ApiError> {
    let revision = meta::resource_version(object);
    if revision.is_empty() || revision == "0" {
        if !call.served.resource.rules.unconditional_update && call.info.verb == "update" {
            let error = api::FieldError::invalid(&api::Path::new("metadata.resourceVersion"), 0, "must be specified for an update");
            // Upstream: under the resource's name where a kind is expected.
            return Err(ApiError::invalid(&call.served.resource.group, &call.served.resource.plural, &call.info.name, &[error]));
        }
    } else if revision != record.revision.to_string() {
        return Err(ApiError::modified(&call.resource(), &call.info.name));
    }
    let uid = meta::uid(object);
    if !uid.is_empty() && uid != meta::uid(old) {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", meta::uid(old));
        return Err(ApiError::conflict(&call.resource(), &call.info.name, why));
    }
    Ok(())
}

/// What no client changes by an update.
fn take_system_fields(object: &mut Value, old: &Value) {
    for key in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "name", "namespace", "generateName"] {
        let value = old.get("metadata").and_then(|m| m.get(key)).cloned().unwrap_or_default();
        if key == "generateName" && value.is_null() {
            continue;
        }
        meta::set(object, key, value);
    }
    meta::set(object, "selfLink", Value::Null);
    for key in ["kind", "apiVersion"] {
        object[key] = old[key].clone();
    }
}

async fn finish(call: &Call, mut object: Value, old: &Value, record: &Arc<Record>) -> Result<Arc<Record>, Failure> {
    let resource = &call.served.resource;
    let part = call.info.subresource.as_str();
    resource.default(&mut object);
    // Upstream: admission changes the object before its strategy looks at it, so that what it puts back counts as no change.
    let mut reserved = admission::mutate(call, Operation::Update, &mut object, Some(old)).await?;
    resource.default(&mut object);
    crate::rest::subresource::prepare(resource, part, &mut object, old);
    if resource.rules.generation && !matches!(part, "status" | "approval" | "finalize") && differs(resource, &object, old) {
        meta::set(&mut object, "generation", meta::generation(old) + 1);
    }
    patch::track(call, &mut object, Some(old), part);
    validate(call, &object, old)?;
    admission::validate(call, Operation::Update, Some(&object), Some(old)).await?;
    meta::set(&mut object, "resourceVersion", record.revision.to_string());
    if object == *old && call.is_stored_as(record, &object).await? {
        return Ok(record.clone());
    }
    if delete::is_finished(&object) {
        let gone = delete::remove(call, record, Some(object)).await;
        return gone.map_err(|error| if error.reason == api::Reason::Conflict { Failure::Raced } else { error.into() });
    }
    let Some(reserved) = &mut reserved else { return store(call, object, record).await };
    let new = object.clone();
    let written = store(call, object, record).await;
    reserved.settle(written.is_ok());
    if written.is_ok() && !call.dry_run()? {
        admission::service::written(call, old, Some(&new)).await;
    }
    written
}

fn validate(call: &Call, object: &Value, old: &Value) -> Result<(), ApiError> {
    let resource = &call.served.resource;
    let mut errors = catalog::metadata::validate_update(object, old, resource);
    let mut told = Vec::new();
    errors.extend(resource.validate_update(&call.info.subresource, object, old, &mut told));
    told.into_iter().for_each(|fault| call.notes.warn(fault));
    if !errors.is_empty() {
        return Err(ApiError::invalid(&resource.group, &resource.kind, &call.info.name, &errors));
    }
    resource.warnings(&call.info.subresource, object, Some(old)).into_iter().for_each(|w| call.notes.warn(w));
    Ok(())
}

fn annotations(object: &serde_json::Map<String, Value>) -> Option<&Value> {
    object.get("metadata")?.get("annotations").filter(|all| !all.is_null())
}

/// Whether anything differs that is counted: all but metadata and status, annotations where the resource says so. A status that is no part of its own counts, as it does in custom resources.
fn differs(resource: &Resource, new: &Value, old: &Value) -> bool {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else { return true };
    if resource.rules.annotations_count && annotations(new) != annotations(old) {
        return true;
    }
    let status_counts = resource.custom.as_ref().is_some_and(|c| !c.has_status);
    let counts = |key: &&String| match key.as_str() {
        "metadata" => false,
        "status" => status_counts,
        _ => true,
    };
    new.keys().filter(counts).any(|k| new.get(k) != old.get(k)) || old.keys().filter(counts).any(|k| !new.contains_key(k))
}

async fn store(call: &Call, object: Value, record: &Arc<Record>) -> Result<Arc<Record>, Failure> {
    if call.dry_run()? {
        return Ok(call.dry_record(record.key.clone(), object, record.revision)?);
    }
    let (value, index) = call.stored_form(object).await?;
    let write = Write::Put { table: call.served.table, key: record.key.clone(), value, index, expect: Expect::Revision(record.revision) };
    let written = call.server.store.write(write).await.map_err(|error| match error {
        WriteError::Modified(_) => Failure::Raced,
        WriteError::Missing => call.not_found().into(),
        other => store_error(other).into(),
    })?;
    Ok(call.seen_one(written).await?)
}

impl Call {
    /// The bytes and the index under which an object is stored.
    pub async fn stored_form(&self, object: Value) -> Result<(store::Stamped, store::Index), ApiError> {
        let is_custom = self.served.resource.custom.is_some();
        let object = match self.served.resource.conversion {
            Some(conversion) => (conversion.to_stored)(object),
            None if is_custom => self.to_stored_version(object).await?,
            None => object,
        };
        let stamped = if is_custom { object::encode_custom(&object) } else { object::encode(&object) };
        if stamped.bytes.len() > MAX_OBJECT {
            return Err(ApiError::too_large(&format!("limit is {MAX_OBJECT}")));
        }
        Ok((stamped, object::index(&self.served.stored, &object)))
    }

    /// What a write would have stored, in the form of this call.
    pub fn dry_record(&self, key: Arc<str>, object: Value, revision: u64) -> Result<Arc<Record>, ApiError> {
        let resource = &self.served.resource;
        let stamped = match resource.conversion {
            Some(conversion) => object::encode(&(conversion.to_stored)(object)),
            None if resource.custom.is_some() => object::encode_custom(&object),
            None => object::encode(&object),
        };
        if stamped.bytes.len() > MAX_OBJECT {
            return Err(ApiError::too_large(&format!("limit is {MAX_OBJECT}")));
        }
        Ok(Arc::new(Record::dry(key, &stamped, revision)))
    }
}
