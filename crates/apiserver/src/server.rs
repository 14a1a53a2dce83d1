//! The server as a value: what all requests share, and its start and end.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use pki::{Authority, TokenSigner};
use policy::plugins::Plugins;
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::admission::events::Events;
use crate::admission::extension::{Configured, typecheck};
use crate::aggregate::{self, Aggregator};
use crate::admission::images::Images;
use crate::admission::service::Books;
use crate::audit::{self, AuditLog};
use crate::auth::authenticate::Authenticator;
use crate::auth::certificate::Certificates;
use crate::auth::authorize::Authorizer;
use crate::budgets::Budgets;
use crate::config::{Config, ConfigFile, RuntimeConfig};
use crate::derived::Derived;
use crate::custom::steward::{self, Progress};
use crate::discovery::Documents;
use crate::egress::Egress;
use crate::encryption::{Encryption, plugins};
use crate::ending::Ending;
use crate::flow::FlowControl;
use crate::parsed::Parsed;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::serve::Tls;
use crate::upstream::Kubelets;
use crate::user::User;
use crate::webhook::{Hooks, Services};
use crate::{backing, bootstrap, local, reload, serve, sweep};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] store::OpenError),
    #[error(transparent)]
    Etcd(#[from] store::EtcdError),
    #[error("keys and certificates: {0}")]
    Pki(#[from] pki::Error),
    #[error("cannot listen on {address}: {source}; another program may hold the port: see `ss -ltnp`, or choose another with --port")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("{0}")]
    Config(String),
    #[error("the first objects could not be written: {0}")]
    Bootstrap(api::ApiError),
}

/// A running API server.
pub struct Server {
    pub config: Config,
    pub(crate) store: Store,
    registry: ArcSwap<Registry>,
    /// Held while the registry is made anew.
    renewing: Mutex<()>,
    pub(crate) definitions: Progress,
    pub(crate) authenticator: Authenticator,
    pub(crate) authorizer: Authorizer,
    pub(crate) addresses: Books,
    pub(crate) budgets: Budgets,
    pub(crate) parsed: Parsed,
    pub(crate) documents: Documents,
    pub(crate) kubelets: Kubelets,
    pub(crate) hooks: Hooks,
    pub(crate) encryption: Encryption,
    pub(crate) aggregator: Aggregator,
    /// Webhooks and policies that are in force.
    pub(crate) configured: Derived<Configured>,
    pub(crate) authority: Arc<Authority>,
    /// What connections are accepted with; none where none are.
    pub(crate) tls: ArcSwapOption<Tls>,
    pub(crate) plugins: Plugins,
    pub(crate) events: Events,
    /// Whoever is asked about images of pods.
    pub(crate) images: Option<Images>,
    pub(crate) flow: FlowControl,
    pub(crate) metrics: Metrics,
    pub(crate) audit: Option<(policy::audit::Policy, AuditLog)>,
    pub(crate) ending: Ending,
    /// Set when the server ends: watches end, new requests are refused.
    pub(crate) closing: CancellationToken,
}

impl Server {
    /// Opens the store, writes what every cluster begins with, and serves.
    pub async fn start(config: Config) -> Result<Arc<Self>, StartError> {
        for warning in config.features.warnings() {
            tracing::warn!("{warning}");
        }
        let encryption = Encryption::new(&config)?;
        let metrics = Metrics::new(&config.features).map_err(|error| StartError::Config(format!("metrics: {error}")))?;
        let store = backing::open(&config, &encryption).await?;
        let authority = Arc::new(Authority::load_or_create(&config.pki_dir, "ca")?);
        let signer = config.accounts.signer(TokenSigner::load_or_create(config.pki_dir.join("sa.key"))?).map_err(StartError::Config)?;
        let registry = Registry::new(served(&config.serving.runtime), &store);
        let addresses = Books::new(&store, &config.service_cidr, config.serving.node_ports.clone()).map_err(StartError::Config)?;
        let plugins = config.admission.plugins().map_err(StartError::Config)?;
        let egress = config.egress.as_deref().map(Egress::read).transpose().map_err(StartError::Config)?.unwrap_or_default();
        let services = Services::new(&store).through(egress.clone());
        let aggregator = Aggregator::new(&store, services.clone(), &config.pki_dir)?;
        let server = Arc::new(Self {
            authenticator: Authenticator::new(signer, certificates(&config, &authority, &aggregator)?, &config.accounts, &config.access, &store, &services).map_err(StartError::Config)?,
            authorizer: Authorizer::new(&store, &services, config.access.authorization.links().map_err(StartError::Config)?, metrics.judged.clone()).map_err(StartError::Config)?,
            budgets: Budgets::new(&store),
            parsed: Parsed::default(),
            documents: Documents::default(),
            kubelets: Kubelets::new(&authority, &config.pki_dir, egress)?,
            hooks: Hooks::new(services.clone()).showing(&plugins.webhook_kubeconfigs).map_err(StartError::Config)?,
            encryption,
            configured: Configured::derived(&store),
            aggregator,
            registry: ArcSwap::from_pointee(registry),
            events: Events::new(&plugins),
            images: Images::new(&plugins, &services).map_err(StartError::Config)?,
            plugins,
            flow: FlowControl::new(&store, config.serving.inflight, metrics.flows.clone()),
            audit: open_audit(&config, &services, &metrics)?,
            metrics,
            renewing: Mutex::new(()),
            definitions: Progress::default(),
            ending: Ending::default(),
            closing: CancellationToken::new(),
            addresses,
            tls: ArcSwapOption::empty(),
            authority,
            store,
            config,
        });
        bootstrap::write(&server).await.map_err(StartError::Bootstrap)?;
        tokio::spawn(sweep::events(server.clone()));
        tokio::spawn(steward::run(server.clone()));
        tokio::spawn(aggregate::steward::run(server.clone()));
        tokio::spawn(typecheck::run(server.clone()));
        server.definitions.caught_up(&server.store).await;
        if let Some(address) = server.config.listen {
            serve::listen(server.clone(), address).await?;
        }
        tokio::spawn(reload::run(server.clone()));
        tokio::spawn(plugins::follow(server.clone()));
        Ok(server)
    }

    /// The ways to nodes, pods, services and whoever else is called.
    pub(crate) fn egress(&self) -> &Egress {
        &self.aggregator.services.egress
    }

    /// A client of this server for a component of the same process, under the component's identity.
    pub fn local_client(self: &Arc<Self>, user: &str, groups: &[&str]) -> kube::Client {
        local::client(self.clone(), User::new(user, groups))
    }

    /// The certificate of the cluster's authority.
    pub fn ca_pem(&self) -> &str {
        self.authority.cert_pem()
    }

    /// The cluster's authority, to issue what components of this process serve with.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Believes the clients of the authorities that the files hold now.
    pub(crate) fn renew_certificates(&self) -> Result<(), String> {
        let access = &self.config.access;
        let further = access.client_ca.as_ref().map(ConfigFile::now).transpose()?;
        let mut front = access.request_header.clone().unwrap_or_else(|| self.aggregator.front.request_header());
        if let Some(file) = &access.front_ca {
            front.client_ca = file.now()?;
        }
        if let Some(pem) = &further {
            pki::ClientRoots::new(pem).map_err(|e| e.to_string())?;
        }
        let certificates = Certificates::new(clients(&self.authority, further.as_deref()), front)?;
        self.authenticator.renew_certificates(certificates);
        self.renew_tls().map_err(|e| e.to_string())
    }

    /// Tells new connections whose certificates count.
    pub(crate) fn renew_tls(&self) -> Result<(), pki::Error> {
        let Some(tls) = self.tls.load_full() else { return Ok(()) };
        self.tls.store(Some(Arc::new(Tls::new(tls.slot.clone(), &self.authenticator.certificates(), &self.config.serving)?)));
        Ok(())
    }

    /// Shows the certificates that the files hold now.
    pub(crate) fn renew_serving(&self) -> Result<(), String> {
        let Some(tls) = self.tls.load_full() else { return Ok(()) };
        let (usual, named) = serve::shown(&self.config.access.serving)?;
        tls.slot.exchange(usual, named).map_err(|e| e.to_string())
    }

    /// What is served now: a definition that was written before this call is in it.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        let current = self.registry.load_full();
        if current.is_current(&self.store) {
            return current;
        }
        let _renewing = self.renewing.lock();
        let current = self.registry.load_full();
        if current.is_current(&self.store) {
            return current;
        }
        let renewed = Arc::new(current.renewed(&self.store));
        self.registry.store(renewed.clone());
        renewed
    }
}

/// The built-in resources that are on.
fn served(runtime: &RuntimeConfig) -> Vec<catalog::Resource> {
    catalog::builtin().into_iter().filter(|resource| runtime.serves(resource)).collect()
}

/// Whose client certificates count: the cluster's own authority's, and what the configuration adds.
fn certificates(config: &Config, authority: &Authority, aggregator: &Aggregator) -> Result<Certificates, StartError> {
    let clients = clients(authority, config.access.client_ca.as_ref().map(|file| file.text.as_str()));
    let front = config.access.request_header.clone().unwrap_or_else(|| aggregator.front.request_header());
    Certificates::new(clients, front).map_err(StartError::Config)
}

fn clients(authority: &Authority, further: Option<&str>) -> String {
    format!("{}{}", authority.cert_pem(), further.unwrap_or_default())
}

fn open_audit(config: &Config, services: &Services, metrics: &Metrics) -> Result<Option<(policy::audit::Policy, AuditLog)>, StartError> {
    let Some(settings) = &config.audit else { return Ok(None) };
    let policy = audit::policy(settings).map_err(StartError::Config)?;
    let log = AuditLog::open(settings, services, metrics.access.recorded.clone()).map_err(StartError::Config)?;
    Ok(Some((policy, log)))
}
