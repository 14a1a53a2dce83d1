//! Pods and pod templates.

use serde_json::Value;

use super::{Described, Writer, annotations, controller, events, int, join, labels, labels_indented, list, or_none, text, title_bool, volumes};
use crate::time::rfc1123;

pub fn describe(w: &mut Writer, of: &Described) {
    let (pod, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    w.pair(0, "Name", api::meta::name(pod));
    w.pair(0, "Namespace", api::meta::namespace(pod));
    if !spec["priority"].is_null() {
        w.pair(0, "Priority", int(&spec["priority"]));
    }
    for (key, title) in [("priorityClassName", "Priority Class Name"), ("runtimeClassName", "Runtime Class Name"), ("serviceAccountName", "Service Account")] {
        if let Some(value) = spec[key].as_str().filter(|v| !v.is_empty()) {
            w.pair(0, title, value);
        }
    }
    match spec["nodeName"].as_str().filter(|n| !n.is_empty()) {
        Some(node) => w.pair(0, "Node", format!("{node}/{}", text(&status["hostIP"]))),
        None => w.pair(0, "Node", "<none>"),
    }
    if let Some(start) = status["startTime"].as_str() {
        w.pair(0, "Start Time", rfc1123(start));
    }
    labels(w, "Labels", &pod["metadata"]["labels"]);
    annotations(w, "Annotations", &pod["metadata"]["annotations"]);
    if let Some(since) = pod["metadata"]["deletionTimestamp"].as_str() {
        w.pair(0, "Status", format!("Terminating (lasts {})", crate::time::since(Some(since))));
        w.pair(0, "Termination Grace Period", format!("{}s", int(&pod["metadata"]["deletionGracePeriodSeconds"])));
    } else {
        w.pair(0, "Status", text(&status["phase"]));
    }
    for (key, title) in [("reason", "Reason"), ("message", "Message")] {
        if let Some(value) = status[key].as_str().filter(|v| !v.is_empty()) {
            w.pair(0, title, value);
        }
    }
    if let Some(profile) = spec["securityContext"]["seccompProfile"]["type"].as_str() {
        w.pair(0, "SeccompProfile", profile);
        if profile == "Localhost" {
            w.pair(0, "LocalhostProfile", text(&spec["securityContext"]["seccompProfile"]["localhostProfile"]));
        }
    }
    w.pair(0, "IP", text(&status["podIP"]));
    ips(w, &status["podIPs"]);
    if let Some(by) = controller(pod) {
        w.pair(0, "Controlled By", by);
    }
    if let Some(node) = status["nominatedNodeName"].as_str().filter(|n| !n.is_empty()) {
        w.pair(0, "NominatedNodeName", node);
    }
    whole_resources(w, &spec["resources"]);
    for (list_name, statuses, title) in [("initContainers", "initContainerStatuses", "Init Containers"), ("containers", "containerStatuses", "Containers"), ("ephemeralContainers", "ephemeralContainerStatuses", "Ephemeral Containers")] {
        if !list(&spec[list_name]).is_empty() || list_name == "containers" {
            containers(w, title, &spec[list_name], Some(&status[statuses]), Some(pod), "");
        }
    }
    conditions(w, pod);
    volumes::of_pod(w, &spec["volumes"], "");
    w.pair(0, "QoS Class", text(&status["qosClass"]));
    labels(w, "Node-Selectors", &spec["nodeSelector"]);
    tolerations(w, "", &spec["tolerations"]);
    spread(w, "", &spec["topologySpreadConstraints"]);
    scheduling_group(w, "", spec);
    events(w, of);
}

fn ips(w: &mut Writer, ips: &Value) {
    if list(ips).is_empty() {
        w.line(0, "IPs:\t<none>");
        return;
    }
    w.line(0, "IPs:");
    for ip in list(ips) {
        w.pair(1, "IP", text(&ip["ip"]));
    }
}

fn conditions(w: &mut Writer, pod: &Value) {
    let all = list(&pod["status"]["conditions"]);
    if !list(&pod["spec"]["readinessGates"]).is_empty() {
        w.line(0, "Readiness Gates:");
        w.line(1, "Type\tStatus");
        for gate in list(&pod["spec"]["readinessGates"]) {
            let found = all.iter().find(|c| c["type"] == gate["conditionType"]).map_or("<none>".to_owned(), |c| text(&c["status"]));
            w.line(1, &format!("{} \t{found} ", text(&gate["conditionType"])));
        }
    }
    if !all.is_empty() {
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus");
        for condition in all {
            w.line(1, &format!("{} \t{} ", text(&condition["type"]), text(&condition["status"])));
        }
    }
}

pub fn tolerations(w: &mut Writer, indent: &str, tolerations: &Value) {
    w.text.push_str(&format!("{indent}Tolerations:\t"));
    let mut all: Vec<&Value> = list(tolerations).iter().collect();
    all.sort_by_key(|t| text(&t["key"]));
    if all.is_empty() {
        w.text.push_str("<none>\n");
    }
    for (i, toleration) in all.iter().enumerate() {
        if i > 0 {
            w.text.push_str(&format!("{indent}\t"));
        }
        let (key, value, effect) = (text(&toleration["key"]), text(&toleration["value"]), text(&toleration["effect"]));
        let mut shown = key.clone();
        if !value.is_empty() {
            shown.push_str(&format!("={value}"));
        }
        if !effect.is_empty() {
            shown.push_str(&format!(":{effect}"));
        }
        if toleration["operator"] == "Exists" && value.is_empty() {
            shown.push_str(if !key.is_empty() || !effect.is_empty() { " op=Exists" } else { "op=Exists" });
        }
        if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
            shown.push_str(&format!(" for {seconds}s"));
        }
        w.text.push_str(&format!("{shown}\n"));
    }
}

