//! Hostile input, one class a test: upstream's Status comes back, the server goes on serving, and its memory stays.
//!
//! The classes are those of Kubernetes' own security advisories; numbers stand where one is meant.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use e2e::Ran;
use e2e::target::{Target, everything_read, refused};
use serde_json::json;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const JSON_PATCH: &str = "application/json-patch+json";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn bodies_that_grow_or_nest_without_end_are_refused() {
    let Some(target) = Target::new() else { return };
    // CVE-2019-11253.
    let mut bomb = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\ndata:\n  a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (last, next) in ('a'..'i').zip('b'..='i') {
        bomb += &format!("  {next}: &{next} [{}]\n", vec![format!("*{last}"); 9].join(","));
    }
    refused(target.send("POST", YAML, MAPS, &bomb), 400, "BadRequest", "");
    refused(target.send("PATCH", "application/apply-patch+yaml", &format!("{MAPS}/bomb?fieldManager=x"), &bomb), 400, "BadRequest", "error decoding YAML");
    target.cluster.kubectl_with("create --validate=false -f -", &bomb).fails();
    let deep = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    refused(target.send("POST", JSON, MAPS, &format!("{{\"data\":{deep}}}")), 400, "BadRequest", "recursion limit");
    refused(target.send("POST", YAML, MAPS, &"[".repeat(200_000)), 400, "BadRequest", "");
    refused(target.send("PATCH", "application/merge-patch+json", &format!("{MAPS}/kube-root-ca.crt"), &deep), 400, "BadRequest", "");
    // A length that promises more than comes.
    refused(target.send("POST", "application/vnd.kubernetes.protobuf", MAPS, "k8s\0\u{12}\u{7f}"), 400, "BadRequest", "");
}

