//! Those who have few rights and try for more; what must never be written down; what a crowd may not leave behind.

use e2e::target::{Target, refused};
use serde_json::json;

#[test]
fn a_node_gives_itself_no_owner() {
    let Some(target) = Target::new() else { return };
    // CVE-2025-5187.
    let node = target.cluster.kubectl("get nodes -o 'jsonpath={.items[0].metadata.name}'").ok();
    let patch = json!([{"op": "add", "path": "/metadata/ownerReferences", "value": [{"apiVersion": "v1", "kind": "Node", "name": "missing", "uid": "0"}]}]);
    let user = format!("Impersonate-User: system:node:{node}");
    let patch = patch.to_string();
    let args = ["-X", "PATCH", "-H", "Content-Type: application/json-patch+json", "-H", &user, "-H", "Impersonate-Group: system:nodes", "-d", &patch];
    let path = format!("/api/v1/nodes/{node}");
    refused(target.ask(&format!("{path}?dryRun=All"), &args), 403, "Forbidden", &format!("node {node:?} is not allowed to modify ownerReferences"));
    // Through its status it writes none.
    let (code, body) = target.ask(&format!("{path}/status?dryRun=All"), &args);
    assert!(code == 403 || !body.contains("\"ownerReferences\""), "{code} {body}");
}

#[test]
fn nobody_acts_as_another_without_the_right_to() {
    let Some(target) = Target::new() else { return };
    let _namespace = target.cluster.namespace("hostile-rights");
    target.cluster.kubectl("create serviceaccount weak -n hostile-rights").ok();
    let token = target.cluster.kubectl("create token weak -n hostile-rights").ok();
    let bearer = format!("Authorization: Bearer {}", token.trim());
    for name in ["system:node:vm", "system:apiserver", "system:admin", "system:serviceaccount:kube-system:default"] {
        let args = ["-H", &bearer, "-H", &format!("Impersonate-User: {name}"), "-H", "Impersonate-Group: system:masters"];
        refused(target.ask("/api/v1/secrets", &args), 403, "Forbidden", "cannot impersonate resource");
    }
    for header in ["X-Remote-User: admin", "X-Remote-Group: system:masters"] {
        refused(target.ask("/api/v1/secrets", &["-H", &bearer, "-H", header]), 403, "Forbidden", "cannot list resource \"secrets\"");
    }
    for header in ["Impersonate-Group: system:masters", "Impersonate-Uid: 0", "Impersonate-Extra-Scopes: all"] {
        assert!(target.ask("/api/v1/secrets", &["-H", &bearer, "-H", header]).0 >= 400, "{header}");
    }
    refused(target.ask("/api/v1/secrets", &["-H", "Authorization: Bearer made.up.token"]), 401, "Unauthorized", "Unauthorized");
    // The token and what a Secret holds are in no log.
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "hostile-rights"}, "stringData": {"password": "hostile-marker-3141592"}});
    target.cluster.kubectl_with("apply --server-side -f -", &secret.to_string()).ok();
    target.cluster.kubectl("patch secret s -n hostile-rights -p '{\"data\":{\"password\":\"%\"}}'").fails();
    for file in ["logs/knarr.log", "audit/audit.log"] {
        let log = std::fs::read_to_string(target.cluster.data.join(file)).unwrap_or_default();
        let encoded = "aG9zdGlsZS1tYXJrZXItMzE0MTU5Mg";
        assert!(!log.contains(token.trim()) && !log.contains("hostile-marker-3141592") && !log.contains(encoded), "{file} tells secrets");
    }
}

#[test]
fn admission_sees_ephemeral_containers() {
    let Some(target) = Target::new() else { return };
    let _namespace = target.cluster.namespace("hostile-admission");
    target.cluster.kubectl("label namespace hostile-admission pod-security.kubernetes.io/enforce=baseline").ok();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "nowhere.invalid/a"}]}});
    target.cluster.kubectl_with("create -n hostile-admission -f -", &pod.to_string()).ok();
    // The class of CVE-2023-2727.
    let patch = json!({"spec": {"ephemeralContainers": [{"name": "e", "image": "b", "securityContext": {"privileged": true}}]}});
    let path = "/api/v1/namespaces/hostile-admission/pods/a/ephemeralcontainers";
    refused(target.send("PATCH", "application/strategic-merge-patch+json", path, &patch.to_string()), 403, "Forbidden", "violates PodSecurity \"baseline:latest\": privileged");
}

#[test]
fn a_crowd_and_its_inventions_name_no_series() {
    let Some(target) = Target::new() else { return };
    // CVE-2020-8552.
    let invent = |name: &str| {
        for path in [format!("/api/v1/{name}/a"), format!("/apis/{name}.example/v1/x"), format!("/{name}"), format!("/api/v1/namespaces/default/pods/{name}/{name}")] {
            target.ask(&path, &["-A", name, "-X", &name.to_uppercase()]);
            target.ask(&path, &["-A", name]);
        }
    };
    let series = || target.ask("/metrics", &[]).1.lines().count();
    invent("first");
    series();
    let before = series();
    (0..10).for_each(|i| invent(&format!("made{i}")));
    let after = series();
    assert!(after <= before + 40, "{before} lines of metrics became {after}");
    assert!(!target.ask("/metrics", &[]).1.contains("made3"));
}
