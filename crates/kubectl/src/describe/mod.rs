//! `describe`: objects in words, each kind its own file's function, all others by their fields; events last.
//!
//! Never asks the server: what belongs to an object is given with it.
// Upstream: kubectl pkg/describe/describe.go (labels, order, layout).

mod cluster;
mod config;
mod generic;
mod node;
mod pod;
mod service;
mod volumes;
mod workloads;

use serde_json::{Map, Value};

use crate::tabs::Tabs;
use crate::time;

/// An object and what is shown with it.
pub struct Described<'a> {
    pub object: &'a Value,
    pub events: Option<&'a [Value]>,
    /// Lists that belong to it, by what they are: `pods`, `slices`, `quotas`, ...
    pub related: &'a Map<String, Value>,
}

/// Text with tabs; levels are two blanks each.
#[derive(Default)]
pub struct Writer {
    pub text: String,
}

impl Writer {
    pub fn line(&mut self, level: usize, text: &str) {
        for _ in 0..level {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// `Name:<tab>value`
    pub fn pair(&mut self, level: usize, name: &str, value: impl std::fmt::Display) {
        self.line(level, &format!("{name}:\t{value}"));
    }

    pub fn aligned(&self) -> String {
        let mut tabs = Tabs::describe();
        tabs.push(&self.text);
        tabs.flush()
    }
}

pub use config::rules as rule_rows;

pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        Value::Bool(b) => b.to_string(),
        other => jsonpath::text(other),
    }
}

pub fn or_none(value: &str) -> &str {
    if value.is_empty() { "<none>" } else { value }
}

pub fn or_unset(value: &Value) -> String {
    if value.is_null() { "<unset>".into() } else { text(value) }
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

pub fn title_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

pub fn join(value: &Value, separator: &str) -> String {
    list(value).iter().map(text).collect::<Vec<_>>().join(separator)
}

/// `a=1` one below the other.
pub fn labels(w: &mut Writer, title: &str, labels: &Value) {
    labels_indented(w, "", title, "\t", labels, &[]);
}

pub fn labels_indented(w: &mut Writer, indent: &str, title: &str, inner: &str, labels: &Value, skip: &[&str]) {
    let shown: Vec<String> = labels.as_object().into_iter().flatten().filter(|(k, _)| !skip.contains(&k.as_str())).map(|(k, v)| format!("{k}={}", text(v))).collect();
    w.text.push_str(&format!("{indent}{title}:{inner}"));
    if shown.is_empty() {
        w.text.push_str("<none>\n");
    }
    for (i, label) in shown.iter().enumerate() {
        if i > 0 {
            w.text.push_str(&format!("{indent}{inner}"));
        }
        w.text.push_str(&format!("{label}\n"));
    }
}

const MAX_ANNOTATION: usize = 140;

fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) if text.len() > limit => format!("{}...", &text[..at]),
        _ => text.to_owned(),
    }
}

pub fn annotations(w: &mut Writer, title: &str, annotations: &Value) {
    w.text.push_str(&format!("{title}:\t"));
    let shown: Vec<(&String, String)> = annotations.as_object().into_iter().flatten().filter(|(k, _)| *k != "kubectl.kubernetes.io/last-applied-configuration").map(|(k, v)| (k, text(v))).collect();
    if shown.is_empty() {
        w.text.push_str("<none>\n");
    }
    for (i, (key, value)) in shown.iter().enumerate() {
        if i > 0 {
            w.text.push('\t');
        }
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + key.len() + 2 > MAX_ANNOTATION || value.contains('\n') {
            w.text.push_str(&format!("{key}:\n"));
            for line in value.split('\n') {
                w.text.push_str(&format!("\t  {}\n", shorten(line, MAX_ANNOTATION - 2)));
            }
        } else {
            w.text.push_str(&format!("{key}: {value}\n"));
        }
    }
}

/// Name, namespace, labels, annotations: how most descriptions begin.
pub fn head(w: &mut Writer, object: &Value) {
    w.pair(0, "Name", api::meta::name(object));
    if !api::meta::namespace(object).is_empty() {
        w.pair(0, "Namespace", api::meta::namespace(object));
    }
    labels(w, "Labels", &object["metadata"]["labels"]);
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
}

