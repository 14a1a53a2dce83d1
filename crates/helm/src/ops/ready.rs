//! Whether an object has become what it was asked to be.
// Upstream: kubernetes-sigs/cli-utils pkg/kstatus/status core.go, generic.go, status.go.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    Current,
    InProgress(String),
    Failed(String),
    Terminating,
}

impl Readiness {
    pub fn word(&self) -> &'static str {
        match self {
            Readiness::Current => "Current",
            Readiness::InProgress(_) => "InProgress",
            Readiness::Failed(_) => "Failed",
            Readiness::Terminating => "Terminating",
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Readiness::InProgress(text) | Readiness::Failed(text) => text,
            Readiness::Terminating => "Resource scheduled for deletion",
            Readiness::Current => "",
        }
    }
}

use Readiness::{Current, Failed, InProgress};

fn progress<T>(text: impl Into<String>) -> Result<T, Readiness> {
    Err(InProgress(text.into()))
}

/// The state of an object.
pub fn readiness(object: &Value) -> Readiness {
    match check(object) {
        Ok(()) => Current,
        Err(state) => state,
    }
}

fn check(object: &Value) -> Result<(), Readiness> {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return Err(Readiness::Terminating);
    }
    generation(object)?;
    let group = object["apiVersion"].as_str().and_then(|v| v.split_once('/')).map_or("", |(g, _)| g);
    match (group, object["kind"].as_str().unwrap_or_default()) {
        ("apps" | "extensions", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps" | "extensions", "DaemonSet") => daemon_set(object),
        ("apps" | "extensions", "ReplicaSet") => replica_set(object),
        ("", "Pod") => pod(object),
        ("batch", "Job") => job(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("", "Secret" | "ConfigMap") | ("batch", "CronJob") | ("policy", "PodDisruptionBudget") => Ok(()),
        _ => conditions_alone(object),
    }
}

fn generation(object: &Value) -> Result<(), Readiness> {
    let (wanted, seen) = (object["metadata"]["generation"].as_i64(), object["status"]["observedGeneration"].as_i64());
    match (wanted, seen) {
        (Some(wanted), Some(seen)) if wanted != seen => {
            progress(format!("{} generation is {wanted}, but latest observed generation is {seen}", object["kind"].as_str().unwrap_or_default()))
        }
        _ => Ok(()),
    }
}

fn number(object: &Value, pointer: &str, default: i64) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(default)
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == name)
}

fn is(object: &Value, name: &str, status: &str) -> bool {
    condition(object, name).is_some_and(|c| c["status"] == status)
}

fn message(condition: &Value) -> String {
    condition["message"].as_str().unwrap_or_default().to_string()
}

fn conditions_alone(object: &Value) -> Result<(), Readiness> {
    if let Some(c) = condition(object, "Reconciling").filter(|c| c["status"] == "True") {
        return progress(message(c));
    }
    if let Some(c) = condition(object, "Stalled").filter(|c| c["status"] == "True") {
        return Err(Failed(message(c)));
    }
    match condition(object, "Ready") {
        Some(c) if c["status"] != "True" => progress(message(c)),
        _ => Ok(()),
    }
}

fn deployment(object: &Value) -> Result<(), Readiness> {
    if condition(object, "Progressing").is_some_and(|c| c["reason"] == "ProgressDeadlineExceeded") {
        return Err(Failed("Progress deadline exceeded".into()));
    }
    let no_deadline = number(object, "/spec/progressDeadlineSeconds", i64::from(i32::MAX)) == i64::from(i32::MAX);
    let progressing = no_deadline || condition(object, "Progressing").is_some_and(|c| c["status"] == "True" && c["reason"] == "NewReplicaSetAvailable");
    let wanted = number(object, "/spec/replicas", 1);
    let have = |field: &str| number(object, &format!("/status/{field}"), 0);
    let (total, updated, ready, available) = (have("replicas"), have("updatedReplicas"), have("readyReplicas"), have("availableReplicas"));
    if wanted > total {
        return progress(format!("Replicas: {total}/{wanted}"));
    }
    if wanted > updated {
        return progress(format!("Updated: {updated}/{wanted}"));
    }
    if total > wanted {
        return progress(format!("Pending termination: {}", total - wanted));
    }
    if updated > available {
        return progress(format!("Available: {available}/{updated}"));
    }
    if wanted > ready {
        return progress(format!("Ready: {ready}/{wanted}"));
    }
    if !progressing {
        return progress("ReplicaSet not Available");
    }
    if !is(object, "Available", "True") {
        return progress("Deployment not Available");
    }
    Ok(())
}

