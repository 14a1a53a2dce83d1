//! Two API servers over one etcd, and what one must see of the other.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use e2e::{Cluster, Ran, Running, run};
use serde_json::json;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

fn etcd(data: &Path, client: u16, peer: u16) -> Running {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(data).args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("default={peer}"), "--log-level", "error"]);
    Running::start(&mut command)
}

struct Server {
    kubeconfig: String,
    _process: Running,
}

impl Server {
    fn start(data: &Path, etcd: u16) -> Self {
        let port = free_port().to_string();
        let mut command = Command::new(std::env::var_os("KNARR_BIN").expect("KNARR_BIN is set"));
        command.arg("--data-dir").arg(data).args(["apiserver", "--port", &port, "--service-cidr", "10.189.0.0/28"]);
        command.args(["--etcd-servers", &format!("http://127.0.0.1:{etcd}"), "--etcd-healthcheck-timeout=1s"]);
        let mut process = Running::start(&mut command);
        process.until("API serves at");
        Self { kubeconfig: data.join("kubeconfig").display().to_string(), _process: process }
    }

    fn kubectl(&self, line: &str) -> Ran {
        kubectl(&self.kubeconfig, line, "")
    }
}

fn kubectl(kubeconfig: &str, line: &str, manifest: &str) -> Ran {
    run(Command::new("kubectl").arg("--kubeconfig").arg(kubeconfig).args(line.split(' ')), manifest)
}

/// Servers of one cluster share its authority and keys.
fn pair(folder: &Path, etcd: u16) -> (Server, Server) {
    let one = Server::start(&folder.join("one"), etcd);
    run(Command::new("cp").arg("-r").arg(folder.join("one/pki")).arg(folder.join("pki")), "").ok();
    std::fs::create_dir(folder.join("two")).expect("a folder");
    std::fs::rename(folder.join("pki"), folder.join("two/pki")).expect("one disk");
    let two = Server::start(&folder.join("two"), etcd);
    (one, two)
}

#[test]
fn two_servers_share_one_etcd() {
    let Some(_) = Cluster::of_environment() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (client, peer) = (free_port(), free_port());
    let store = etcd(&folder.path().join("etcd"), client, peer);
    let (one, two) = pair(folder.path(), client);

    let mut watch = Running::start(Command::new("kubectl").arg("--kubeconfig").arg(&two.kubeconfig).args(["get", "configmaps", "--watch", "--output=name"]));
    one.kubectl("create configmap shared --from-literal=a=1").ok();
    watch.until("configmap/shared");
    assert_eq!(two.kubectl("get configmap shared -o jsonpath={.data.a}").ok(), "1");
    two.kubectl("patch configmap shared --type=merge -p {\"data\":{\"b\":\"2\"}}").ok();
    assert_eq!(one.kubectl("get configmap shared -o jsonpath={.data.b}").ok(), "2");
    for n in 0..5 {
        let (here, there) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
        here.kubectl(&format!("create secret generic s{n} --from-literal=password=unseen-{n}")).ok();
        assert!(there.kubectl(&format!("get secret s{n} -o jsonpath={{.data.password}}")).ok().starts_with("dW5zZWVu"));
        there.kubectl(&format!("delete secret s{n}")).ok();
        assert!(here.kubectl(&format!("get secret s{n}")).fails().contains("not found"));
    }
    numbers_are_given_once(&one, &two);
    one.kubectl("create secret generic kept --from-literal=password=unseen").ok();

    // Without etcd nothing is acknowledged, and the server says that it is not well; with it back both go on.
    let health = |path: &str| one.kubectl(&format!("get --raw {path}"));
    assert!(health("/readyz?verbose").ok().contains("[+]etcd ok\n[+]etcd-readiness ok\n"));
    drop(store);
    assert!(health("/livez").fails().contains("[-]etcd failed: reason withheld"));
    assert_eq!(health("/livez?exclude=etcd").ok(), "ok");
    assert!(one.kubectl("create configmap lost --request-timeout=30s").code != Some(0));
    let _store = etcd(&folder.path().join("etcd"), client, peer);
    one.kubectl("create configmap later").ok();
    assert_eq!(two.kubectl("get configmap later -o name").ok().trim(), "configmap/later");
    assert!(two.kubectl("get secret kept -o jsonpath={.data.password}").ok().starts_with("dW5zZWVu"));
    let held = |path: &Path| -> bool { walk(path).iter().any(|file| std::fs::read(file).is_ok_and(|bytes| bytes.windows(8).any(|w| w == b"dW5zZWVu"))) };
    assert!(!held(&folder.path().join("etcd")), "a Secret lies in etcd in the clear");
}

