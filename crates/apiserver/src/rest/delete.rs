//! Deleting objects: preconditions, grace, finalizers, propagation.
//!
//! Upstream: `rest.BeforeDelete` and the generic registry's `Store.Delete`.

use std::sync::Arc;

use api::{ApiError, meta};
use catalog::{GarbagePolicy, walk};
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{Expect, Record, Write, WriteError};

use super::create::store_error;
use super::{Call, list};
use crate::admission::{self, Operation};
use crate::object;
use crate::respond::{self, Body};
use crate::wire;

const TRIES: usize = 8;

/// `DeleteOptions`, from the body or, where there is none, the query.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub grace: Option<i64>,
    pub propagation: Option<String>,
    pub orphan: Option<bool>,
    pub uid: String,
    pub revision: String,
    pub dry_run: bool,
}

impl Options {
    pub fn of(call: &Call) -> Result<Self, ApiError> {
        let body = wire::decode_options(call)?;
        let mut options = Self { dry_run: call.dry_run()?, ..Self::default() };
        if body.is_object() {
            options.grace = walk::at(&body, "gracePeriodSeconds").as_i64();
            options.propagation = walk::at(&body, "propagationPolicy").as_str().map(str::to_owned);
            options.orphan = walk::at(&body, "orphanDependents").as_bool();
            options.uid = walk::text(&body, "preconditions.uid").to_owned();
            options.revision = walk::text(&body, "preconditions.resourceVersion").to_owned();
            options.dry_run |= !walk::list(&body, "dryRun").is_empty();
        }
        if options.grace.is_none() {
            options.grace = call.query.number("gracePeriodSeconds")?;
        }
        if options.propagation.is_none() && call.query.has("propagationPolicy") {
            options.propagation = Some(call.query.get("propagationPolicy").to_owned());
        }
        if options.orphan.is_none() && call.query.has("orphanDependents") {
            options.orphan = Some(call.query.flag("orphanDependents"));
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), ApiError> {
        let mut errors = Vec::new();
        if let Some(policy) = &self.propagation {
            let path = api::Path::new("propagationPolicy");
            if self.orphan.is_some() {
                errors.push(api::FieldError::invalid(&path, policy.as_str(), "orphanDependents and deletionPropagation cannot be both set"));
            } else if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                errors.push(api::FieldError::not_supported(&path, policy.as_str(), &["Foreground", "Background", "Orphan", "nil"]));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &errors)) }
    }

    fn orphans(&self, object: &Value, kind: GarbagePolicy) -> bool {
        let has = |finalizer| meta::finalizers(object).any(|f| f == finalizer);
        match (self.orphan, self.propagation.as_deref()) {
            (Some(orphan), _) => orphan,
            (None, Some(policy)) => policy == "Orphan",
            // Upstream: without a policy an object keeps a finalizer that it has; else its kind decides.
            (None, None) => has("orphan") || (matches!(kind, GarbagePolicy::Orphan(_)) && !has("foregroundDeletion")),
        }
    }

    /// Whoever does not say what becomes of dependents is told what the kind does.
    fn tell(&self, call: &Call) {
        if let (GarbagePolicy::Orphan(Some(warning)), None, None) = (call.served.resource.garbage, self.orphan, &self.propagation) {
            call.notes.warn(warning);
        }
    }

    fn waits_for_dependents(&self, object: &Value) -> bool {
        match (self.orphan, self.propagation.as_deref()) {
            (Some(_), _) => false,
            (None, Some(policy)) => policy == "Foreground",
            (None, None) => meta::finalizers(object).any(|f| f == "foregroundDeletion"),
        }
    }
}

pub async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    let options = Options::of(call)?;
    options.tell(call);
    match delete(call, &options).await? {
        Outcome::Gone(record) if call.served.resource.gives_deleted => Ok(call.respond(StatusCode::OK, &record)),
        Outcome::Gone(record) => Ok(call.respond_value(StatusCode::OK, success(call, &record))),
        Outcome::Pending(record) => {
            let code = if options.orphan == Some(false) { StatusCode::ACCEPTED } else { StatusCode::OK };
            Ok(call.respond(code, &record))
        }
    }
}

