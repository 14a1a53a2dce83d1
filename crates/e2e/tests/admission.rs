//! Extension by others, live: webhooks, policies in CEL, registered API servers.
//!
//! Upstream: `test/e2e/apimachinery/webhook.go`, `validatingadmissionpolicy.go`, `mutatingadmissionpolicy.go`.

use std::sync::Arc;

use base64::Engine as _;
use e2e::{ApiServer, Cluster, Namespace, Webhook};
use serde_json::{Value, json};

const HOOKED: &str = "kubernetes.io/metadata.name";

/// Cleans up what has no namespace, also when a test fails.
struct Cleaned<'a>(&'a Cluster, &'static str);

impl Drop for Cleaned<'_> {
    fn drop(&mut self) {
        self.0.kubectl(&format!("delete --ignore-not-found {}", self.1));
    }
}

fn review(request: &Value, response: Value) -> (u16, Value) {
    let mut response = response;
    response["uid"] = request["request"]["uid"].clone();
    (200, json!({"apiVersion": request["apiVersion"], "kind": "AdmissionReview", "response": response}))
}

fn patch(request: &Value, operations: Value) -> (u16, Value) {
    let patch = base64::prelude::BASE64_STANDARD.encode(operations.to_string());
    review(request, json!({"allowed": true, "patchType": "JSONPatch", "patch": patch}))
}

/// What the webhooks of these tests do, by path.
fn webhook() -> Webhook {
    Webhook::start(Arc::new(|path, request| match path {
        "/deny" => review(request, json!({"allowed": false, "status": {"message": "not here", "code": 403, "reason": "Forbidden"}})),
        "/warn" => review(request, json!({"allowed": true, "warnings": ["think twice"]})),
        "/first" => {
            let rounds = request["request"]["object"]["metadata"]["annotations"]["rounds"].as_str().unwrap_or_default().to_owned();
            patch(request, json!([{"op": "add", "path": "/metadata/annotations", "value": {"rounds": format!("{rounds}1"), "second": request["request"]["object"]["metadata"]["annotations"]["second"]}}]))
        }
        "/second" => patch(request, json!([{"op": "add", "path": "/metadata/annotations/second", "value": "yes"}])),
        "/redirect" => (302, json!({"location": "https://localhost:1/"})),
        "/broken" => patch(request, json!([{"op": "remove", "path": "/spec/nothing"}])),
        "/huge" => patch(request, (0..10_001).map(|i| json!({"op": "add", "path": format!("/metadata/labels/l{i}"), "value": "x"})).collect()),
        _ => review(request, json!({"allowed": true})),
    }))
}

/// A configuration of one kind with webhooks of (name, path, resources, further fields).
fn configuration(hook: &Webhook, kind: &str, name: &str, namespace: &str, webhooks: &[(&str, &str, &[&str], Value)]) -> String {
    let webhooks: Vec<Value> = webhooks
        .iter()
        .map(|(name, path, resources, more)| {
            let mut webhook = json!({"name": format!("{name}.hooks.test"), "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": hook.client_config(path),
                "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": resources}], "namespaceSelector": {"matchLabels": {HOOKED: namespace}}});
            for (key, value) in more.as_object().into_iter().flatten() {
                webhook[key] = value.clone();
            }
            webhook
        })
        .collect();
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "webhooks": webhooks}).to_string()
}

fn config_map(cluster: &Cluster, namespace: &Namespace<'_>, name: &str) -> e2e::Ran {
    cluster.kubectl(&format!("create configmap {name} -n {} --from-literal=a=b", namespace.name))
}

