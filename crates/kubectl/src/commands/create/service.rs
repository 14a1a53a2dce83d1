//! `create service clusterip`, `nodeport`, `loadbalancer`, `externalname`.
// Upstream: kubectl pkg/cmd/create/create_service.go.

use serde_json::{Value, json};

use super::{COMMON, finish_as, name, object};
use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Outcome, fail};
use crate::flags::{Flag, int, slice, text};
use crate::{global, run};

pub const SERVICE: Command = Command { name: "service", aliases: &["svc"], about: "Create a service of one of the types.", subs: &[&CLUSTER_IP, &EXTERNAL_NAME, &LOAD_BALANCER, &NODE_PORT], ..EMPTY };

const TCP: Flag = slice("tcp", "Ports, as <port>:<targetPort>.");

const CLUSTER_IP: Command = Command {
    name: "clusterip",
    usage: "NAME [--tcp=<port>:<targetPort>]",
    about: "Create a service within the cluster.",
    examples: "kubectl create service clusterip my-cs --tcp=5678:8080",
    flags: &[&[TCP, text("clusterip", "", "The address, or None for a headless service.")], COMMON, global::PRINT],
    run: run!(cluster_ip),
    ..EMPTY
};

const NODE_PORT: Command = Command {
    name: "nodeport",
    usage: "NAME [--tcp=port:targetPort]",
    about: "Create a service on a port of every node.",
    flags: &[&[TCP, int("node-port", "0", "The nodes' port.")], COMMON, global::PRINT],
    run: run!(node_port),
    ..EMPTY
};

const LOAD_BALANCER: Command =
    Command { name: "loadbalancer", usage: "NAME [--tcp=port:targetPort]", about: "Create a service behind a load balancer.", flags: &[&[TCP], COMMON, global::PRINT], run: run!(load_balancer), ..EMPTY };

const EXTERNAL_NAME: Command = Command {
    name: "externalname",
    usage: "NAME --external-name external.name",
    about: "Create a service that is another name.",
    flags: &[&[TCP, text("external-name", "", "The name it stands for.")], COMMON, global::PRINT],
    required: &["external-name"],
    run: run!(external_name),
    ..EMPTY
};

async fn cluster_ip(call: &Call) -> Outcome {
    make(call, "ClusterIP").await
}

async fn node_port(call: &Call) -> Outcome {
    make(call, "NodePort").await
}

async fn load_balancer(call: &Call) -> Outcome {
    make(call, "LoadBalancer").await
}

async fn external_name(call: &Call) -> Outcome {
    make(call, "ExternalName").await
}

/// `8080:http`, `8080:80`, `8080`.
fn port(text: &str, node_port: i64) -> Outcome<Value> {
    let parts: Vec<&str> = text.splitn(2, ':').collect();
    let number = |t: &str| t.parse::<u16>().map_err(|_| crate::failure::Failure::Text(format!("strconv.ParseUint: parsing {t:?}: invalid syntax")));
    let port = number(parts[0])?;
    let target = parts.get(1).copied().unwrap_or(parts[0]);
    let range = |n: i64| api::names::port_number(n);
    let faults = range(i64::from(port));
    if !faults.is_empty() {
        return fail(faults.join(","));
    }
    let target = match target.parse::<i64>() {
        Ok(number) => {
            let faults = range(number);
            if !faults.is_empty() {
                return fail(faults.join(","));
            }
            json!(number)
        }
        Err(_) => {
            let faults = api::names::port_name(target);
            if !faults.is_empty() {
                return fail(faults.join(","));
            }
            json!(target)
        }
    };
    let mut made = json!({"name": text.replace(':', "-"), "port": port, "protocol": "TCP", "targetPort": target});
    if node_port != 0 {
        made["nodePort"] = node_port.into();
    }
    Ok(made)
}

async fn make(call: &Call, kind: &str) -> Outcome {
    let (flags, name) = (&call.flags, name(call)?);
    let (tcp, cluster_ip) = (flags.list("tcp"), flags.text("clusterip"));
    if tcp.is_empty() && kind != "ExternalName" && cluster_ip != "None" {
        return fail("at least one tcp port specifier must be provided");
    }
    let external = flags.text("external-name");
    if kind == "ExternalName" && !api::names::dns1123_subdomain(external.trim_end_matches('.')).is_empty() {
        return fail(format!("invalid service external name {external}"));
    }
    let mut made = object("v1", "Service", &name);
    made["metadata"]["labels"] = json!({"app": name});
    let mut spec = json!({"selector": {"app": name}, "type": kind});
    let ports = tcp.iter().map(|t| port(t, flags.int("node-port"))).collect::<Outcome<Vec<_>>>()?;
    if !ports.is_empty() {
        spec["ports"] = json!(ports);
    }
    if !cluster_ip.is_empty() {
        spec["clusterIP"] = cluster_ip.into();
    }
    if !external.is_empty() {
        spec["externalName"] = external.into();
    }
    made["spec"] = spec;
    made["status"] = json!({"loadBalancer": {}});
    finish_as(call, "/api/v1/namespaces/{}/services", made, &format!("failed to create {kind} service")).await
}
