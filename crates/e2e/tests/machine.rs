//! What a cluster does to the machine, and what the machine does to it. These tests bring clusters of their own.

use std::path::PathBuf;
use std::process::Command;

use e2e::{Cluster, Running, run, shell_image};

/// A second cluster beside the one under test.
struct Second {
    knarr: PathBuf,
    data: tempfile::TempDir,
}

const SETTINGS: [&str; 10] = ["--name", "knarr-second", "--port", "17543", "--kubelet-port", "17550", "--pod-cidr", "10.182.0.0/24", "--service-cidr", "10.183.0.0/16"];

impl Second {
    fn new() -> Self {
        let knarr = std::env::var_os("KNARR_BIN").map(PathBuf::from).expect("KNARR_BIN is set");
        Self { knarr, data: tempfile::tempdir_in("/var/tmp").expect("a folder") }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.knarr);
        command.arg("--data-dir").arg(self.data.path().join("data")).args(args).env("HOME", self.data.path()).env_remove("KUBECONFIG");
        command
    }

    fn kubectl(&self, line: &str) -> e2e::Ran {
        let mut command = Command::new("kubectl");
        command.args(line.split(' ')).env("KUBECONFIG", self.data.path().join("data/kubeconfig"));
        run(&mut command, "")
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = run(&mut self.command(&["down", "--purge"]), "");
    }
}

/// What a cluster could leave behind, by kind.
fn traces() -> Vec<(&'static str, Vec<String>)> {
    let lines = |command: &str, args: &[&str], keep: fn(&str) -> Option<String>| {
        let out = run(Command::new(command).args(args), "").out;
        let mut lines: Vec<String> = out.lines().filter_map(keep).collect();
        lines.sort();
        lines
    };
    let whole = |line: &str| Some(line.to_owned());
    let second_word = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    vec![
        ("links", lines("ip", &["-o", "link"], second_word)),
        ("network namespaces", lines("ls", &["/var/run/netns"], whole)),
        ("nft tables", lines("nft", &["list", "tables"], whole)),
        ("mounts", lines("findmnt", &["-rno", "TARGET"], whole)),
        ("policy routes", lines("ip", &["rule"], whole)),
    ]
}

#[test]
fn down_leaves_nothing_behind() {
    let Some(_cluster) = Cluster::of_environment() else { return };
    let before = traces();
    let second = Second::new();
    run(second.command(&["up"]).args(SETTINGS), "").ok();
    second.kubectl("create deployment hello --image=knarr.io/hello:1 --replicas=2").ok();
    second.kubectl("expose deployment hello --port=80 --target-port=8080 --type=NodePort").ok();
    second.kubectl("rollout status deployment/hello --timeout=60s").ok();
    let data = second.data.path().join("data");
    run(&mut second.command(&["down", "--purge"]), "").ok();
    assert!(!data.exists(), "{} is still there", data.display());
    for ((kind, was), (_, is)) in before.into_iter().zip(traces()) {
        assert_eq!(was, is, "{kind} differ");
    }
    let folder = second.data.path().display().to_string();
    let left: Vec<String> = run(Command::new("ps").args(["-eo", "args"]), "").out.lines().filter(|l| l.contains(&folder)).map(str::to_owned).collect();
    assert!(left.is_empty(), "still running: {left:?}");
}

#[test]
fn a_port_in_use_is_told_before_anything_starts() {
    let Some(_cluster) = Cluster::of_environment() else { return };
    let _listener = std::net::TcpListener::bind("0.0.0.0:17543").expect("the port is free");
    let second = Second::new();
    let refused = run(second.command(&["up"]).args(SETTINGS), "");
    let error = format!("{}{}", refused.out, refused.clone().fails());
    assert!(error.contains("17543") && error.contains("--port"), "{error}");
    assert!(!second.data.path().join("data/store").exists());
}