#[test]
fn what_is_too_large_is_told_so() {
    let Some(target) = Target::new() else { return };
    let map = |size: usize| json!({"metadata": {"name": "big"}, "data": {"a": "x".repeat(size)}}).to_string();
    refused(target.send("POST", JSON, MAPS, &map(3 << 20)), 413, "RequestEntityTooLarge", "limit is 3145728");
    refused(target.send("POST", JSON, MAPS, &map(1 << 21)), 422, "Invalid", "may not be more than 1048576 bytes");
    let pod = json!({"metadata": {"name": "big"}, "spec": {"containers": [{"name": "a", "image": "b", "env": [{"name": "A", "value": "x".repeat(1600 << 10)}]}]}});
    refused(target.send("POST", JSON, "/api/v1/namespaces/default/pods", &pod.to_string()), 413, "RequestEntityTooLarge", "");
    // CVE-2019-1002100.
    let patched = format!("{MAPS}/kube-root-ca.crt?dryRun=All");
    let many = json!(vec![json!({"op": "test", "path": "/kind", "value": "ConfigMap"}); 10_001]);
    refused(target.send("PATCH", JSON_PATCH, &patched, &many.to_string()), 413, "RequestEntityTooLarge", "The allowed maximum operations in a JSON patch is 10000, got 10001");
    let copies: Vec<_> = (0..40).map(|i| json!({"op": "copy", "from": "/data", "path": format!("/data/b{i}")})).collect();
    refused(target.send("PATCH", JSON_PATCH, &patched, &json!(copies).to_string()), 413, "RequestEntityTooLarge", "Unable to complete the copy");
    // Headers: more of them, and longer ones, than anybody needs.
    let flood: String = (0..150).map(|i| format!("X-A{i}: {}\r\n", "v".repeat(100))).collect();
    let answer = everything_read(target.raw(&format!("GET /api HTTP/1.1\r\nHost: x\r\n{flood}\r\n")));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[test]
fn names_lead_nowhere_but_to_their_own_kind() {
    let Some(target) = Target::new() else { return };
    // CVE-2022-3162: no way out of one kind into another.
    for name in ["..%2fsecrets", "a%2fb", "%2e%2e/secrets"] {
        let (code, body) = target.ask(&format!("{MAPS}/{name}"), &[]);
        assert!(matches!(code, 400 | 404) && !body.contains("List"), "{name}: {code} {body}");
    }
    refused(target.ask(&format!("{MAPS}/%2e%2e"), &[]), 400, "BadRequest", "Name parameter invalid: \"..\": may not be '..'");
    refused(target.ask(&format!("{MAPS}/a%25b"), &[]), 400, "BadRequest", "Name parameter invalid: \"a%b\": may not contain '%'");
    refused(target.ask("/api/v1/namespaces/default%2fsecrets/configmaps", &[]), 404, "NotFound", "the server could not find the requested resource");
    for path in ["../secrets", "x/../../secrets", "."] {
        let (code, _) = target.ask(&format!("{MAPS}/{path}"), &[]);
        assert!(matches!(code, 400 | 404), "{path}: {code}");
    }
    refused(target.send("POST", JSON, MAPS, "{\"metadata\":{\"name\":\"../x\"}}"), 422, "Invalid", "metadata.name");
    // CVE-2019-11247: scopes do not mix.
    for path in ["/api/v1/namespaces/default/nodes", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/clusterroles/cluster-admin", "/api/v1/configmaps/kube-root-ca.crt"] {
        assert_eq!(target.ask(path, &[]), (404, "404 page not found\n".into()), "{path}");
    }
}

#[test]
fn numbers_out_of_all_bounds_are_answered() {
    let Some(target) = Target::new() else { return };
    refused(target.ask(&format!("{MAPS}?limit=99999999999999999999"), &[]), 400, "BadRequest", "value out of range");
    refused(target.ask(&format!("{MAPS}?limit=x"), &[]), 400, "BadRequest", "invalid syntax");
    refused(target.ask(&format!("{MAPS}?continue=made-up"), &[]), 400, "BadRequest", "continue key is not valid");
    refused(target.ask(&format!("{MAPS}?resourceVersion=-1"), &[]), 422, "Invalid", "resourceVersion");
    refused(target.ask(&format!("{MAPS}?resourceVersion=99999999999"), &[]), 504, "Timeout", "Too large resource version");
    refused(target.ask(&format!("{MAPS}?timeout=abc"), &[]), 400, "BadRequest", "invalid timeout specified in the request URL - time: invalid duration \"abc\"");
    for (query, code) in [("limit=-1", 200), ("timeout=-3s", 200), ("timeout=32s", 200), ("watch=1&timeoutSeconds=-5", 200)] {
        assert_eq!(target.ask(&format!("{MAPS}?{query}"), &[]).0, code, "{query}");
    }
    let (code, body) = target.ask(&format!("{MAPS}?watch=1&timeoutSeconds=9223372036854775807"), &["--max-time", "1"]);
    assert!(code == 200 && body.contains("ADDED"), "{code} {body:.200}");
}

#[test]
fn strict_fields_are_told_of_every_fault() {
    let Some(target) = Target::new() else { return };
    let twice = "{\"metadata\":{\"name\":\"q\",\"name\":\"r\"},\"data\":{\"a\":\"b\",\"a\":\"c\"},\"foo\":1}";
    refused(target.send("POST", JSON, &format!("{MAPS}?fieldValidation=Strict"), twice), 400, "BadRequest", "strict decoding error: duplicate field \"metadata.name\", duplicate field \"data.a\", unknown field \"foo\"");
    refused(target.send("POST", JSON, &format!("{MAPS}?fieldValidation=Bogus"), "{}"), 422, "Invalid", "fieldValidation");
}

#[test]
fn proxies_reach_no_address_of_the_server_itself() {
    let Some(target) = Target::new() else { return };
    let _namespace = target.cluster.namespace("hostile-proxy");
    let base = "/api/v1/namespaces/hostile-proxy";
    for (i, (address, family)) in [("127.0.0.1", "IPv4"), ("169.254.169.254", "IPv4"), ("::1", "IPv6"), ("fe80::1", "IPv6"), ("::ffff:127.0.0.1", "IPv6")].into_iter().enumerate() {
        // CVE-2021-25737.
        let slice = json!({"metadata": {"name": "evil"}, "addressType": family, "endpoints": [{"addresses": [address]}], "ports": [{"port": 6443}]});
        refused(target.send("POST", JSON, "/apis/discovery.k8s.io/v1/namespaces/hostile-proxy/endpointslices", &slice.to_string()), 422, "Invalid", "endpoints[0].addresses[0]");
        let endpoints = json!({"metadata": {"name": "evil"}, "subsets": [{"addresses": [{"ip": address}], "ports": [{"port": 6443}]}]});
        refused(target.send("POST", JSON, &format!("{base}/endpoints"), &endpoints.to_string()), 422, "Invalid", "subsets[0].addresses[0].ip");
        // A pod's status is its node's word; an address in disguise is not even stored.
        let told = pod_at(&target, &format!("evil{i}"), address);
        if address.starts_with("::ffff:") {
            assert!(told.err.contains("must not be an IPv4-mapped IPv6 address"), "{}", told.err);
        } else {
            told.ok();
            refused(target.ask(&format!("{base}/pods/https:evil{i}:6443/proxy/healthz"), &[]), 400, "BadRequest", "address not allowed");
        }
        // CVE-2022-3294.
        target.cluster.kubectl_with("apply -f -", &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "hostile"}}).to_string()).ok();
        let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": address}], "daemonEndpoints": {"kubeletEndpoint": {"Port": 6443}}}});
        target.cluster.kubectl(&format!("patch node hostile --subresource=status -p '{status}'")).ok();
        for name in ["hostile", "https:hostile:6443", "hostile:22"] {
            refused(target.ask(&format!("/api/v1/nodes/{name}/proxy/healthz"), &[]), 400, "BadRequest", "address not allowed");
        }
        target.cluster.kubectl("delete node hostile").ok();
    }
    // What somebody wrote by hand is no pod.
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "byhand"}, "spec": {"ports": [{"port": 80}]}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "byhand", "labels": {"kubernetes.io/service-name": "byhand"}}, "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.200"]}], "ports": [{"port": 80}]});
    for object in [service, slice] {
        target.cluster.kubectl_with("create -n hostile-proxy -f -", &object.to_string()).ok();
    }
    refused(target.ask(&format!("{base}/services/byhand/proxy/"), &[]), 503, "ServiceUnavailable", "no endpoints available for service \"byhand\"");
}

