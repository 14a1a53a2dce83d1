//! The life of an object of each kind, by kubectl and by raw requests: create, list, patch, replace, status, delete one and many.

use std::sync::Arc;

use e2e::target::Target;
use e2e::{Answers, ApiServer, Cluster, Kind, Namespace, Tunnel, Webhook, run};
use serde_json::{Value, json};

fn pods() -> Value {
    json!({"metadata": {"labels": {"app": "life"}}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "a", "image": "knarr.io/hello:1", "imagePullPolicy": "Never"}]}})
}

fn selected(kind: &str, extra: Value) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": kind, "spec": {"selector": {"matchLabels": {"app": "life"}}, "template": pods()}});
    for (key, value) in extra.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    object
}

fn condition() -> Value {
    json!({"status": {"conditions": [{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "set from e2e"}]}})
}

fn space(cluster: &Cluster) -> Namespace<'_> {
    cluster.namespace("e2e-life")
}

#[test]
fn workloads_live() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = space(&cluster);
    let of = |plural, manifest| Kind::new(&cluster, Some(&space.name), plural, manifest);
    // Nothing runs: a node with this label does not exist.
    let nowhere = {
        let mut template = pods();
        template["spec"]["nodeSelector"] = json!({"nowhere": "at-all"});
        template
    };
    let all = [
        (of("deployments", selected("Deployment", json!({"replicas": 0}))), true),
        (of("replicasets", selected("ReplicaSet", json!({"replicas": 0}))), true),
        (of("statefulsets", selected("StatefulSet", json!({"replicas": 0, "serviceName": "x"}))), true),
        (of("daemonsets", selected("DaemonSet", json!({"template": nowhere}))), true),
        (of("jobs", json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}}}})), false),
        (of("replicationcontrollers", json!({"apiVersion": "v1", "kind": "ReplicationController", "spec": {"replicas": 0, "selector": {"app": "life"}, "template": pods()}})), true),
    ];
    for (kind, status) in &all {
        kind.lives();
        if *status {
            kind.has_status(&condition(), "/status/conditions");
        }
    }
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}}}}}});
    let cron = of("cronjobs", cron);
    cron.lives();
    cron.has_status(&json!({"status": {"lastScheduleTime": "2024-01-01T00:00:00Z"}}), "/status/lastScheduleTime");
    of("podtemplates", json!({"apiVersion": "v1", "kind": "PodTemplate", "template": pods()})).lives();
    of("controllerrevisions", json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 3, "data": {"a": 1}})).lives();
    let budget = of("poddisruptionbudgets", json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "none"}}}}));
    budget.lives();
    budget.has_status(&json!({"status": {"disruptedPods": {"x": "2024-01-01T00:00:00Z"}}}), "/status/disruptedPods");
    let limits = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}});
    of("limitranges", limits).lives();
}