#[test]
fn a_containerd_that_dies_comes_back() {
    let Some(_cluster) = Cluster::of_environment() else { return };
    let second = Second::new();
    run(second.command(&["up"]).args(SETTINGS), "").ok();
    second.kubectl("create deployment hello --image=knarr.io/hello:1").ok();
    second.kubectl("rollout status deployment/hello --timeout=60s").ok();
    let data = second.data.path().join("data").display().to_string();
    let containerd = run(Command::new("ps").args(["-eo", "pid,args"]), "").out.lines().find(|l| l.contains("containerd --config") && l.contains(&data)).and_then(|l| l.split_whitespace().next().map(str::to_owned)).expect("containerd runs");
    run(Command::new("kill").args(["-9", &containerd]), "").ok();
    second.kubectl("scale deployment hello --replicas=2").ok();
    second.kubectl("rollout status deployment/hello --timeout=90s").ok();
    let restarts = second.kubectl("get pods -o jsonpath={.items[*].status.containerStatuses[0].restartCount}").ok();
    assert_eq!(restarts, "0 0");
}

#[test]
fn a_damaged_store_is_told_and_left_as_it_is() {
    let Some(_cluster) = Cluster::of_environment() else { return };
    let second = Second::new();
    run(second.command(&["up"]).args(SETTINGS), "").ok();
    run(&mut second.command(&["down"]), "").ok();
    let store = second.data.path().join("data/store");
    let log = std::fs::read_dir(&store).expect("the store").map(|e| e.expect("an entry").path()).find(|p| p.to_string_lossy().contains("log-")).expect("a log");
    let mut bytes = std::fs::read(&log).expect("readable");
    bytes[64] ^= 0x40;
    std::fs::write(&log, &bytes).expect("writable");
    let error = run(second.command(&["up"]).args(SETTINGS), "").fails();
    assert!(error.contains("damaged at byte") && error.contains("log-"), "{error}");
    assert_eq!(std::fs::read(&log).expect("readable"), bytes);
}

/// An address of loopback that nobody listens on.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").to_string()
}

/// Where the cluster's own containerd listens, as its configuration tells.
fn containerd_socket(cluster: &Cluster) -> String {
    let config = std::fs::read_to_string(cluster.data.join("containerd.toml")).expect("the configuration is there");
    let line = config.lines().map(str::trim).find(|l| l.starts_with("address") && l.contains(".sock")).expect("it names a socket");
    line.split('"').nth(1).expect("in quotes").to_owned()
}

#[test]
fn images_come_from_a_registry() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("registry.yml");
    let address = free_address();
    let text = format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n", folder.path().join("blobs").display());
    std::fs::write(&config, text).expect("writable");
    let _registry = Running::start(Command::new("docker-registry").arg("serve").arg(&config));
    run(Command::new("curl").args(["-sS", "--retry", "50", "--retry-delay", "1", "--retry-all-errors", &format!("http://{address}/v2/")]), "").ok();
    let tag = &format!("{address}/team/greeter:1");
    cluster.import(&shell_image(tag, "trap 'exit 0' TERM; echo from the registry; sleep 1000 & wait", &[]));
    let socket = containerd_socket(&cluster);
    let ctr = |args: &[&str]| run(Command::new("ctr").args(["--address", &socket, "--namespace", "k8s.io", "images"]).args(args), "");
    ctr(&["push", "--plain-http", tag]).ok();
    cluster.knarr(&["image", "rm", tag]).ok();
    let _namespace = cluster.namespace("registry");
    cluster.kubectl(&format!("run greeter --image={tag} --image-pull-policy=Always -n registry")).ok();
    cluster.kubectl("wait pod/greeter -n registry --for=condition=Ready --timeout=60s").ok();
    assert!(cluster.kubectl("logs greeter -n registry").ok().contains("from the registry"));
    let events = cluster.kubectl("get events -n registry").ok();
    assert!(events.contains("Successfully pulled image"), "{events}");
    cluster.kubectl(&format!("run nowhere --image={address}/team/absent:1 -n registry")).ok();
    cluster.kubectl("wait pod/nowhere -n registry --for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff --timeout=60s").ok();
}