fn scheduling_group(w: &mut Writer, indent: &str, spec: &Value) {
    if spec["schedulingGroup"].is_object() {
        w.line(0, &format!("{indent}SchedulingGroup:"));
        w.pair(1, "PodGroupName", text(&spec["schedulingGroup"]["podGroupName"]));
    }
}

/// What the pod as a whole requests and is limited to.
fn whole_resources(w: &mut Writer, resources: &Value) {
    if !resources.is_object() {
        return;
    }
    w.line(0, "Resources:");
    for (title, key) in [("Limits", "limits"), ("Requests", "requests")] {
        if let Some(amounts) = resources[key].as_object().filter(|a| !a.is_empty()) {
            w.line(1, &format!("{title}:"));
            for (name, amount) in amounts {
                w.pair(2, name, text(amount));
            }
        }
    }
}

fn spread(w: &mut Writer, indent: &str, constraints: &Value) {
    if list(constraints).is_empty() {
        return;
    }
    w.text.push_str(&format!("{indent}Topology Spread Constraints:\t"));
    let mut all: Vec<&Value> = list(constraints).iter().collect();
    all.sort_by_key(|c| text(&c["topologyKey"]));
    for (i, constraint) in all.iter().enumerate() {
        if i > 0 {
            w.text.push('\t');
        }
        w.text.push_str(&format!("{}:{} when max skew {} is exceeded", text(&constraint["topologyKey"]), text(&constraint["whenUnsatisfiable"]), int(&constraint["maxSkew"])));
        if constraint["labelSelector"].is_object() {
            w.text.push_str(&format!(" for selector {}", super::selector_text(&constraint["labelSelector"])));
        }
        w.text.push('\n');
    }
}

pub fn template(w: &mut Writer, template: &Value) {
    w.line(0, "Pod Template:");
    if template.is_null() {
        w.text.push_str("  <unset>");
        return;
    }
    labels(w, "  Labels", &template["metadata"]["labels"]);
    if template["metadata"]["annotations"].as_object().is_some_and(|a| !a.is_empty()) {
        annotations(w, "  Annotations", &template["metadata"]["annotations"]);
    }
    let spec = &template["spec"];
    if let Some(account) = spec["serviceAccountName"].as_str().filter(|a| !a.is_empty()) {
        w.pair(1, "Service Account", account);
    }
    if !list(&spec["initContainers"]).is_empty() {
        containers(w, "Init Containers", &spec["initContainers"], None, None, "  ");
    }
    containers(w, "Containers", &spec["containers"], None, None, "  ");
    volumes::of_pod(w, &spec["volumes"], "  ");
    spread(w, "  ", &spec["topologySpreadConstraints"]);
    if let Some(class) = spec["priorityClassName"].as_str().filter(|c| !c.is_empty()) {
        w.pair(1, "Priority Class Name", class);
    }
    labels_indented(w, "  ", "Node-Selectors", "\t", &spec["nodeSelector"], &[]);
    tolerations(w, "  ", &spec["tolerations"]);
    scheduling_group(w, "  ", spec);
}

fn containers(w: &mut Writer, title: &str, all: &Value, statuses: Option<&Value>, pod: Option<&Value>, space: &str) {
    let none = if list(all).is_empty() { " <none>" } else { "" };
    w.line(0, &format!("{space}{title}:{none}"));
    for container in list(all) {
        let status = statuses.and_then(|s| list(s).iter().find(|s| s["name"] == container["name"]));
        basics(w, container, status, space);
        words(w, "Command", &container["command"]);
        words(w, "Args", &container["args"]);
        if let Some(status) = status {
            state(w, status);
        }
        resources(w, &container["resources"]);
        for (key, title) in [("livenessProbe", "Liveness"), ("readinessProbe", "Readiness"), ("startupProbe", "Startup")] {
            if container[key].is_object() {
                w.pair(2, title, probe(&container[key]));
            }
        }
        env_from(w, &container["envFrom"]);
        environment(w, container, pod);
        mounts(w, container);
    }
}

