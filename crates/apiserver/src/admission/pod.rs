//! What a new pod is given: service account and its token, priority, tolerations, overhead.
//!
//! Upstream: plug-ins ServiceAccount, Priority, DefaultTolerationSeconds, RuntimeClass.

use std::sync::Arc;

use api::{ApiError, meta};
use catalog::walk;
use serde_json::{Value, json};

use crate::config::Limits;
use crate::object;
use crate::rest::Call;

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn lookup(call: &Call, table: &str, key: &str) -> Option<Arc<Value>> {
    call.server.parsed.get(&call.server.store, table, key)
}

pub fn service_account(call: &Call, pod: &mut Value) -> Result<(), ApiError> {
    // A mirror pod shows what a kubelet runs already: it takes no service account.
    if meta::annotation(pod, "kubernetes.io/config.mirror").is_some() {
        return Ok(());
    }
    let named = walk::text(pod, "spec.serviceAccountName").to_owned();
    let name = if named.is_empty() { "default".to_owned() } else { named };
    let Some(spec) = walk::object_mut(pod, "spec") else { return Ok(()) };
    spec.insert("serviceAccountName".into(), name.clone().into());
    spec.insert("serviceAccount".into(), name.clone().into());
    let Some(account) = lookup(call, "/registry/serviceaccounts", &object::key(call.namespace(), &name)) else {
        let why = format!("error looking up service account {}/{name}: serviceaccount \"{name}\" not found", call.namespace());
        return Err(ApiError::forbidden(&call.resource(), meta::name(pod), why));
    };
    let wanted = walk::at(pod, "spec.automountServiceAccountToken").as_bool().or_else(|| account.get("automountServiceAccountToken").and_then(Value::as_bool));
    if wanted.unwrap_or(true) {
        mount_token(pod);
    }
    if walk::list(pod, "spec.imagePullSecrets").is_empty() && !walk::list(&account, "imagePullSecrets").is_empty() {
        pod["spec"]["imagePullSecrets"] = account["imagePullSecrets"].clone();
    }
    Ok(())
}

fn mount_token(pod: &mut Value) {
    let mut name = None;
    for list in ["spec.initContainers", "spec.containers"] {
        for container in walk::list_mut(pod, list) {
            if walk::list(container, "volumeMounts").iter().any(|m| walk::text(m, "mountPath") == TOKEN_PATH) {
                continue;
            }
            let volume = name.get_or_insert_with(|| format!("kube-api-access-{}", tail()));
            let mount = json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH});
            if let Some(mounts) = container.as_object_mut().map(|c| c.entry("volumeMounts").or_insert_with(|| json!([]))).and_then(Value::as_array_mut) {
                mounts.push(mount);
            }
        }
    }
    let Some(name) = name else { return };
    let volume = json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]}});
    if let Some(volumes) = walk::object_mut(pod, "spec").map(|s| s.entry("volumes").or_insert_with(|| json!([]))).and_then(Value::as_array_mut) {
        volumes.push(volume);
    }
}

fn tail() -> String {
    use rand::Rng;
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rng = rand::rng();
    (0..5).map(|_| LETTERS[rng.random_range(0..LETTERS.len())] as char).collect()
}

pub fn priority(call: &Call, pod: &mut Value) -> Result<(), ApiError> {
    let named = walk::text(pod, "spec.priorityClassName").to_owned();
    let class = if named.is_empty() {
        let table = call.server.store.table("/registry/priorityclasses");
        let all = call.server.store.view().table(table);
        all.scan("", "").map(|r| call.server.parsed.of(table, r)).find(|c| walk::flag(c, "globalDefault"))
    } else {
        let Some(class) = lookup(call, "/registry/priorityclasses", &named) else {
            return Err(ApiError::forbidden(&call.resource(), meta::name(pod), format!("no PriorityClass with name {named} was found")));
        };
        Some(class)
    };
    let value = class.as_ref().map_or(0, |c| walk::int(c, "value"));
    let given = walk::at(pod, "spec.priority").as_i64();
    if given.is_some_and(|given| given != value) {
        let why = format!("the integer value of priority ({}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name", given.unwrap_or_default());
        return Err(ApiError::forbidden(&call.resource(), meta::name(pod), why));
    }
    let Some(spec) = walk::object_mut(pod, "spec") else { return Ok(()) };
    spec.insert("priority".into(), value.into());
    if let Some(class) = &class {
        spec.insert("priorityClassName".into(), meta::name(class).into());
    }
    let policy = class.as_ref().map(|c| walk::text(c, "preemptionPolicy")).filter(|p| !p.is_empty()).unwrap_or("PreemptLowerPriority");
    spec.insert("preemptionPolicy".into(), policy.into());
    Ok(())
}