#[test]
fn webhooks_decide_on_the_next_request() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let (hook, namespace) = (webhook(), cluster.namespace("hooked"));
    let _clean = Cleaned(&cluster, "validatingwebhookconfiguration/e2e-deny");
    let apply = |path: &str, more: Value| {
        let manifest = configuration(&hook, "ValidatingWebhookConfiguration", "e2e-deny", "hooked", &[("a", path, &["configmaps", "pods/eviction", "pods/exec"], more)]);
        cluster.kubectl_with("apply -f -", &manifest).ok();
    };
    apply("/deny", json!({}));
    let denied = config_map(&cluster, &namespace, "x").fails();
    assert!(denied.contains("admission webhook \"a.hooks.test\" denied the request: not here"), "{denied}");
    apply("/warn", json!({}));
    let warned = config_map(&cluster, &namespace, "x");
    assert!(warned.err.contains("Warning: think twice"), "{warned:?}");
    let (target, asked) = hook.asked.try_iter().last().expect("the webhook was asked");
    assert_eq!((target.as_str(), &asked["request"]["operation"], &asked["request"]["object"]["data"]["a"]), ("/warn?timeout=10s", &json!("CREATE"), &json!("b")));
    assert!(asked["request"]["object"]["metadata"].get("uid").is_some() && asked["request"]["options"]["kind"] == "CreateOptions");
    // Nothing is followed, nothing waits for ever, and the failure policy decides.
    apply("/redirect", json!({}));
    let redirected = config_map(&cluster, &namespace, "y").fails();
    assert!(redirected.contains("the server responded with the status code 302 but did not return more information"), "{redirected}");
    apply("/redirect", json!({"failurePolicy": "Ignore"}));
    config_map(&cluster, &namespace, "y").ok();
    cluster.kubectl("delete validatingwebhookconfiguration e2e-deny").ok();
    config_map(&cluster, &namespace, "z").ok();
}

#[test]
fn mutating_webhooks_see_each_other_and_are_called_again() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let (hook, namespace) = (webhook(), cluster.namespace("mutated"));
    let _clean = Cleaned(&cluster, "mutatingwebhookconfiguration/e2e-mutate");
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    let hooks: &[(&str, &str, &[&str], Value)] = &[("a", "/first", &["configmaps"], again), ("b", "/second", &["configmaps"], json!({}))];
    cluster.kubectl_with("apply -f -", &configuration(&hook, "MutatingWebhookConfiguration", "e2e-mutate", "mutated", hooks)).ok();
    config_map(&cluster, &namespace, "x").ok();
    let made = cluster.object("get configmap x -n mutated");
    assert_eq!(made["metadata"]["annotations"], json!({"rounds": "11", "second": "yes"}));
    let order: Vec<String> = hook.asked.try_iter().map(|(target, _)| target.split('?').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(order, ["/first", "/second", "/first"]);
    // Patches that do not apply, or are too large, fail the request.
    for (path, words) in [("/broken", "Internal error occurred"), ("/huge", "The allowed maximum operations in a JSON patch is 10000, got 10001")] {
        cluster.kubectl_with("apply -f -", &configuration(&hook, "MutatingWebhookConfiguration", "e2e-mutate", "mutated", &[("a", path, &["configmaps"], json!({}))])).ok();
        let refused = config_map(&cluster, &namespace, "y").fails();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn match_conditions_choose_requests() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let (hook, namespace) = (webhook(), cluster.namespace("conditioned"));
    let _clean = Cleaned(&cluster, "mutatingwebhookconfiguration/e2e-conditions validatingwebhookconfiguration/e2e-conditions");
    let manifest = |kind: &str, expression: &str| {
        let conditions = json!({"matchConditions": [{"name": "one", "expression": expression}]});
        configuration(&hook, kind, "e2e-conditions", "conditioned", &[("a", "/second", &["configmaps"], conditions)])
    };
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let refused = cluster.kubectl_with("apply -f -", &manifest(kind, "... [] bad expression")).fails();
        assert!(refused.contains("webhooks[0].matchConditions[0].expression") && refused.contains("compilation failed"), "{refused}");
    }
    cluster.kubectl_with("apply -f -", &manifest("MutatingWebhookConfiguration", "object.metadata.name != 'skip-me'")).ok();
    let stored = cluster.object("get mutatingwebhookconfiguration e2e-conditions");
    assert_eq!(stored["webhooks"][0]["matchConditions"], json!([{"name": "one", "expression": "object.metadata.name != 'skip-me'"}]));
    // The patch needs annotations to be there: a request that is not skipped fails, one that is skipped does not.
    config_map(&cluster, &namespace, "skip-me").ok();
    config_map(&cluster, &namespace, "take-me").fails();
    cluster.kubectl_with("apply -f -", &manifest("MutatingWebhookConfiguration", "request.userInfo.username == 'nobody'")).ok();
    config_map(&cluster, &namespace, "take-me").ok();
}