fn basics(w: &mut Writer, container: &Value, status: Option<&Value>, space: &str) {
    w.line(1, &format!("{}{}:", if space.is_empty() { "" } else { " " }, text(&container["name"])));
    if let Some(status) = status {
        w.pair(2, "Container ID", text(&status["containerID"]));
    }
    w.pair(2, "Image", text(&container["image"]));
    if let Some(status) = status {
        w.pair(2, "Image ID", text(&status["imageID"]));
    }
    let ports = |key: &str| list(&container["ports"]).iter().map(|p| port(int(&p[key]), p)).collect::<Vec<_>>();
    for (key, one, many) in [("containerPort", "Port", "Ports"), ("hostPort", "Host Port", "Host Ports")] {
        let shown = ports(key);
        w.pair(2, if shown.len() > 1 { many } else { one }, or_none(&shown.join(", ")));
    }
    if let Some(profile) = container["securityContext"]["seccompProfile"]["type"].as_str() {
        w.pair(2, "SeccompProfile", profile);
    }
}

/// `80/TCP (http)`
fn port(number: i64, port: &Value) -> String {
    let name = port["name"].as_str().filter(|n| !n.is_empty()).map(|n| format!(" ({n})")).unwrap_or_default();
    format!("{number}/{}{name}", port["protocol"].as_str().unwrap_or("TCP"))
}

fn words(w: &mut Writer, title: &str, words: &Value) {
    if list(words).is_empty() {
        return;
    }
    w.line(2, &format!("{title}:"));
    for line in list(words).iter().flat_map(|word| text(word).split('\n').map(str::to_owned).collect::<Vec<_>>()) {
        w.line(3, &line);
    }
}

fn state(w: &mut Writer, status: &Value) {
    one_state(w, "State", &status["state"]);
    if status["lastState"]["terminated"].is_object() {
        one_state(w, "Last State", &status["lastState"]);
    }
    w.pair(2, "Ready", title_bool(status["ready"] == true));
    w.pair(2, "Restart Count", int(&status["restartCount"]));
}