#[test]
fn storage_and_network_live() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-life-net");
    let of = |plural, manifest| Kind::new(&cluster, Some(&space.name), plural, manifest);
    let wide = |plural, manifest| Kind::new(&cluster, None, plural, manifest);
    let service = of("services", json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer", "loadBalancerClass": "example.com/none", "ports": [{"port": 80}]}}));
    service.lives();
    service.has_status(&json!({"status": {"conditions": [{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "set from e2e", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}), "/status/conditions");
    of("endpointslices", json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}], "ports": [{"port": 80}]})).lives();
    of("csistoragecapacities", json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity", "storageClassName": "x", "capacity": "1Gi"})).lives();
    wide("csidrivers", json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "spec": {"attachRequired": false}})).lives();
    wide("csinodes", json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "spec": {"drivers": []}})).lives();
    wide("storageclasses", json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/none"})).lives();
    let attachment = wide("volumeattachments", json!({"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "spec": {"attacher": "example.com", "nodeName": "nowhere", "source": {"persistentVolumeName": "none"}}}));
    attachment.lives();
    attachment.has_status(&json!({"status": {"attached": true}}), "/status/attached");
    let volume = wide("persistentvolumes", json!({"apiVersion": "v1", "kind": "PersistentVolume", "spec": {"storageClassName": "e2e-none", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/none"}}}));
    volume.lives();
    volume.has_status(&json!({"status": {"message": "set from e2e", "reason": "E2E"}}), "/status/message");
    let claim = of("persistentvolumeclaims", json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {"storageClassName": "e2e-none", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}));
    claim.lives();
    claim.has_status(&condition(), "/status/conditions");
    wide("nodes", json!({"apiVersion": "v1", "kind": "Node", "spec": {"unschedulable": true}})).lives();
    for (plural, kind, spec) in [
        ("deviceclasses", "DeviceClass", json!({})),
        ("resourceslices", "ResourceSlice", json!({"driver": "example.com", "pool": {"name": "a", "resourceSliceCount": 1, "generation": 1}, "allNodes": true, "devices": [{"name": "a"}]})),
    ] {
        wide(plural, json!({"apiVersion": "resource.k8s.io/v1", "kind": kind, "spec": spec})).lives();
    }
}

/// Upstream: `test/e2e/apimachinery/flowcontrol.go`.
#[test]
fn priority_and_fairness_live_and_judge() {
    let Some(target) = Target::new() else { return };
    let cluster = &target.cluster;
    let group = "flowcontrol.apiserver.k8s.io/v1";
    let listed = cluster.kubectl(&format!("get --raw /apis/{group}")).ok();
    for resource in ["flowschemas", "flowschemas/status", "prioritylevelconfigurations", "prioritylevelconfigurations/status"] {
        assert!(listed.contains(&format!("\"name\":\"{resource}\"")), "{resource}: {listed}");
    }
    let level = json!({"apiVersion": group, "kind": "PriorityLevelConfiguration", "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}}});
    let who = json!([{"kind": "User", "user": {"name": "e2e-shut-out"}}]);
    let what = json!([{"verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"], "namespaces": ["*"]}]);
    let schema = json!({"apiVersion": group, "kind": "FlowSchema", "spec": {"matchingPrecedence": 7, "priorityLevelConfiguration": {"name": "life-s"}, "rules": [{"subjects": who, "resourceRules": what}]}});
    let (level, schema) = (Kind::new(cluster, None, "prioritylevelconfigurations", level), Kind::new(cluster, None, "flowschemas", schema));
    let told = json!({"status": {"conditions": [{"type": "E2E", "status": "True", "reason": "E2E", "message": "set from e2e", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}});
    for kind in [&level, &schema] {
        kind.lives();
        kind.has_status(&told, "/status/conditions/0");
    }
    // A level without a seat refuses what its schema leads there, from the next request on.
    cluster.kubectl("create clusterrolebinding e2e-shut-out --clusterrole=view --user=e2e-shut-out").ok();
    let asks = |path: &str| target.ask(path, &["-H", "Impersonate-User: e2e-shut-out"]);
    let lists = || asks("/api/v1/namespaces/default/configmaps");
    assert_eq!(lists().0, 200);
    level.create("life-s");
    schema.create("life-s");
    assert_eq!(lists(), (429, "Too many requests, please try again later.\n".into()));
    assert_eq!(asks("/api/v1/namespaces/default/configmaps/kube-root-ca.crt").0, 200);
    cluster.kubectl("delete flowschema life-s").ok();
    assert_eq!(lists().0, 200);
    cluster.kubectl("delete prioritylevelconfiguration life-s").ok();
    cluster.kubectl("delete clusterrolebinding e2e-shut-out").ok();
}

#[test]
fn what_is_immutable_stays() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-immutable");
    for (kind, create) in [("configmap", "create configmap fixed --from-literal=a=1"), ("secret", "create secret generic fixed --from-literal=a=1")] {
        let name = &space.name;
        cluster.kubectl(&format!("{create} -n {name}")).ok();
        cluster.kubectl(&format!("patch {kind} fixed -n {name} --type=merge -p '{{\"data\":{{\"b\":\"MQ==\"}}}}'")).ok();
        cluster.kubectl(&format!("patch {kind} fixed -n {name} -p '{{\"immutable\":true}}'")).ok();
        for patch in ["{\"data\":{\"a\":\"Mg==\"}}", "{\"immutable\":false}", "{\"immutable\":null}"] {
            let error = cluster.kubectl(&format!("patch {kind} fixed -n {name} --type=merge -p '{patch}'")).fails();
            assert!(error.contains("field is immutable when `immutable` is set"), "{error}");
        }
        cluster.kubectl(&format!("label {kind} fixed still=changes -n {name}")).ok();
        cluster.kubectl(&format!("delete {kind} fixed -n {name}")).ok();
    }
}

/// Upstream: `MutablePodResourcesForSuspendedJobs` and `MutableSchedulingDirectivesForSuspendedJobs`, both on by default.
#[test]
fn jobs_at_rest_change_where_and_with_what_they_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = ApiServer::start(folder.path(), &[]) else { return };
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "resting"}, "spec": {"suspend": true, "template": template}});
    server.kubectl_with("create -f -", &job.to_string()).ok();
    let patch = |options: &str, path: &str, value: Value| {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        server.kubectl(&format!("patch job resting {options} --type=json -p {patch}"))
    };
    let pod = "/spec/template/spec";
    let (amounts, places, image) = (format!("{pod}/containers/0/resources"), format!("{pod}/nodeSelector"), format!("{pod}/containers/0/image"));
    patch("", &amounts, json!({"requests": {"cpu": "20m"}})).ok();
    patch("", &places, json!({"disk": "fast"})).ok();
    let error = patch("", &image, json!("y")).fails();
    assert!(error.contains("spec.template.spec: Invalid value") && error.contains("field is immutable"), "{error}");
    let ran = json!({"startTime": "2024-01-01T00:00:00Z", "active": 1, "ready": 0, "uncountedTerminatedPods": {}});
    patch("--subresource=status", "/status", ran).ok();
    for (path, value) in [(&amounts, json!({"requests": {"cpu": "30m"}})), (&places, json!({"disk": "slow"}))] {
        let error = patch("", path, value).fails();
        assert!(error.contains("spec.template: Invalid value") && error.contains("field is immutable"), "{error}");
    }
}

#[test]
fn changes_are_judged_by_what_stood_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = ApiServer::start(folder.path(), &["--disable-admission-plugins=ServiceAccount"]) else { return };
    let source = json!({"path": "/a", "server": "s"});
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "fixed"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "nfs": source}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fixed", "annotations": {"kubernetes.io/config.mirror": "m"}},
        "spec": {"nodeName": "n", "schedulingGroup": {"podGroupName": "g"}, "containers": [{"name": "a", "image": "x"}]}});
    server.kubectl_with("create -f -", &json!({"apiVersion": "v1", "kind": "List", "items": [volume, pod]}).to_string()).ok();
    assert_eq!(server.kubectl("get pod fixed -o jsonpath={.spec.schedulingGroup}").ok(), "");
    for (what, patch, words) in [
        ("pv", json!({"spec": {"nfs": {"path": "/b"}}}), "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"),
        ("pv", json!({"metadata": {"finalizers": ["short"]}}), "metadata.finalizers[0]: Invalid value: \"short\": name is neither a standard finalizer name nor is it fully qualified"),
        ("pod", json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "n"}}}), "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod annotation"),
        ("pod", json!({"spec": {"schedulingGates": [{"name": "g"}]}}), "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"),
    ] {
        let error = server.kubectl(&format!("patch {what} fixed --type=merge -p {patch}")).fails();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn sizes_are_read_and_set_by_the_scale() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-scale");
    for (plural, manifest, path) in [
        ("deployments", selected("Deployment", json!({"replicas": 1})), "apis/apps/v1"),
        ("replicasets", selected("ReplicaSet", json!({"replicas": 1})), "apis/apps/v1"),
        ("statefulsets", selected("StatefulSet", json!({"replicas": 1, "serviceName": "x"})), "apis/apps/v1"),
        ("replicationcontrollers", json!({"apiVersion": "v1", "kind": "ReplicationController", "spec": {"replicas": 1, "selector": {"app": "life"}, "template": pods()}}), "api/v1"),
    ] {
        let kind = Kind::new(&cluster, Some(&space.name), plural, manifest);
        kind.create("scaled");
        let raw = format!("/{path}/namespaces/{}/{plural}/scaled/scale", space.name);
        let read = || serde_json::from_str::<Value>(&cluster.kubectl(&format!("get --raw {raw}")).ok()).expect("a scale");
        let mut scale = read();
        assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
        scale["spec"]["replicas"] = json!(2);
        scale["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
        cluster.kubectl_with(&format!("replace --raw {raw} -f -"), &scale.to_string()).ok();
        assert_eq!(kind.get("scaled")["spec"]["replicas"], 2);
        cluster.kubectl(&format!("patch {plural} scaled -n {} --subresource=scale --type=merge -p '{{\"spec\":{{\"replicas\":3}}}}'", space.name)).ok();
        assert_eq!(read()["spec"]["replicas"], 3);
        cluster.kubectl(&format!("wait {plural} scaled -n {} --for=jsonpath={{.status.readyReplicas}}=3 --timeout=90s", space.name)).ok();
        cluster.kubectl(&format!("delete {plural} scaled -n {} --timeout=60s", space.name)).ok();
    }
}

/// A registered server: a Service that is another name of the loopback, and what it answers.
fn register(server: &ApiServer, group: &str, port: u16) {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": group.replace('.', "-"), "namespace": "default"}, "spec": {"type": "ExternalName", "externalName": "localhost"}});
    let registration = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": format!("v1.{group}")}, "spec": {"group": group, "version": "v1",
        "groupPriorityMinimum": 2000, "versionPriority": 10, "insecureSkipTLSVerify": true, "service": {"name": group.replace('.', "-"), "namespace": "default", "port": port}}});
    let both = json!({"apiVersion": "v1", "kind": "List", "items": [service, registration]});
    server.kubectl_with("create -f -", &both.to_string()).ok();
    server.kubectl(&format!("wait apiservice/v1.{group} --for=condition=Available --timeout=60s")).ok();
}

