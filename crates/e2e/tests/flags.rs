//! What flags and files make of API servers of the tests' own: plug-ins, encryption, the record, bounds.

use std::path::Path;
use std::sync::Arc;

use e2e::{ApiServer, KmsPlugin, Webhook};
use serde_json::{Value, json};

/// The pod `plain` runs in `default`, which enforces `baseline`; nothing holds in `kube-system`.
fn labels_of_namespaces_are_judged(server: &ApiServer) {
    let label = |namespace: &str, label: &str| server.kubectl(&format!("label namespace {namespace} --overwrite pod-security.kubernetes.io/{label}"));
    let strict = label("default", "enforce=restricted");
    for line in [
        "Warning: existing pods in namespace \"default\" violate the new PodSecurity enforce level \"restricted:latest\"",
        "Warning: plain: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
    ] {
        assert!(strict.err.contains(line), "{}", strict.err);
    }
    strict.ok();
    let older = label("default", "enforce-version=v1.21");
    assert!(older.err.contains("Warning: plain: allowPrivilegeEscalation != false, runAsNonRoot != true, seccompProfile\n"), "{}", older.err);
    older.ok();
    assert_eq!(label("default", "enforce=baseline").err, "");
    let wrong = label("default", "warn=strict").fails();
    assert!(wrong.contains("The Namespace \"default\" is invalid: metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: \"strict\": must be one of privileged, baseline, restricted"), "{wrong}");
    let exempt = label("kube-system", "enforce=restricted");
    assert!(exempt.err.contains("Warning: namespace \"kube-system\" is exempt from Pod Security, and the policy (enforce=restricted:latest) will be ignored"), "{}", exempt.err);
    let made = server.kubectl_with("create -f -", &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "odd", "labels": {"pod-security.kubernetes.io/enforce-version": "1.30"}}}).to_string()).fails();
    assert!(made.contains("must be \"latest\" or \"v1.x\""), "{made}");
}

#[test]
fn admission_plug_ins_are_turned_on_and_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("admission.yaml");
    let limits = "apiVersion: eventratelimit.admission.k8s.io/v1alpha1\nkind: Configuration\nlimits: [{type: Namespace, qps: 1, burst: 3, cacheSize: 10}]\n";
    std::fs::write(folder.path().join("limits.yaml"), limits).expect("a file");
    let config = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": [
        {"name": "EventRateLimit", "path": "limits.yaml"},
        {"name": "PodSecurity", "configuration": {"apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration",
            "defaults": {"enforce": "baseline", "warn": "restricted", "warn-version": "latest"}, "exemptions": {"namespaces": ["kube-system"]}}}]});
    std::fs::write(&file, config.to_string()).expect("a file");
    let flag = format!("--admission-control-config-file={}", file.display());
    let Some(server) = ApiServer::start(folder.path(), &[&flag, "--enable-admission-plugins=EventRateLimit,AlwaysPullImages,LimitPodHardAntiAffinityTopology", "--disable-admission-plugins=ServiceAccount"]) else { return };
    let event = |namespace: &str, name: usize| json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("e{name}"), "namespace": namespace}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace}, "reason": "Tested"}).to_string();
    let refused: Vec<String> = (0..10).map(|n| server.kubectl_with("create -f -", &event("default", n))).filter(|ran| ran.code != Some(0)).map(|ran| ran.err).collect();
    assert!(!refused.is_empty() && refused.iter().all(|err| err.contains("Too many requests: limit reached on type Namespace for key default")), "{refused:?}");
    server.kubectl_with("create -f -", &event("kube-system", 0)).ok();

    let pod = |name: &str, spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}).to_string();
    let plain = json!({"containers": [{"name": "c", "image": "busybox:1", "imagePullPolicy": "IfNotPresent"}]});
    let made = server.kubectl_with("create -f -", &pod("plain", plain.clone()));
    assert!(made.err.contains("would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false"), "{}", made.err);
    made.ok();
    let seen: Value = serde_json::from_str(&server.kubectl("get pod plain -o json").ok()).expect("JSON");
    assert_eq!((&seen["spec"]["containers"][0]["imagePullPolicy"], seen["spec"].get("serviceAccountName")), (&json!("Always"), None));
    let mut host = plain.clone();
    host["hostNetwork"] = true.into();
    assert!(server.kubectl_with("create -f -", &pod("host", host.clone())).fails().contains("violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"));
    server.kubectl_with("create -n kube-system -f -", &pod("host", host)).ok();
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": plain}}});
    let made = server.kubectl_with("create -f -", &deployment.to_string());
    assert!(made.code == Some(0) && made.err.contains("would violate PodSecurity \"restricted:latest\""), "{}", made.err);
    let mut apart = plain.clone();
    apart["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone", "labelSelector": {}}]}});
    assert!(server.kubectl_with("create -f -", &pod("apart", apart)).fails().contains("only key kubernetes.io/hostname is allowed"));
    // Bound pods carry the place of their node.
    server.kubectl_with("create -f -", &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z1"}}}).to_string()).ok();
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "plain"}, "target": {"kind": "Node", "name": "n"}});
    let admin = ["--cert", &server.pki("admin.crt"), "--key", &server.pki("admin.key")].map(str::to_owned);
    assert_eq!(server.post("/api/v1/namespaces/default/pods/plain/binding", &admin.each_ref().map(String::as_str), &binding).0, 201);
    assert_eq!(server.kubectl("get pod plain -o jsonpath={.metadata.labels}").ok(), "{\"topology.kubernetes.io/zone\":\"z1\"}");

    labels_of_namespaces_are_judged(&server);

    for (flag, why) in [
        ("--enable-admission-plugins=Unheard", "enable-admission-plugins plugin \"Unheard\" is unknown"),
        ("--enable-admission-plugins=ImagePolicyWebhook", "no config specified"),
        ("--enable-admission-plugins=EventRateLimit", "EventRateLimit has no limits"),
    ] {
        let told = ApiServer::refuses(folder.path(), &[flag]);
        assert!(told.contains(why), "{told}");
    }
}