fn success(call: &Call, record: &Record) -> Value {
    let object = object::parse(&record.value);
    let resource = &call.served.resource;
    let mut details = json!({"name": meta::name(&object), "kind": resource.plural, "uid": meta::uid(&object)});
    if !resource.group.is_empty() {
        details["group"] = resource.group.clone().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// What a deletion came to.
pub enum Outcome {
    Gone(Arc<Record>),
    /// Something still has to happen: grace, or finalizers.
    Pending(Arc<Record>),
}

pub async fn delete(call: &Call, options: &Options) -> Result<Outcome, ApiError> {
    let mut tries = TRIES;
    loop {
        let record = call.found().await?;
        match delete_once(call, options, &record).await {
            // Another write came between. With preconditions the record is looked at again and they are judged anew.
            Err(error) if error.reason == api::Reason::Conflict && tries > 0 && meets(options, &record) && call.record().is_ok_and(|now| now.revision != record.revision) => tries -= 1,
            other => return other,
        }
    }
}

/// Whether the record that was judged met the revision asked for: if not, the conflict is the client's.
fn meets(options: &Options, record: &Record) -> bool {
    options.revision.is_empty() || options.revision == record.revision.to_string()
}

async fn delete_once(call: &Call, options: &Options, record: &Arc<Record>) -> Result<Outcome, ApiError> {
    let old = call.read(record);
    let conflict = |why: String| Err(ApiError::conflict(&call.resource(), &call.info.name, why));
    if !options.uid.is_empty() && options.uid != meta::uid(&old) {
        return conflict(format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", options.uid, meta::uid(&old)));
    }
    if !options.revision.is_empty() && options.revision != record.revision.to_string() {
        return conflict(format!("Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in object meta: {}", options.revision, record.revision));
    }
    admission::validate(call, Operation::Delete, None, Some(&old)).await?;
    let mut object = old.clone();
    if !meta::is_deleting(&old) {
        (call.served.resource.rules.before_delete)(&mut object);
    }
    let finalizers = finalizers_after(options, &object, call.served.resource.garbage);
    set_finalizers(&mut object, &finalizers);
    let grace = grace_of(call, options, &old);
    let namespace_waits = call.served.resource.plural == "namespaces" && call.served.resource.group.is_empty() && !walk::list(&old, "spec.finalizers").is_empty();
    if meta::is_deleting(&old) {
        let shorter = grace < walk::int(&old, "metadata.deletionGracePeriodSeconds");
        if !shorter && !(grace == 0 && finalizers.is_empty() && !namespace_waits) {
            return if object == old { Ok(Outcome::Pending(record.clone())) } else { mark(call, options, record, object).await };
        }
    }
    if grace == 0 && finalizers.is_empty() && !namespace_waits {
        if options.dry_run {
            return Ok(Outcome::Gone(record.clone()));
        }
        return remove(call, record, None).await.map(Outcome::Gone);
    }
    // Upstream: what waits for finalizers alone is marked with no grace left.
    set_deletion(&mut object, &old, grace);
    if namespace_waits {
        object["status"]["phase"] = "Terminating".into();
    }
    mark(call, options, record, object).await
}

fn set_deletion(object: &mut Value, old: &Value, grace: i64) {
    let now = Timestamp::now();
    let at = now.checked_add(SignedDuration::from_secs(grace.clamp(0, i64::from(i32::MAX)))).unwrap_or(now);
    meta::set(object, "deletionTimestamp", api::time::rfc3339(at));
    meta::set(object, "deletionGracePeriodSeconds", grace);
    if !meta::is_deleting(old) && meta::generation(old) > 0 {
        meta::set(object, "generation", meta::generation(old) + 1);
    }
}

/// Seconds that an object has left. Upstream: only pods end gracefully, and those that run nothing at once.
fn grace_of(call: &Call, options: &Options, object: &Value) -> i64 {
    let resource = &call.served.resource;
    if !(resource.group.is_empty() && resource.plural == "pods") {
        return 0;
    }
    let ended = matches!(walk::text(object, "status.phase"), "Failed" | "Succeeded");
    if walk::text(object, "spec.nodeName").is_empty() || ended {
        return 0;
    }
    let wanted = options.grace.or_else(|| walk::at(object, "spec.terminationGracePeriodSeconds").as_i64()).unwrap_or(30);
    // Upstream: a negative period means one second.
    if wanted < 0 { 1 } else { wanted }
}

fn finalizers_after(options: &Options, object: &Value, kind: GarbagePolicy) -> Vec<String> {
    let mut finalizers: Vec<String> = meta::finalizers(object).filter(|f| !matches!(*f, "orphan" | "foregroundDeletion")).map(str::to_owned).collect();
    if kind == GarbagePolicy::Unsupported {
        return finalizers;
    }
    if options.orphans(object, kind) {
        finalizers.push("orphan".into());
    }
    if options.waits_for_dependents(object) {
        finalizers.push("foregroundDeletion".into());
    }
    finalizers
}

fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    let value = if finalizers.is_empty() { Value::Null } else { json!(finalizers) };
    meta::set(object, "finalizers", value);
}

async fn mark(call: &Call, options: &Options, record: &Arc<Record>, object: Value) -> Result<Outcome, ApiError> {
    if options.dry_run {
        return call.dry_record(record.key.clone(), object, record.revision).map(Outcome::Pending);
    }
    let (value, index) = call.stored_form(object).await?;
    let write = Write::Put { table: call.served.table, key: record.key.clone(), value, index, expect: Expect::Revision(record.revision) };
    let marked = call.server.store.write(write).await.map_err(|error| write_error(call, error))?;
    call.seen_one(marked).await.map(Outcome::Pending)
}

fn write_error(call: &Call, error: WriteError) -> ApiError {
    match error {
        WriteError::Modified(_) => ApiError::modified(&call.resource(), &call.info.name),
        WriteError::Missing => call.not_found(),
        other => store_error(other),
    }
}

/// Whether an update leaves nothing for which a deleted object has to stay.
pub fn is_finished(object: &Value) -> bool {
    let waits_for_content = object["kind"] == "Namespace" && object["apiVersion"] == "v1" && !walk::list(object, "spec.finalizers").is_empty();
    meta::is_deleting(object) && meta::finalizers(object).next().is_none() && walk::int(object, "metadata.deletionGracePeriodSeconds") == 0 && !waits_for_content
}

/// Takes an object out of the store; `last` is what the final update made of it.
pub async fn remove(call: &Call, record: &Arc<Record>, last: Option<Value>) -> Result<Arc<Record>, ApiError> {
    if call.dry_run()? {
        return Ok(record.clone());
    }
    let write = Write::Delete { table: call.served.table, key: record.key.clone(), revision: record.revision };
    let gone = call.server.store.write(write).await.map_err(|error| write_error(call, error))?;
    if admission::is(call, "", "services") {
        admission::service::written(call, &object::parse(&record.value), None).await;
    }
    match last {
        Some(object) => call.dry_record(record.key.clone(), object, gone.revision),
        None => Ok(gone),
    }
}

/// Deletes everything that a list would show.
pub async fn collection(call: &Call) -> Result<Response<Body>, ApiError> {
    let options = Options::of(call)?;
    options.tell(call);
    let page = list::page(call).await?;
    for record in &page.records {
        let object = object::parse(&record.value);
        let one = call.about(meta::namespace(&object), meta::name(&object));
        match delete(&one, &options).await {
            Ok(_) => {}
            // Somebody else was faster: it is gone, which is what was asked for.
            Err(error) if error.reason == api::Reason::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let whole = list::whole(call, &page);
    Ok(respond::encoded(StatusCode::OK, &whole, call.accept.form))
}

impl Call {
    /// The same request about one object.
    pub fn about(&self, namespace: &str, name: &str) -> Self {
        let mut info = self.info.clone();
        info.namespace = namespace.to_owned();
        info.name = name.to_owned();
        info.verb = "delete";
        Self {
            server: self.server.clone(),
            user: self.user.clone(),
            method: self.method.clone(),
            info,
            query: self.query.clone(),
            headers: self.headers.clone(),
            accept: self.accept,
            served: self.served.clone(),
            body: self.body.clone(),
            notes: self.notes.clone(),
        }
    }
}