fn one_state(w: &mut Writer, title: &str, state: &Value) {
    if state["running"].is_object() {
        w.pair(2, title, "Running");
        w.pair(3, "Started", rfc1123(&text(&state["running"]["startedAt"])));
        return;
    }
    let Some(ended) = state["terminated"].as_object() else {
        w.pair(2, title, "Waiting");
        if let Some(reason) = state["waiting"]["reason"].as_str().filter(|r| !r.is_empty()) {
            w.pair(3, "Reason", reason);
        }
        return;
    };
    w.pair(2, title, "Terminated");
    for (key, title) in [("reason", "Reason"), ("message", "Message")] {
        if let Some(value) = ended.get(key).and_then(Value::as_str).filter(|v| !v.is_empty()) {
            w.pair(3, title, value);
        }
    }
    w.pair(3, "Exit Code", ended.get("exitCode").map_or(0, int));
    if let Some(signal) = ended.get("signal").and_then(Value::as_i64).filter(|s| *s > 0) {
        w.pair(3, "Signal", signal);
    }
    let at = |key: &str| ended.get(key).and_then(Value::as_str).map_or_else(|| "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(), rfc1123);
    w.pair(3, "Started", at("startedAt"));
    w.pair(3, "Finished", at("finishedAt"));
}

pub fn resources(w: &mut Writer, resources: &Value) {
    for (key, title) in [("limits", "Limits"), ("requests", "Requests")] {
        if let Some(amounts) = resources[key].as_object().filter(|a| !a.is_empty()) {
            w.line(2, &format!("{title}:"));
            for (name, amount) in amounts {
                w.pair(3, name, text(amount));
            }
        }
    }
}

fn probe(probe: &Value) -> String {
    let or = |key: &str, default: i64| probe[key].as_i64().unwrap_or(default);
    let attributes = format!("delay={}s timeout={}s period={}s successThreshold={} failureThreshold={}", or("initialDelaySeconds", 0), or("timeoutSeconds", 1), or("periodSeconds", 10), or("successThreshold", 1), or("failureThreshold", 3));
    if probe["exec"].is_object() {
        return format!("exec [{}] {attributes}", join(&probe["exec"]["command"], " "));
    }
    if probe["httpGet"].is_object() {
        let get = &probe["httpGet"];
        let path = text(&get["path"]);
        let path = if path.starts_with('/') || path.is_empty() { path } else { format!("/{path}") };
        return format!("http-get {}://{}:{}{path} {attributes}", get["scheme"].as_str().unwrap_or("HTTP").to_lowercase(), text(&get["host"]), text(&get["port"]));
    }
    if probe["tcpSocket"].is_object() {
        return format!("tcp-socket {}:{} {attributes}", text(&probe["tcpSocket"]["host"]), text(&probe["tcpSocket"]["port"]));
    }
    if probe["grpc"].is_object() {
        return format!("grpc <pod>:{} {} {attributes}", int(&probe["grpc"]["port"]), text(&probe["grpc"]["service"]));
    }
    format!("unknown {attributes}")
}

fn env_from(w: &mut Writer, sources: &Value) {
    if list(sources).is_empty() {
        return;
    }
    w.line(2, "Environment Variables from:");
    for source in list(sources) {
        let (from, of) = if source["configMapRef"].is_object() { ("ConfigMap", &source["configMapRef"]) } else { ("Secret", &source["secretRef"]) };
        let prefix = match text(&source["prefix"]) {
            p if p.is_empty() => String::new(),
            p => format!(" with prefix '{p}'"),
        };
        w.line(3, &format!("{}\t{from}{prefix}\tOptional: {}", text(&of["name"]), of["optional"] == true));
    }
}

fn environment(w: &mut Writer, container: &Value, pod: Option<&Value>) {
    let all = list(&container["env"]);
    w.line(2, &format!("Environment:{}", if all.is_empty() { "\t<none>" } else { "" }));
    for variable in all {
        let name = text(&variable["name"]);
        let from = &variable["valueFrom"];
        if from.is_null() {
            for (i, line) in text(&variable["value"]).split('\n').enumerate() {
                w.line(3, &if i == 0 { format!("{name}:\t{line}") } else { format!("\t{line}") });
            }
        } else if from["fieldRef"].is_object() {
            let path = text(&from["fieldRef"]["fieldPath"]);
            let value = pod.map(|p| field(p, &path)).unwrap_or_default();
            w.line(3, &format!("{name}:\t{value} ({}:{path})", from["fieldRef"]["apiVersion"].as_str().unwrap_or("v1")));
        } else if from["resourceFieldRef"].is_object() {
            let resource = text(&from["resourceFieldRef"]["resource"]);
            let (kind, amount) = resource.split_once('.').unwrap_or((&resource, ""));
            let value = match text(&container["resources"][kind][amount]) {
                v if v.is_empty() && kind == "limits" => "node allocatable".to_owned(),
                v if v.is_empty() => "0".to_owned(),
                v => v.parse::<quantity::Quantity>().map_or(v, |q| q.value().to_string()),
            };
            w.line(3, &format!("{name}:\t{value} ({resource})"));
        } else {
            let (key, what) = if from["secretKeyRef"].is_object() { ("secretKeyRef", "in secret") } else { ("configMapKeyRef", "of config map") };
            let of = &from[key];
            w.line(3, &format!("{name}:\t<set to the key '{}' {what} '{}'>\tOptional: {}", text(&of["key"]), text(&of["name"]), of["optional"] == true));
        }
    }
}

/// A pod's own field, as the downward API gives it.
// Upstream: ExtractFieldPathAsString knows metadata alone.
fn field(pod: &Value, path: &str) -> String {
    if !path.starts_with("metadata.") {
        return String::new();
    }
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        let parts: Vec<&str> = map.split('.').collect();
        return text(&crate::workload::at(pod, &parts)[key]);
    }
    let parts: Vec<&str> = path.split('.').collect();
    text(crate::workload::at(pod, &parts))
}

fn mounts(w: &mut Writer, container: &Value) {
    let mut all: Vec<&Value> = list(&container["volumeMounts"]).iter().collect();
    let none = if all.is_empty() { "\t<none>" } else { "" };
    w.line(2, &format!("Mounts:{none}"));
    all.sort_by_key(|m| text(&m["mountPath"]));
    for mount in all {
        let mut flags = vec![if mount["readOnly"] == true { "ro".to_owned() } else { "rw".to_owned() }];
        if let Some(path) = mount["subPath"].as_str().filter(|p| !p.is_empty()) {
            flags.push(format!("path={path:?}"));
        }
        w.line(3, &format!("{} from {} ({})", text(&mount["mountPath"]), text(&mount["name"]), flags.join(",")));
    }
    let devices = list(&container["volumeDevices"]);
    if !devices.is_empty() {
        w.line(2, &format!("Devices:{none}"));
        for device in devices {
            w.line(3, &format!("{} from {}", text(&device["devicePath"]), text(&device["name"])));
        }
    }
}
