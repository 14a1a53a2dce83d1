//! Cluster addresses and node ports of services.
//!
//! A write is given numbers from the `books`, then claims them; where another server was faster, the numbers that the
//! server chose are chosen anew, and those that the user asked for are told as taken.

mod books;
mod claims;
mod families;
mod ledger;
mod ports;
mod range;

use std::net::IpAddr;

use api::{ApiError, FieldError, Path, meta};
use catalog::walk;
use serde_json::{Value, json};

pub use books::{Books, Reserved};
pub use claims::repair;

use self::books::{Draft, holdings};
use self::claims::Lost;
use crate::rest::Call;

/// So often another server may be faster before the client is told.
const TRIES: usize = 16;

/// Gives a service what it asks for and what it needs. What was given is held until the write is settled.
pub async fn mutate(call: &Call, service: &mut Value, old: Option<&Value>) -> Result<Reserved, ApiError> {
    let asked = service.clone();
    let mut draft = call.server.addresses.open(&call.server);
    for _ in 0..TRIES {
        plan(service, old, &mut draft)?;
        if call.dry_run()? {
            return Ok(draft.reserved);
        }
        draft.reserved.claimed = Some(service.clone());
        match claims::claim(&call.server, service, &draft.reserved.given).await {
            Ok(()) => return Ok(draft.reserved),
            Err(Lost::Failed(error)) => return Err(error),
            Err(Lost::Address(address)) => {
                // Not this write's to let go.
                draft.reserved.forget_address(&address);
                draft.lost.addresses.insert(address);
            }
            Err(Lost::Port(port)) => {
                draft.reserved.forget_port(&port);
                draft.lost.ports.insert(port);
            }
        }
        let lost = std::mem::take(&mut draft.lost);
        draft = call.server.addresses.open(&call.server);
        draft.lost = lost;
        *service = asked.clone();
    }
    Err(ApiError::internal("failed to allocate a serviceIP: other servers were faster each time"))
}

/// What a written service no longer has is free again.
pub async fn written(call: &Call, old: &Value, new: Option<&Value>) {
    let mut gone = holdings(old);
    if let Some(kept) = new.map(holdings) {
        gone.addresses.retain(|address| !kept.addresses.contains(address));
        gone.ports.retain(|port| !kept.ports.contains(port));
    }
    if !gone.addresses.is_empty() || !gone.ports.is_empty() {
        claims::release(&call.server, old, &gone).await;
    }
}

fn plan(service: &mut Value, old: Option<&Value>, draft: &mut Draft) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    let kind = walk::text(service, "spec.type").to_owned();
    carry_over(service, old, &kind);
    if kind != "ExternalName" {
        errors.extend(families::settle(service, old));
        if errors.is_empty() {
            errors.extend(cluster_address(service, old, draft));
        }
    }
    ports::node_ports(service, old, &kind, draft, &mut errors);
    errors.extend(ports::health_port(service, old, draft));
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("", "Service", meta::name(service), &errors)) }
}

/// Upstream: an update that leaves out what was allocated keeps it, unless its type has no use for it.
fn carry_over(service: &mut Value, old: Option<&Value>, kind: &str) {
    let Some(old) = old else { return };
    let old_kind = walk::text(old, "spec.type").to_owned();
    let Some(spec) = walk::object_mut(service, "spec") else { return };
    let given = |spec: &serde_json::Map<String, Value>, key: &str| spec.get(key).is_some_and(|v| !v.is_null() && v != "");
    if kind == "ExternalName" {
        // Upstream: `dropTypeDependentFields`; what was changed as well is validation's to judge.
        let same = |spec: &serde_json::Map<String, Value>, keys: &[&str]| keys.iter().all(|key| spec.get(*key) == walk::at(old, "spec").get(*key));
        for keys in [["clusterIP", "clusterIPs"].as_slice(), &["ipFamilies"], &["ipFamilyPolicy"]] {
            if old_kind != "ExternalName" && same(spec, keys) {
                keys.iter().for_each(|key| drop(spec.remove(*key)));
            }
        }
    } else if old_kind != "ExternalName" && !given(spec, "clusterIP") {
        for key in ["clusterIP", "clusterIPs"] {
            if let Some(value) = walk::at(old, "spec").get(key) {
                spec.insert(key.into(), value.clone());
            }
        }
    }
    let uses_ports = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    let old_ports = walk::list(old, "spec.ports").to_vec();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let same = |o: &&Value| walk::int(o, "port") == walk::int(port, "port") && walk::text(o, "protocol") == walk::text(port, "protocol");
        let before = old_ports.iter().find(same).map_or(0, |o| walk::int(o, "nodePort"));
        let now = walk::int(port, "nodePort");
        let Some(port) = port.as_object_mut() else { continue };
        if uses_ports(kind) && now == 0 && before != 0 {
            port.insert("nodePort".into(), before.into());
        } else if !uses_ports(kind) && uses_ports(&old_kind) && now == before {
            port.remove("nodePort");
        }
    }
}

fn cluster_address(service: &mut Value, old: Option<&Value>, draft: &mut Draft) -> Option<FieldError> {
    let path = Path::new("spec.clusterIPs");
    let asked = walk::text(service, "spec.clusterIP").to_owned();
    let before = old.map(|o| walk::text(o, "spec.clusterIP")).unwrap_or_default();
    let ip = match asked.as_str() {
        "None" => asked,
        "" => match draft.pick_address() {
            Some(ip) => ip,
            None => return Some(FieldError::invalid(&path, "", "failed to allocate IP: range is full")),
        },
        same if same == before => asked,
        other => {
            let fault = match other.parse::<IpAddr>() {
                Ok(IpAddr::V4(ip)) if draft.in_range(ip) => (!draft.take_address(other)).then_some("provided IP is already allocated"),
                // Upstream: `ErrMismatchedNetwork`.
                Ok(_) => Some("the provided network does not match the current range"),
                // Syntax is the service's own validation's to tell.
                Err(_) => None,
            };
            if let Some(fault) = fault {
                return Some(FieldError::invalid(&path, json!([other]), format!("failed to allocate IP {other}: {fault}")));
            }
            asked
        }
    };
    let spec = walk::object_mut(service, "spec")?;
    spec.insert("clusterIP".into(), ip.clone().into());
    if spec.get("clusterIPs").and_then(Value::as_array).is_none_or(|ips| ips.first().and_then(Value::as_str) != Some(&ip)) {
        spec.insert("clusterIPs".into(), json!([ip]));
    }
    None
}