fn stateful_set(object: &Value) -> Result<(), Readiness> {
    if object["spec"]["updateStrategy"]["type"] == "OnDelete" {
        return Ok(());
    }
    let wanted = number(object, "/spec/replicas", 1);
    let have = |field: &str| number(object, &format!("/status/{field}"), 0);
    let (total, ready, current, updated) = (have("replicas"), have("readyReplicas"), have("currentReplicas"), have("updatedReplicas"));
    if wanted > total {
        return progress(format!("Replicas: {total}/{wanted}"));
    }
    if wanted > ready {
        return progress(format!("Ready: {ready}/{wanted}"));
    }
    if total > wanted {
        return progress(format!("Pending termination: {}", total - wanted));
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition", -1);
    if partition != -1 {
        return if updated < wanted - partition { progress(format!("updated: {updated}/{}", wanted - partition)) } else { Ok(()) };
    }
    if wanted > current {
        return progress(format!("current: {current}/{wanted}"));
    }
    if object["status"]["currentRevision"] != object["status"]["updateRevision"] {
        return progress("Waiting for updated revision to match current");
    }
    Ok(())
}

fn daemon_set(object: &Value) -> Result<(), Readiness> {
    if object["metadata"]["generation"].as_i64().is_none() {
        return progress("DaemonSet metadata.generation not found");
    }
    if object["status"]["observedGeneration"].as_i64().is_none() {
        return progress("DaemonSet status.observedGeneration not found");
    }
    let wanted = number(object, "/status/desiredNumberScheduled", -1);
    if wanted == -1 {
        return progress("Missing .status.desiredNumberScheduled");
    }
    for (word, field) in [("Current", "currentNumberScheduled"), ("Updated", "updatedNumberScheduled"), ("Available", "numberAvailable"), ("Ready", "numberReady")] {
        let have = number(object, &format!("/status/{field}"), 0);
        if wanted > have {
            return progress(format!("{word}: {have}/{wanted}"));
        }
    }
    Ok(())
}

fn replica_set(object: &Value) -> Result<(), Readiness> {
    if is(object, "ReplicaFailure", "True") {
        return progress("Replica Failure condition. Check Pods");
    }
    let wanted = number(object, "/spec/replicas", 1);
    for (word, field) in [("Labelled", "fullyLabeledReplicas"), ("Available", "availableReplicas"), ("Ready", "readyReplicas")] {
        let have = number(object, &format!("/status/{field}"), 0);
        if wanted > have {
            return progress(format!("{word}: {have}/{wanted}"));
        }
    }
    let total = number(object, "/status/replicas", 0);
    if total > wanted { progress(format!("Pending termination: {}", total - wanted)) } else { Ok(()) }
}

fn pod(object: &Value) -> Result<(), Readiness> {
    match object["status"]["phase"].as_str().unwrap_or_default() {
        "Succeeded" | "Failed" => Ok(()),
        "Running" if is(object, "Ready", "True") => Ok(()),
        "Running" => {
            let looping = |s: &&Value| s["state"]["waiting"]["reason"] == "CrashLoopBackOff";
            let names: Vec<&str> = object["status"]["containerStatuses"].as_array().into_iter().flatten().filter(looping).filter_map(|s| s["name"].as_str()).collect();
            if names.is_empty() { progress("Pod is running but is not Ready") } else { Err(Failed(format!("Containers in CrashLoop state: {}", names.join(",")))) }
        }
        "Pending" if condition(object, "PodScheduled").is_some_and(|c| c["status"] == "False" && c["reason"] == "Unschedulable") => progress("Pod has not been scheduled"),
        "Pending" => progress("Pod is in the Pending phase"),
        _ => progress("Pod phase not available"),
    }
}

fn job(object: &Value) -> Result<(), Readiness> {
    if is(object, "Complete", "True") || is(object, "Suspended", "True") {
        return Ok(());
    }
    if is(object, "Failed", "True") {
        return Err(Failed(failed_job(object)));
    }
    if object["status"]["startTime"].is_string() { Ok(()) } else { progress("Job not started") }
}

fn failed_job(object: &Value) -> String {
    let completions = number(object, "/spec/completions", number(object, "/spec/parallelism", 1));
    format!("Job Failed. failed: {}/{completions}", number(object, "/status/failed", 0))
}

fn claim(object: &Value) -> Result<(), Readiness> {
    match object["status"]["phase"].as_str() {
        Some("Bound") => Ok(()),
        phase => progress(format!("PVC is not Bound. phase: {}", phase.unwrap_or("unknown"))),
    }
}

fn service(object: &Value) -> Result<(), Readiness> {
    if object["spec"]["type"] == "LoadBalancer" && object["spec"]["clusterIP"].as_str().unwrap_or_default().is_empty() {
        return progress("ClusterIP not set. Service type: LoadBalancer");
    }
    Ok(())
}

fn definition(object: &Value) -> Result<(), Readiness> {
    if let Some(c) = condition(object, "NamesAccepted").filter(|c| c["status"] == "False") {
        return Err(Failed(message(c)));
    }
    match condition(object, "Established") {
        Some(c) if c["status"] == "True" => Ok(()),
        Some(c) if c["reason"] != "Installing" => Err(Failed(message(c))),
        _ => progress("Install in progress"),
    }
}

/// Whether a hook's object has run: pods and jobs to their end, all else at once.
// Upstream: helm pkg/kube/statuswait.go and its readers of jobs and pods.
pub fn completion(object: &Value) -> Readiness {
    match object["kind"].as_str().unwrap_or_default() {
        "Pod" => match object["status"]["phase"].as_str().unwrap_or_default() {
            "Succeeded" => Current,
            "Failed" => Failed(format!("pod {} failed", object["metadata"]["name"].as_str().unwrap_or_default())),
            _ => InProgress("Pod in progress".into()),
        },
        "Job" if is(object, "Complete", "True") => Current,
        "Job" if is(object, "Failed", "True") => Failed(failed_job(object)),
        "Job" => InProgress("Job in progress".into()),
        _ => Current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn deployments_are_ready_when_all_pods_of_the_last_template_are_available() {
        let mut d = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "generation": 2 },
            "spec": { "replicas": 2, "progressDeadlineSeconds": 600 }, "status": { "observedGeneration": 1 } });
        assert_eq!(readiness(&d).message(), "Deployment generation is 2, but latest observed generation is 1");
        d["status"] = json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1, "readyReplicas": 1 });
        assert_eq!(readiness(&d), InProgress("Available: 1/2".into()));
        d["status"]["availableReplicas"] = 2.into();
        d["status"]["readyReplicas"] = 2.into();
        assert_eq!(readiness(&d), InProgress("ReplicaSet not Available".into()));
        d["status"]["conditions"] = json!([{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }, { "type": "Available", "status": "True" }]);
        assert_eq!(readiness(&d), Current);
        d["status"]["conditions"][0]["reason"] = "ProgressDeadlineExceeded".into();
        assert_eq!(readiness(&d).word(), "Failed");
    }

    #[test]
    fn hooks_run_to_their_end() {
        let job = |status: Value| completion(&json!({ "kind": "Job", "spec": {}, "status": status }));
        assert_eq!(job(json!({})).word(), "InProgress");
        assert_eq!(job(json!({ "conditions": [{ "type": "Complete", "status": "True" }] })), Current);
        assert_eq!(job(json!({ "failed": 1, "conditions": [{ "type": "Failed", "status": "True" }] })).message(), "Job Failed. failed: 1/1");
        assert_eq!(completion(&json!({ "kind": "ConfigMap" })), Current);
    }
}
