//! What a node agent is told at its start.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Taint;

/// Settings of one node. `Config::new` fills in what most nodes want.
#[derive(Clone, Debug)]
pub struct Config {
    pub node_name: String,
    pub node_ip: IpAddr,
    pub cri_socket: PathBuf,
    /// Pods' volumes and files; upstream's /var/lib/kubelet.
    pub root_dir: PathBuf,
    /// Container logs; upstream's /var/log/pods.
    pub log_dir: PathBuf,
    /// Manifests of pods that run without an API.
    pub static_pod_dir: Option<PathBuf>,
    pub cluster_dns: Vec<IpAddr>,
    pub cluster_domain: String,
    /// The kubelet's own HTTPS API; not served without a certificate.
    pub listen: SocketAddr,
    pub serving: Option<Serving>,
    /// The port written into the node's status; the bound one when zero.
    pub advertised_port: u16,
    pub max_pods: u32,
    pub pod_cidr: Option<String>,
    /// Below this control group all pods live; empty is the root of each hierarchy.
    pub cgroup_root: String,
    /// Process limit of a pod; none when zero.
    pub pod_pids_limit: i64,
    pub resolv_conf: PathBuf,
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    /// Ask for streaming lists; off against servers older than 1.32.
    pub streaming_lists: bool,
    /// A log file is rotated when it is larger, and so many files are kept for each container.
    pub log_max_bytes: u64,
    pub log_max_files: usize,
}

/// Certificate of the kubelet's API and who may call it.
#[derive(Clone)]
pub struct Serving {
    pub cert_pem: String,
    pub key_pem: String,
    /// Client certificates are verified against these.
    pub client_ca_pem: String,
    /// Users that may do everything, beside members of `allowed_groups`.
    pub allowed_users: Vec<String>,
    pub allowed_groups: Vec<String>,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("allowed_users", &self.allowed_users).finish_non_exhaustive()
    }
}

impl Config {
    pub fn new(node_name: impl Into<String>, node_ip: IpAddr, cri_socket: impl Into<PathBuf>, root_dir: impl Into<PathBuf>) -> Self {
        let root_dir = root_dir.into();
        Self {
            node_name: node_name.into(),
            node_ip,
            cri_socket: cri_socket.into(),
            log_dir: root_dir.join("pod-logs"),
            root_dir,
            static_pod_dir: None,
            cluster_dns: Vec::new(),
            cluster_domain: "cluster.local".into(),
            listen: SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 10250),
            serving: None,
            advertised_port: 0,
            max_pods: 110,
            pod_cidr: None,
            cgroup_root: String::new(),
            pod_pids_limit: 0,
            resolv_conf: "/etc/resolv.conf".into(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            streaming_lists: true,
            log_max_bytes: 10 << 20,
            log_max_files: 5,
        }
    }
}

impl Serving {
    /// The API server's own client identity and administrators may call.
    pub fn new(cert_pem: impl Into<String>, key_pem: impl Into<String>, client_ca_pem: impl Into<String>) -> Self {
        Self {
            cert_pem: cert_pem.into(),
            key_pem: key_pem.into(),
            client_ca_pem: client_ca_pem.into(),
            allowed_users: vec!["kube-apiserver-kubelet-client".into()],
            allowed_groups: vec!["system:masters".into()],
        }
    }
}