/// A policy about new deployments of a namespace, and its binding.
fn policy(kind: &str, namespace: &str, spec: Value) -> String {
    let mut spec = spec;
    spec["failurePolicy"] = "Fail".into();
    spec["matchConstraints"] = json!({"namespaceSelector": {"matchLabels": {HOOKED: namespace}},
        "resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}]});
    let binding_spec = if kind.starts_with("Validating") { json!({"policyName": "e2e-policy", "validationActions": ["Deny"]}) } else { json!({"policyName": "e2e-policy"}) };
    let meta = json!({"name": "e2e-policy"});
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}Binding"), "metadata": meta, "spec": binding_spec});
    json!({"apiVersion": "v1", "kind": "List", "items": [policy, binding]}).to_string()
}

#[test]
fn validating_policies_judge_deployments() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let _namespace = cluster.namespace("ruled");
    let _clean = Cleaned(&cluster, "validatingadmissionpolicy/e2e-policy validatingadmissionpolicybinding/e2e-policy");
    let spec = json!({"variables": [{"name": "replicas", "expression": "object.spec.replicas"}, {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"}],
        "validations": [{"expression": "variables.replicas > 1", "messageExpression": "'wants more than 1 replica, got ' + string(variables.replicas)"}, {"expression": "variables.oddReplicas"}]});
    cluster.kubectl_with("apply -f -", &policy("ValidatingAdmissionPolicy", "ruled", spec)).ok();
    let one = cluster.kubectl("create deployment one -n ruled --image=none --replicas=1").fails();
    assert!(one.contains("ValidatingAdmissionPolicy 'e2e-policy' with binding 'e2e-policy' denied request: wants more than 1 replica, got 1"), "{one}");
    let two = cluster.kubectl("create deployment two -n ruled --image=none --replicas=2").fails();
    assert!(two.contains("denied request: failed expression: variables.oddReplicas"), "{two}");
    cluster.kubectl("create deployment three -n ruled --image=none --replicas=3").ok();
    cluster.kubectl("create deployment free -n default --image=none --replicas=1 --dry-run=server").ok();
    // What does not fit its types is told in the status.
    let told = "jsonpath={.status.observedGeneration}={.metadata.generation} {.status.typeChecking}";
    cluster.kubectl("wait validatingadmissionpolicy e2e-policy --for=jsonpath={.status.observedGeneration}=1 --timeout=30s").ok();
    assert_eq!(cluster.kubectl(&format!("get validatingadmissionpolicy e2e-policy -o '{told}'")).ok(), "1=1 {}");
    // All ways to a policy: read, patched, its status, deleted together.
    cluster.kubectl("patch validatingadmissionpolicy e2e-policy --type=merge -p '{\"metadata\":{\"annotations\":{\"patched\":\"true\"}}}'").ok();
    cluster.kubectl("patch validatingadmissionpolicy e2e-policy --subresource=status --type=merge -p '{\"status\":{\"conditions\":[{\"type\":\"X\",\"status\":\"False\",\"reason\":\"Set\",\"message\":\"by test\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}'").ok();
    let stored = cluster.object("get validatingadmissionpolicy e2e-policy");
    assert_eq!((&stored["metadata"]["annotations"]["patched"], &stored["status"]["conditions"][0]["reason"]), (&json!("true"), &json!("Set")));
    cluster.kubectl("delete validatingadmissionpolicybinding e2e-policy").ok();
    cluster.kubectl("create deployment one -n ruled --image=none --replicas=1").ok();
}

#[test]
fn mutating_policies_change_deployments() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let _namespace = cluster.namespace("changed");
    let _clean = Cleaned(&cluster, "mutatingadmissionpolicy/e2e-policy mutatingadmissionpolicybinding/e2e-policy");
    let spec = json!({"reinvocationPolicy": "Never", "mutations": [
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{metadata: Object.metadata{labels: {'by': 'policy'}}, spec: Object.spec{replicas: object.spec.replicas + 1}}"}},
        {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: string(object.spec.replicas)}]"}}]});
    cluster.kubectl_with("apply -f -", &policy("MutatingAdmissionPolicy", "changed", spec)).ok();
    cluster.kubectl("create deployment one -n changed --image=none --replicas=1").ok();
    let made = cluster.object("get deployment one -n changed");
    assert_eq!((&made["spec"]["replicas"], &made["metadata"]["labels"]["by"], &made["metadata"]["labels"]["a/b"]), (&json!(2), &json!("policy"), &json!("2")));
}

#[test]
fn registered_servers_are_listed_and_told_when_they_are_not_there() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let _clean = Cleaned(&cluster, "apiservice/v1.e2e.example.com");
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.e2e.example.com"},
        "spec": {"group": "e2e.example.com", "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 10, "insecureSkipTLSVerify": true, "service": {"name": "missing", "namespace": "default"}}});
    cluster.kubectl_with("apply -f -", &service.to_string()).ok();
    cluster.kubectl("wait apiservice/v1.e2e.example.com --for=condition=Available=False --timeout=30s").ok();
    let listed = cluster.kubectl("get apiservice v1.e2e.example.com v1.apps --no-headers").ok();
    assert!(listed.contains("default/missing   False (ServiceNotFound)") && listed.contains("Local") && listed.contains("True"), "{listed}");
    let unavailable = cluster.kubectl("get --raw /apis/e2e.example.com/v1").fails();
    assert!(unavailable.contains("the server is currently unable to handle the request"), "{unavailable}");
    let groups = cluster.kubectl("get --raw /apis").ok();
    assert!(groups.contains("e2e.example.com/v1"), "{groups}");
    let trust = cluster.object("get configmap extension-apiserver-authentication -n kube-system");
    for key in ["client-ca-file", "requestheader-client-ca-file", "requestheader-allowed-names", "requestheader-username-headers"] {
        assert!(trust["data"][key].as_str().is_some_and(|v| !v.is_empty()), "no {key}");
    }
}

/// A server of its own with the plug-ins that are off otherwise.
#[test]
fn plug_ins_that_are_off_work_once_they_are_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let hook = Webhook::start(Arc::new(|_, review| {
        let image = review["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned();
        let status = if image.ends_with(":latest") { json!({"allowed": false, "reason": "latest is not allowed"}) } else { json!({"allowed": true, "auditAnnotations": {"seen": image}}) };
        (200, json!({"apiVersion": review["apiVersion"], "kind": "ImageReview", "status": status}))
    }));
    let client = hook.client_config("/images");
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "c", "cluster": {"server": client["url"], "certificate-authority-data": client["caBundle"]}}]});
    std::fs::write(folder.path().join("images.kubeconfig"), kubeconfig.to_string()).expect("a file");
    let plugins = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": [
        {"name": "ImagePolicyWebhook", "configuration": {"imagePolicy": {"kubeConfigFile": "images.kubeconfig", "allowTTL": 60, "retryBackoff": 1}}},
        {"name": "PodNodeSelector", "configuration": {"podNodeSelectorPluginConfig": {"clusterDefaultNodeSelector": "env=dev", "tight": "env=prod"}}},
        {"name": "PodTolerationRestriction", "configuration": {"apiVersion": "podtolerationrestriction.admission.k8s.io/v1alpha1", "kind": "Configuration", "whitelist": [{"operator": "Exists", "effect": "NoExecute"}, {"key": "gpu", "operator": "Exists"}]}}]});
    let file = folder.path().join("plugins.json");
    std::fs::write(&file, plugins.to_string()).expect("a file");
    let (on, config) = ("--enable-admission-plugins=NamespaceAutoProvision,NamespaceExists,PodNodeSelector,PodTolerationRestriction,ImagePolicyWebhook,OwnerReferencesPermissionEnforcement,AlwaysPullImages", format!("--admission-control-config-file={}", file.display()));
    let Some(mut server) = ApiServer::start(folder.path(), &[on, &config, "--disable-admission-plugins=ServiceAccount"]) else { return };
    let pod = |name: &str, image: &str, more: Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": image}]});
        more.as_object().into_iter().flatten().for_each(|(key, value)| spec[key] = value.clone());
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}).to_string()
    };
    let create = |namespace: &str, manifest: &str| server.kubectl_with(&format!("create -n {namespace} -f -"), manifest);
    // The namespace comes with what is created in it, and its pods are given its nodes.
    create("fresh", &pod("a", "app:1", json!({}))).ok();
    assert_eq!(server.kubectl("get pod a -n fresh -o jsonpath={.spec.nodeSelector}").ok(), "{\"env\":\"dev\"}");
    let (path, review) = hook.asked.recv().expect("a review");
    assert_eq!((path.as_str(), &review["kind"], &review["spec"]), ("/images", &json!("ImageReview"), &json!({"containers": [{"image": "app:1"}], "namespace": "fresh"})));
    create("fresh", &pod("b", "app:1", json!({}))).ok();
    let refused = create("fresh", &pod("c", "app:latest", json!({}))).fails();
    assert!(refused.contains("pods \"c\" is forbidden: image policy webhook backend denied one or more images: latest is not allowed"), "{refused}");
    // The answer about app:1 was kept: only the other image was asked about.
    assert_eq!(hook.asked.recv().expect("a review").1["spec"]["containers"], json!([{"image": "app:latest"}]));
    let elsewhere = create("fresh", &pod("d", "app:1", json!({"nodeSelector": {"env": "test"}}))).fails();
    assert!(elsewhere.contains("pod node label selector conflicts with its namespace node label selector"), "{elsewhere}");
    let tight = create("tight", &pod("d", "app:1", json!({"nodeSelector": {"env": "dev"}}))).fails();
    assert!(tight.contains("pod node label selector labels conflict with its namespace whitelist"), "{tight}");
    let taint = create("fresh", &pod("d", "app:1", json!({"tolerations": [{"key": "other", "operator": "Exists"}]}))).fails();
    assert!(taint.contains("pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist"), "{taint}");
    create("fresh", &pod("e", "app:1", json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}))).ok();
    owners_are_judged(&server);
    server.restart(&["--enable-admission-plugins=NamespaceExists", "--disable-admission-plugins=NamespaceLifecycle"]);
    let gone = server.kubectl("create configmap nothing -n nowhere").fails();
    assert!(gone.contains("namespaces \"nowhere\" not found"), "{gone}");
}