/// Both servers give out what there is of a range at once.
fn numbers_are_given_once(one: &Server, two: &Server) {
    let services = |name: &str| {
        let service = |n: usize| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("{name}{n}")}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
        json!({"apiVersion": "v1", "kind": "List", "items": (0..6).map(service).collect::<Vec<_>>()}).to_string()
    };
    std::thread::scope(|scope| {
        let both = [(&one.kubeconfig, "here"), (&two.kubeconfig, "there")].map(|(config, name)| scope.spawn(move || kubectl(config, "create -f -", &services(name)).ok()));
        for thread in both {
            thread.join().expect("they are created");
        }
    });
    let held = |path: &str| {
        let mut held: Vec<String> = two.kubectl(&format!("get services -o jsonpath={{.items[*]{path}}}")).ok().split(' ').map(str::to_owned).collect();
        held.sort();
        held.dedup();
        held
    };
    let addresses = held(".spec.clusterIP");
    assert_eq!((addresses.len(), held(".spec.ports[*].nodePort").len()), (13, 12), "{addresses:?}");
    let mut claimed: Vec<String> = one.kubectl("get ipaddresses -o jsonpath={.items[*].metadata.name}").ok().split(' ').map(str::to_owned).collect();
    claimed.sort();
    assert_eq!(claimed, addresses);
    two.kubectl("create service clusterip last --tcp=80").ok();
    let full = one.kubectl("create service clusterip none-left --tcp=80").fails();
    assert!(full.contains("failed to allocate IP: range is full"), "{full}");
    one.kubectl("delete service here0").ok();
    two.kubectl("create service clusterip none-left --tcp=80").ok();
}

fn definition(plural: &str, kind: &str) -> String {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}});
    let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage, "schema": schema});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.many.test")},
        "spec": {"group": "many.test", "scope": "Namespaced", "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")}, "versions": [version("v1", true), version("v2", false)]}})
    .to_string()
}

/// Runs both at once.
fn both<T: Send>(one: impl FnOnce() -> T + Send, two: impl FnOnce() -> T + Send) -> (T, T) {
    std::thread::scope(|scope| {
        let other = scope.spawn(two);
        (one(), other.join().expect("it ends"))
    })
}

#[test]
fn definitions_of_one_server_are_the_others_too() {
    let Some(_) = Cluster::of_environment() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (client, peer) = (free_port(), free_port());
    let _store = etcd(&folder.path().join("etcd"), client, peer);
    let (one, two) = pair(folder.path(), client);
    for n in 0..4 {
        let (here, there) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let (plural, kind) = (format!("things{n}"), format!("Thing{n}"));
        let url = |version: &str| format!("/apis/many.test/{version}/namespaces/default/{plural}");
        let made = || {
            kubectl(&here.kubeconfig, "create -f -", &definition(&plural, &kind)).ok();
            // The very next request to the other server.
            there.kubectl(&format!("get --raw {}", url("v1"))).ok();
            let thing = json!({"apiVersion": "many.test/v1", "kind": kind, "metadata": {"name": "a"}, "spec": {"n": n}}).to_string();
            kubectl(&there.kubeconfig, &format!("create --raw {} -f -", url("v1")), &thing).ok();
            // As its other version, on the first server.
            let seen = here.kubectl(&format!("get --raw {}/a", url("v2"))).ok();
            assert!(seen.contains("\"apiVersion\":\"many.test/v2\""), "{seen}");
        };
        made();
        there.kubectl(&format!("delete crd {plural}.many.test")).ok();
        assert!(here.kubectl(&format!("get --raw {}", url("v1"))).fails().contains("NotFound"));
        // Its objects went along: a definition of the same name begins with none.
        made();
    }
    // Two definitions want one kind: one of them has it, whoever judges.
    let configs = (one.kubeconfig.clone(), two.kubeconfig.clone());
    both(|| kubectl(&configs.0, "create -f -", &definition("apples", "Fruit")).ok(), || kubectl(&configs.1, "create -f -", &definition("pears", "Fruit")).ok());
    let established = |server: &Server| ["apples", "pears"].map(|plural| server.kubectl(&format!("get crd {plural}.many.test -o jsonpath={{.status.conditions[?(@.type==\"Established\")].status}}")).ok());
    let known = established(&one);
    assert!(known.contains(&"True".to_owned()) && known[0] != known[1] && established(&two) == known, "{known:?}");
    // One name, wanted by both: one is told, and both serve it.
    let (here, there) = both(|| kubectl(&configs.0, "create -f -", &definition("plums", "Plum")), || kubectl(&configs.1, "create -f -", &definition("plums", "Plum")));
    assert_eq!([&here, &there].iter().filter(|ran| ran.code == Some(0)).count(), 1, "{here:?} {there:?}");
    let change = |kubeconfig: &str, side: &str| (0..5).for_each(|n| drop(kubectl(kubeconfig, &format!("annotate crd plums.many.test {side}{n}=x"), "").ok()));
    both(|| change(&configs.0, "here"), || change(&configs.1, "there"));
    let kept = two.kubectl("get crd plums.many.test -o jsonpath={.metadata.annotations}").ok();
    assert!((0..5).all(|n| kept.contains(&format!("\"here{n}\"")) && kept.contains(&format!("\"there{n}\""))), "{kept}");
    [&one, &two].iter().for_each(|server| drop(server.kubectl("get --raw /apis/many.test/v1/namespaces/default/plums").ok()));
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.flat_map(|e| if e.path().is_dir() { walk(&e.path()) } else { vec![e.path()] }).collect()
}
