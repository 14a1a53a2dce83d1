//! Nodes, with the pods on them and what these take.

use std::collections::BTreeMap;

use quantity::{Format, Quantity};
use serde_json::Value;

use super::{Described, Writer, annotations, events, join, labels, list, or_none, text};
use crate::time::rfc1123;

pub fn describe(w: &mut Writer, of: &Described) {
    let (node, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    w.pair(0, "Name", api::meta::name(node));
    let roles: Vec<String> = node["metadata"]["labels"].as_object().into_iter().flatten().filter_map(|(k, v)| k.strip_prefix("node-role.kubernetes.io/").map(str::to_owned).or_else(|| (k == "kubernetes.io/role").then(|| text(v)))).filter(|r| !r.is_empty()).collect();
    w.pair(0, "Roles", or_none(&roles.join(",")));
    labels(w, "Labels", &node["metadata"]["labels"]);
    annotations(w, "Annotations", &node["metadata"]["annotations"]);
    w.pair(0, "CreationTimestamp", rfc1123(&text(&node["metadata"]["creationTimestamp"])));
    taints(w, &spec["taints"]);
    w.pair(0, "Unschedulable", spec["unschedulable"] == true);
    lease(w, of);
    conditions(w, &status["conditions"]);
    w.line(0, "Addresses:");
    for address in list(&status["addresses"]) {
        w.pair(1, &text(&address["type"]), text(&address["address"]));
    }
    for (key, title) in [("capacity", "Capacity"), ("allocatable", "Allocatable")] {
        if let Some(amounts) = status[key].as_object().filter(|a| !a.is_empty()) {
            w.line(0, &format!("{title}:"));
            for (name, amount) in amounts {
                w.pair(1, name, text(amount));
            }
        }
    }
    slices(w, of.related.get("deviceslices").map(list).unwrap_or_default());
    system(w, &status["nodeInfo"]);
    for (key, title) in [("podCIDR", "PodCIDR"), ("providerID", "ProviderID")] {
        if let Some(value) = spec[key].as_str().filter(|v| !v.is_empty()) {
            w.pair(0, title, value);
            if key == "podCIDR" && !list(&spec["podCIDRs"]).is_empty() {
                w.pair(0, "PodCIDRs", join(&spec["podCIDRs"], ","));
            }
        }
    }
    match of.related.get("pods") {
        Some(pods) => resources(w, node, list(pods)),
        None => w.line(0, "Pods:\tnot authorized"),
    }
    events(w, of);
}

/// Devices of the node, by driver and pool.
fn slices(w: &mut Writer, slices: &[Value]) {
    if slices.is_empty() {
        return;
    }
    let mut pools: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for slice in slices {
        let pool = pools.entry((text(&slice["spec"]["driver"]), text(&slice["spec"]["pool"]["name"]))).or_default();
        *pool = (pool.0 + 1, pool.1 + list(&slice["spec"]["devices"]).len());
    }
    w.line(0, "Node-Local ResourceSlices:");
    w.line(1, "Driver\tPool\tSlices\tDevices");
    w.line(1, "------\t----\t------\t-------");
    for ((driver, pool), (slices, devices)) in pools {
        w.line(1, &format!("{driver}\t{pool}\t{slices}\t{devices}"));
    }
}

fn taints(w: &mut Writer, taints: &Value) {
    w.text.push_str("Taints:\t");
    let mut all: Vec<&Value> = list(taints).iter().collect();
    all.sort_by_key(|t| (text(&t["effect"]), text(&t["key"])));
    if all.is_empty() {
        w.text.push_str("<none>\n");
    }
    for (i, taint) in all.iter().enumerate() {
        let value = text(&taint["value"]);
        let value = if value.is_empty() { String::new() } else { format!("={value}") };
        w.text.push_str(&format!("{}{}{value}:{}\n", if i > 0 { "\t" } else { "" }, text(&taint["key"]), text(&taint["effect"])));
    }
}

fn lease(w: &mut Writer, of: &Described) {
    let Some(lease) = of.related.get("lease") else { return };
    w.line(0, "Lease:");
    let spec = &lease["spec"];
    w.pair(1, "HolderIdentity", super::or_unset(&spec["holderIdentity"]));
    let at = |key: &str| spec[key].as_str().map_or_else(|| "<unset>".to_owned(), rfc1123);
    w.pair(1, "AcquireTime", at("acquireTime"));
    w.pair(1, "RenewTime", at("renewTime"));
}

fn conditions(w: &mut Writer, conditions: &Value) {
    if list(conditions).is_empty() {
        return;
    }
    w.line(0, "Conditions:");
    w.line(1, "Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
    w.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    for c in list(conditions) {
        let at = |key: &str| rfc1123(&text(&c[key]));
        w.line(1, &format!("{} \t{} \t{} \t{} \t{} \t{}", text(&c["type"]), text(&c["status"]), at("lastHeartbeatTime"), at("lastTransitionTime"), text(&c["reason"]), text(&c["message"])));
    }
}

fn system(w: &mut Writer, info: &Value) {
    w.line(0, "System Info:");
    for (title, key) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
    ] {
        w.pair(1, title, text(&info[key]));
    }
}

type Amounts = BTreeMap<String, Quantity>;

fn amount(value: &Value) -> Quantity {
    value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|n| n.to_string())).and_then(|t| t.parse().ok()).unwrap_or_else(|| zero("memory"))
}

