//! Services, slices and ports of the node, from inside pods and from the node itself.

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

use e2e::{Cluster, Running, run};
use serde_json::{Value, json};

const HELLO: &str = "knarr.io/hello:1";

fn slices(cluster: &Cluster, namespace: &str, service: &str) -> Value {
    cluster.object(&format!("get endpointslices -n {namespace} -l kubernetes.io/service-name={service}"))
}

fn curl(address: &str) -> e2e::Ran {
    run(Command::new("curl").args(["-sS", "--max-time", "5", address]), "")
}

#[test]
fn a_service_has_endpoints_and_slices_of_its_pods() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-slices");
    let name = &space.name;
    cluster.kubectl(&format!("create service clusterip web --tcp=80:8080 -n {name}")).ok();
    // Even without pods: one slice and empty endpoints, which go with the service.
    cluster.kubectl(&format!("wait endpointslice -n {name} -l kubernetes.io/service-name=web --for=create --timeout=30s")).ok();
    cluster.kubectl(&format!("wait endpoints/web -n {name} --for=create --timeout=30s")).ok();
    cluster.kubectl(&format!("run a --image={HELLO} --labels=app=web -n {name}")).ok();
    cluster.kubectl(&format!("run b --image={HELLO} --labels=app=web -n {name}")).ok();
    cluster.kubectl(&format!("wait pod/a pod/b -n {name} --for=condition=Ready --timeout=60s")).ok();
    cluster.kubectl(&format!("wait endpoints/web -n {name} --for=jsonpath={{.subsets[0].addresses[1].ip}} --timeout=30s")).ok();
    let slice = &slices(&cluster, name, "web")["items"][0];
    assert_eq!(slice["endpoints"].as_array().map(Vec::len), Some(2), "{slice}");
    assert_eq!((&slice["ports"][0]["port"], &slice["addressType"]), (&json!(8080), &json!("IPv4")));
    assert_eq!(slice["endpoints"][0]["conditions"], json!({"ready": true, "serving": true, "terminating": false}));
    cluster.kubectl(&format!("delete service web -n {name}")).ok();
    cluster.kubectl(&format!("wait endpointslice -n {name} -l kubernetes.io/service-name=web --for=delete --timeout=30s")).ok();
    cluster.kubectl(&format!("wait endpoints/web -n {name} --for=delete --timeout=30s")).ok();
    let api = &slices(&cluster, "default", "kubernetes")["items"][0];
    assert!(api["endpoints"][0]["addresses"][0].is_string() && api["ports"][0]["name"] == "https", "{api}");
}

#[test]
fn endpoints_by_hand_are_mirrored() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-mirror");
    let name = &space.name;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "far"}, "spec": {"ports": [{"name": "p", "port": 80}]}});
    cluster.kubectl_with(&format!("create -n {name} -f -"), &service.to_string()).ok();
    let endpoints = |ip: &str| json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "far"}, "subsets": [{"addresses": [{"ip": ip}], "ports": [{"name": "p", "port": 8080}]}]}).to_string();
    let mut watch = cluster.start(&format!("get endpointslices -n {name} --watch -o jsonpath={{.endpoints[*].addresses[0]}}{{\"\\n\"}}"));
    cluster.kubectl_with(&format!("create -n {name} -f -"), &endpoints("10.1.2.3")).ok();
    watch.until("10.1.2.3");
    cluster.kubectl_with(&format!("replace -n {name} -f -"), &endpoints("10.2.3.4")).ok();
    watch.until("10.2.3.4");
    let slice = &slices(&cluster, name, "far")["items"][0];
    assert_eq!(slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"], "endpointslicemirroring-controller.k8s.io");
    cluster.kubectl(&format!("delete endpoints far -n {name}")).ok();
    cluster.kubectl(&format!("wait endpointslice -n {name} -l kubernetes.io/service-name=far --for=delete --timeout=30s")).ok();
}

