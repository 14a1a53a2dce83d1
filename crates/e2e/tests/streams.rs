//! Streams of containers, by upstream's kubectl and by knarr's, over WebSockets and SPDY: input that ends, codes, large outputs, copies, forwarded ports.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use e2e::target::Target;
use e2e::{Cluster, Ran, Running, run, shell_image};
use serde_json::json;

const IMAGE: &str = "docker.io/library/e2e-streams:1";

/// How a kubectl is made to reach containers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    WebSocket,
    /// The variables that upstream has for it.
    Spdy,
    /// Through a gate that refuses WebSockets.
    Refused,
}

/// A pod, and one of the two kubectls on its way to it.
struct Pod<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    way: Way,
    /// The gate's address.
    server: String,
}

impl Pod<'_> {
    fn command(&self, line: &str) -> Command {
        let mut command = self.cluster.kubectl_command(&format!("-n {} {line}", self.namespace));
        match self.way {
            Way::WebSocket => &mut command,
            Way::Spdy => command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false").env("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false"),
            Way::Refused => {
                // The gate stands for the whole server: its kubeconfig is a plain address.
                command.env("KUBECONFIG", "/dev/null").args(["--server", &self.server]);
                return self.reordered(command);
            }
        };
        command
    }

    /// Flags of the program before what may be a container's command.
    fn reordered(&self, command: Command) -> Command {
        let mut args: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        let server = args.split_off(args.len() - 2);
        let at = usize::from(args.first().is_some_and(|a| a == "kubectl"));
        args.splice(at..at, server);
        let mut new = Command::new(command.get_program());
        new.args(args).env("KUBECONFIG", "/dev/null");
        new
    }

    fn run(&self, line: &str, input: &str) -> Ran {
        run(&mut self.command(line), input)
    }

    fn ok(&self, line: &str, input: &str) -> String {
        self.run(line, input).ok()
    }
}

/// Passes connections on to a server; those that ask for a WebSocket get no more than an answer.
fn gate(to: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || passes(client, to));
        }
    });
    format!("http://{address}")
}

fn passes(mut client: TcpStream, to: u16) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", to))?;
    let (mut back, mut answers) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        back.shutdown(Shutdown::Write)
    });
    let mut part = vec![0; 64 << 10];
    loop {
        let count = client.read(&mut part)?;
        if count == 0 {
            return server.shutdown(Shutdown::Write);
        }
        if String::from_utf8_lossy(&part[..count]).to_lowercase().contains("upgrade: websocket") {
            client.write_all(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 20\r\n\r\nno WebSockets here\r\n")?;
            server.shutdown(Shutdown::Both)?;
            return client.shutdown(Shutdown::Both);
        }
        server.write_all(&part[..count])?;
    }
}

#[test]
fn both_kubectls_stream_over_websockets_and_spdy() {
    let (Some(theirs), Some(ours)) = (Cluster::of_environment(), Cluster::of_environment()) else { return };
    let ours = ours.with_own_kubectl();
    theirs.import(&shell_image(IMAGE, "mkdir /www; echo forwarded > /www/index.html; exec httpd -f -p 8080 -h /www", &[]));
    let namespace = theirs.namespace("e2e-streams");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "image": IMAGE, "imagePullPolicy": "Never"},
        {"name": "reads", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", "while read line; do echo got $line; done; sleep 1000"], "stdin": true},
    ]}});
    theirs.kubectl_with(&format!("-n {} create -f -", namespace.name), &pod.to_string()).ok();
    theirs.kubectl(&format!("-n {} wait --for=condition=Ready pod/p --timeout=60s", namespace.name)).ok();
    let mut proxy = theirs.start("proxy --port=0 --reject-paths=^/none$");
    let port = proxy.until("Starting to serve on 127.0.0.1:").trim().rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
    let server = gate(port);
    for cluster in [&theirs, &ours] {
        for way in [Way::WebSocket, Way::Spdy, Way::Refused] {
            let pod = Pod { cluster, namespace: &namespace.name, way, server: server.clone() };
            executes(&pod);
            attaches(&pod);
            forwards(&pod);
        }
    }
}