pub fn events(w: &mut Writer, of: &Described) {
    let Some(events) = of.events else { return };
    if events.is_empty() {
        w.line(0, "Events:\t<none>");
        return;
    }
    // What stands above is aligned by itself.
    w.text = w.aligned();
    w.line(0, "Events:");
    w.line(1, "Type\tReason\tAge\tFrom\tMessage");
    w.line(1, "----\t------\t----\t----\t-------");
    let mut events: Vec<&Value> = events.iter().collect();
    events.sort_by_key(|e| time::parse(crate::commands::events::last_seen(e)));
    for event in events {
        let from = event["source"]["component"].as_str().filter(|s| !s.is_empty()).or(event["reportingComponent"].as_str()).unwrap_or_default();
        // Upstream: the part of the object that it is about, such as `spec.containers{c}`.
        let part = event["involvedObject"]["fieldPath"].as_str().filter(|p| !p.is_empty()).map(|p| format!("{p}: ")).unwrap_or_default();
        w.line(1, &format!("{}\t{}\t{}\t{from}\t{part}{}", text(&event["type"]), text(&event["reason"]), crate::commands::events::interval(event), text(&event["message"]).trim()));
    }
}

pub fn selector_text(selector: &Value) -> String {
    match crate::workload::query(selector) {
        Ok(text) if text.is_empty() => "<none>".into(),
        Ok(text) => text,
        Err(_) => "<unset>".into(),
    }
}

pub fn controller(object: &Value) -> Option<String> {
    crate::workload::controller_of(object).map(|c| format!("{}/{}", text(&c["kind"]), text(&c["name"])))
}

/// The pod template of a workload.
pub fn pod_template(template: &Value) -> String {
    let mut w = Writer::default();
    pod::template(&mut w, template);
    w.text
}

/// The whole description.
pub fn describe(of: &Described) -> String {
    let mut w = Writer::default();
    let (version, kind) = (of.object["apiVersion"].as_str().unwrap_or_default(), of.object["kind"].as_str().unwrap_or_default());
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    let known = match (group, kind) {
        ("", "Pod") => pod::describe(&mut w, of),
        ("", "Node") => node::describe(&mut w, of),
        ("", "Service") => service::service(&mut w, of),
        ("", "Endpoints") => service::endpoints(&mut w, of),
        ("discovery.k8s.io", "EndpointSlice") => service::slice(&mut w, of),
        ("networking.k8s.io", "Ingress") => service::ingress(&mut w, of),
        ("networking.k8s.io", "IngressClass") => service::ingress_class(&mut w, of),
        ("networking.k8s.io", "ServiceCIDR") => service::service_cidr(&mut w, of),
        ("networking.k8s.io", "IPAddress") => service::ip_address(&mut w, of),
        ("networking.k8s.io", "NetworkPolicy") => service::network_policy(&mut w, of),
        ("apps", "Deployment") => workloads::deployment(&mut w, of),
        ("apps", "ReplicaSet") => workloads::replica_set(&mut w, of),
        ("", "ReplicationController") => workloads::replication_controller(&mut w, of),
        ("apps", "StatefulSet") => workloads::stateful_set(&mut w, of),
        ("apps", "DaemonSet") => workloads::daemon_set(&mut w, of),
        ("batch", "Job") => workloads::job(&mut w, of),
        ("batch", "CronJob") => workloads::cron_job(&mut w, of),
        ("autoscaling", "HorizontalPodAutoscaler") => workloads::autoscaler(&mut w, of),
        ("policy", "PodDisruptionBudget") => workloads::disruption_budget(&mut w, of),
        ("", "ConfigMap") => config::config_map(&mut w, of),
        ("", "Secret") => config::secret(&mut w, of),
        ("", "ServiceAccount") => config::service_account(&mut w, of),
        ("", "Namespace") => cluster::namespace(&mut w, of),
        ("", "ResourceQuota") => cluster::resource_quota(&mut w, of),
        ("", "LimitRange") => cluster::limit_range(&mut w, of),
        ("", "PersistentVolume") => volumes::persistent_volume(&mut w, of),
        ("", "PersistentVolumeClaim") => volumes::claim(&mut w, of),
        ("storage.k8s.io", "StorageClass") => volumes::storage_class(&mut w, of),
        ("storage.k8s.io", "VolumeAttributesClass") => volumes::attributes_class(&mut w, of),
        ("storage.k8s.io", "CSINode") => volumes::csi_node(&mut w, of),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => config::role(&mut w, of),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => config::binding(&mut w, of),
        ("certificates.k8s.io", "CertificateSigningRequest") => cluster::signing_request(&mut w, of),
        ("scheduling.k8s.io", "PriorityClass") => cluster::priority_class(&mut w, of),
        _ => generic::describe(&mut w, of),
    };
    let () = known;
    w.aligned()
}