fn wonder_documents(path: &str) -> (u16, Value) {
    let kind = json!({"group": "wonders.example.com", "version": "v1", "kind": "Wonder"});
    let schema = json!({"description": "Wonder of the world.", "type": "object", "properties": {"age": {"type": "integer", "description": "In years.", "maximum": 5000}},
        "x-kubernetes-group-version-kind": [kind]});
    let get = |reference: &str| json!({"get": {"operationId": "listWonder", "x-kubernetes-action": "list", "responses": {"200": {"description": "OK", "schema": {"$ref": format!("#/definitions/{reference}")}}}}});
    let scheme = "#/components/schemas/com.example.Wonder";
    match path {
        "/apis/wonders.example.com/v1" => (200, json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "wonders.example.com/v1",
            "resources": [{"name": "wonders", "singularName": "wonder", "namespaced": false, "kind": "Wonder", "verbs": ["get", "list"]}]})),
        "/openapi/v2" => (200, json!({"swagger": "2.0", "paths": {"/apis/wonders.example.com/v1/wonders": get("com.example.Wonder"), "/apis/apps/v1/stolen": get("stolen")},
            "definitions": {"com.example.Wonder": schema, "io.k8s.api.core.v1.Pod": {"type": "string"}, "stolen": {"type": "string"}}})),
        "/openapi/v3" => (200, json!({"paths": {"apis/wonders.example.com/v1": {"serverRelativeURL": "/openapi/v3/apis/wonders.example.com/v1?hash=1"}}})),
        "/openapi/v3/apis/wonders.example.com/v1" => (200, json!({"openapi": "3.0.0", "info": {"title": "w", "version": "1"}, "components": {"schemas": {"com.example.Wonder": schema}},
            "paths": {"/apis/wonders.example.com/v1/wonders": {"get": {"x-kubernetes-action": "list", "x-kubernetes-group-version-kind": kind, "responses": {"200": {"content": {"application/json": {"schema": {"$ref": scheme}}}}}}}}})),
        _ => (404, json!({})),
    }
}