/// The number of a process of this folder by words of its command line.
fn process_of(data: &str, words: &str) -> String {
    let all = run(Command::new("ps").args(["-eo", "pid,args"]), "").out;
    let line = all.lines().find(|l| l.contains(words) && l.contains(data)).unwrap_or_else(|| panic!("no {words} of {data}"));
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn every_component_runs_alone_against_an_api_server() {
    let Some(_cluster) = Cluster::of_environment() else { return };
    let second = Second::new();
    run(second.command(&["up"]).args(SETTINGS), "").ok();
    second.kubectl("create deployment hello --image=knarr.io/hello:1").ok();
    second.kubectl("expose deployment hello --port=80 --target-port=8080").ok();
    second.kubectl("rollout status deployment/hello --timeout=60s").ok();
    let before = second.kubectl("get pods -o jsonpath={.items[0].status.containerStatuses[0].containerID}").ok();
    let data = second.data.path().join("data").display().to_string();
    run(Command::new("kill").args(["-9", &process_of(&data, "server --machine")]), "").ok();
    // containerd lives on; everything else comes back as a process of its own.
    let config = std::fs::read_to_string(format!("{data}/containerd.toml")).expect("the configuration is there");
    let socket = config.lines().map(str::trim).find(|l| l.starts_with("address") && l.contains(".sock")).and_then(|l| l.split('"').nth(1)).expect("it names a socket");
    let tag = socket.split('/').rev().nth(1).expect("a folder of the cluster's own");
    let mut server = Running::start(second.command(&["apiserver"]).args(SETTINGS));
    server.until("API serves at");
    let node = second.kubectl("get nodes -o jsonpath={.items[0].metadata.name}").ok();
    let pki = |file: &str| format!("{data}/pki/{file}");
    let kubeconfig = format!("{data}/kubeconfig");
    let alone = |args: &[&str]| Running::start(second.command(args).args(["--kubeconfig", &kubeconfig]));
    let _scheduler = alone(&["scheduler"]);
    let _controllers = alone(&["controllers", "--cluster-ca", &pki("ca.crt")]);
    let (cert, key, ca) = (pki("kubelet-serving.crt"), pki("kubelet-serving.key"), pki("ca.crt"));
    let served = ["--listen", "0.0.0.0:17550", "--tls-cert", &cert, "--tls-key", &key, "--client-ca", &ca];
    let mut kubelet = vec!["kubelet", "--runtime", socket, "--node-name", &node, "--cluster-dns", "10.183.0.10"];
    kubelet.extend(served);
    let _kubelet = alone(&kubelet);
    let _proxy = alone(&["proxy", "--node-name", &node, "--table", tag, "--pod-cidr", "10.182.0.0/24", "--service-cidr", "10.183.0.0/16"]);
    second.kubectl("scale deployment hello --replicas=3").ok();
    second.kubectl("rollout status deployment/hello --timeout=90s").ok();
    let after = second.kubectl("get pods -o jsonpath={.items[*].status.containerStatuses[0].containerID}").ok();
    assert!(after.contains(&before), "the container was not adopted: {before} is not in {after}");
    assert_eq!(after.split(' ').count(), 3, "{after}");
    // The new pods are behind the service, which only the proxy can have brought about.
    let address = second.kubectl("get service hello -o jsonpath={.spec.clusterIP}").ok();
    let pods: Vec<String> = second.kubectl("get pods -o jsonpath={.items[*].metadata.name}").ok().split(' ').map(str::to_owned).collect();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let page = run(Command::new("curl").args(["-sS", "--max-time", "5", &format!("http://{address}/")]), "").ok();
        seen.extend(pods.iter().filter(|pod| page.contains(*pod)).cloned());
        if seen.len() == pods.len() {
            break;
        }
    }
    assert_eq!(seen.len(), pods.len(), "only {seen:?} of {pods:?} answer");
    assert!(second.kubectl("logs deployment/hello").code == Some(0));
    second.kubectl("delete deployment hello --cascade=foreground --timeout=60s").ok();
}
