//! `kubectl expose`: a service for what an object selects.
// Upstream: kubectl pkg/cmd/expose/expose.go.

use serde_json::{Map, Value, json};

use crate::call::{Call, out};
use crate::change::{Change, update_last_applied};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, text, yes_no};
use crate::print::{DryRun, Printer};
use crate::select::{Info, Select};
use crate::workload;
use crate::{global, run};

const FLAGS: &[Flag] = &[
    global::RECORD,
    text("protocol", "", "TCP, UDP or SCTP."),
    text("port", "", "The service's port; the object's unless said."),
    text("target-port", "", "The containers' port, by name or number."),
    text("type", "", "ClusterIP, NodePort, LoadBalancer or ExternalName."),
    text("load-balancer-ip", "", "Address for the load balancer."),
    text("selector", "", "The service's selector; the object's unless said."),
    text("labels", "", "The service's labels, as key=value joined by commas.").short('l'),
    text("external-ip", "", "A further address that the service takes."),
    text("name", "", "The service's name."),
    text("session-affinity", "", "None or ClientIP."),
    text("cluster-ip", "", "The service's address, or None."),
    text("overrides", "", "JSON that is merged into the service."),
    text("override-type", "merge", "How: json, merge or strategic."),
    yes_no("container-port", "Taken for compatibility."),
    global::SAVE_CONFIG,
    global::DRY_RUN,
    global::field_manager("kubectl-expose"),
];

pub const COMMAND: Command = Command {
    name: "expose",
    usage: "(-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] [--name=name] [--external-ip=external-ip-of-service] [--type=type]",
    about: "Create a service for a pod, service, replication controller, deployment or replica set.",
    examples: "kubectl expose deployment nginx --port=80 --target-port=8000",
    flags: &[FLAGS, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let change = Change::of(call)?;
    let mut printer = Printer::of_change(call, "exposed")?.typed();
    let mut select = Select::of(call)?.latest();
    select.selector = None;
    for item in select.by(call, call.args()).await?.items {
        let info = item?;
        let mut made = service(call, &info)?;
        let overrides = call.flags.text("overrides");
        if !overrides.is_empty() {
            made = super::run::overridden(made, overrides, call.flags.text("override-type"))?;
        }
        update_last_applied(&mut made, call.flags.yes("save-config"));
        if change.dry != DryRun::Client {
            made = call.api().await?.post(&change.plain_query(&format!("/api/v1/namespaces/{}/services", info.namespace)), &made).await?;
        }
        out(&printer.print(&made)?);
    }
    Ok(())
}

/// The labels that the object's pods have.
fn selector(info: &Info) -> Outcome<Map<String, Value>> {
    let object = &info.object;
    let labels = |v: &Value| v.as_object().cloned().unwrap_or_default();
    match info.resource.kind.as_str() {
        "Pod" => match labels(&object["metadata"]["labels"]) {
            found if found.is_empty() => fail("the pod has no labels and cannot be exposed"),
            found => Ok(found),
        },
        "Service" => match labels(&object["spec"]["selector"]) {
            found if found.is_empty() => fail("the service has no pod selector set"),
            found => Ok(found),
        },
        "ReplicationController" => Ok(labels(&object["spec"]["selector"])),
        _ => {
            if object["spec"]["selector"]["matchExpressions"].as_array().is_some_and(|e| !e.is_empty()) {
                return fail("couldn't convert expressions - \"[]\" to map-based selector format");
            }
            Ok(labels(&object["spec"]["selector"]["matchLabels"]))
        }
    }
}

/// Ports of the object's containers or service, with their protocols.
fn ports(info: &Info) -> Vec<(String, String)> {
    let object = &info.object;
    let protocol = |p: &Value| p["protocol"].as_str().unwrap_or("TCP").to_owned();
    if info.resource.kind == "Service" {
        return object["spec"]["ports"].as_array().into_iter().flatten().map(|p| (p["port"].to_string(), protocol(p))).collect();
    }
    let Some(path) = workload::pod_spec_path(object) else { return Vec::new() };
    let containers = workload::at(object, path)["containers"].as_array().into_iter().flatten();
    containers.flat_map(|c| c["ports"].as_array().into_iter().flatten()).map(|p| (p["containerPort"].to_string(), protocol(p))).collect()
}

fn parsed_labels(text: &str) -> Outcome<Map<String, Value>> {
    text.split(',').filter(|p| !p.is_empty()).map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.into())).ok_or_else(|| Failure::Text(format!("unexpected label spec: {pair}")))).collect()
}

fn service(call: &Call, info: &Info) -> Outcome<Value> {
    let flags = &call.flags;
    if !["Pod", "Service", "ReplicationController", "Deployment", "ReplicaSet", "StatefulSet"].contains(&info.resource.kind.as_str()) || info.resource.kind == "StatefulSet" {
        let r = &info.resource;
        return fail(format!("cannot expose a {}", if r.group.is_empty() { r.kind.clone() } else { format!("{}.{}", r.kind, r.group) }));
    }
    let mut name = flags.text("name").to_owned();
    if name.is_empty() {
        name = info.name.chars().take(63).collect();
    }
    let selector = match flags.text("selector") {
        "" => selector(info).map_err(|e| call.usage(&format!("couldn't retrieve selectors via --selector flag or introspection: {}", e.message())))?,
        given => parsed_labels(given)?,
    };
    let found = ports(info);
    let wanted: Vec<String> = match flags.text("port") {
        "" => found.iter().map(|(p, _)| p.clone()).collect(),
        given => given.split(',').map(str::to_owned).collect(),
    };
    let headless = flags.text("cluster-ip") == "None";
    if wanted.is_empty() && !headless {
        return fail("couldn't find port via --port flag or introspection");
    }
    let mut shown = Vec::new();
    for (i, port) in wanted.iter().enumerate() {
        let number: i64 = port.parse().map_err(|_| Failure::Text(format!("strconv.Atoi: parsing {port:?}: invalid syntax")))?;
        let protocol = match flags.text("protocol") {
            "" => found.iter().find(|(p, _)| p == port).map_or("TCP", |(_, protocol)| protocol),
            given => given,
        };
        let target = match flags.text("target-port") {
            "" => json!(number),
            given => given.parse::<i64>().map_or_else(|_| json!(given), |n| json!(n)),
        };
        let mut entry = json!({"port": number, "protocol": protocol, "targetPort": target});
        if wanted.len() > 1 {
            entry["name"] = format!("port-{}", i + 1).into();
        }
        shown.push(entry);
    }
    let mut spec = json!({"selector": selector});
    if !shown.is_empty() {
        spec["ports"] = json!(shown);
    }
    for (flag, key) in [("type", "type"), ("load-balancer-ip", "loadBalancerIP"), ("session-affinity", "sessionAffinity"), ("cluster-ip", "clusterIP")] {
        if !flags.text(flag).is_empty() {
            spec[key] = flags.text(flag).into();
        }
    }
    if !flags.text("external-ip").is_empty() {
        spec["externalIPs"] = json!([flags.text("external-ip")]);
    }
    let labels = if flags.text("labels").is_empty() { info.object["metadata"]["labels"].as_object().cloned().unwrap_or_default() } else { parsed_labels(flags.text("labels"))? };
    let mut made = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec, "status": {"loadBalancer": {}}});
    if !labels.is_empty() {
        made["metadata"]["labels"] = Value::Object(labels);
    }
    if call.namespace()?.explicit {
        made["metadata"]["namespace"] = info.namespace.as_str().into();
    }
    Ok(made)
}