#[test]
fn registered_servers_are_described_and_bad_documents_harm_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = ApiServer::start(folder.path(), &[]) else { return };
    let ask = |args: &[&str]| server.ask("/openapi/v2", args);
    let (_, own) = ask(&[]);
    let good = Webhook::start(Arc::new(|path, _| wonder_documents(path)));
    register(&server, "wonders.example.com", good.port);
    assert!(good.asked.iter().any(|(path, _)| path == "/openapi/v2"));
    let merged = (0..500).map(|_| ask(&[]).1).find(|text| text.contains("com.example.Wonder")).expect("the document is merged");
    let merged: Value = serde_json::from_str(&merged).expect("JSON");
    let own: Value = serde_json::from_str(&own).expect("JSON");
    assert_eq!(merged["definitions"]["com.example.Wonder"]["properties"]["age"]["maximum"], 5000);
    // What nothing refers to is kept; it differs from this server's own, so it has another name.
    assert_eq!((&merged["definitions"]["io.k8s.api.core.v1.Pod"], &merged["definitions"]["io.k8s.api.core.v1.Pod_v2"]), (&own["definitions"]["io.k8s.api.core.v1.Pod"], &json!({"type": "string"})));
    assert!(merged["paths"]["/apis/wonders.example.com/v1/wonders"].is_object() && merged["paths"]["/apis/apps/v1/stolen"].is_null() && merged["definitions"]["stolen"].is_null());
    let (_, head) = ask(&["-D", "-", "-o", "/dev/null"]);
    let tag = head.lines().find_map(|l| l.strip_prefix("etag: ")).expect("a tag").trim().to_owned();
    assert_eq!(ask(&["-H", &format!("If-None-Match: {tag}")]).0, 304);
    let (_, media, wire) = server.curl_bytes("/openapi/v2", &["-H", "Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf"], b"");
    assert!(media.contains("protobuf") && wire.windows(18).any(|w| w == b"com.example.Wonder"));
    // A server of the second version alone is described in the third here.
    let old = Webhook::start(Arc::new(|path, _| match path {
        "/openapi/v3" => (404, json!({})),
        path => {
            let (code, answer) = wonder_documents(&path.replace("relics", "wonders"));
            (code, serde_json::from_str(&answer.to_string().replace("wonders.example.com", "relics.example.com")).expect("JSON"))
        }
    }));
    register(&server, "relics.example.com", old.port);
    let index = (0..500).map(|_| server.ask("/openapi/v3", &[]).1).find(|text| text.contains("apis/relics.example.com/v1")).expect("it is listed");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let third = server.ask(index["paths"]["apis/relics.example.com/v1"]["serverRelativeURL"].as_str().expect("an address"), &[]).1;
    let third: Value = serde_json::from_str(&third).expect("JSON");
    let schema = &third["paths"]["/apis/relics.example.com/v1/wonders"]["get"]["responses"]["200"]["content"]["*/*"]["schema"]["$ref"];
    assert_eq!((schema, &third["components"]["schemas"]["com.example.Wonder"]["properties"]["age"]["maximum"]), (&json!("#/components/schemas/com.example.Wonder"), &json!(5000)));
    let merged: Value = serde_json::from_str(&ask(&[]).1).expect("JSON");

    let explained = server.kubectl("explain wonder.age --api-version=wonders.example.com/v1").ok();
    assert!(explained.contains("In years."), "{explained}");

    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let hostile: [(&str, Answers); 3] = [
        ("huge", Arc::new(|path, _| if path == "/openapi/v2" { (200, Value::String(format!("{{\"paths\": {{\"{}\"", "x".repeat(20 << 20)))) } else { (200, json!({})) })),
        ("deep", Arc::new(|path, _| if path == "/openapi/v2" { (200, Value::String(format!("{{\"paths\": {{\"/apis/deep.example.com/v1/x\": {}", "[".repeat(4 << 20)))) } else { (200, json!({})) })),
        ("slow", Arc::new(move |path, _| {
            if path == "/openapi/v2" {
                let _ = held.lock().map(|held| held.recv());
            }
            (200, json!({}))
        })),
    ];
    for (name, answers) in hostile {
        let webhook = Webhook::start(answers);
        register(&server, &format!("{name}.example.com"), webhook.port);
        // A slow one tells nothing before it answers.
        assert!(name == "slow" || webhook.asked.iter().any(|(path, _)| path == "/openapi/v2"));
    }
    let (code, text) = ask(&[]);
    let after: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, after == merged), (200, true));
    drop(release);
}