fn owners_are_judged(server: &ApiServer) {
    server.kubectl("create configmap owner -n fresh").ok();
    server.kubectl("create role maker -n fresh --verb=create --resource=secrets").ok();
    server.kubectl("create rolebinding maker -n fresh --role=maker --user=eva").ok();
    let owned = |blocks: bool| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "owned", "namespace": "fresh", "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "1", "blockOwnerDeletion": blocks}]}}).to_string();
    let eva = |blocks: bool| server.kubectl_with("create --as=eva -f -", &owned(blocks));
    let cannot = eva(false).fails();
    assert!(cannot.contains("secrets \"owned\" is forbidden: cannot set an ownerRef on a resource you can't delete: , <nil>"), "{cannot}");
    server.kubectl("create role deleter -n fresh --verb=delete --resource=secrets").ok();
    server.kubectl("create rolebinding deleter -n fresh --role=deleter --user=eva").ok();
    let cannot = eva(true).fails();
    assert!(cannot.contains("cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , <nil>"), "{cannot}");
    eva(false).ok();
}

/// What kinds ask of a write, on the wire: what is filled in, what is refused and in which words.
#[test]
fn kinds_judge_their_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = ApiServer::start(folder.path(), &["--disable-admission-plugins=ServiceAccount"]) else { return };
    let create = |kind: &str, name: &str, spec: Value| server.kubectl_with("create -f -", &json!({"apiVersion": kind.split_once(' ').map_or("v1", |(version, _)| version), "kind": kind.rsplit(' ').next(), "metadata": {"name": name}, "spec": spec}).to_string());
    let port = json!([{"port": 80}]);
    // Services: families by the cluster's, and both where others write the endpoints.
    create("Service", "plain", json!({"ports": port})).ok();
    create("Service", "bare", json!({"clusterIP": "None", "ports": port})).ok();
    let families = |name: &str| server.kubectl(&format!("get service {name} -o jsonpath={{.spec.ipFamilyPolicy}}{{.spec.ipFamilies}}")).ok();
    assert_eq!((families("plain").as_str(), families("bare").as_str()), ("SingleStack[\"IPv4\"]", "RequireDualStack[\"IPv4\",\"IPv6\"]"));
    server.kubectl("patch service bare -p {\"spec\":{\"ipFamilyPolicy\":\"SingleStack\"}}").ok();
    assert_eq!(families("bare"), "SingleStack[\"IPv4\"]");
    for (kind, spec, told) in [
        ("Service", json!({"ports": port, "ipFamilies": ["IPv6"]}), "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"),
        ("Service", json!({"ports": port, "ipFamilyPolicy": "RequireDualStack"}), "this cluster is not configured for dual-stack services"),
        ("Service", json!({"ports": port, "externalIPs": ["010.0.0.1"]}), "spec.externalIPs[0]: Invalid value: \"010.0.0.1\": must not have leading 0s"),
        ("networking.k8s.io/v1 Ingress", json!({"rules": [{"http": {"paths": [{"path": "/a/../b", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}), "must not contain '/../'"),
        ("PersistentVolumeClaim", json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "dataSourceRef": {"kind": "Volume", "name": "x"}}), "must be 'PersistentVolumeClaim' when referencing the default apiGroup"),
        ("ResourceQuota", json!({"hard": {"services": "1"}, "scopes": ["BestEffort"]}), "unsupported scope applied to resource"),
    ] {
        let refused = create(kind, "wrong", spec).fails();
        assert!(refused.contains(told), "{kind}: {refused}");
    }
    // Pods: amounts change by way of resize, and only so far.
    create("Pod", "sized", json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]})).ok();
    let sized = |part: &str, requests: &str| server.kubectl(&format!("patch pod sized{part} -p {{\"spec\":{{\"containers\":[{{\"name\":\"c\",\"resources\":{requests}}}]}}}}"));
    assert!(sized("", "{\"requests\":{\"cpu\":\"2\"}}").fails().contains("pod updates may not change fields other than"));
    sized(" --subresource=resize", "{\"requests\":{\"cpu\":\"2\"}}").ok();
    let refused = sized(" --subresource=resize", "{\"limits\":{\"cpu\":\"2\",\"memory\":\"1Mi\"},\"requests\":{\"memory\":\"1Mi\"}}").fails();
    assert!(refused.contains("Pod QOS Class may not change as a result of resizing"), "{refused}");
    let told = server.kubectl("patch pod sized --subresource=status -p {\"status\":{\"qosClass\":\"BestEffort\",\"podIPs\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]}}").fails();
    assert!(told.contains("status.qosClass: Invalid value: \"BestEffort\": field is immutable") && told.contains("may specify no more than one IP for each IP family"), "{told}");
    // Bindings are of one role for good; policies are told of each expression where it stands.
    server.kubectl("create rolebinding bound --role=one --user=u").ok();
    let changed = server.kubectl("patch rolebinding bound -p {\"roleRef\":{\"name\":\"two\"}}").fails();
    assert!(changed.contains("roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\"Name\":\"two\"}: cannot change roleRef"), "{changed}");
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"]}]);
    let policy = json!({"reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": rules}, "matchConditions": [{"name": "a b", "expression": "object.size("}], "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "1"}}]});
    let told = create("admissionregistration.k8s.io/v1 MutatingAdmissionPolicy", "changes", policy).fails();
    for why in ["spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\"", "mismatched input '<EOF>' expecting {'[', '{', '(', ')', '.'", "must evaluate to list(JSONPatch) but got int"] {
        assert!(told.contains(why), "{why}: {told}");
    }
    let review = create("authorization.k8s.io/v1 SubjectAccessReview", "named", json!({"resourceAttributes": {"verb": "get", "labelSelector": {"requirements": [{"key": "a", "operator": "In"}]}}})).fails();
    assert!(review.contains("spec.user: Invalid value: \"\": at least one of user or group must be specified") && review.contains("requirements[0].values: Required value") && review.contains("must be empty"), "{review}");
    // What every server has stays as it is.
    let fixed = server.kubectl("patch flowschema catch-all --type=merge -p {\"spec\":{\"matchingPrecedence\":9000}}").fails();
    assert!(fixed.contains("spec of 'catch-all' must equal the fixed value"), "{fixed}");
}
