//! What the node agent promises of single pods: ephemeral containers, gRPC probes, identities, kernel settings, overhead.

use e2e::{Cluster, Image, shell_image};
use serde_json::{Value, json};

const SHELL: &str = "docker.io/library/e2e-shell:1";

fn shell(cluster: &Cluster) {
    cluster.import(&shell_image(SHELL, "trap 'exit 0' TERM; sleep 100000 & wait", &[]));
}

fn pod(name: &str, container: Value, extra: Value) -> String {
    let mut one = json!({"name": "c", "image": SHELL, "imagePullPolicy": "Never"});
    for (key, value) in container.as_object().into_iter().flatten() {
        one[key] = value.clone();
    }
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [one]}});
    for (key, value) in extra.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    pod.to_string()
}

#[test]
fn ephemeral_containers_join_a_running_pod() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-ephemeral");
    let name = &space.name;
    cluster.kubectl_with(&format!("create -n {name} -f -"), &pod("host", json!({"command": ["/bin/sh", "-c", "exec sleep 98765"]}), json!({}))).ok();
    cluster.kubectl(&format!("wait pod/host -n {name} --for=condition=Ready --timeout=60s")).ok();
    for (container, target) in [("first", "--target=c"), ("second", "")] {
        cluster.kubectl(&format!("debug host -n {name} --image={SHELL} --container={container} {target} --profile=general --image-pull-policy=Never -- sleep 1000")).ok();
        let running = format!("{{.status.ephemeralContainerStatuses[?(@.name==\"{container}\")].state.running.startedAt}}");
        cluster.kubectl(&format!("wait pod/host -n {name} '--for=jsonpath={running}' --timeout=60s")).ok();
    }
    let object = cluster.object(&format!("get pod host -n {name}"));
    assert_eq!(object["spec"]["ephemeralContainers"].as_array().map(Vec::len), Some(2));
    assert_eq!(object["status"]["containerStatuses"][0]["restartCount"], 0);
    // Only the one with a target sees the processes of the other container.
    let sees = |container: &str| cluster.kubectl(&format!("exec host -n {name} -c {container} -- ps")).ok().contains("98765");
    assert!(sees("first"), "the target's processes are not seen");
    assert!(!sees("second"), "processes of another container are seen");
}

/// Answers every gRPC call as a health service that serves would: settings, headers, message, trailers, as they stand on the wire.
fn health_answer() -> Vec<u8> {
    fn frame(kind: u8, flags: u8, stream: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).expect("short");
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], body].concat()
    }
    let headers = [&[0x88, 0x0f, 0x10, 16], b"application/grpc".as_slice()].concat();
    let trailers = [&[0x00, 11], b"grpc-status".as_slice(), &[1], b"0"].concat();
    [frame(4, 0, 0, &[]), frame(4, 1, 0, &[]), frame(1, 4, 1, &headers), frame(0, 0, 1, &[0, 0, 0, 0, 2, 8, 1]), frame(1, 5, 1, &trailers)].concat()
}

#[test]
fn grpc_probes_decide_about_restarts() {
    let Some(cluster) = Cluster::of_environment() else { return };
    // The answer may not come before its request: what goes before a request's headers is shorter than that.
    let answers = "#!/bin/sh\nhead -c 120 > /dev/null\ncat /answer\ncat > /dev/null\n";
    let mut image = shell_image("docker.io/library/e2e-grpc:1", "exec nc -ll -p 5000 -e /answers", &[("answers", answers)]);
    image.files.push(("answer".into(), health_answer(), 0o644));
    let image: Image = image;
    cluster.import(&image);
    let space = cluster.namespace("e2e-grpc");
    let name = &space.name;
    for (pod_name, port) in [("serves", 5000), ("refuses", 2333)] {
        let probe = json!({"grpc": {"port": port}, "initialDelaySeconds": 1, "periodSeconds": 2, "failureThreshold": 3});
        let container = json!({"image": image.tag, "livenessProbe": probe});
        cluster.kubectl_with(&format!("create -n {name} -f -"), &pod(pod_name, container, json!({}))).ok();
    }
    cluster.kubectl(&format!("wait pod/serves -n {name} --for=condition=Ready --timeout=60s")).ok();
    cluster.kubectl(&format!("wait pod/refuses -n {name} --for=jsonpath={{.status.containerStatuses[0].restartCount}}=1 --timeout=90s")).ok();
    let events = cluster.kubectl(&format!("get events -n {name} --field-selector involvedObject.name=refuses")).ok();
    assert!(events.contains("Liveness probe failed"), "{events}");
    assert_eq!(cluster.object(&format!("get pod serves -n {name}"))["status"]["containerStatuses"][0]["restartCount"], 0);
}

