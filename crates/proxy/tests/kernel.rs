//! The rules against a real kernel, in network namespaces of the test's own: two "pods" behind routed pairs, as the CNI makes them.
//! Needs root; says so and passes otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};
use nlink::netlink::addr::Ipv4Address;
use nlink::netlink::link::{BridgeLink, VethLink};
use nlink::netlink::route::Ipv4Route;
use nlink::netlink::{Connection, Route};
use proxy::Kernel;
use service_rules::{Backend, Chain, Frontend, HostPort, Protocol, Range, RuleSet, Target};

const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 43, 0, 7);
const NODE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);

fn pod_ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 42, 0, 10 + n)
}

/// A thread that lives in its own network namespace and does what it is sent.
struct Place {
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    namespace: OwnedFd,
}

impl Place {
    fn new() -> Self {
        let (jobs, todo) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            tell.send(std::fs::File::open("/proc/thread-self/ns/net").unwrap().into()).unwrap();
            todo.into_iter().for_each(|job| job());
        });
        Self { jobs, namespace: told.recv().unwrap() }
    }

    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        self.jobs.send(Box::new(move || tell.send(job()).unwrap())).unwrap();
        told.recv().unwrap()
    }

    /// Async work in the namespace; sockets are made in the thread that stands in it.
    fn run_async<T: Send + 'static, F: Future<Output = T>>(&self, job: impl FnOnce() -> F + Send + 'static) -> T {
        self.run(move || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async move { job().await }))
    }

    /// Serves TCP and UDP on `port`: the answer is the server's own name and the client's address.
    fn serve(&self, port: u16, name: String) {
        let namespace = self.namespace.try_clone().unwrap();
        let (ready, wait) = mpsc::channel();
        std::thread::spawn(move || {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
            let udp = UdpSocket::bind(("0.0.0.0", port)).unwrap();
            let tcp = TcpListener::bind(("0.0.0.0", port)).unwrap();
            let called = name.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 16];
                while let Ok((_, from)) = udp.recv_from(&mut buffer) {
                    let _ = udp.send_to(format!("{called} {}", from.ip()).as_bytes(), from);
                }
            });
            ready.send(()).unwrap();
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                let from = stream.peer_addr().unwrap().ip();
                let _ = write!(stream, "{name} {from}");
            }
        });
        wait.recv().unwrap();
    }

    fn ask(&self, ip: Ipv4Addr, port: u16) -> Result<String, std::io::ErrorKind> {
        self.run(move || {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::from((ip, port)), Duration::from_secs(2)).map_err(|e| e.kind())?;
            let mut text = String::new();
            stream.read_to_string(&mut text).map_err(|e| e.kind())?;
            Ok(text)
        })
    }
}

/// A node with two pods.
struct Net {
    host: Place,
    pods: [Place; 2],
}

impl Net {
    fn new() -> Self {
        let (host, pods) = (Place::new(), [Place::new(), Place::new()]);
        host.run_async(|| async {
            let c = Connection::<Route>::new().unwrap();
            c.set_link_up("lo").await.unwrap();
            c.add_address(Ipv4Address::new("lo", NODE, 32)).await.unwrap();
            c.add_link(BridgeLink::new("own0")).await.unwrap();
            c.add_address(Ipv4Address::new("own0", GATEWAY, 32)).await.unwrap();
            c.set_link_up("own0").await.unwrap();
            c.add_route(Ipv4Route::from_addr(Ipv4Addr::new(10, 43, 0, 0), 16).dev("own0").prefsrc(GATEWAY)).await.unwrap();
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        });
        for (n, pod) in (0u8..).zip(&pods) {
            let namespace = pod.namespace.try_clone().unwrap();
            host.run_async(move || async move {
                let c = Connection::<Route>::new().unwrap();
                let name = format!("veth{n}");
                c.add_link(VethLink::new(&name, "pod0")).await.unwrap();
                c.set_link_netns_fd("pod0", &namespace).await.unwrap();
                c.add_address(Ipv4Address::new(&name, GATEWAY, 32)).await.unwrap();
                c.set_link_up(name.as_str()).await.unwrap();
                c.add_route(Ipv4Route::from_addr(pod_ip(n), 32).dev(&name)).await.unwrap();
            });
            pod.run_async(move || async move {
                let c = Connection::<Route>::new().unwrap();
                c.set_link_up("lo").await.unwrap();
                c.add_address(Ipv4Address::new("pod0", pod_ip(n), 32)).await.unwrap();
                c.set_link_up("pod0").await.unwrap();
                c.add_route(Ipv4Route::from_addr(GATEWAY, 32).dev("pod0")).await.unwrap();
                c.add_route(Ipv4Route::from_addr(Ipv4Addr::UNSPECIFIED, 0).gateway(GATEWAY)).await.unwrap();
            });
            pod.serve(8080, format!("pod{n}"));
        }
        Self { host, pods }
    }