/// A pod that no kubelet runs, said to be at an address.
/// A pod, and what is said when it is told to be at an address.
fn pod_at(target: &Target, name: &str, address: &str) -> Ran {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"nodeName": "nowhere", "terminationGracePeriodSeconds": 0, "containers": [{"name": "a", "image": "b"}]}});
    target.cluster.kubectl_with("create -n hostile-proxy -f -", &pod.to_string()).ok();
    let status = json!({"status": {"podIP": address, "podIPs": [{"ip": address}]}});
    target.cluster.kubectl(&format!("patch pod {name} -n hostile-proxy --subresource=status -p '{status}'"))
}

/// A backend that answers every request the same way, and tells what it was asked.
fn backend(answer: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (told, asked) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut bytes = [0u8; 8192];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                let _ = told.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    (port, asked)
}

#[test]
fn redirects_and_failed_upgrades_of_backends_open_nothing() {
    let Some(target) = Target::new() else { return };
    let _namespace = target.cluster.namespace("hostile-proxy");
    let address = target.cluster.kubectl("get nodes -o 'jsonpath={.items[0].status.addresses[0].address}'").ok();
    pod_at(&target, "fake", &address).ok();
    // CVE-2018-1002102, CVE-2022-3172: passed on, never followed.
    let (port, asked) = backend("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n");
    let (code, head) = target.ask(&format!("/api/v1/namespaces/hostile-proxy/pods/fake:{port}/proxy/x"), &["-i", "-H", "Authorization: Bearer not-a-token", "--cert", &target.pki("admin.crt"), "--key", &target.pki("admin.key")]);
    assert!(code == 302 && head.to_lowercase().contains("location: http://169.254.169.254/latest"), "{code} {head}");
    let request = asked.recv_timeout(Duration::from_secs(5)).expect("the backend was asked").to_lowercase();
    assert!(!request.contains("authorization"), "{request}");
    assert!(asked.try_recv().is_err());
    // CVE-2018-1002105: after a refused upgrade the connection is the server's again, not the backend's.
    let (port, asked) = backend("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let answers = everything_read(target.raw(&format!(
        "GET /api/v1/namespaces/hostile-proxy/pods/fake:{port}/proxy/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )));
    assert!(answers.starts_with("HTTP/1.1 403") && answers.contains("404 page not found"), "{answers}");
    assert!(asked.try_iter().all(|r| !r.contains("smuggled")));
}

#[test]
fn slow_clients_and_deaf_watchers_cost_the_others_nothing() {
    let Some(target) = Target::new() else { return };
    let begin = Instant::now();
    let slow: Vec<Child> = (0..20).map(|_| target.raw("GET /api HTTP/1.1\r\nHost: x\r\n")).collect();
    // It asks for everything and reads nothing.
    let mut deaf = target.raw("GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "loud", "namespace": "default"}, "data": {"a": ""}});
    target.cluster.kubectl_with("apply -f -", &map.to_string()).ok();
    for i in 0..25 {
        let patch = json!({"data": {"a": format!("{i}{}", "x".repeat(900_000))}}).to_string();
        assert_eq!(target.send("PATCH", "application/merge-patch+json", &format!("{MAPS}/loud"), &patch).0, 200);
    }
    target.cluster.kubectl("delete configmap loud").ok();
    for child in slow {
        assert_eq!(everything_read(child), "");
    }
    assert!(begin.elapsed() < Duration::from_secs(40));
    let _ = deaf.kill();
    let _ = deaf.wait();
}
