//! Writes to the server as commands make them: dry runs, field managers and validation in the query; last-applied in the object.
//!
//! Never prints.

use serde_json::{Value, json};

use crate::call::Call;
use crate::client::{MERGE_PATCH, with_query};
use crate::failure::{Failure, Outcome, fail};
use crate::print::{DryRun, dry_run};
use crate::select::Info;

pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How writes of one command are made.
#[derive(Clone)]
pub struct Change {
    pub dry: DryRun,
    manager: String,
    validation: &'static str,
    /// The command line, where `--record` wants it kept.
    cause: Option<String>,
}

const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// `--validate`: what the server does about unknown and repeated fields.
pub fn validation(call: &Call) -> Outcome<&'static str> {
    match call.flags.text("validate") {
        "" => Ok(""),
        "true" | "strict" => Ok("Strict"),
        "warn" => Ok("Warn"),
        "false" | "ignore" => Ok("Ignore"),
        other => fail(format!("invalid - validate option {other:?}; must be one of: strict (or true), warn, ignore (or false)")),
    }
}

impl Change {
    pub fn of(call: &Call) -> Outcome<Self> {
        let cause = call.flags.yes("record").then(|| crate::notes::change_cause(&call.path, &call.flags));
        Ok(Self { dry: dry_run(call)?, manager: call.flags.text("field-manager").to_owned(), validation: validation(call)?, cause })
    }

    /// The object or the merge into it, with its cause where that is wanted.
    pub fn caused(&self, object: &Value) -> Value {
        let mut object = object.clone();
        if let Some(cause) = self.cause.as_ref().filter(|_| object.is_object()) {
            object["metadata"]["annotations"][CHANGE_CAUSE] = cause.clone().into();
        }
        object
    }

    /// The name under which changed fields are tracked.
    pub fn manager(&self) -> &str {
        &self.manager
    }

    pub fn query(&self, path: &str) -> String {
        let mut pairs = Vec::new();
        if self.dry == DryRun::Server {
            pairs.push(("dryRun", "All"));
        }
        if !self.manager.is_empty() {
            pairs.push(("fieldManager", self.manager.as_str()));
        }
        if !self.validation.is_empty() {
            pairs.push(("fieldValidation", self.validation));
        }
        with_query(path, &pairs)
    }

    /// The same without validation: deletions take none.
    pub fn plain_query(&self, path: &str) -> String {
        let mut pairs = Vec::new();
        if self.dry == DryRun::Server {
            pairs.push(("dryRun", "All"));
        }
        if !self.manager.is_empty() {
            pairs.push(("fieldManager", self.manager.as_str()));
        }
        with_query(path, &pairs)
    }

    pub async fn create(&self, call: &Call, info: &Info) -> Outcome<Value> {
        let made = call.api().await?.post(&self.query(&info.resource.collection(&info.namespace)), &self.caused(&info.object)).await;
        hinted(call, info, made).await
    }

    /// Keeps the cause in an object that was changed by another way than its own.
    pub async fn record(&self, call: &Call, info: &Info) -> Outcome {
        if self.cause.is_some() {
            call.api().await?.patch(&self.plain_query(&info.path()), MERGE_PATCH, &self.caused(&json!({}))).await?;
        }
        Ok(())
    }

    /// Writes the whole object over what is there, whatever its revision.
    pub async fn replace(&self, call: &Call, info: &Info) -> Outcome<Value> {
        let mut object = info.object.clone();
        if object["metadata"]["resourceVersion"].as_str().unwrap_or_default().is_empty() {
            let now = call.api().await?.get(&info.path()).await?;
            object["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
        }
        let replaced = call.api().await?.put(&self.query(&sub_path(call, info)), &object).await;
        hinted(call, info, replaced).await
    }

    pub fn managed_by(self, manager: &str) -> Self {
        Self { manager: manager.to_owned(), ..self }
    }

    /// The same, with the server's validation of fields.
    pub async fn patch_checked(&self, call: &Call, info: &Info, kind: &str, patch: &Value) -> Outcome<Value> {
        let patched = call.api().await?.patch(&self.query(&sub_path(call, info)), kind, &self.caused(patch)).await;
        hinted(call, info, patched).await
    }

    pub async fn patch(&self, call: &Call, info: &Info, kind: &str, patch: &Value) -> Outcome<Value> {
        call.api().await?.patch(&self.plain_query(&sub_path(call, info)), kind, &self.caused(patch)).await
    }
}

async fn hinted(call: &Call, info: &Info, answer: Outcome<Value>) -> Outcome<Value> {
    match answer {
        Err(failure) => Err(crate::hints::with_hints(call, info, failure).await),
        ok => ok,
    }
}

pub fn sub_path(call: &Call, info: &Info) -> String {
    match call.flags.text("subresource") {
        "" => info.path(),
        sub => format!("{}/{sub}", info.path()),
    }
}

/// `error when creating "x.yaml": ...`
pub fn with_source(failure: Failure, verb: &str, source: &str) -> Failure {
    if source.is_empty() { failure } else { failure.context(&format!("error when {verb} {source:?}")) }
}

/// The object as it was given, for the annotation that apply reads later: compact, with its line end.
pub fn configuration(object: &Value, annotated: bool) -> String {
    let mut object = object.clone();
    remove_last_applied(&mut object);
    let text = crate::print::compact(&object) + "\n";
    if !annotated {
        return text;
    }
    api::meta::set_annotation(&mut object, LAST_APPLIED, &text);
    crate::print::compact(&object)
}

pub fn remove_last_applied(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    // Upstream: the annotations are written back, an empty map where the only one went.
    if metadata.get("annotations").is_none_or(Value::is_null) {
        metadata.insert("annotations".into(), json!({}));
    }
}

/// Puts the annotation into the object.
pub fn set_last_applied(object: &mut Value) {
    let text = configuration(object, false);
    api::meta::set_annotation(object, LAST_APPLIED, &text);
}

/// `--save-config`: always where asked, else only where the object has the annotation already.
pub fn update_last_applied(object: &mut Value, always: bool) {
    if always || api::meta::annotation(object, LAST_APPLIED).is_some() {
        set_last_applied(object);
    }
}