/// How long a pod stays on a lost node.
pub fn tolerations(limits: &Limits, pod: &mut Value) {
    let Some(list) = walk::object_mut(pod, "spec").map(|s| s.entry("tolerations").or_insert_with(|| json!([]))).and_then(Value::as_array_mut) else { return };
    for (key, seconds) in [("node.kubernetes.io/not-ready", limits.not_ready_seconds), ("node.kubernetes.io/unreachable", limits.unreachable_seconds)] {
        let covered = list.iter().any(|t| {
            let (k, effect) = (walk::text(t, "key"), walk::text(t, "effect"));
            (k == key || k.is_empty()) && matches!(effect, "NoExecute" | "")
        });
        if !covered {
            list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}));
        }
    }
}

/// Upstream: `plugin/pkg/admission/runtimeclass`.
pub fn runtime_class(call: &Call, pod: &mut Value) -> Result<(), ApiError> {
    let name = walk::text(pod, "spec.runtimeClassName").to_owned();
    let refused = |pod: &Value, why: String| Err(ApiError::forbidden(&call.resource(), meta::name(pod), why));
    let overhead = walk::map(pod, "spec.overhead").filter(|o| !o.is_empty()).cloned();
    if name.is_empty() {
        return if overhead.is_some() { refused(pod, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".into()) } else { Ok(()) };
    }
    let Some(class) = lookup(call, "/registry/runtimeclasses", &name) else {
        return refused(pod, format!("pod rejected: RuntimeClass {name:?} not found"));
    };
    match (overhead, walk::map(&class, "overhead.podFixed").filter(|o| !o.is_empty())) {
        (Some(_), None) => return refused(pod, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".into()),
        (Some(given), Some(fixed)) if !same_amounts(&given, fixed) => return refused(pod, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead".into()),
        (None, Some(fixed)) => pod["spec"]["overhead"] = fixed.clone().into(),
        _ => {}
    }
    schedule(&class, pod).or_else(|why| refused(pod, why))
}

fn same_amounts(one: &serde_json::Map<String, Value>, other: &serde_json::Map<String, Value>) -> bool {
    let amount = |value: &Value| catalog::check::amount(value);
    one.len() == other.len() && one.iter().all(|(key, value)| other.get(key).is_some_and(|o| amount(o) == amount(value)))
}

/// Puts the class's wishes for nodes together with the pod's.
fn schedule(class: &Value, pod: &mut Value) -> Result<(), String> {
    let Some(spec) = walk::object_mut(pod, "spec") else { return Ok(()) };
    for (key, value) in walk::map(class, "scheduling.nodeSelector").into_iter().flatten() {
        let Some(selector) = spec.entry("nodeSelector").or_insert_with(|| json!({})).as_object_mut() else { continue };
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        match selector.get(key) {
            Some(own) if own != value => {
                return Err(format!("conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}; pod.spec.nodeSelector[{key}] = {}", text(value), text(own)));
            }
            _ => drop(selector.insert(key.clone(), value.clone())),
        }
    }
    if let Some(list) = spec.entry("tolerations").or_insert_with(|| json!([])).as_array_mut() {
        for toleration in walk::list(class, "scheduling.tolerations") {
            if !list.contains(toleration) {
                list.push(toleration.clone());
            }
        }
    }
    Ok(())
}
