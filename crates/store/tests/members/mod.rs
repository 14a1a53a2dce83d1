//! etcd members for tests: real processes on ports of their own, ended when dropped.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use store::{DEFAULT_HISTORY_BYTES, EtcdOptions, EtcdTls, Layout, Stamped, Store};

/// A port that nobody held a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

pub struct Members {
    folder: tempfile::TempDir,
    names: Vec<String>,
    clients: Vec<u16>,
    peers: Vec<u16>,
    processes: Vec<Option<Child>>,
    tls: Option<EtcdTls>,
}

impl Members {
    /// Starts so many members, with TLS and client certificates where asked for.
    pub fn start(count: usize, tls: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut members = Self {
            names: (0..count).map(|n| format!("m{n}")).collect(),
            clients: (0..count).map(|_| free_port()).collect(),
            peers: (0..count).map(|_| free_port()).collect(),
            processes: (0..count).map(|_| None).collect(),
            tls: tls.then(|| certificates(folder.path())),
            folder,
        };
        (0..count).for_each(|at| members.run(at));
        members
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn endpoint(&self, at: usize) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.clients[at])
    }

    pub fn port(&self, at: usize) -> u16 {
        self.clients[at]
    }

    /// Starts a member that does not run.
    pub fn run(&mut self, at: usize) {
        let peer = |n: usize| format!("http://127.0.0.1:{}", self.peers[n]);
        let all: Vec<String> = (0..self.names.len()).map(|n| format!("{}={}", self.names[n], peer(n))).collect();
        let log = std::fs::File::create(self.folder.path().join(format!("{}.log", self.names[at]))).expect("a log");
        let mut command = Command::new("etcd");
        command.args(["--name", &self.names[at], "--data-dir", &self.path(&self.names[at]), "--initial-cluster", &all.join(",")]);
        command.args(["--listen-client-urls", &self.endpoint(at), "--advertise-client-urls", &self.endpoint(at)]);
        command.args(["--listen-peer-urls", &peer(at), "--initial-advertise-peer-urls", &peer(at), "--heartbeat-interval", "50", "--election-timeout", "500"]);
        if self.tls.is_some() {
            command.args(["--client-cert-auth", "--trusted-ca-file", &self.path("ca.crt"), "--cert-file", &self.path("server.crt"), "--key-file", &self.path("server.key")]);
        }
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("etcd runs (Debian: apt-get install etcd-server)");
        self.processes[at] = Some(child);
    }

    pub fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.processes[at].take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    /// Stops or continues a process without ending it: a member that answers nobody.
    pub fn signal(&self, at: usize, signal: i32) {
        let child = self.processes[at].as_ref().expect("it runs");
        // SAFETY: a signal to a process that this test started and has not waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
    }

    pub fn options(&self, endpoints: Vec<String>) -> EtcdOptions {
        EtcdOptions {
            endpoints,
            tls: self.tls.clone(),
            layout: Layout { prefix: "/registry".into(), renamed: Vec::new() },
            read,
            history_bytes: DEFAULT_HISTORY_BYTES,
            seal: None,
        }
    }

    /// A store over all members, as soon as they have a leader.
    pub async fn store(&self) -> Store {
        self.open(self.options((0..self.names.len()).map(|n| self.endpoint(n)).collect())).await
    }

    pub async fn open(&self, options: EtcdOptions) -> Store {
        Store::etcd(options).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        (0..self.processes.len()).for_each(|at| self.kill(at));
    }
}

/// The tests' values have the place of their revision always in the same spot.
pub fn read(bytes: Bytes) -> Option<Stamped> {
    bytes.starts_with(b"{\"revision\":\"\"").then_some(Stamped { bytes, at: 13 })
}

/// An authority, a server's and a client's certificate.
fn certificates(folder: &Path) -> EtcdTls {
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("room");
        path
    };
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let leaf = |names: &[&str], usage: rcgen::ExtendedKeyUsagePurpose| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).expect("parameters");
        params.extended_key_usages = vec![usage, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &issuer).expect("a certificate").pem(), key.serialize_pem())
    };
    let (server, server_key) = leaf(&["127.0.0.1", "localhost"], rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    let (client, client_key) = leaf(&["client"], rcgen::ExtendedKeyUsagePurpose::ClientAuth);
    write("ca.crt", &ca_cert.pem());
    write("server.crt", &server);
    write("server.key", &server_key);
    EtcdTls { ca: ca_cert.pem().into_bytes(), certificate: client.into_bytes(), key: client_key.into_bytes() }
}
