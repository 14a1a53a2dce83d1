//! What survives what.

use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};

use e2e::{ApiServer, Cluster, Webhook, shell_image};
use serde_json::{Value, json};

/// The process that serves the cluster: the one whose command line names its data folder and `server`.
fn server_process(cluster: &Cluster) -> String {
    let data = cluster.data.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc is there").filter_map(|e| e.ok()?.file_name().into_string().ok());
    let serves = |id: &String| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words: Vec<String> = line.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        words.iter().any(|w| *w == data) && words.iter().any(|w| w == "server")
    };
    processes.filter(|id| id.bytes().all(|b| b.is_ascii_digit())).find(serves).expect("knarr runs")
}

#[test]
fn a_killed_knarr_stops_no_container_and_takes_them_over() {
    let Some(cluster) = Cluster::of_environment() else { return };
    cluster.import(&shell_image("docker.io/library/stayer:1", "trap 'exit 0' TERM; while true; do sleep 1; done", &[]));
    let _namespace = cluster.namespace("stay");
    cluster.kubectl("create deployment stayer --image=stayer:1 --replicas=2 -n stay").ok();
    cluster.kubectl("rollout status deployment/stayer -n stay --timeout=60s").ok();
    let identity = || cluster.kubectl("get pods -n stay -o 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}'").ok();
    let before = identity();
    assert_eq!(before.lines().count(), 2, "{before}");
    // Killed, then asked to end; `up` follows at once and waits for what is about to be gone.
    for signal in ["-9", "-TERM"] {
        let pid = server_process(&cluster);
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
        cluster.knarr(&["up"]).ok();
        assert_ne!(server_process(&cluster), pid, "after kill {signal}");
        cluster.kubectl("wait node --all --for=condition=Ready --timeout=60s").ok();
        assert_eq!(identity(), before);
    }
    cluster.kubectl("exec -n stay deploy/stayer -- true").ok();
}

#[test]
fn bad_input_gets_a_clear_error_and_changes_nothing() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let refused = |manifest: &str, words: &[&str]| {
        let error = cluster.kubectl_with("apply -f -", manifest).fails();
        for word in words {
            assert!(error.contains(word), "no {word:?} in {error:?}");
        }
    };
    refused("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n data: y\n", &["error"]);
    refused("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b, imgae: c}]}\n", &["strict decoding error", "unknown field \"spec.containers[0].imgae\""]);
    refused("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: three}\n", &["replicas"]);
    let long = "a".repeat(300);
    refused(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {long}}}\n"), &["is invalid", "metadata.name", "must be no more than 253"]);
    refused("apiVersion: v1\nkind: Pod\nmetadata: {name: Up_Per}\nspec: {containers: [{name: a, image: b}]}\n", &["metadata.name", "RFC 1123"]);
    refused("apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}\n", &["no matches for kind"]);
    let missing = cluster.kubectl("get pods/absent").fails();
    assert!(missing.contains("Error from server (NotFound): pods \"absent\" not found"), "{missing}");
    let error = cluster.knarr(&["apply", "-f", "/nonexistent/file.yaml"]).fails();
    assert!(error.contains("/nonexistent/file.yaml"), "{error}");
}

/// It is not ready, serves on, refuses what comes while it answers what it was asked, and writes what its record holds.
#[test]
fn a_server_that_ends_says_so_and_answers_what_it_was_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let (begun, begins) = mpsc::channel();
    let hook = Webhook::start(Arc::new(move |path, review| {
        if path == "/events" {
            return (200, json!({}));
        }
        let _ = begun.send(());
        let _ = held.lock().map(|held| held.recv());
        (200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": review["request"]["uid"], "allowed": true}}))
    }));
    let client = hook.client_config("/events");
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "c", "cluster": {"server": client["url"], "certificate-authority-data": client["caBundle"]}}]});
    let file = folder.path().join("events.kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).expect("a file");
    let flags = ["--shutdown-delay-duration=3s", "--shutdown-send-retry-after", "--shutdown-watch-termination-grace-period=1s", &format!("--audit-webhook-config-file={}", file.display()), "--audit-webhook-batch-max-wait=1h",
        "--audit-log-mode=batch", "--audit-log-batch-max-size=100000", "--audit-log-batch-max-wait=1h"];
    let Some(mut server) = ApiServer::start(folder.path(), &flags) else { return };
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "slow"}, "webhooks": [{"name": "slow.example.com", "admissionReviewVersions": ["v1"],
        "sideEffects": "None", "timeoutSeconds": 30, "clientConfig": hook.client_config("/slow"), "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}]}]});
    server.kubectl_with("create -f -", &configuration.to_string()).ok();
    let mut watch = server.watch("get namespaces --watch -o name");
    watch.until("default");
    let audit = server.data.join("audit/audit.log");
    let mut created = server.watch("create configmap last -n default -o name");
    begins.recv().expect("it is asked");
    assert_eq!(server.ask("/readyz", &[]).0, 200);
    server.ask_to_end();
    (0..500).map(|_| server.ask("/readyz", &[]).0).find(|code| *code == 500).expect("it is not ready");
    assert_eq!((server.ask("/livez", &[]).0, server.ask("/api/v1/namespaces", &[]).0), (200, 200), "it serves on");
    let (code, answer) = (0..5000).map(|_| server.ask("/api/v1/namespaces", &["-D", "-"])).find(|(code, _)| *code != 200).expect("it refuses");
    assert!(code == 429 && answer.contains("retry-after: 5") && answer.contains("The apiserver is shutting down, please try again later."), "{code} {answer}");
    assert_eq!((server.ask("/livez", &[]).0, server.ask("/readyz?exclude=shutdown", &[]).0), (200, 200));
    release.send(()).expect("it waits");
    created.until("configmap/last");
    watch.rest();
    server.ended();
    let events: Vec<Value> = hook.asked.try_iter().filter(|(path, _)| path == "/events").flat_map(|(_, list)| list["items"].as_array().cloned().unwrap_or_default()).collect();
    let is_last = |event: &Value| event["verb"] == "create" && event["objectRef"]["resource"] == "configmaps" && event["stage"] == "ResponseComplete" && event["responseStatus"]["code"] == 201;
    assert!(events.iter().any(is_last), "{} events", events.len());
    let lines = std::fs::read_to_string(audit).expect("the record");
    assert!(lines.lines().filter_map(|line| serde_json::from_str(line).ok()).any(|event: Value| is_last(&event)), "{} lines", lines.lines().count());
}
