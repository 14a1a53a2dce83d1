//! What the API server is told at its start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use access::RequestHeader;
use access::authorization::{self, Link};
pub use access::authorization::AuthorizationFlags;
pub use access::configuration::OidcFlags;
use access::configuration::{Anonymous, Authentication};
pub use policy::features::Features;
use policy::plugins::{AdmissionConfiguration, Plugins};
use serde_json::Value;

pub use crate::config_accounts::AccountTokens;
pub use crate::config_limits::Limits;
pub use crate::config_runtime::RuntimeConfig;
pub use crate::config_serving::{Inflight, Serving, Shutdown, TlsChoice};
pub use crate::config_file::{ConfigFile, PairFiles, ServingFiles};

/// Settings of one API server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the store; none keeps everything in memory.
    pub store_dir: Option<PathBuf>,
    /// The etcd that holds the objects instead.
    pub etcd: Option<EtcdConfig>,
    /// Folder of the cluster's authority, certificates and token keys.
    pub pki_dir: PathBuf,
    /// Where HTTPS is served; none serves only this process.
    pub listen: Option<SocketAddr>,
    /// The address that clients and pods reach the server at; goes into certificates and the `kubernetes` endpoints.
    pub advertise: IpAddr,
    /// Further names and addresses of the serving certificate.
    pub extra_names: Vec<String>,
    /// Addresses of services.
    pub service_cidr: String,
    /// How tokens of service accounts are issued and taken.
    pub accounts: AccountTokens,
    /// Times and counts that bound what is served.
    pub limits: Limits,
    /// How requests are taken in, and how the server ends.
    pub serving: Serving,
    /// Where it is recorded who did what; none records nothing.
    pub audit: Option<crate::AuditConfig>,
    /// Who may ask besides the cluster's own, and how they show it.
    pub access: AccessConfig,
    /// Which admission plug-ins are on, and their settings.
    pub admission: AdmissionConfig,
    /// `--encryption-provider-config`; none: Secrets, with keys beside the authority.
    pub encryption: Option<ConfigFile>,
    /// `--encryption-provider-config-automatic-reload`.
    pub encryption_reload: bool,
    /// `--feature-gates`.
    pub features: Features,
    pub gates: Gates,
    /// The text of `--egress-selector-config-file`.
    pub egress: Option<String>,
    /// The cluster's name in messages and certificates.
    pub cluster_name: String,
}

/// Upstream's flags about identities, files read.
#[derive(Debug, Clone, Default)]
pub struct AccessConfig {
    /// `--oidc-*`.
    pub oidc: Option<OidcFlags>,
    /// `--authentication-config`.
    pub authentication: Option<ConfigFile>,
    /// `--anonymous-auth`, where it is given.
    pub anonymous: Option<bool>,
    /// `--authentication-token-webhook-*`.
    pub token_webhook: Option<TokenWebhookConfig>,
    /// The text of `--token-auth-file`.
    pub token_file: Option<String>,
    /// `--enable-bootstrap-token-auth`.
    pub bootstrap_tokens: bool,
    /// Who judges rights, in which order.
    pub authorization: AuthorizationConfig,
    /// `--client-ca-file`: authorities of clients besides the cluster's own, in PEM.
    pub client_ca: Option<ConfigFile>,
    /// `--requestheader-*`; none: the cluster's own front proxy.
    pub request_header: Option<RequestHeader>,
    /// `--requestheader-client-ca-file`, where it is given.
    pub front_ca: Option<ConfigFile>,
    /// Certificates to show.
    pub serving: ServingFiles,
}

/// The features that change what requests are answered with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gates {
    /// Objects as CBOR. Upstream: `CBORServingAndStorage`, off by default.
    pub cbor: bool,
    /// Logs by the stream that they were written to. Upstream: `PodLogsQuerySplitStreams`, off by default.
    pub split_logs: bool,
}

impl Gates {
    pub fn of(features: &Features) -> Self {
        Self { cbor: features.is_on("CBORServingAndStorage"), split_logs: features.is_on("PodLogsQuerySplitStreams") }
    }
}

/// Upstream's flags about admission plug-ins.
#[derive(Debug, Clone, Default)]
pub struct AdmissionConfig {
    pub enable: Vec<String>,
    pub disable: Vec<String>,
    /// The text of `--admission-control-config-file`, and the folder that it names files from.
    pub file: Option<(String, PathBuf)>,
}

impl AdmissionConfig {
    pub(crate) fn plugins(&self) -> Result<Plugins, String> {
        let configurations = match &self.file {
            Some((text, folder)) => configurations(text, folder).map_err(|why| format!("--admission-control-config-file: {why}"))?,
            None => Vec::new(),
        };
        let mut plugins = Plugins::new(&self.enable, &self.disable, &configurations)?;
        if let (Some(images), Some((_, folder))) = (&mut plugins.image_policy, &self.file) {
            images.kubeconfig = folder.join(&images.kubeconfig);
        }
        Ok(plugins)
    }
}

