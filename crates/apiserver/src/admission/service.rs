//! Cluster addresses and node ports of services.
//!
//! What is taken is read from the stored services themselves; numbers handed out to writes under way are held apart until
//! the write is known. So there is no second book that could disagree with the first.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use api::{ApiError, FieldError, Path, meta};
use catalog::walk;
use parking_lot::Mutex;
use rand::Rng;
use serde_json::{Value, json};
use store::{Range, Store};

use crate::derived::Derived;
use crate::object;
use crate::rest::Call;

/// Upstream: `--service-node-port-range`.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

#[derive(Default)]
struct Taken {
    addresses: HashSet<String>,
    ports: HashSet<(i64, String)>,
}

#[derive(Default)]
struct Pending {
    addresses: HashSet<String>,
    ports: HashSet<(i64, String)>,
}

/// The books of addresses and ports.
pub struct Addresses {
    taken: Derived<Taken>,
    pending: Arc<Mutex<Pending>>,
    network: Ipv4Addr,
    bits: u32,
}

fn read_taken(tables: &[Range]) -> Taken {
    let mut taken = Taken::default();
    for record in tables.iter().flat_map(|t| t.scan("", "")) {
        let service = object::parse(&record.value);
        taken.addresses.extend(walk::list(&service, "spec.clusterIPs").iter().filter_map(|ip| ip.as_str().map(str::to_owned)));
        for port in walk::list(&service, "spec.ports") {
            taken.ports.insert((walk::int(port, "nodePort"), walk::text(port, "protocol").to_owned()));
        }
        taken.ports.insert((walk::int(&service, "spec.healthCheckNodePort"), "TCP".into()));
    }
    taken
}

/// Numbers held for a write under way; let go when it is known, or when the request is given up.
#[derive(Default)]
pub struct Reserved {
    pending: Option<Arc<Mutex<Pending>>>,
    addresses: Vec<String>,
    ports: Vec<(i64, String)>,
}

impl Reserved {
    /// The write is done, one way or the other: the stored services now tell what is taken.
    pub fn settle(&mut self, _stored: bool) {
        if let Some(pending) = self.pending.take() {
            let mut pending = pending.lock();
            for address in self.addresses.drain(..) {
                pending.addresses.remove(&address);
            }
            for port in self.ports.drain(..) {
                pending.ports.remove(&port);
            }
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.settle(false);
    }
}

impl Addresses {
    /// `cidr` is the range of cluster addresses, `10.43.0.0/16`.
    pub fn new(store: &Store, cidr: &str) -> Result<Self, String> {
        let bad = || format!("service CIDR {cidr:?} is not an IPv4 network such as 10.43.0.0/16");
        let (network, bits) = cidr.split_once('/').ok_or_else(bad)?;
        let network: Ipv4Addr = network.parse().map_err(|_| bad())?;
        let bits: u32 = bits.parse().ok().filter(|b| (8..=28).contains(b)).ok_or_else(bad)?;
        let table = store.table("/registry/services/specs");
        Ok(Self { taken: Derived::new(vec![table], read_taken), pending: Arc::default(), network, bits })
    }

    fn size(&self) -> u32 {
        1 << (32 - self.bits)
    }

    fn contains(&self, ip: Ipv4Addr) -> bool {
        let offset = u32::from(ip).wrapping_sub(u32::from(self.network));
        offset > 0 && offset < self.size() - 1
    }

    fn address(&self, offset: u32) -> String {
        Ipv4Addr::from(u32::from(self.network) + offset).to_string()
    }

    /// Upstream: automatic addresses come from the upper part, so that fixed ones find room in the lower.
    fn pick_address(&self, taken: &Taken, pending: &Pending) -> Option<String> {
        let (size, reserved) = (self.size() - 2, (self.size() / 16).clamp(16.min(self.size() / 2), 256));
        let free = |offset: &u32| {
            let ip = self.address(*offset);
            !taken.addresses.contains(&ip) && !pending.addresses.contains(&ip)
        };
        let mut rng = rand::rng();
        let start = rng.random_range(reserved..=size);
        let upper = (start..=size).chain(reserved..start);
        upper.chain(1..reserved).find(free).map(|offset| self.address(offset))
    }

