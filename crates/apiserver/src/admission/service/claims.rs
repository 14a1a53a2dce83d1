//! Claims on numbers that are unique in the cluster, whichever server gives them out: who creates the claim has it.
//!
//! The claim on a cluster address is its IPAddress, which users see; that on a node port is a record that nobody sees, and
//! that only stores with several servers need. A claim whose service was never written is let go at the next start.
//! Upstream: `pkg/registry/core/service/ipallocator`.

use std::sync::Arc;

use api::{ApiError, Reason, meta};
use catalog::walk;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{Expect, Index, Record, Stamped, Write, WriteError};

use super::books::{Port, Taken, holdings};
use crate::bootstrap::call_about;
use crate::object;
use crate::rest::create;
use crate::server::Server;

pub const ADDRESSES: &str = "/registry/ipaddresses";
pub const PORTS: &str = "/registry/ranges/nodeports";
/// Upstream: the labels of `networking/v1`, and the name of the allocator.
const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";
const ALLOCATOR: &str = "ipallocator.k8s.io";
/// Upstream: an address without its service may belong to a write under way for this long.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

fn port_key(port: &Port) -> String {
    format!("{}-{}", port.0, port.1)
}

pub fn port_of(key: &str) -> Option<Port> {
    let (port, protocol) = key.split_once('-')?;
    Some((port.parse().ok()?, protocol.to_owned()))
}

fn parent(service: &Value) -> Value {
    json!({"group": "", "resource": "services", "namespace": meta::namespace(service), "name": meta::name(service)})
}

/// Claims everything for a service; on the way out what was claimed stays for [`release`].
pub async fn claim(server: &Arc<Server>, service: &Value, wanted: &Taken) -> Result<(), Lost> {
    for address in &wanted.addresses {
        claim_address(server, service, address).await?;
    }
    if server.store.is_shared() {
        for port in &wanted.ports {
            claim_port(server, service, port).await?;
        }
    }
    Ok(())
}

/// Why a claim was not granted.
pub enum Lost {
    Address(String),
    Port(Port),
    Failed(ApiError),
}

async fn claim_address(server: &Arc<Server>, service: &Value, address: &str) -> Result<(), Lost> {
    let metadata = json!({"name": address, "labels": {FAMILY: "IPv4", MANAGED_BY: ALLOCATOR}});
    let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": metadata, "spec": {"parentRef": parent(service)}});
    let call = call_about(server, &object, "create").map_err(Lost::Failed)?;
    match Box::pin(create::create(&call, object)).await {
        Ok(_) => Ok(()),
        Err(error) if error.reason == Reason::AlreadyExists => Err(Lost::Address(address.to_owned())),
        Err(error) => Err(Lost::Failed(error)),
    }
}

async fn claim_port(server: &Arc<Server>, service: &Value, port: &Port) -> Result<(), Lost> {
    let head = r#"{"apiVersion":"v1","kind":"RangeAllocation","metadata":{"resourceVersion":""#;
    let tail = json!({"name": port_key(port), "creationTimestamp": api::time::rfc3339(Timestamp::now())}).to_string();
    let rest = format!("\",{},\"parentRef\":{}}}", &tail[1..], parent(service));
    let value = Stamped { bytes: format!("{head}{rest}").into(), at: head.len() };
    let write = Write::Put { table: server.store.table(PORTS), key: port_key(port).into(), value, index: Index::default(), expect: Expect::Absent };
    match server.store.write(write).await {
        Ok(_) => Ok(()),
        Err(WriteError::Exists(_)) => Err(Lost::Port(port.clone())),
        Err(error) => Err(Lost::Failed(create::store_error(error))),
    }
}

/// Lets go what a write did not need after all.
pub fn release_later(server: Arc<Server>, service: Value, given: Taken) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { release(&server, &service, &given).await });
    }
}

/// Lets claims go that are the service's own.
pub async fn release(server: &Server, service: &Value, given: &Taken) {
    let keys = given.addresses.iter().map(|address| (ADDRESSES, address.clone())).chain(given.ports.iter().map(|port| (PORTS, port_key(port))));
    for (table, key) in keys {
        let Some(record) = server.store.view().get(server.store.table(table), &key) else { continue };
        let claim = object::parse(&record.value);
        let held_by = claim.get("parentRef").unwrap_or_else(|| walk::at(&claim, "spec.parentRef"));
        if is_of(held_by, service) {
            remove(server, table, &record).await;
        }
    }
}

fn is_of(parent: &Value, service: &Value) -> bool {
    walk::text(parent, "resource") == "services" && walk::text(parent, "name") == meta::name(service) && walk::text(parent, "namespace") == meta::namespace(service)
}

async fn remove(server: &Server, table: &str, record: &Record) {
    let write = Write::Delete { table: server.store.table(table), key: record.key.clone(), revision: record.revision };
    // Whoever changed it since has it now.
    if let Err(error @ (WriteError::Disk(_) | WriteError::Closed)) = server.store.write(write).await {
        tracing::warn!(%error, key = %record.key, "could not let a claim go");
    }
}

/// At the start: every address of a service has its claim, and no claim is left whose service is not.
pub async fn repair(server: &Arc<Server>) -> Result<(), ApiError> {
    let view = server.store.view();
    let services: Vec<Value> = view.table(server.store.table("/registry/services/specs")).scan("", "").map(|record| object::parse(&record.value)).collect();
    for service in &services {
        match claim(server, service, &holdings(service)).await {
            Err(Lost::Failed(error)) => return Err(error),
            // Its own claim, most likely; a second holder of one number is what only the services' owners can resolve.
            Ok(()) | Err(Lost::Address(_) | Lost::Port(_)) => {}
        }
    }
    let now = Timestamp::now();
    for table in [ADDRESSES, PORTS] {
        for record in view.table(server.store.table(table)).scan("", "") {
            let claim = object::parse(&record.value);
            let held_by = claim.get("parentRef").unwrap_or_else(|| walk::at(&claim, "spec.parentRef"));
            let ours = table == PORTS || meta::label(&claim, MANAGED_BY) == Some(ALLOCATOR);
            let held = services.iter().any(|service| is_of(held_by, service) && holds(service, &record.key, table));
            let young = walk::text(&claim, "metadata.creationTimestamp").parse().is_ok_and(|made: Timestamp| now.duration_since(made) < GRACE);
            if ours && !held && !young {
                remove(server, table, record).await;
            }
        }
    }
    Ok(())
}

fn holds(service: &Value, key: &str, table: &str) -> bool {
    let held = holdings(service);
    if table == ADDRESSES { held.addresses.contains(key) } else { port_of(key).is_some_and(|port| held.ports.contains(&port)) }
}