/// Each plug-in's own configuration, out of the file or out of another one that it names.
fn configurations(text: &str, folder: &Path) -> Result<Vec<(String, Value)>, String> {
    let document: AdmissionConfiguration = codec::yaml_as(text)?;
    document.check()?;
    let one = |plugin: policy::plugins::Plugin| {
        if !plugin.configuration.is_null() {
            return Ok((plugin.name, plugin.configuration));
        }
        let path = folder.join(&plugin.path);
        let text = std::fs::read_to_string(&path).map_err(|e| format!("plugin {:?}: {}: {e}", plugin.name, path.display()))?;
        Ok((plugin.name, codec::yaml_as(&text).map_err(|why| format!("{}: {why}", path.display()))?))
    };
    document.plugins.into_iter().filter(|p| !p.configuration.is_null() || !p.path.is_empty()).map(one).collect()
}

/// How rights are judged.
#[derive(Debug, Clone, Default)]
pub enum AuthorizationConfig {
    /// The node authorizer, then roles and bindings.
    #[default]
    Usual,
    /// `--authorization-mode`, `--authorization-webhook-*`.
    Flags(AuthorizationFlags),
    /// `--authorization-config`.
    File(ConfigFile),
}

impl AuthorizationConfig {
    pub(crate) fn links(&self) -> Result<Vec<Link>, String> {
        match self {
            Self::Usual => Ok(authorization::usual()),
            Self::Flags(flags) => flags.links(),
            Self::File(text) => authorization::read(&text.text).map_err(|why| format!("--authorization-config: {why}")),
        }
    }
}

/// A webhook that knows tokens.
#[derive(Debug, Clone)]
pub struct TokenWebhookConfig {
    /// The text of a kubeconfig, and the folder that it names files from.
    pub kubeconfig: String,
    pub folder: PathBuf,
    /// Of TokenReview: `v1` or `v1beta1`.
    pub version: String,
    pub cache_ttl: Duration,
}

impl AccessConfig {
    /// What the flags come to. `own` are the issuers of service accounts' tokens, which nobody else may be.
    pub(crate) fn authentication(&self, own: &[String]) -> Result<Authentication, String> {
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let mut configured = match (&self.authentication, &self.oidc) {
            (Some(_), Some(_)) => return Err("authentication-config file and oidc-* flags are mutually exclusive".into()),
            (Some(file), None) => Authentication::read(&file.text, &own).map_err(|why| format!("--authentication-config: {why}"))?,
            (None, Some(flags)) => Authentication::of_flags(flags, &own)?,
            (None, None) => Authentication::default(),
        };
        if let Some(everywhere) = self.anonymous {
            if configured.anonymous.is_some() {
                return Err("anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file".into());
            }
            configured.anonymous = Some(if everywhere { Anonymous::Everywhere } else { Anonymous::Nowhere });
        }
        Ok(configured)
    }
}

/// How etcd is reached.
#[derive(Debug, Clone)]
pub struct EtcdConfig {
    pub servers: Vec<String>,
    pub prefix: String,
    pub tls: Option<store::EtcdTls>,
    /// How long etcd may take to answer until the server is not healthy, and until it is not ready.
    pub health_timeout: Duration,
    pub ready_timeout: Duration,
}

impl Config {
    /// A server with its files below one folder.
    pub fn below(folder: &std::path::Path) -> Self {
        Self {
            store_dir: Some(folder.join("store")),
            etcd: None,
            pki_dir: folder.join("pki"),
            listen: Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 6443))),
            advertise: IpAddr::V4(Ipv4Addr::LOCALHOST),
            extra_names: Vec::new(),
            service_cidr: "10.43.0.0/16".into(),
            accounts: AccountTokens::default(),
            limits: Limits::default(),
            serving: Serving::default(),
            audit: Some(crate::AuditConfig::at(folder.join("audit/audit.log"))),
            access: AccessConfig::default(),
            admission: AdmissionConfig::default(),
            encryption: None,
            encryption_reload: false,
            features: Features::default(),
            gates: Gates::default(),
            egress: None,
            cluster_name: "knarr".into(),
        }
    }

    /// What clients are told the server's name is.
    pub fn external_host(&self) -> String {
        self.serving.external.clone().unwrap_or_else(|| self.advertise.to_string())
    }

    /// The first address of the service range: the `kubernetes` service.
    pub fn kubernetes_ip(&self) -> Option<Ipv4Addr> {
        let network: Ipv4Addr = self.service_cidr.split('/').next()?.parse().ok()?;
        Some(Ipv4Addr::from(u32::from(network) + 1))
    }
}