/// Upstream: `pkg/server/egressselector`.
#[test]
fn calls_go_through_the_proxies_of_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("proxy.sock");
    let file = folder.path().join("egress.json");
    let (cluster, plane) = (Tunnel::on_socket(&socket), Tunnel::on_port());
    let connect = |transport: Value| json!({"proxyProtocol": "HTTPConnect", "transport": transport});
    let configuration = |selections: Value| {
        let text = json!({"apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration", "egressSelections": selections}).to_string();
        std::fs::write(&file, text).expect("the configuration is written");
    };
    let flag = format!("--egress-selector-config-file={}", file.display());
    configuration(json!([{"name": "cluster", "connection": connect(json!({"uds": {"udsName": socket}}))},
        {"name": "controlplane", "connection": connect(json!({"tcp": {"url": format!("http://127.0.0.1:{}", plane.port)}}))},
        {"name": "etcd", "connection": {"proxyProtocol": "Direct"}}]));
    let Some(server) = ApiServer::start(folder.path(), &[&flag]) else { return };

    // A registered server is a service of the cluster; a webhook by its address is of the control plane.
    let wonders = Webhook::start(Arc::new(|path, _| wonder_documents(path)));
    register(&server, "wonders.example.com", wonders.port);
    assert_eq!(cluster.asked.recv().as_deref(), Ok(&*format!("localhost:{}", wonders.port)));
    let judge = Webhook::start(Arc::new(|_, review| (200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": review["request"]["uid"], "allowed": true}}))));
    let hook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "judge"}, "webhooks": [{"name": "judge.example.com",
        "clientConfig": judge.client_config("/judge"), "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}], "sideEffects": "None", "admissionReviewVersions": ["v1"]}]});
    server.kubectl_with("create -f -", &hook.to_string()).ok();
    server.kubectl("create configmap judged").ok();
    assert_eq!(plane.asked.recv().as_deref(), Ok(&*format!("localhost:{}", judge.port)));

    // So are nodes and pods; what the proxy refuses is told.
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "far"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.99.0.1"}]}});
    server.kubectl_with("create -f -", &node.to_string()).ok();
    let refused = server.kubectl("get --raw /api/v1/nodes/far/proxy/healthz").fails();
    let why = format!("proxy error from {} while dialing 10.99.0.1:10250, code 403: 403 Forbidden", socket.display());
    assert!(refused.contains(&why), "{refused}");
    assert!(cluster.asked.iter().any(|target| target == "10.99.0.1:10250"));

    configuration(json!([{"name": "nodes", "connection": {"proxyProtocol": "Direct"}}]));
    let refused = ApiServer::refuses(folder.path(), &[&flag]);
    assert!(refused.contains("failed to validate egress selector configuration: service.connection: Unsupported value: \"nodes\""), "{refused}");
    configuration(json!([{"name": "cluster", "connection": {"proxyProtocol": "GRPC", "transport": {"uds": {"udsName": socket}}}}]));
    let refused = ApiServer::refuses(folder.path(), &[&flag]);
    assert!(refused.contains("protocol GRPC is not served: let the proxy serve HTTPConnect"), "{refused}");
}

#[test]
fn what_is_served_and_how_follows_the_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["--bind-address=127.0.0.1", "--external-hostname=api.example.com", "--tls-min-version=VersionTLS13", "--disable-http2-serving", "--cors-allowed-origins=//example[.]com(:|$)", "--service-node-port-range=31000-31001",
        "--runtime-config=autoscaling/v1=false,batch/v1/cronjobs=false", "--enable-priority-and-fairness=false", "--max-requests-inflight=1", "--livez-grace-period=10s"];
    let Some(mut server) = ApiServer::start(folder.path(), &flags) else { return };
    assert!(server.ask("/api", &[]).1.contains("api.example.com:"));
    let old = run(std::process::Command::new("curl").args(["-sS", "--tls-max", "1.2", "--cacert", &server.pki("ca.crt"), &server.url("/version")]), "").fails();
    assert!(old.contains("protocol version"), "{old}");
    assert_eq!(server.ask("/version", &["--http2", "-o", "/dev/null", "-w", "%{http_version}\n%{http_code}"]).1.lines().next(), Some("1.1"));
    let named = run(std::process::Command::new("openssl").args(["s_client", "-connect", &format!("127.0.0.1:{}", server.port), "-verify_hostname", "api.example.com", "-CAfile", &server.pki("ca.crt")]), "").out;
    assert!(named.contains("Verify return code: 0 (ok)"), "{named}");

    // What upstream does after it began to serve is done before.
    for check in ["/readyz/poststarthook/rbac/bootstrap-roles", "/livez/autoregister-completion", "/healthz/etcd", "/readyz/informer-sync"] {
        assert_eq!(server.ask(check, &[]), (200, "ok".into()), "{check}");
    }
    assert_eq!(server.ask("/livez/etcd-readiness", &[]).0, 404);
    let slis = server.kubectl("get --raw /metrics/slis").ok();
    assert!(slis.contains("kubernetes_healthcheck{name=\"etcd\",type=\"healthz\"} 1\n") && slis.contains("kubernetes_healthchecks_total{name=\"autoregister-completion\",status=\"success\",type=\"livez\"} 1\n"), "{slis}");
    let (code, head) = server.curl("/api/v1/nodes", &["-X", "OPTIONS", "-H", "Origin: https://example.com", "-D", "-"], "");
    assert!(code == 204 && head.contains("access-control-allow-origin: https://example.com") && head.contains("access-control-allow-credentials: true"), "{code} {head}");
    assert!(!server.ask("/api/v1/nodes", &["-H", "Origin: https://example.com.evil", "-D", "-"]).1.contains("access-control"));

    assert_eq!((server.ask("/apis/autoscaling/v1", &[]).0, server.ask("/apis/autoscaling/v2", &[]).0, server.ask("/apis/batch/v1/cronjobs", &[]).0, server.ask("/apis/batch/v1/jobs", &[]).0), (404, 200, 404, 200));
    let refused = server.kubectl("create service nodeport a --tcp=80 --node-port=30000").fails();
    assert!(refused.contains("provided port is not in the valid range. The range of valid ports is 31000-31001"), "{refused}");
    server.kubectl("create service nodeport a --tcp=80").ok();
    server.kubectl("create service nodeport b --tcp=80").ok();
    assert!(server.kubectl("create service nodeport c --tcp=80").fails().contains("range is full"));

    // One read at a time, but for administrators; a registered server holds the one.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let slow = Webhook::start(Arc::new(move |path, _| {
        if path.ends_with("/wait") {
            let _ = held.lock().map(|held| held.recv());
        }
        (200, json!({"kind": "APIResourceList", "groupVersion": "slow.example.com/v1", "resources": []}))
    }));
    register(&server, "slow.example.com", slow.port);
    let eva = || server.ask("/api/v1/nodes", &["-H", "Impersonate-User: eva", "-D", "-"]);
    assert_eq!(eva().0, 403);
    let mut waits = server.watch("get --raw /apis/slow.example.com/v1/wait");
    let (code, answer) = (0..500).map(|_| eva()).find(|(code, _)| *code != 403).expect("the place is taken");
    assert!(code == 429 && answer.contains("retry-after: 1") && answer.contains("Too many requests, please try again later."), "{code} {answer}");
    assert_eq!(server.ask("/api/v1/nodes", &[]).0, 200);
    release.send(()).expect("it waits");
    waits.until("APIResourceList");
    waits.rest();
    assert_eq!(eva().0, 403);

    server.restart(&["--goaway-chance=0.02", "--disable-http2-serving=false", "--tls-min-version=VersionTLS12", "--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]);
    let cipher = server.ask("/version", &["-v", "--tls-max", "1.2", "--tls13-ciphers", "", "--stderr", "-"]).1;
    assert!(cipher.contains("ECDHE-ECDSA-AES256-GCM-SHA384"), "{cipher}");
    let connections = server.ask("/version?[1-1000]", &["--http2", "-o", "/dev/null", "-w", "\n%{num_connects}\n%{http_code}"]).1;
    let count = connections.lines().filter(|made| *made == "1").count();
    assert!((2..200).contains(&count), "a thousand requests over {count} connections");
}

/// The plug-ins of quotas and of webhooks, and what is counted of match conditions.
/// What dashboards read is there under upstream's names, and every sample belongs to a described family.
fn series_are_told(server: &ApiServer) {
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"}, "spec": {"validations": [{"expression": "object.metadata.name != 'd'"}],
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}]}}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": ["Deny"]}});
    server.kubectl_with("create -f -", &policy.to_string()).ok();
    server.kubectl_with("create -f -", &binding.to_string()).ok();
    assert!(server.kubectl("create configmap d").fails().contains("'p' with binding 'b' denied request"));
    server.kubectl("get configmaps").ok();
    assert_eq!(server.ask("/api/v1/nodes", &["-H", "Impersonate-User: eva"]).0, 403);

    server.kubectl("get --raw /api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=1").ok();
    server.kubectl_with("apply --server-side -f -", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}).to_string()).ok();
    assert_eq!(server.curl("/api/v1/nodes", &["-H", "Authorization: Bearer wrong"], "").0, 401);

    let text = server.kubectl("get --raw /metrics").ok();
    let configmaps = |verb: &str, scope: &str| format!("component=\"apiserver\",group=\"\",resource=\"configmaps\",scope=\"{scope}\",subresource=\"\",verb=\"{verb}\",version=\"v1\"");
    let flow = "flow_schema=\"global-default\",priority_level=\"global-default\"";
    for series in [
        format!("apiserver_response_sizes_count{{{}}} 1", configmaps("LIST", "namespace")),
        format!("apiserver_request_sli_duration_seconds_count{{{}}} 4", configmaps("POST", "resource")),
        format!("apiserver_request_sli_duration_seconds_count{{{}}} 1", configmaps("APPLY", "resource")),
        "apiserver_admission_step_admission_duration_seconds_count{operation=\"CREATE\",rejected=\"true\",type=\"validate\"} 1".into(),
        "apiserver_admission_controller_admission_duration_seconds_count{name=\"ValidatingAdmissionPolicy\",operation=\"CREATE\",rejected=\"true\",type=\"validate\"} 1".into(),
        "apiserver_validating_admission_policy_check_total{enforcement_action=\"deny\",error_type=\"invalid_error\",policy=\"p\",policy_binding=\"b\"} 1".into(),
        format!("apiserver_flowcontrol_dispatched_requests_total{{{flow}}} 1"),
        format!("apiserver_flowcontrol_current_executing_requests{{{flow}}} 0"),
        format!("apiserver_flowcontrol_request_wait_duration_seconds_count{{execute=\"true\",{flow}}} 1"),
        "apiserver_flowcontrol_current_executing_requests{flow_schema=\"exempt\",priority_level=\"exempt\"} 1".into(),
        "apiserver_flowcontrol_nominal_limit_seats{priority_level=\"exempt\"} 0".into(),
        "apiserver_watch_events_total{group=\"\",resource=\"configmaps\",version=\"v1\"} 3".into(),
        "apiserver_watch_events_sizes_bucket{group=\"\",resource=\"configmaps\",version=\"v1\",le=\"1024\"} 3".into(),
        "authentication_attempts{result=\"error\"} 1".into(),
        "authorization_attempts_total{result=\"no-opinion\"} 1".into(),
        "apiserver_audit_requests_rejected_total 0".into(),
        "apiserver_tls_handshake_errors_total 0".into(),
    ] {
        assert!(text.lines().any(|line| line == series), "{series}\n{text}");
    }
    let (mut helped, mut typed) = (String::new(), String::new());
    for line in text.lines() {
        match line.splitn(4, ' ').collect::<Vec<_>>().as_slice() {
            ["#", "HELP", name, _] => helped = (*name).to_owned(),
            ["#", "TYPE", name, "counter" | "gauge" | "histogram"] => typed = (*name).to_owned(),
            _ => assert!(!typed.is_empty() && helped == typed && line.starts_with(&typed) && line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}"),
        }
    }
}