/// Whether a text lies in any file of a folder in the clear, also as base64 has it.
fn lies_in(folder: &Path, text: &str) -> bool {
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    let holds = |bytes: &[u8], part: &str| bytes.windows(part.len()).any(|w| w == part.as_bytes());
    std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        if path.is_dir() { lies_in(&path, text) } else { std::fs::read(&path).is_ok_and(|bytes| holds(&bytes, text) || holds(&bytes, &encoded[..encoded.len() - 4])) }
    })
}

#[test]
fn what_is_kept_is_encrypted_by_whom_the_configuration_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (socket, file) = (folder.path().join("kms.sock"), folder.path().join("encryption.yaml"));
    let plugin = KmsPlugin::start(&socket, &[0x5a]);
    let kms = json!({"kms": {"apiVersion": "v2", "name": "vault", "endpoint": format!("unix://{}", socket.display()), "timeout": "2s"}});
    let key = json!({"aesgcm": {"keys": [{"name": "k", "secret": "MDEyMzQ1Njc4OWFiY2RlZg=="}]}});
    let says = |resources: Value, providers: Value| {
        let config = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [{"resources": resources, "providers": providers}]});
        std::fs::write(&file, config.to_string()).expect("the configuration is written");
    };
    let flag = format!("--encryption-provider-config={}", file.display());
    // Secrets of a cluster without any configuration stay readable in all that follows.
    let Some(mut server) = ApiServer::start(folder.path(), &[]) else { return };
    server.kubectl("create secret generic before --from-literal=password=unseen-before-all").ok();
    let keep = |server: &ApiServer, name: &str| server.kubectl(&format!("create configmap {name} --from-literal=word=unseen-{name}-word")).ok();
    let is_kept = |server: &ApiServer, name: &str| assert_eq!(server.kubectl(&format!("get configmap {name} -o jsonpath={{.data.word}}")).ok(), format!("unseen-{name}-word"));
    let store = server.data.join("store");
    keep(&server, "plain");
    assert!(lies_in(&store, "unseen-plain-word") && !lies_in(&store, "unseen-before-all"));

    says(json!(["secrets", "configmaps"]), json!([kms, {"identity": {}}]));
    server.restart(&[&flag]);
    assert_eq!(plugin.asked.try_iter().collect::<Vec<_>>(), ["Status", "Encrypt"]);
    keep(&server, "first");
    assert!(!lies_in(&store, "unseen-first-word"));
    server.restart(&[&flag]);
    assert!(plugin.asked.try_iter().any(|call| call == "Decrypt"));
    is_kept(&server, "first");

    // Another first provider; what the plugin wrapped is read with its help.
    says(json!(["*.*"]), json!([key, kms]));
    server.restart(&[&flag]);
    ["plain", "first"].iter().for_each(|name| is_kept(&server, name));
    keep(&server, "second");
    server.kubectl("create namespace hidden-namespace-name").ok();
    assert!(!lies_in(&store, "unseen-second-word"));
    assert_eq!(server.kubectl("get secret before -o jsonpath={.data.password}").ok(), "dW5zZWVuLWJlZm9yZS1hbGw=");

    // Without what opens it, it does not start, and says what to do.
    server.end();
    says(json!(["configmaps"]), json!([key]));
    let without = server.refuses_again(&[&flag]);
    assert!(without.contains("the KMS provider \"vault\"") && without.contains("put it back among the providers"), "{without}");
    drop(plugin);
    says(json!(["configmaps"]), json!([kms, key]));
    let absent = server.refuses_again(&[&flag]);
    assert!(absent.contains("KMS plugin \"vault\" at "), "{absent}");
    let _plugin = KmsPlugin::start(&socket, &[0x5a]);
    // And nothing is encrypted any more.
    says(json!(["*.*"]), json!([{"identity": {}}, kms, key]));
    server.restart(&[&flag]);
    ["plain", "first", "second"].iter().for_each(|name| is_kept(&server, name));
    keep(&server, "third");
    assert!(lies_in(&store, "unseen-third-word"));
    says(json!(["Secrets"]), json!([{"identity": {}}]));
    assert!(ApiServer::refuses(folder.path(), &[&flag]).contains("resource name should not contain capital letters"));
}