/// A question for the address of `kubernetes.default`, as it stands on the wire.
fn dns_question() -> Vec<u8> {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["kubernetes", "default", "svc", "cluster", "local"] {
        question.push(u8::try_from(label.len()).expect("a short label"));
        question.extend(label.bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    question
}

fn asks_by_udp(address: &str) -> bool {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time limit");
    let mut answer = [0; 512];
    socket.send_to(&dns_question(), address).is_ok() && socket.recv(&mut answer).is_ok_and(|n| n > 12 && answer[..2] == [0x12, 0x34])
}

fn asks_by_tcp(address: &str) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    let question = dns_question();
    let length = u16::try_from(question.len()).expect("short").to_be_bytes();
    let mut head = [0; 4];
    stream.write_all(&[length.as_slice(), &question].concat()).is_ok() && stream.read_exact(&mut head).is_ok() && head[2..] == [0x12, 0x34]
}

#[test]
fn one_port_serves_two_protocols() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-protocols");
    let name = &space.name;
    // The cluster's own DNS answers both; a second service leads there.
    let dns = &slices(&cluster, "kube-system", "kube-dns")["items"][0];
    let at = dns["endpoints"][0]["addresses"][0].clone();
    let target = dns["ports"].as_array().and_then(|p| p.iter().find(|p| p["protocol"] == "UDP")).expect("it answers UDP")["port"].clone();
    let ports = |protocols: &[&str]| protocols.iter().map(|p| json!({"name": p.to_lowercase(), "port": 90, "protocol": p})).collect::<Vec<_>>();
    let service = |protocols: &[&str]| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "both"}, "spec": {"ports": ports(protocols)}}).to_string();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "both-1", "labels": {"kubernetes.io/service-name": "both"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": [at]}], "ports": [{"name": "tcp", "port": target, "protocol": "TCP"}, {"name": "udp", "port": target, "protocol": "UDP"}]});
    // The rules follow the API within a moment: each change of the machine's rules is a line here.
    let mut rules = Running::start(Command::new("nft").arg("monitor"));
    cluster.kubectl_with(&format!("create -n {name} -f -"), &service(&["TCP", "UDP"])).ok();
    cluster.kubectl_with(&format!("create -n {name} -f -"), &slice.to_string()).ok();
    let address = format!("{}:90", cluster.kubectl(&format!("get service both -n {name} -o jsonpath={{.spec.clusterIP}}")).ok());
    rules.until_holds(|| asks_by_tcp(&address) && asks_by_udp(&address));
    for (protocol, tcp, udp) in [("UDP", false, true), ("TCP", true, false)] {
        cluster.kubectl_with(&format!("replace -n {name} -f -"), &service(&[protocol])).ok();
        rules.until_holds(|| asks_by_tcp(&address) == tcp && asks_by_udp(&address) == udp);
    }
}

#[test]
fn ports_of_the_node_belong_to_one_pod_each() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-hostport");
    let name = &space.name;
    let node = cluster.object("get nodes")["items"][0].clone();
    let (node_name, node_ip) = (node["metadata"]["name"].clone(), node["status"]["addresses"][0]["address"].as_str().expect("an address").to_owned());
    let pod = |pod: &str, ip: &str, protocol: &str, extra: Value| {
        let port = json!({"containerPort": 8080, "hostPort": 54329, "hostIP": ip, "protocol": protocol});
        let mut object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": HELLO, "imagePullPolicy": "Never", "ports": [port]}]}});
        for (key, value) in extra.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        cluster.kubectl_with(&format!("create -n {name} -f -"), &object.to_string()).ok();
    };
    pod("loopback", "127.0.0.1", "TCP", json!({}));
    pod("outside", &node_ip, "TCP", json!({}));
    pod("udp", &node_ip, "UDP", json!({}));
    cluster.kubectl(&format!("wait pod/loopback pod/outside pod/udp -n {name} --for=condition=Ready --timeout=60s")).ok();
    let answers = |address: &str, who: &str| {
        let page = (0..20).map(|_| curl(&format!("http://{address}:54329/"))).find(|ran| ran.code == Some(0)).expect("somebody answers");
        assert!(page.out.contains(who), "{address}: {}", page.out);
    };
    answers("127.0.0.1", "loopback");
    answers(&node_ip, "outside");
    // Every address collides with each of them: the scheduler finds no place, and the node itself refuses.
    pod("waits", "", "TCP", json!({}));
    cluster.kubectl(&format!("wait pod/waits -n {name} --for=condition=PodScheduled=False --timeout=30s")).ok();
    let told = cluster.kubectl(&format!("get events -n {name} --field-selector involvedObject.name=waits")).ok();
    assert!(told.contains("didn't have free ports for the requested pod ports"), "{told}");
    pod("refused", "", "TCP", json!({"nodeName": node_name}));
    cluster.kubectl(&format!("wait pod/refused -n {name} --for=jsonpath={{.status.reason}}=NodePorts --timeout=30s")).ok();
}