fn executes(pod: &Pod) {
    let said = pod.run("exec -v=4 p -c c -- sh -c 'echo out; echo err >&2'", "");
    assert!(said.code == Some(0) && said.out == "out\n" && said.err.contains("err\n"), "{:?}: {said:?}", pod.way);
    assert_eq!(said.err.contains("RemoteCommand fallback"), pod.way == Way::Refused, "{:?}: {said:?}", pod.way);
    // The end of the input ends what reads it, and what is read at once with the writing holds nothing up.
    let much = "0123456789abcde\n".repeat(200_000);
    assert_eq!(pod.ok("exec -i p -c c -- wc -c", &much).trim(), "3200000");
    assert_eq!(pod.ok("exec -i p -c c -- cat", &much).len(), much.len());
    assert_eq!(pod.ok("exec -i p -c c -- sha256sum", "").trim(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  -");
    assert_eq!(pod.ok("exec p -c c -- head -c 5000000 /dev/zero", "").len(), 5_000_000);
    // Input that waits to be read holds no output up, and nothing of it is lost.
    assert_eq!(pod.ok("exec -i p -c c -- sh -c 'echo said; sleep 0.3; echo more; wc -c'", &much), "said\nmore\n3200000\n");
    // A process that reads nothing ends all the same.
    assert_eq!(pod.ok("exec -i p -c c -- echo done", "line\n"), "done\n");
    let ended = pod.run("exec p -c c -- sh -c 'exit 7'", "");
    assert!(ended.code == Some(7) && ended.err.contains("command terminated with exit code 7"), "{ended:?}");
    assert!(pod.run("exec p -c c -- no-such-program", "").fails().contains("no-such-program"));
    assert!(pod.run("exec p -c other -- true", "").fails().contains("container other is not valid for pod p"));
    let folder = tempfile::tempdir().expect("a folder");
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    std::fs::write(&there, &much).expect("a file");
    pod.ok(&format!("cp {} p:/tmp/file -c c", there.display()), "");
    pod.ok(&format!("cp p:/tmp/file {} -c c", back.display()), "");
    assert_eq!(std::fs::read_to_string(&back).expect("it came back"), much);
}

fn attaches(pod: &Pod) {
    let mut command = pod.command("attach -i p -c reads");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("kubectl starts");
    let (mut stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    stdin.write_all(b"line\n").expect("the line is sent");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("an answer");
    child.kill().expect("kubectl is ended");
    let _ = child.wait();
    assert_eq!(line, "got line\n");
}

fn forwards(pod: &Pod) {
    let mut forward = Running::start(&mut pod.command("port-forward pod/p :8080"));
    let line = forward.until("Forwarding from 127.0.0.1:");
    let port: u16 = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|p| p.parse().ok()).expect("a port");
    let mut streams: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("kubectl listens")).collect();
    for stream in &mut streams {
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is read");
        assert!(answer.contains("forwarded"), "{answer}");
    }
    // A port where nobody listens ends the forwarding, and kubectl says so.
    let mut lost = pod.command("port-forward pod/p :9");
    let mut lost = lost.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kubectl starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(lost.stdout.take().expect("piped")));
    let line = lines.next().and_then(Result::ok).expect("a line");
    let port: u16 = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|p| p.parse().ok()).expect("a port");
    drop(TcpStream::connect(("127.0.0.1", port)).expect("kubectl listens"));
    std::thread::spawn(move || lines.count());
    let mut told = String::new();
    lost.stderr.take().expect("piped").read_to_string(&mut told).expect("what it says");
    assert_eq!(lost.wait().expect("it ends").code(), Some(1), "{told}");
    assert!(told.contains("Connection refused") || told.contains("connection refused"), "{told}");
    assert!(told.ends_with("error: lost connection to pod\n"), "{told}");
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