#[test]
fn the_record_goes_where_flags_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |file: &str| folder.path().join(file).display().to_string();
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let breaks = broken.clone();
    let webhook = Webhook::start(Arc::new(move |_, _| (if breaks.load(std::sync::atomic::Ordering::Relaxed) { 503 } else { 200 }, json!({}))));
    let policy = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
        {"level": "RequestResponse", "users": ["kubernetes-admin"], "resources": [{"group": "", "resources": ["configmaps", "secrets"]}], "omitManagedFields": true}]});
    std::fs::write(at("policy.yaml"), policy.to_string()).expect("the policy is written");
    let flags = [
        format!("--audit-policy-file={}", at("policy.yaml")), format!("--audit-log-path={}", at("record/events.log")), "--audit-log-mode=blocking".into(),
        "--audit-log-truncate-enabled".into(), "--audit-log-truncate-max-event-size=3000".into(),
        format!("--audit-webhook-config-file={}", webhook.kubeconfig(folder.path(), "webhook", "/events")), "--audit-webhook-mode=blocking".into(), "--audit-webhook-initial-backoff=10ms".into(),
    ];
    let Some(mut server) = ApiServer::start(folder.path(), &flags.iter().map(String::as_str).collect::<Vec<_>>()) else { return };
    // Blocking: what was answered is written and sent.
    let events = || -> Vec<Value> { std::fs::read_to_string(at("record/events.log")).expect("the record").lines().map(|l| serde_json::from_str(l).expect("an event")).collect() };
    let map = |name: &str, value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"k": value}}).to_string();
    server.kubectl_with("create -f -", &map("a", "v")).ok();
    let event = events().pop().expect("an event");
    assert_eq!((&event["stage"], &event["level"], &event["objectRef"]["name"], &event["responseStatus"]["code"]), (&json!("ResponseComplete"), &json!("RequestResponse"), &json!("a"), &json!(201)));
    assert_eq!((&event["requestObject"]["data"]["k"], &event["responseObject"]["data"]["k"]), (&json!("v"), &json!("v")));
    assert!(event["responseObject"]["metadata"].get("managedFields").is_none() && event["annotations"]["authorization.k8s.io/decision"] == "allow", "{event}");
    let (path, sent) = webhook.asked.try_iter().last().expect("a call");
    assert_eq!((path.as_str(), &sent["kind"], &sent["apiVersion"]), ("/events", &json!("EventList"), &json!("audit.k8s.io/v1")));
    assert_eq!(sent["items"].as_array().and_then(|all| all.last()), Some(&event));
    // A failure is told with its Status; long events lose their contents in the file alone; Secrets are never in it.
    server.kubectl_with("create -f -", &map("a", "v")).fails();
    let status = events().pop().expect("an event")["responseStatus"].take();
    assert_eq!((&status["status"], &status["reason"], &status["code"], &status["message"]), (&json!("Failure"), &json!("AlreadyExists"), &json!(409), &json!("configmaps \"a\" already exists")));
    server.kubectl_with("create -f -", &map("long", &"x".repeat(5000))).ok();
    let long = events().pop().expect("an event");
    assert!(long.get("requestObject").is_none() && long["annotations"]["audit.k8s.io/truncated"] == "true", "{long}");
    let whole = webhook.asked.try_iter().last().expect("a call").1;
    assert_eq!(whole["items"][0]["requestObject"]["data"]["k"].as_str().map(str::len), Some(5000));
    server.kubectl("create secret generic s --from-literal=password=audit-marker-1618").ok();
    assert!(!std::fs::read_to_string(at("record/events.log")).expect("the record").contains("YXVkaXQtbWFya2"), "the record tells secrets");
    // What must be recorded and cannot be is not done.
    std::fs::write(at("policy.yaml"), policy.to_string().replace("RequestReceived", "Panic")).expect("the policy is written");
    server.restart(&[&flags[..6], &["--audit-webhook-mode=blocking-strict".into(), flags[7].clone(), "--audit-log-format=legacy".into()]].concat().iter().map(String::as_str).collect::<Vec<_>>());
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    let told = server.kubectl("delete configmap a --request-timeout=20s").fails();
    assert!(told.contains("failed to store audit event"), "{told}");
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    server.kubectl("get configmap a").ok();
    let text = std::fs::read_to_string(at("record/events.log")).expect("the record");
    assert!(text.lines().last().is_some_and(|l| l.contains(" AUDIT: id=\"") && l.contains("user=\"kubernetes-admin\" groups=\"\\\"system:masters\\\"") && l.contains("namespace=\"default\"") && l.ends_with("response=\"200\"")), "{text}");
    // In batches nobody waits: a webhook that is broken costs events, and no time.
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    server.restart(&[&flags[..1], &flags[5..6], &["--audit-webhook-batch-buffer-size=2".into(), "--audit-webhook-batch-max-wait=1ms".into()]].concat().iter().map(String::as_str).collect::<Vec<_>>());
    for n in 0..10 {
        server.kubectl_with("create -f -", &map(&format!("m{n}"), "v")).ok();
    }
    // What no server begins with.
    for (flag, why) in [
        ("--audit-log-mode=lazy", "invalid audit log mode lazy, allowed modes are \"batch,blocking,blocking-strict\""),
        ("--audit-log-format=xml", "invalid audit log format xml, allowed formats are \"legacy,json\""),
        ("--audit-log-truncate-max-batch-size=1", "invalid audit truncate log max batch size 1, must be greater than max event size (102400)"),
        (&format!("--audit-policy-file={}", at("webhook")), "it must be a Policy of audit.k8s.io/v1"),
    ] {
        let told = ApiServer::refuses(folder.path(), &[flag]);
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn what_bounds_requests_is_set_by_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["--event-ttl=1s", "--min-request-timeout=1", "--default-not-ready-toleration-seconds=7", "--default-unreachable-toleration-seconds=8", "--strict-transport-security-directives=max-age=5,preload"];
    let Some(server) = ApiServer::start(folder.path(), &flags) else { return };
    server.kubectl("create serviceaccount default").ok();
    server.kubectl("run p --image=i").ok();
    assert_eq!(server.kubectl("get pod p -o jsonpath={.spec.tolerations[*].tolerationSeconds}").ok(), "7 8");
    // A watch that says nothing of its end has one; an event goes by itself.
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "reason": "Tried", "type": "Normal"});
    server.kubectl_with("create -f -", &event.to_string()).ok();
    server.kubectl("wait --for=delete event/e --timeout=20s").ok();
    server.kubectl("get --raw /api/v1/pods?watch=true").ok();
    let (_, head) = server.curl("/version", &["-D", "-"], "");
    assert!(head.to_lowercase().contains("strict-transport-security: max-age=5; preload"), "{head}");
    for (flag, why) in [("--request-timeout=0s", "--request-timeout cannot be 0"), ("--strict-transport-security-directives=always", "allowed values: max-age=expireTime, includeSubDomains, preload"), ("--min-request-timeout=0", "--min-request-timeout")] {
        let told = ApiServer::refuses(folder.path(), &[flag]);
        assert!(told.contains(why), "{told}");
    }
}
