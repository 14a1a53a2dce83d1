//! The end of a definition: its instances are deleted, then its finalizer, and with that the definition itself.
//!
//! Upstream: apiextensions-apiserver `pkg/controller/finalizer/crd_finalizer.go`. It polls for the last instance; here their table tells.

use std::sync::Arc;
use std::time::Duration;

use api::{ApiError, Reason, meta};
use catalog::custom::status::{self, CLEANUP};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{definitions, steward};
use crate::bootstrap;
use crate::object;
use crate::registry::Served;
use crate::rest::delete;
use crate::server::Server;

/// Between attempts that something outside makes fail.
const RETRY: Duration = Duration::from_secs(5);

/// Whether a definition waits for its instances to go.
pub fn is_due(definition: &Value) -> bool {
    meta::is_deleting(definition) && meta::finalizers(definition).any(|f| f == CLEANUP)
}

/// Deletes what a definition defines; ends when the definition is gone.
pub async fn run(server: Arc<Server>, name: String, uid: String) {
    loop {
        let Some(definition) = find(&server, &name, &uid) else { return };
        match clean(&server, &definition).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(definition = name, %error, "the instances of a definition could not be deleted"),
        }
        tokio::select! { () = tokio::time::sleep(RETRY) => {}, () = server.closing.cancelled() => return }
    }
}

fn find(server: &Server, name: &str, uid: &str) -> Option<Value> {
    let record = server.store.view().get(server.store.table(super::TABLE), name)?;
    let definition = object::parse(&record.value);
    (meta::uid(&definition) == uid && is_due(&definition)).then_some(definition)
}

async fn clean(server: &Arc<Server>, definition: &Value) -> Result<(), ApiError> {
    tell(server, definition, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress").await?;
    let (status, reason, message) = if !status::is_true(definition, "Established") {
        ("False", "NeverEstablished", "resource was never established".to_owned())
    } else {
        match delete_all(server, definition).await {
            Ok(()) => ("False", "InstanceDeletionCompleted", "removed all instances".to_owned()),
            Err(error) => {
                tell(server, definition, "True", "InstanceDeletionFailed", &format!("could not issue all deletes: {error}")).await?;
                return Err(error);
            }
        }
    };
    tell(server, definition, status, reason, &message).await?;
    release(server, definition).await
}

async fn tell(server: &Arc<Server>, definition: &Value, state: &str, reason: &str, message: &str) -> Result<(), ApiError> {
    let now = Timestamp::now();
    let change = |old: &Value| {
        let mut new = old.clone();
        status::set_condition(&mut new, "Terminating", state, reason, message, now);
        Ok(new)
    };
    ignore_gone(steward::write(server, definition, "status", &change).await)
}

async fn release(server: &Arc<Server>, definition: &Value) -> Result<(), ApiError> {
    let uid = meta::uid(definition).to_owned();
    let change = |old: &Value| {
        let mut new = old.clone();
        if meta::uid(old) == uid {
            let left: Vec<&str> = meta::finalizers(old).filter(|f| *f != CLEANUP).collect();
            meta::set(&mut new, "finalizers", if left.is_empty() { Value::Null } else { json!(left) });
        }
        Ok(new)
    };
    ignore_gone(steward::write(server, definition, "", &change).await)
}

fn ignore_gone(written: Result<(), ApiError>) -> Result<(), ApiError> {
    match written {
        Err(error) if error.reason == Reason::NotFound => Ok(()),
        other => other,
    }
}

/// Asks for the deletion of every instance and waits until the last one is gone.
async fn delete_all(server: &Arc<Server>, definition: &Value) -> Result<(), ApiError> {
    let Some(served) = definitions::stored(definition, &server.store) else { return Ok(()) };
    let view = server.store.view();
    let mut watch = server.store.watch(served.table, view.revision()).map_err(ApiError::internal)?;
    for record in view.table(served.table).scan("", "") {
        delete_one(server, &served, &object::parse(&record.value)).await?;
    }
    while !server.store.view().table(served.table).is_empty() {
        tokio::select! {
            // History that ran ahead is as good a reason to look as an event.
            events = watch.next(1024) => if events.is_err() {
                watch = server.store.watch(served.table, server.store.view().revision()).map_err(ApiError::internal)?;
            },
            () = server.closing.cancelled() => return Err(ApiError::unavailable("the server is closing")),
        }
    }
    Ok(())
}

async fn delete_one(server: &Arc<Server>, served: &Arc<Served>, instance: &Value) -> Result<(), ApiError> {
    let call = bootstrap::call_to(server, served.clone(), meta::namespace(instance), meta::name(instance), "delete");
    match delete::delete(&call, &delete::Options::default()).await {
        Err(error) if error.reason != Reason::NotFound => Err(error),
        _ => Ok(()),
    }
}
