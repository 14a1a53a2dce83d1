//! What one cluster was started with. Kept beside its data, so that later commands need only the data folder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use host::Layout;
use serde::{Deserialize, Serialize};

use crate::cli::{AccessArgs, ClusterArgs, EtcdArgs};
use crate::failure::failure;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub name: String,
    pub port: u16,
    pub kubelet_port: u16,
    pub node_name: String,
    /// None: the address of the default route.
    #[serde(default)]
    pub node_ip: Option<IpAddr>,
    pub pod_cidr: String,
    pub service_cidr: String,
    /// Service accounts get token Secrets, as before 1.24.
    #[serde(default)]
    pub account_secrets: bool,
    /// None: the objects are kept in the data folder.
    #[serde(default)]
    pub etcd: Option<Etcd>,
    #[serde(default)]
    pub access: AccessArgs,
}

/// The etcd that holds the objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etcd {
    pub servers: Vec<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub prefix: String,
    #[serde(default)]
    pub health_timeout: Option<String>,
    #[serde(default)]
    pub ready_timeout: Option<String>,
}

impl Etcd {
    fn resolve(saved: Option<Self>, args: &EtcdArgs) -> anyhow::Result<Option<Self>> {
        if args.servers.is_empty() {
            return Ok(saved);
        }
        let parts = [&args.ca, &args.certificate, &args.key];
        if parts.iter().any(|p| p.is_some()) && parts.iter().any(|p| p.is_none()) {
            return Err(failure("a TLS connection to etcd needs three files", "give --etcd-cafile, --etcd-certfile and --etcd-keyfile together"));
        }
        let args = args.clone();
        Ok(Some(Self { servers: args.servers, ca: args.ca, certificate: args.certificate, key: args.key, prefix: args.prefix, health_timeout: args.health_timeout, ready_timeout: args.ready_timeout }))
    }

    /// What the API server needs to know, the files read.
    pub fn config(&self) -> anyhow::Result<apiserver::EtcdConfig> {
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
        let tls = match (&self.ca, &self.certificate, &self.key) {
            (Some(ca), Some(certificate), Some(key)) => Some(apiserver::EtcdTls { ca: read(ca)?, certificate: read(certificate)?, key: read(key)? }),
            _ => None,
        };
        // Upstream: apiserver `pkg/storage/storagebackend/config.go`.
        let timeout = |text: &Option<String>| text.as_deref().and_then(gotime::at_least_zero).unwrap_or(Duration::from_secs(2));
        let (health_timeout, ready_timeout) = (timeout(&self.health_timeout), timeout(&self.ready_timeout));
        Ok(apiserver::EtcdConfig { servers: self.servers.clone(), prefix: self.prefix.clone(), tls, health_timeout, ready_timeout })
    }
}

impl Settings {
    /// The flags, then what the last start had, then the defaults.
    pub fn resolve(layout: &Layout, args: &ClusterArgs) -> anyhow::Result<Self> {
        let saved = Self::load(layout)?;
        let mut settings = match saved {
            Some(saved) => saved,
            None => Self::fresh(layout)?,
        };
        fn take<T: Clone>(into: &mut T, flag: &Option<T>) {
            if let Some(value) = flag {
                *into = value.clone();
            }
        }
        take(&mut settings.name, &args.name);
        take(&mut settings.port, &args.port);
        take(&mut settings.kubelet_port, &args.kubelet_port);
        take(&mut settings.node_name, &args.node_name);
        take(&mut settings.pod_cidr, &args.pod_cidr);
        take(&mut settings.service_cidr, &args.service_cidr);
        settings.node_ip = args.node_ip.or(settings.node_ip);
        settings.account_secrets |= args.account_secrets;
        settings.etcd = Etcd::resolve(settings.etcd, &args.etcd)?;
        settings.access = args.access.over(&settings.access)?;
        settings.validate()?;
        Ok(settings)
    }

    fn fresh(layout: &Layout) -> anyhow::Result<Self> {
        let hostname = nix::unistd::gethostname().context("reading this machine's name")?.to_string_lossy().to_ascii_lowercase();
        let name = if layout.data == Path::new(Layout::DEFAULT_DATA) { "knarr".to_owned() } else { layout.tag.clone() };
        Ok(Self {
            name,
            port: 6443,
            kubelet_port: 10250,
            node_name: hostname,
            node_ip: None,
            pod_cidr: "10.42.0.0/24".into(),
            service_cidr: "10.43.0.0/16".into(),
            account_secrets: false,
            etcd: None,
            access: AccessArgs::default(),
        })
    }

    fn validate(&self) -> anyhow::Result<()> {
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.chars().all(label) {
            return Err(failure(format!("the name {:?} does not serve", self.name), "use up to 40 lower-case letters, digits and dashes"));
        }
        let node_fits = !self.node_name.is_empty() && self.node_name.len() <= 253 && self.node_name.chars().all(|c| label(c) || c == '.');
        if !node_fits || self.node_name.starts_with(['-', '.']) || self.node_name.ends_with(['-', '.']) {
            return Err(failure(
                format!("{:?} cannot be the name of a node", self.node_name),
                "give --node-name of lower-case letters, digits, dashes and dots",
            ));
        }
        if self.port == self.kubelet_port {
            return Err(failure("the API server and the kubelet cannot share one port", "give another --port or --kubelet-port"));
        }
        self.network().map_err(|e| failure(e.to_string(), "write --pod-cidr and --service-cidr like 10.42.0.0/24"))?;
        Ok(())
    }

    pub fn load(layout: &Layout) -> anyhow::Result<Option<Self>> {
        let path = layout.settings();
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("{} is not readable as settings", path.display()))?)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| path.display().to_string()),
        }
    }

    pub fn save(&self, layout: &Layout) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        Ok(pki::write_private(&layout.settings(), &text)?)
    }

    /// Where clients on this machine reach the API server.
    pub fn server_url(&self) -> String {
        let bound = self.access.serving.bind_address.filter(|ip| !ip.is_unspecified());
        format!("https://{}", std::net::SocketAddr::new(bound.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()), self.port))
    }

    pub fn network(&self) -> anyhow::Result<host::Network> {
        Ok(host::Network::new(&self.pod_cidr, &self.service_cidr)?)
    }

    /// The tenth address of the service range, as everywhere.
    pub fn dns_ip(&self) -> anyhow::Result<std::net::Ipv4Addr> {
        Ok(std::net::Ipv4Addr::from_bits(self.network()?.service_base.to_bits() + 10))
    }
}

/// The layout of the data folder given, or of the default one.
pub fn layout(data_dir: Option<&PathBuf>) -> anyhow::Result<Layout> {
    let folder = data_dir.map_or(Path::new(Layout::DEFAULT_DATA), PathBuf::as_path);
    Layout::new(folder).with_context(|| folder.display().to_string())
}