#[test]
fn identities_and_kernel_settings_are_as_asked() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-identity");
    let name = &space.name;
    let ids = json!({"runAsUser": 1001, "runAsGroup": 2002});
    let say = ["/bin/sh", "-c", "echo user=$(id -u) group=$(id -g) forced=$(cat /proc/sys/kernel/shm_rmid_forced)"];
    for (pod_name, container, extra) in [
        ("of-container", json!({"command": say, "securityContext": ids}), json!({"restartPolicy": "Never"})),
        ("of-pod", json!({"command": say}), json!({"restartPolicy": "Never", "securityContext": ids})),
        ("of-kernel", json!({"command": say}), json!({"restartPolicy": "Never", "securityContext": {"runAsUser": 1001, "runAsGroup": 2002, "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}})),
    ] {
        cluster.kubectl_with(&format!("create -n {name} -f -"), &pod(pod_name, container, extra)).ok();
        cluster.kubectl(&format!("wait pod/{pod_name} -n {name} --for=jsonpath={{.status.phase}}=Succeeded --timeout=60s")).ok();
        let log = cluster.kubectl(&format!("logs {pod_name} -n {name}")).ok();
        let forced = u8::from(pod_name == "of-kernel");
        assert_eq!(log, format!("user=1001 group=2002 forced={forced}\n"));
    }
    let wrong = json!({"securityContext": {"sysctls": [{"name": "foo-", "value": "a"}, {"name": "kernel.shmmax", "value": "1"}, {"name": "safe-and-unsafe", "value": "2"}, {"name": "bar..", "value": "4"}]}});
    let error = cluster.kubectl_with(&format!("create -n {name} -f -"), &pod("wrong", json!({}), wrong)).fails();
    assert!(error.contains("Invalid value: \"foo-\"") && error.contains("Invalid value: \"bar..\""), "{error}");
    assert!(!error.contains("safe-and-unsafe") && !error.contains("shmmax"), "{error}");
    let forbidden = json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "10"}]}});
    cluster.kubectl_with(&format!("create -n {name} -f -"), &pod("forbidden", json!({}), forbidden)).ok();
    cluster.kubectl(&format!("wait pod/forbidden -n {name} --for=jsonpath={{.status.reason}}=SysctlForbidden --timeout=30s")).ok();
}

/// Upstream: such a pod is refused where the kernel does not enforce profiles.
#[test]
fn profiles_that_the_host_cannot_enforce_are_refused() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-apparmor");
    let name = &space.name;
    let enforces = std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|said| said.first() == Some(&b'Y'));
    for (kind, runs) in [("RuntimeDefault", enforces), ("Unconfined", true)] {
        let pod_name = kind.to_lowercase();
        cluster.kubectl_with(&format!("create -n {name} -f -"), &pod(&pod_name, json!({}), json!({"securityContext": {"appArmorProfile": {"type": kind}}}))).ok();
        let wanted = if runs { "condition=Ready" } else { "jsonpath={.status.reason}=AppArmor" };
        cluster.kubectl(&format!("wait pod/{pod_name} -n {name} --for={wanted} --timeout=60s")).ok();
        if !runs {
            let said = &cluster.object(&format!("get pod {pod_name} -n {name}"))["status"]["message"];
            assert_eq!(said, "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host");
        }
    }
}

#[test]
fn a_runtime_class_brings_its_overhead() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-overhead");
    let name = &space.name;
    let class = json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "e2e-heavy"}, "handler": "runc", "overhead": {"podFixed": {"cpu": "10m", "memory": "1Mi"}}});
    cluster.kubectl_with("apply -f -", &class.to_string()).ok();
    cluster.kubectl_with(&format!("create -n {name} -f -"), &pod("heavy", json!({}), json!({"runtimeClassName": "e2e-heavy"}))).ok();
    assert_eq!(cluster.object(&format!("get pod heavy -n {name}"))["spec"]["overhead"], json!({"cpu": "10m", "memory": "1Mi"}));
    cluster.kubectl(&format!("wait pod/heavy -n {name} --for=condition=Ready --timeout=60s")).ok();
    let own = cluster.kubectl_with(&format!("create -n {name} -f -"), &pod("own", json!({}), json!({"runtimeClassName": "e2e-heavy", "overhead": {"cpu": "20m"}}))).fails();
    assert!(own.contains("doesn't match RuntimeClass's defined Overhead"), "{own}");
    let absent = cluster.kubectl_with(&format!("create -n {name} -f -"), &pod("absent", json!({}), json!({"runtimeClassName": "e2e-none"}))).fails();
    assert!(absent.contains("RuntimeClass \"e2e-none\" not found"), "{absent}");
    cluster.kubectl("delete runtimeclass e2e-heavy").ok();
}

#[test]
fn a_status_of_a_pod_can_be_patched() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-status");
    let name = &space.name;
    cluster.kubectl_with(&format!("create -n {name} -f -"), &pod("patched", json!({}), json!({"readinessGates": [{"conditionType": "example.com/ready"}]}))).ok();
    cluster.kubectl(&format!("wait pod/patched -n {name} --for=condition=ContainersReady --timeout=60s")).ok();
    let ready = |wanted: &str| cluster.kubectl(&format!("wait pod/patched -n {name} --for=condition=Ready={wanted} --timeout=30s")).ok();
    ready("False");
    let patch = r#"{"status":{"conditions":[{"type":"example.com/ready","status":"True","reason":"E2E"}]}}"#;
    cluster.kubectl(&format!("patch pod patched -n {name} --subresource=status -p '{patch}'")).ok();
    ready("True");
}