    fn pick_port(&self, taken: &Taken, pending: &Pending, protocol: &str) -> Option<i64> {
        let free = |port: &i64| {
            let key = (*port, protocol.to_owned());
            !taken.ports.contains(&key) && !pending.ports.contains(&key)
        };
        let start = rand::rng().random_range(NODE_PORTS);
        (start..=*NODE_PORTS.end()).chain(*NODE_PORTS.start()..start).find(free)
    }
}

pub fn mutate(call: &Call, service: &mut Value, old: Option<&Value>) -> Result<Reserved, ApiError> {
    let books = &call.server.addresses;
    let taken = books.taken.get(&call.server.store);
    let mut reserved = Reserved { pending: Some(books.pending.clone()), addresses: Vec::new(), ports: Vec::new() };
    let mut pending = books.pending.lock();
    let mut errors = Vec::new();
    let kind = walk::text(service, "spec.type").to_owned();
    carry_over(service, old, &kind);
    cluster_address(books, service, old, &kind, &taken, &mut pending, &mut reserved, &mut errors);
    node_ports(books, service, old, &kind, &taken, &mut pending, &mut reserved, &mut errors);
    health_port(books, service, old, &taken, &mut pending, &mut reserved, &mut errors);
    drop(pending);
    if errors.is_empty() {
        return Ok(reserved);
    }
    Err(ApiError::invalid("", "Service", meta::name(service), &errors))
}

/// Upstream: an update that leaves out what was allocated keeps it, unless its type has no use for it.
fn carry_over(service: &mut Value, old: Option<&Value>, kind: &str) {
    let Some(old) = old else { return };
    let old_kind = walk::text(old, "spec.type").to_owned();
    let old_ip = walk::text(old, "spec.clusterIP").to_owned();
    let Some(spec) = walk::object_mut(service, "spec") else { return };
    let given = |spec: &serde_json::Map<String, Value>, key: &str| spec.get(key).is_some_and(|v| !v.is_null() && v != "");
    if kind == "ExternalName" {
        if old_kind != "ExternalName" && spec.get("clusterIP").and_then(Value::as_str) == Some(&old_ip) {
            for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                spec.remove(key);
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

#[allow(clippy::too_many_arguments)]
fn cluster_address(books: &Addresses, service: &mut Value, old: Option<&Value>, kind: &str, taken: &Taken, pending: &mut Pending, reserved: &mut Reserved, errors: &mut Vec<FieldError>) {
    if kind == "ExternalName" {
        return;
    }
    let path = Path::new("spec.clusterIPs").index(0);
    let asked = walk::text(service, "spec.clusterIP").to_owned();
    let before = old.map(|o| walk::text(o, "spec.clusterIP")).unwrap_or_default();
    let ip = match asked.as_str() {
        "None" => asked,
        "" => match books.pick_address(taken, pending) {
            Some(ip) => ip,
            None => return errors.push(FieldError::invalid(&path, "", "failed to allocate IP: range is full")),
        },
        same if same == before => asked,
        other => {
            let fault = match other.parse::<IpAddr>() {
                Ok(IpAddr::V4(ip)) if books.contains(ip) => (taken.addresses.contains(other) || pending.addresses.contains(other)).then(|| format!("failed to allocate IP {other}: provided IP is already allocated")),
                Ok(_) => Some(format!("failed to allocate IP {other}: the provided IP ({other}) is not in the valid range. The range of valid IPs is {}/{}", books.network, books.bits)),
                // Syntax is the service's own validation's to tell.
                Err(_) => None,
            };
            if let Some(fault) = fault {
                return errors.push(FieldError::invalid(&path, json!([other]), fault));
            }
            asked
        }
    };
    if ip != "None" && ip != before {
        pending.addresses.insert(ip.clone());
        reserved.addresses.push(ip.clone());
    }
    let Some(spec) = walk::object_mut(service, "spec") else { return };
    spec.insert("clusterIP".into(), ip.clone().into());
    if spec.get("clusterIPs").and_then(Value::as_array).is_none_or(|ips| ips.first().and_then(Value::as_str) != Some(&ip)) {
        spec.insert("clusterIPs".into(), json!([ip]));
    }
    walk::fill(spec, "ipFamilies", json!(["IPv4"]));
    walk::fill(spec, "ipFamilyPolicy", "SingleStack");
}

#[allow(clippy::too_many_arguments)]
fn node_ports(books: &Addresses, service: &mut Value, old: Option<&Value>, kind: &str, taken: &Taken, pending: &mut Pending, reserved: &mut Reserved, errors: &mut Vec<FieldError>) {
    let wants = kind == "NodePort" || (kind == "LoadBalancer" && walk::at(service, "spec.allocateLoadBalancerNodePorts").as_bool() != Some(false));
    let own: HashSet<(i64, String)> = old.into_iter().flat_map(|o| walk::list(o, "spec.ports")).map(|p| (walk::int(p, "nodePort"), walk::text(p, "protocol").to_owned())).collect();
    let mut used = HashSet::new();
    // Port, protocol and node port of those done.
    let mut shared: Vec<(i64, String, i64)> = Vec::new();
    for (i, port) in walk::list_mut(service, "spec.ports").iter_mut().enumerate() {
        let path = Path::new("spec.ports").index(i).child("nodePort");
        let protocol = match walk::text(port, "protocol") {
            "" => "TCP".to_owned(),
            protocol => protocol.to_owned(),
        };
        let mut number = walk::int(port, "nodePort");
        if number == 0 && !wants {
            continue;
        }
        if number == 0 {
            // Upstream: the same port under two protocols gets one number where it can.
            let shared = shared.iter().find(|(port_number, of, node)| *port_number == walk::int(port, "port") && *of != protocol && !used.contains(&(*node, protocol.clone())));
            let shared = shared.map(|(_, _, node)| *node).filter(|node| !taken.ports.contains(&(*node, protocol.clone())) && !pending.ports.contains(&(*node, protocol.clone())));
            let Some(picked) = shared.or_else(|| books.pick_port(taken, pending, &protocol)) else {
                errors.push(FieldError::invalid(&path, 0, "failed to allocate a nodePort: range is full"));
                continue;
            };
            number = picked;
        } else if !own.contains(&(number, protocol.clone())) {
            let key = (number, protocol.clone());
            if !NODE_PORTS.contains(&number) {
                errors.push(FieldError::invalid(&path, number, "provided port is not in the valid range. The range of valid ports is 30000-32767"));
                continue;
            }
            if taken.ports.contains(&key) || pending.ports.contains(&key) || used.contains(&key) {
                errors.push(FieldError::invalid(&path, number, "provided port is already allocated"));
                continue;
            }
        }
        shared.push((walk::int(port, "port"), protocol.clone(), number));
        let key = (number, protocol);
        used.insert(key.clone());
        if !own.contains(&key) {
            pending.ports.insert(key.clone());
            reserved.ports.push(key);
        }
        if let Some(port) = port.as_object_mut() {
            port.insert("nodePort".into(), number.into());
        }
    }
}

fn needs_health_port(service: &Value) -> bool {
    walk::text(service, "spec.type") == "LoadBalancer" && walk::text(service, "spec.externalTrafficPolicy") == "Local"
}

/// The port at which the nodes tell balancers whether they have an endpoint. Upstream: `pkg/registry/core/service/storage/alloc.go`.
fn health_port(books: &Addresses, service: &mut Value, old: Option<&Value>, taken: &Taken, pending: &mut Pending, reserved: &mut Reserved, errors: &mut Vec<FieldError>) {
    const FIELD: &str = "healthCheckNodePort";
    let path = Path::new("spec").child(FIELD);
    let asked = walk::int(service, "spec.healthCheckNodePort");
    let before = old.filter(|old| needs_health_port(old)).map_or(0, |old| walk::int(old, "spec.healthCheckNodePort"));
    let needs = needs_health_port(service);
    let Some(spec) = walk::object_mut(service, "spec") else { return };
    if !needs {
        // What only the old policy used goes with it.
        if before != 0 && asked == before {
            spec.remove(FIELD);
        }
        return;
    }
    if before != 0 {
        if asked != 0 && asked != before {
            return errors.push(FieldError::invalid(&path, asked, "field is immutable"));
        }
        spec.insert(FIELD.into(), before.into());
        return;
    }
    let key = |port: i64| (port, "TCP".to_owned());
    let fault = |port: i64| {
        if !NODE_PORTS.contains(&port) {
            return Some("provided port is not in the valid range. The range of valid ports is 30000-32767");
        }
        (taken.ports.contains(&key(port)) || pending.ports.contains(&key(port))).then_some("provided port is already allocated")
    };
    let port = match asked {
        0 => books.pick_port(taken, pending, "TCP").ok_or((0, "range is full")),
        asked => fault(asked).map_or(Ok(asked), |fault| Err((asked, fault))),
    };
    match port {
        Ok(port) => {
            pending.ports.insert(key(port));
            reserved.ports.push(key(port));
            spec.insert(FIELD.into(), port.into());
        }
        Err((0, fault)) => errors.push(FieldError::invalid(&path, 0, format!("failed to allocate a HealthCheck NodePort: {fault}"))),
        Err((asked, fault)) => errors.push(FieldError::invalid(&path, asked, format!("failed to allocate requested HealthCheck NodePort {asked}: {fault}"))),
    }
}