#[test]
fn admission_is_configured_by_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let hook = Webhook::start(Arc::new(|_, review| (200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": review["request"]["uid"], "allowed": true}}))));
    let users = folder.path().join("users.kubeconfig");
    let of_hook = json!({"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": {"token": "for-anybody"}}, {"name": format!("localhost:{}", hook.port), "user": {"token": "for-the-hook"}}]});
    std::fs::write(&users, of_hook.to_string()).expect("a file");
    let version = "apiserver.config.k8s.io/v1";
    let plugins = json!({"apiVersion": version, "kind": "AdmissionConfiguration", "plugins": [
        {"name": "ValidatingAdmissionWebhook", "configuration": {"apiVersion": version, "kind": "WebhookAdmissionConfiguration", "kubeConfigFile": users}},
        {"name": "ResourceQuota", "configuration": {"apiVersion": version, "kind": "ResourceQuotaConfiguration", "limitedResources": [{"resource": "persistentvolumeclaims", "matchContains": [".storageclass."]},
            {"resource": "pods", "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}]}]}}]});
    let file = folder.path().join("admission.yaml");
    std::fs::write(&file, plugins.to_string()).expect("a file");
    let Some(server) = ApiServer::start(folder.path(), &[&format!("--admission-control-config-file={}", file.display())]) else { return };

    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "hook"}, "webhooks": [{"name": "hook.example.com", "admissionReviewVersions": ["v1"],
        "sideEffects": "None", "clientConfig": hook.client_config("/"), "matchConditions": [{"name": "not-b", "expression": "object.metadata.name != 'b'"}, {"name": "not-c", "expression": "object.metadata.name != 'c' || object.data.none == 'x'"}],
        "failurePolicy": "Ignore", "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}]}]});
    server.kubectl_with("create -f -", &configuration.to_string()).ok();
    for name in ["a", "b", "c"] {
        server.kubectl(&format!("create configmap {name} --from-literal=k=v")).ok();
    }
    let heads: Vec<String> = hook.heads.try_iter().collect();
    assert!(heads.len() == 1 && heads[0].to_lowercase().contains("authorization: bearer for-the-hook"), "{heads:?}");
    let metrics = server.kubectl("get --raw /metrics").ok();
    for (name, count) in [("exclusions_total", 1), ("evaluation_errors_total", 1), ("evaluation_seconds_count", 3)] {
        let line = format!("apiserver_admission_match_condition_{name}{{kind=\"webhook\",name=\"hook.example.com\",operation=\"CREATE\",type=\"validating\"}} {count}");
        assert!(metrics.contains(&line), "{line}");
    }

    assert!(metrics.contains("apiserver_admission_webhook_admission_duration_seconds_count{name=\"hook.example.com\",operation=\"CREATE\",rejected=\"false\",type=\"validating\"} 1\n"));
    series_are_told(&server);

    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "default"}, "spec": {"storageClassName": "gold", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}).to_string();
    let refused = server.kubectl_with("create -f -", &claim).fails();
    assert!(refused.contains("persistentvolumeclaims \"c\" is forbidden: insufficient quota to consume: gold.storageclass.storage.k8s.io/persistentvolumeclaims,gold.storageclass.storage.k8s.io/requests.storage"), "{refused}");
    let (claims, storage) = ("gold.storageclass.storage.k8s.io/persistentvolumeclaims", "gold.storageclass.storage.k8s.io/requests.storage");
    server.kubectl(&format!("create quota q --hard={claims}=1,{storage}=1Gi")).ok();
    let status = json!({"status": {"hard": {claims: "1", storage: "1Gi"}, "used": {claims: "0", storage: "0"}}});
    server.kubectl(&format!("patch resourcequota q --subresource=status --type=merge -p {status}")).ok();
    server.kubectl_with("create -f -", &claim).ok();
    server.kubectl("create serviceaccount default").ok();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": {"priorityClassName": "system-cluster-critical", "containers": [{"name": "c", "image": "none"}]}}).to_string();
    let refused = server.kubectl_with("create -f -", &pod).fails();
    assert!(refused.contains("insufficient quota to match these scopes: [{PriorityClass In [system-cluster-critical]}]"), "{refused}");
}