#[test]
fn a_balancer_is_told_where_local_endpoints_are() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-health");
    let name = &space.name;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "near"}, "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "near"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    cluster.kubectl_with(&format!("create -n {name} -f -"), &service.to_string()).ok();
    let port = cluster.object(&format!("get service near -n {name}"))["spec"]["healthCheckNodePort"].as_u64().expect("a port was allocated");
    assert!((30_000..=32_767).contains(&port));
    cluster.kubectl(&format!("run near --image={HELLO} --labels=app=near -n {name}")).ok();
    cluster.kubectl(&format!("wait pod/near -n {name} --for=condition=Ready --timeout=60s")).ok();
    cluster.kubectl(&format!("wait endpoints/near -n {name} --for=jsonpath={{.subsets[0].addresses[0].ip}} --timeout=30s")).ok();
    let answer: Value = (0..50).filter_map(|_| serde_json::from_str(&curl(&format!("http://127.0.0.1:{port}/")).out).ok()).find(|a: &Value| a["localEndpoints"] == 1).expect("the local endpoint is counted");
    assert_eq!(answer["service"], json!({"namespace": name, "name": "near"}));
    cluster.kubectl(&format!("patch service near -n {name} -p '{{\"spec\":{{\"externalTrafficPolicy\":\"Cluster\"}}}}'")).ok();
    assert!(cluster.object(&format!("get service near -n {name}"))["spec"].get("healthCheckNodePort").is_none());
}

#[test]
fn pods_and_services_are_reached_through_the_api() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-proxy");
    let name = &space.name;
    cluster.kubectl(&format!("run web --image={HELLO} --port=8080 -n {name}")).ok();
    cluster.kubectl(&format!("expose pod web --port=80 --target-port=8080 -n {name}")).ok();
    cluster.kubectl(&format!("wait pod/web -n {name} --for=condition=Ready --timeout=60s")).ok();
    cluster.kubectl(&format!("wait endpoints/web -n {name} --for=jsonpath={{.subsets[0].addresses[0].ip}} --timeout=30s")).ok();
    let root = format!("/api/v1/namespaces/{name}");
    for path in ["pods/web:8080/proxy/", "pods/http:web:8080/proxy/healthz", "services/web:80/proxy/", "services/web/proxy/healthz"] {
        let page = cluster.kubectl(&format!("get --raw {root}/{path}"));
        assert!(page.code == Some(0) && !page.out.is_empty(), "{path}: {page:?}");
    }
    let mut proxy = cluster.start("proxy --port=0");
    let line = proxy.until("Starting to serve on");
    let at = line.trim().rsplit(' ').next().expect("an address").to_owned();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let mut words = vec!["-sS", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", "-X", method];
        if method == "HEAD" {
            words.extend(["--head"]);
        }
        for target in ["pods/web:8080/proxy/healthz", "services/web/proxy/healthz"] {
            let address = format!("http://{at}{root}/{target}");
            let code = run(Command::new("curl").args(&words).arg(&address), "").ok();
            assert!(matches!(code.as_str(), "200" | "405"), "{method} {target}: {code}");
        }
    }
}
