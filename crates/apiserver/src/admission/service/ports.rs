//! Ports that services have on every node: node ports, and the port of health checks.

use std::borrow::Cow;
use std::collections::HashSet;

use api::{FieldError, Path};
use catalog::walk;
use serde_json::Value;

use super::books::{Draft, Port};

const TAKEN: &str = "provided port is already allocated";

fn out_of_range(draft: &Draft) -> String {
    format!("provided port is not in the valid range. The range of valid ports is {}-{}", draft.node_ports.start(), draft.node_ports.end())
}

pub fn node_ports(service: &mut Value, old: Option<&Value>, kind: &str, draft: &mut Draft, errors: &mut Vec<FieldError>) {
    let wants = kind == "NodePort" || (kind == "LoadBalancer" && walk::at(service, "spec.allocateLoadBalancerNodePorts").as_bool() != Some(false));
    let mut given = Given { own: own_ports(old), used: HashSet::new(), done: Vec::new() };
    for (i, port) in walk::list_mut(service, "spec.ports").iter_mut().enumerate() {
        let path = Path::new("spec.ports").index(i).child("nodePort");
        let protocol = match walk::text(port, "protocol") {
            "" => "TCP".to_owned(),
            protocol => protocol.to_owned(),
        };
        let (asked, of) = (walk::int(port, "nodePort"), walk::int(port, "port"));
        if asked == 0 && !wants {
            continue;
        }
        match given.number(asked, of, &protocol, draft) {
            Ok(number) => {
                if let Some(port) = port.as_object_mut() {
                    port.insert("nodePort".into(), number.into());
                }
            }
            Err(fault) => errors.push(FieldError::invalid(&path, asked, fault)),
        }
    }
}

fn own_ports(old: Option<&Value>) -> HashSet<Port> {
    let ports = old.into_iter().flat_map(|o| walk::list(o, "spec.ports"));
    ports.map(|p| (walk::int(p, "nodePort"), walk::text(p, "protocol").to_owned())).collect()
}

/// The ports of one service as they are given out.
struct Given {
    own: HashSet<Port>,
    used: HashSet<Port>,
    /// Port, protocol and node port of those done.
    done: Vec<(i64, String, i64)>,
}

impl Given {
    fn number(&mut self, asked: i64, of: i64, protocol: &str, draft: &mut Draft) -> Result<i64, Cow<'static, str>> {
        let key = |number: i64| (number, protocol.to_owned());
        let number = if asked == 0 {
            // Upstream: the same port under two protocols gets one number where it can.
            let shared = self.done.iter().find(|(port, other, node)| *port == of && other != protocol && !self.used.contains(&key(*node))).map(|(_, _, node)| *node);
            let shared = shared.filter(|node| draft.take_port(&key(*node)));
            shared.or_else(|| draft.pick_port(protocol)).ok_or("failed to allocate a nodePort: range is full")?
        } else {
            if !self.own.contains(&key(asked)) {
                if !draft.node_ports.contains(&asked) {
                    return Err(out_of_range(draft).into());
                }
                if self.used.contains(&key(asked)) || !draft.take_port(&key(asked)) {
                    return Err(TAKEN.into());
                }
            }
            asked
        };
        self.used.insert(key(number));
        self.done.push((of, protocol.to_owned(), number));
        Ok(number)
    }
}

fn needs_health_port(service: &Value) -> bool {
    walk::text(service, "spec.type") == "LoadBalancer" && walk::text(service, "spec.externalTrafficPolicy") == "Local"
}

/// The port at which the nodes tell balancers whether they have an endpoint. Upstream: `pkg/registry/core/service/storage/alloc.go`.
pub fn health_port(service: &mut Value, old: Option<&Value>, draft: &mut Draft) -> Option<FieldError> {
    const FIELD: &str = "healthCheckNodePort";
    let path = Path::new("spec").child(FIELD);
    let asked = walk::int(service, "spec.healthCheckNodePort");
    let before = old.filter(|old| needs_health_port(old)).map_or(0, |old| walk::int(old, "spec.healthCheckNodePort"));
    let needs = needs_health_port(service);
    let spec = walk::object_mut(service, "spec")?;
    if !needs {
        // What only the old policy used goes with it.
        if before != 0 && asked == before {
            spec.remove(FIELD);
        }
        return None;
    }
    if before != 0 {
        if asked != 0 && asked != before {
            return Some(FieldError::invalid(&path, asked, "field is immutable"));
        }
        spec.insert(FIELD.into(), before.into());
        return None;
    }
    if asked == 0 {
        let Some(port) = draft.pick_port("TCP") else { return Some(FieldError::invalid(&path, 0, "failed to allocate a HealthCheck NodePort: range is full")) };
        spec.insert(FIELD.into(), port.into());
        return None;
    }
    let fault = if draft.node_ports.contains(&asked) { (!draft.take_port(&(asked, "TCP".to_owned()))).then(|| TAKEN.to_owned()) } else { Some(out_of_range(draft)) };
    match fault {
        Some(fault) => Some(FieldError::invalid(&path, asked, format!("failed to allocate requested HealthCheck NodePort {asked}: {fault}"))),
        None => {
            spec.insert(FIELD.into(), asked.into());
            None
        }
    }
}
