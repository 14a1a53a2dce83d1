//! What the controllers are told from outside.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of all controllers. `Config::default()` holds upstream's timings.
#[derive(Clone)]
pub struct Config {
    /// Published as ConfigMap `kube-root-ca.crt` in every namespace. Empty: not published.
    pub cluster_ca_pem: String,
    /// Below this folder the provisioner `knarr.io/local-path` makes its volumes.
    pub local_path_dir: PathBuf,
    /// The node whose folders this process makes and removes; empty when it runs on no node.
    pub node_name: String,
    /// A node whose lease is older than this is not ready.
    pub node_grace: Duration,
    /// Finished pods beyond this number are removed, oldest first.
    pub terminated_pods: usize,
    /// Services of type LoadBalancer get the addresses of ready nodes.
    pub load_balancer: bool,
    /// Every service account gets a Secret with a token, as before 1.24.
    pub account_secrets: bool,
    /// The cluster's facts are signed for bootstrap tokens, and tokens that have ended are removed.
    pub bootstrap_tokens: bool,
    /// Run only while holding the lease `kube-controller-manager` under this identity; empty: always run.
    pub leader_identity: String,
    /// Paged lists in place of streaming ones, for API servers before 1.32.
    pub paged_lists: bool,
    /// Signs for the built-in signers; none: nobody signs here.
    pub signing: Option<crate::Signing>,
    /// Ask the server first what it has; kinds that it lacks are left alone. Off where both are one build.
    pub any_server: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster_ca_pem: String::new(),
            local_path_dir: PathBuf::from("/var/lib/knarr/storage"),
            node_name: String::new(),
            node_grace: Duration::from_secs(40),
            terminated_pods: 12_500,
            load_balancer: true,
            account_secrets: false,
            bootstrap_tokens: false,
            leader_identity: String::new(),
            paged_lists: false,
            signing: None,
            any_server: false,
        }
    }
}