fn zero(name: &str) -> Quantity {
    Quantity::from_value(0, if name == "cpu" { Format::DecimalSi } else { Format::BinarySi })
}

fn add(to: &mut Amounts, from: &Amounts) {
    for (name, amount) in from {
        let sum = to.get(name).map_or(*amount, |old| old.plus(*amount));
        to.insert(name.clone(), sum);
    }
}

fn most(to: &mut Amounts, from: &Amounts) {
    for (name, amount) in from {
        if to.get(name).is_none_or(|old| amount > old) {
            to.insert(name.clone(), *amount);
        }
    }
}

/// What a pod requests or is limited to: its containers together, or its largest init container beside the sidecars.
// Upstream: kubectl pkg/util/resource PodRequestsAndLimits.
fn of_pod(pod: &Value, key: &str) -> Amounts {
    let amounts = |container: &Value| -> Amounts { container["resources"][key].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), amount(v))).collect() };
    let mut sum = Amounts::new();
    for container in list(&pod["spec"]["containers"]) {
        add(&mut sum, &amounts(container));
    }
    let (mut sidecars, mut largest) = (Amounts::new(), Amounts::new());
    for container in list(&pod["spec"]["initContainers"]) {
        let mut own = amounts(container);
        if container["restartPolicy"] == "Always" {
            add(&mut sum, &own);
            add(&mut sidecars, &own);
            most(&mut largest, &sidecars);
        } else {
            add(&mut own, &sidecars);
            most(&mut largest, &own);
        }
    }
    most(&mut sum, &largest);
    if key == "requests" || !sum.is_empty() {
        let overhead: Amounts = pod["spec"]["overhead"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), amount(v))).collect();
        add(&mut sum, &overhead);
    }
    sum
}

/// `100m (5%)`
fn share(amounts: &Amounts, name: &str, node: &Value) -> String {
    let own = amounts.get(name).copied().unwrap_or_else(|| zero(name));
    let all = node["status"]["allocatable"].get(name).or_else(|| node["status"]["capacity"].get(name)).map(amount);
    let number = |q: &Quantity| if name == "cpu" { q.milli_value() as f64 } else { q.value() as f64 };
    let percent = all.filter(|a| !a.is_zero()).map_or(0, |a| (number(&own) / number(&a) * 100.0) as i64);
    format!("{own} ({percent}%)")
}

fn resources(w: &mut Writer, node: &Value, pods: &[Value]) {
    w.line(0, &format!("Non-terminated Pods:\t({} in total)", pods.len()));
    w.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    w.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    for pod in pods {
        let (requested, limited) = (of_pod(pod, "requests"), of_pod(pod, "limits"));
        w.line(
            1,
            &format!(
                "{}\t{}\t\t{}\t{}\t{}\t{}\t{}",
                api::meta::namespace(pod),
                api::meta::name(pod),
                share(&requested, "cpu", node),
                share(&limited, "cpu", node),
                share(&requested, "memory", node),
                share(&limited, "memory", node),
                crate::time::since(pod["metadata"]["creationTimestamp"].as_str())
            ),
        );
        add(&mut requests, &requested);
        add(&mut limits, &limited);
    }
    w.line(0, "Allocated resources:");
    w.line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)");
    w.line(1, "Resource\tRequests\tLimits");
    w.line(1, "--------\t--------\t------");
    let standard = ["cpu", "memory", "ephemeral-storage"];
    for name in standard {
        w.line(1, &format!("{name}\t{}\t{}", share(&requests, name, node), share(&limits, name, node)));
    }
    let names: Vec<&String> = node["status"]["allocatable"].as_object().into_iter().flatten().map(|(k, _)| k).filter(|k| !standard.contains(&k.as_str()) && *k != "pods").collect();
    for name in names.iter().filter(|n| n.starts_with("hugepages-")) {
        w.line(1, &format!("{name}\t{}\t{}", share(&requests, name, node), share(&limits, name, node)));
    }
    for name in names.iter().filter(|n| !n.starts_with("hugepages-")) {
        let of = |amounts: &Amounts| amounts.get(name.as_str()).copied().unwrap_or_else(|| zero("cpu")).to_string();
        w.line(1, &format!("{name}\t{}\t{}", of(&requests), of(&limits)));
    }
}