    fn apply(&self, rules: &RuleSet) -> usize {
        let rules = rules.clone();
        self.host.run_async(move || async move { Kernel::open("test").unwrap().apply(&rules).await.unwrap() })
    }
}

fn rules(endpoints: &[u8]) -> RuleSet {
    let backend = |n: &u8| Backend { ip: pod_ip(*n), port: 8080 };
    let tcp = Protocol::Tcp;
    let mut rules = RuleSet {
        pod_range: Range::parse("10.42.0.0/24").unwrap(),
        service_range: Range::parse("10.43.0.0/16").unwrap(),
        frontends: BTreeMap::new(),
        node_ports: BTreeMap::new(),
        host_ports: BTreeMap::new(),
        chains: BTreeMap::new(),
        health_checks: BTreeMap::new(),
    };
    for protocol in Protocol::ALL {
        let front = Frontend { ip: SERVICE, protocol, port: 80 };
        if endpoints.is_empty() {
            rules.frontends.insert(front, Target::Reject);
            continue;
        }
        let chain = |affinity| Chain::Endpoints { protocol, masquerade_outside: true, affinity_seconds: affinity, endpoints: endpoints.iter().map(backend).collect() };
        let (plain, sticky, outside) = (format!("svc-{}", protocol.word()), format!("aff-{}", protocol.word()), format!("ext-{}", protocol.word()));
        rules.chains.insert(plain.clone(), chain(None));
        rules.chains.insert(sticky.clone(), chain(Some(60)));
        rules.chains.insert(outside.clone(), Chain::External { sources: vec![], masquerade: true, inside: None, next: Some(plain.clone()) });
        rules.frontends.insert(front, Target::Chain(plain));
        rules.frontends.insert(Frontend { port: 81, ..front }, Target::Chain(sticky));
        rules.node_ports.insert((protocol, 30080), Target::Chain(outside));
    }
    rules.host_ports.insert(HostPort { protocol: tcp, port: 9090, ip: None }, backend(&1));
    rules
}

#[test]
fn services_work_between_pods_and_from_the_node() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: network namespaces need root");
        return;
    }
    let net = Net::new();
    let [one, two] = &net.pods;
    assert!(net.apply(&rules(&[0, 1])) > 0);
    assert_eq!(net.apply(&rules(&[0, 1])), 0, "the same rules again change nothing");

    // Both endpoints answer, and see the client's own address; a pod that meets itself is seen as the node.
    let answers: BTreeSet<String> = (0..60).map(|_| one.ask(SERVICE, 80).unwrap()).collect();
    let own = format!("pod1 {}", pod_ip(0));
    assert!(answers.contains(&own) && answers.contains(&format!("pod0 {GATEWAY}")) && answers.len() == 2, "{answers:?}");
    // From the node, over the service address, the node port and the host port.
    for (ip, port) in [(SERVICE, 80), (NODE, 30080), (NODE, 9090)] {
        let answer = net.host.ask(ip, port).unwrap_or_else(|e| panic!("{ip}:{port}: {e}"));
        assert!(answer.starts_with("pod"), "{answer}");
    }
    assert!(two.ask(NODE, 30080).is_ok() && one.ask(NODE, 9090).unwrap().starts_with("pod1"));
    // One client stays with one endpoint.
    let answers: BTreeSet<String> = (0..40).map(|_| two.ask(SERVICE, 81).unwrap()).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // UDP too.
    let answer = one.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket.send_to(b"?", (SERVICE, 80)).unwrap();
        let mut buffer = [0; 64];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        (String::from_utf8_lossy(&buffer[..length]).into_owned(), from.ip().to_string())
    });
    assert!(answer.0.starts_with("pod") && answer.1 == SERVICE.to_string(), "{answer:?}");

    // One endpoint goes: only the other answers, at once. A port without a service is refused at once.
    net.apply(&rules(&[1]));
    assert!((0..20).all(|_| one.ask(SERVICE, 80).unwrap() == own));
    assert_eq!(one.ask(SERVICE, 82), Err(std::io::ErrorKind::ConnectionRefused));
    net.apply(&rules(&[]));
    assert_eq!(one.ask(SERVICE, 80), Err(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(net.host.ask(SERVICE, 80), Err(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(one.ask(NODE, 30080), Err(std::io::ErrorKind::ConnectionRefused));
    net.apply(&rules(&[0, 1]));
    assert!(one.ask(SERVICE, 80).is_ok());
    net.host.run_async(|| async { assert!(Kernel::open("test").unwrap().clear().await.unwrap()) });
}
