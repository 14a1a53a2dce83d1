//! What survives what.

use std::process::Command;

use e2e::{Cluster, shell_image};

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
