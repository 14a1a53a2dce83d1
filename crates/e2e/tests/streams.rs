//! Streams of containers over WebSockets, as kubectl speaks them first: input that ends, codes, large outputs, forwarded ports.

use std::io::{Read, Write};
use std::net::TcpStream;

use e2e::target::Target;
use e2e::{Cluster, run, shell_image};
use serde_json::json;

const IMAGE: &str = "docker.io/library/e2e-streams:1";

#[test]
fn kubectl_speaks_its_newest_protocols() {
    let Some(cluster) = Cluster::of_environment() else { return };
    cluster.import(&shell_image(IMAGE, "mkdir /www; echo forwarded > /www/index.html; exec httpd -f -p 8080 -h /www", &[]));
    let namespace = cluster.namespace("e2e-streams");
    let in_namespace = |line: &str| format!("-n {} {line}", namespace.name);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": IMAGE, "imagePullPolicy": "Never"}]}});
    cluster.kubectl_with(&in_namespace("create -f -"), &pod.to_string()).ok();
    cluster.kubectl(&in_namespace("wait --for=condition=Ready pod/p --timeout=60s")).ok();

    let said = cluster.kubectl(&in_namespace("exec -v=4 p -- sh -c 'echo out; echo err >&2'"));
    assert!(said.code == Some(0) && said.out == "out\n" && said.err.contains("err\n"), "{said:?}");
    assert!(said.err.contains("The subprotocol is v5.channel.k8s.io"), "{}", said.err);
    // The end of the input ends what reads it.
    assert_eq!(cluster.kubectl_with(&in_namespace("exec -i p -- cat"), "line\n").ok(), "line\n");
    let much = "x".repeat(3_000_000);
    assert_eq!(cluster.kubectl_with(&in_namespace("exec -i p -- wc -c"), &much).ok().trim(), "3000000");
    assert_eq!(cluster.kubectl_with(&in_namespace("exec -i p -- sha256sum"), "").ok().trim(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  -");
    assert_eq!(cluster.kubectl(&in_namespace("exec p -- head -c 5000000 /dev/zero")).ok().len(), 5_000_000);
    let ended = cluster.kubectl(&in_namespace("exec p -- sh -c 'exit 7'"));
    assert!(ended.code == Some(7) && ended.err.contains("command terminated with exit code 7"), "{ended:?}");
    let absent = cluster.kubectl(&in_namespace("exec p -- no-such-program")).fails();
    assert!(absent.contains("no-such-program"), "{absent}");
    assert!(cluster.kubectl(&in_namespace("exec p -c other -- true")).fails().contains("container other is not valid for pod p"));
    // Who reads no further does not hold the process: the pipe ends, and kubectl with it.
    assert_eq!(cluster.kubectl(&in_namespace("exec p -- sh -c 'cat /proc/self/stat > /dev/null; echo done'")).ok(), "done\n");

    let mut forward = cluster.start(&in_namespace("port-forward pod/p :8080"));
    let line = forward.until("Forwarding from 127.0.0.1:");
    let port: u16 = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|p| p.parse().ok()).expect("a port");
    for _ in 0..3 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("kubectl listens");
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is read");
        assert!(answer.contains("forwarded"), "{answer}");
    }
}

#[test]
fn upgrades_are_answered_as_upstream_answers_them() {
    let Some(target) = Target::new() else { return };
    let namespace = target.cluster.namespace("e2e-upgrades");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "knarr.io/hello:1", "imagePullPolicy": "Never"}]}});
    target.cluster.kubectl_with(&format!("-n {} create -f -", namespace.name), &pod.to_string()).ok();
    target.cluster.kubectl(&format!("-n {} wait --for=condition=Ready pod/p --timeout=60s", namespace.name)).ok();
    let base = format!("/api/v1/namespaces/{}/pods/p", namespace.name);
    let asks = |path: &str, protocol: &str| {
        let request = format!("GET {base}/{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n");
        let mut child = target.raw(&request);
        let mut head = [0; 600];
        let count = child.stdout.as_mut().expect("piped").read(&mut head).expect("an answer");
        let _ = run(std::process::Command::new("kill").arg(child.id().to_string()), "");
        let _ = child.wait();
        String::from_utf8_lossy(&head[..count]).to_lowercase()
    };
    for (path, protocol) in [("exec?command=true&stdout=1", "v5.channel.k8s.io"), ("exec?command=true&stdout=1", "v4.channel.k8s.io, v5.channel.k8s.io"), ("portforward", "SPDY/3.1+portforward.k8s.io")] {
        let answer = asks(path, protocol);
        let chosen = protocol.split(", ").last().unwrap_or_default().to_lowercase();
        assert!(answer.starts_with("http/1.1 101") && answer.contains(&format!("sec-websocket-protocol: {chosen}")) && answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    }
    let older = asks("exec?command=true&stdout=1", "v4.channel.k8s.io");
    assert!(older.starts_with("http/1.1 101") && older.contains("sec-websocket-protocol: v4.channel.k8s.io"), "{older}");
}
