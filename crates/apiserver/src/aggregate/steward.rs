//! Keeps registrations: those of this server as they should be, the conditions of all as they are.
//!
//! It acts on changes of registrations, services, endpoints and definitions. A server that does not answer is asked again at
//! growing intervals, one that does every half minute, for a network has no events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::{ApiError, meta};
use futures::future::join_all;
use serde_json::Value;
use store::{Range, TableId, Watch};
use tokio::time::Instant;

use super::availability::{Condition, with_condition};
use super::local::{self, Action};
use super::openapi;
use super::registrations::{Remote, TABLE};
use crate::bootstrap;
use crate::custom;
use crate::object;
use crate::rest::{Call, create, delete, update};
use crate::server::Server;

/// Upstream: asked again this soon after a failure, doubling up to the interval for those that answer.
const FIRST: Duration = Duration::from_millis(200);
const INTERVAL: Duration = Duration::from_secs(30);

struct Tables {
    registrations: TableId,
    definitions: TableId,
    services: TableId,
    slices: TableId,
}

pub async fn run(server: Arc<Server>) {
    let table = |name: &str| server.store.table(name);
    let tables = Tables { registrations: table(TABLE), definitions: table(custom::TABLE), services: table("/registry/services/specs"), slices: table("/registry/endpointslices") };
    let (mut at_start, mut pause) = (true, FIRST);
    loop {
        let view = server.store.view();
        let Ok(mut watches) = watch_all(&server, &tables) else { continue };
        register(&server, &view.table(tables.definitions), &view.table(tables.registrations), at_start).await;
        at_start = false;
        mark_local(&server, &tables).await;
        let remotes = server.aggregator.remotes(&server.store);
        let healthy = check_all(&server, &remotes.remotes).await;
        pause = if healthy { INTERVAL } else { (pause * 2).min(INTERVAL) };
        let until = (!remotes.remotes.is_empty()).then(|| Instant::now() + pause);
        tokio::select! {
            changed = relevant(&mut watches, &remotes.remotes) => if changed { pause = FIRST },
            () = wait(until) => {}
            () = server.closing.cancelled() => return,
        }
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

struct Watches {
    registrations: Watch,
    definitions: Watch,
    services: Watch,
    slices: Watch,
}

fn watch_all(server: &Server, tables: &Tables) -> Result<Watches, store::Expired> {
    let view = server.store.view();
    let watch = |table: TableId| server.store.watch(table, view.table(table).revision());
    Ok(Watches { registrations: watch(tables.registrations)?, definitions: watch(tables.definitions)?, services: watch(tables.services)?, slices: watch(tables.slices)? })
}

/// Returns once something changed that matters here. A history that ran ahead counts as a change.
async fn relevant(watches: &mut Watches, remotes: &[Arc<Remote>]) -> bool {
    let about_ours = |events: Result<Vec<Arc<store::Event>>, store::Expired>| match events {
        Ok(events) => events.iter().any(|e| remotes.iter().any(|r| e.record.key.strip_prefix(r.service.namespace.as_str()).is_some_and(|k| k.starts_with('/') && k[1..].starts_with(r.service.name.as_str())))),
        Err(_) => true,
    };
    loop {
        let changed = tokio::select! {
            events = watches.registrations.next(256) => events.map_or(true, |events| events.iter().any(|e| !is_own_status(e))),
            _ = watches.definitions.next(256) => true,
            events = watches.services.next(256) => about_ours(events),
            events = watches.slices.next(256) => about_ours(events),
        };
        if changed {
            return true;
        }
    }
}

/// Whether a change is only the condition that was just written: what is registered is as before.
fn is_own_status(event: &store::Event) -> bool {
    let spec = |record: &store::Record| object::parse(&record.value)["spec"].clone();
    let conditions = !object::parse(&event.record.value)["status"]["conditions"].is_null();
    conditions && event.left().is_some_and(|before| spec(&before) == spec(&event.record))
}

/// Brings the registrations of this server's own groups to their form.
async fn register(server: &Arc<Server>, definitions: &Range, present: &Range, at_start: bool) {
    let read = |range: &Range| range.scan("", "").map(|r| object::parse(&r.value)).collect::<Vec<_>>();
    let definitions = read(definitions);
    let mut wanted: BTreeMap<String, Value> = local::of_definitions(definitions.iter()).map(|o| (meta::name(&o).to_owned(), o)).collect();
    for served in &server.registry().all {
        let (group, version) = (&served.resource.group, &served.resource.version);
        if served.resource.custom.is_none() && local::is_registered(group) {
            let object = local::registration(group, version, local::ON_START);
            wanted.insert(meta::name(&object).to_owned(), object);
        }
    }
    let actions = local::plan(&wanted, &read(present), at_start);
    for result in join_all(actions.into_iter().map(|action| act(server, action))).await {
        if let Err(error) = result {
            tracing::warn!(%error, "could not keep a registration");
        }
    }
}

async fn act(server: &Arc<Server>, action: Action) -> Result<(), ApiError> {
    match action {
        Action::Create(mut object) => {
            object["status"] = Value::Null;
            let call = bootstrap::call_about(server, &object, "create")?;
            create::create(&call, object).await.map(|_| ())
        }
        Action::Mend(object) => {
            let call = bootstrap::call_about(server, &object, "update")?;
            let mend = |old: &Value| {
                let mut new = old.clone();
                new["spec"] = object["spec"].clone();
                new["metadata"]["labels"] = object["metadata"]["labels"].clone();
                Ok(new)
            };
            update::update(&call, &mend).await.map(|_| ())
        }
        Action::Delete(name) => {
            let call = about(server, &name, "delete", "")?;
            delete::delete(&call, &delete::Options::default()).await.map(|_| ())
        }
    }
}

fn about(server: &Arc<Server>, name: &str, verb: &'static str, part: &str) -> Result<Call, ApiError> {
    let registry = server.registry();
    let served = registry.find("apiregistration.k8s.io", "v1", "apiservices").cloned().ok_or_else(ApiError::no_such_path)?;
    let mut call = bootstrap::call_to(server, served, "", name, verb);
    call.info.subresource = part.to_owned();
    Ok(call)
}

/// What this server serves itself is always there.
async fn mark_local(server: &Arc<Server>, tables: &Tables) {
    let condition = Condition { status: "True", reason: "Local", message: "Local APIServices are always available".into() };
    let range = server.store.view().table(tables.registrations);
    let local: Vec<Value> = range.scan("", "").map(|r| object::parse(&r.value)).filter(|o| !o["spec"]["service"].is_object()).collect();
    let _ = join_all(local.iter().map(|o| set(server, o, &condition))).await;
}

/// Tells whether all answered.
async fn check_all(server: &Arc<Server>, remotes: &[Arc<Remote>]) -> bool {
    server.aggregator.found.lock().retain(|name, _| remotes.iter().any(|r| r.name == *name));
    server.aggregator.published.retain(|name| remotes.iter().any(|r| r.name == name));
    let checks = remotes.iter().map(|remote| async {
        let (condition, found) = server.aggregator.check(remote).await;
        if let Some(found) = found {
            server.aggregator.found.lock().insert(remote.name.clone(), Arc::new(found));
            tokio::spawn(openapi::renew(server.clone(), remote.clone()));
        }
        let table = server.store.table(TABLE);
        if let Some(record) = server.store.view().get(table, &remote.name) {
            set(server, &object::parse(&record.value), &condition).await;
        }
        condition.status == "True"
    });
    join_all(checks).await.into_iter().all(|answered| answered)
}

async fn set(server: &Arc<Server>, object: &Value, condition: &Condition) {
    let now = api::time::rfc3339(jiff::Timestamp::now());
    if with_condition(object, condition, &now) == *object {
        return;
    }
    let Ok(call) = about(server, meta::name(object), "update", "status") else { return };
    let change = |old: &Value| Ok(with_condition(old, condition, &now));
    match update::update(&call, &change).await {
        Err(error) if error.reason != api::Reason::NotFound => tracing::warn!(%error, "could not write the condition of a registration"),
        _ => {}
    }
}
