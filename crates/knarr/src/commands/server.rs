//! `knarr server`: the whole cluster in the foreground.
//!
//! Ends on a signal and stops no container: what runs keeps running, and the next start takes it over.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use apiserver::Server;
use host::{Containerd, ContainerdConfig, Layout};
use images::Importer;
use tokio_util::sync::CancellationToken;

use crate::cli::ServerArgs;
use crate::cluster::parts::Parts;
use crate::cluster::{addons, daemon, identity, kubeconfig, ready, shutdown};
use crate::failure::failure;
use crate::say::Progress;
use crate::settings::{Etcd, Settings};

pub const DOMAIN: &str = "cluster.local";
/// Not 53, so that a resolver of the host that listens on every address is no obstacle.
const DNS_PORT: u16 = 10_053;
const READY_TIME: Duration = Duration::from_secs(60);
const END_TIME: Duration = Duration::from_secs(5);
const LOG_LOOK: Duration = Duration::from_secs(60);

/// What all parts of the start need.
struct Ground {
    layout: Layout,
    settings: Settings,
    node_ip: IpAddr,
    dns_at: SocketAddrV4,
}

pub async fn run(layout: &Layout, args: &ServerArgs) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(failure("not running as root", "run the same command with sudo"));
    }
    let progress = Progress::new(args.machine);
    let token = shutdown::on_signal()?;
    let settings = Settings::resolve(layout, &args.cluster)?;
    let claim = daemon::claim(layout)?;
    // Asked before there was anything to mark.
    if token.is_cancelled() {
        return Ok(());
    }
    let ground = Ground {
        node_ip: match settings.node_ip {
            Some(ip) => ip,
            None => host::node_address().await?,
        },
        dns_at: SocketAddrV4::new(settings.network()?.gateway, DNS_PORT),
        layout: layout.clone(),
        settings,
    };
    settings_and_network(&ground).await?;
    let (containerd, server) = tokio::try_join!(start_containerd(&ground, &progress), start_api(&ground, &progress))?;
    let watcher = tokio::spawn(containerd.supervise());
    let mut parts = Parts::new(token.clone());
    start_parts(&ground, &server, &mut parts)?;
    background(&ground, token.clone());
    let started = announce(&ground, &server, &progress);
    tokio::select! {
        done = started => { done?; token.cancelled().await; }
        () = token.cancelled() => {}
    }
    claim.ends();
    server.begin_shutdown();
    watcher.abort();
    parts.end(END_TIME).await;
    server.shutdown().await;
    tracing::info!("ended");
    Ok(())
}

async fn settings_and_network(ground: &Ground) -> anyhow::Result<()> {
    ground.settings.save(&ground.layout)?;
    ground.settings.network()?.lay(&ground.layout).await?;
    host::write_cni(&ground.layout, &ground.settings.pod_cidr)?;
    Ok(())
}

async fn start_containerd(ground: &Ground, progress: &Progress) -> anyhow::Result<Containerd> {
    let config = ContainerdConfig {
        sandbox_image: images::PAUSE.into(),
        plugin_dir: host::find_plugins()?,
        restrict_oom_score: !host::may_lower_oom_score(),
    };
    let containerd = Containerd::ensure(&ground.layout, &config).await?;
    progress.step(if containerd.adopted { "containerd taken over as it ran" } else { "containerd serves" });
    let importer = importer(&ground.layout);
    if importer.import_builtin().await.context("importing the built-in images")? {
        progress.step("built-in images imported");
    }
    Ok(containerd)
}

fn importer(layout: &Layout) -> Importer {
    Importer::new(layout.containerd_socket(), layout.data.join("imported.json"))
}

async fn start_api(ground: &Ground, progress: &Progress) -> anyhow::Result<Arc<Server>> {
    let server = Server::start(api_config(&ground.layout, &ground.settings, ground.node_ip)?).await?;
    let admin = identity::admin(&ground.layout, server.authority())?;
    let config = kubeconfig::make(&ground.settings.name, &ground.settings.server_url(), server.ca_pem(), &admin);
    kubeconfig::write(&ground.layout.kubeconfig(), &config)?;
    progress.step(format!("API serves at {}", ground.settings.server_url()));
    Ok(server)
}

pub fn api_config(layout: &Layout, settings: &Settings, node_ip: IpAddr) -> anyhow::Result<apiserver::Config> {
    let features = settings.access.features()?;
    let serving = settings.access.serving.config()?;
    let usual = apiserver::Config::below(&layout.data);
    Ok(apiserver::Config {
        audit: usual.audit.map(|usual| settings.access.audit.config(usual)).transpose()?,
        etcd: settings.etcd.as_ref().map(Etcd::config).transpose()?,
        store_dir: Some(layout.store()),
        pki_dir: layout.pki(),
        listen: Some((serving.bind.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), settings.port).into()),
        // Upstream: the address that is bound is told, where it is one that others reach.
        advertise: serving.bind.filter(|ip| settings.node_ip.is_none() && !ip.is_unspecified() && !ip.is_loopback()).unwrap_or(node_ip),
        serving,
        extra_names: vec![settings.node_name.clone(), "localhost".into(), "127.0.0.1".into()],
        service_cidr: settings.service_cidr.clone(),
        limits: settings.access.limits.config()?,
        accounts: settings.access.accounts.config()?,
        access: settings.access.config()?,
        admission: settings.access.admission()?,
        egress: settings.access.egress()?,
        encryption: settings.access.encryption()?,
        encryption_reload: settings.access.encryption_provider_config_automatic_reload == Some(true),
        gates: apiserver::Gates::of(&features),
        features,
        cluster_name: settings.name.clone(),
        ..usual
    })
}

fn start_parts(ground: &Ground, server: &Arc<Server>, parts: &mut Parts) -> anyhow::Result<()> {
    let (layout, settings) = (&ground.layout, &ground.settings);
    let client = |(user, groups): (&str, &[&str])| server.local_client(user, groups);

    let config = controllers::Config {
        cluster_ca_pem: server.ca_pem().to_owned(),
        local_path_dir: layout.volumes(),
        node_name: settings.node_name.clone(),
        account_secrets: settings.account_secrets,
        signing: Some(server.authority().clone()),
        bootstrap_tokens: settings.access.bootstrap_tokens(),
        ..controllers::Config::default()
    };
    let of = client(identity::CONTROLLERS);
    parts.keep("controllers", move |end| controllers::run(config.clone(), of.clone(), end));

    let of = client(identity::SCHEDULER);
    parts.keep("scheduler", move |end| scheduler::run(scheduler::Config::default(), of.clone(), end));

    let config = proxy::Config {
        node_name: settings.node_name.clone(),
        table: layout.nft_table(),
        pod_cidr: settings.pod_cidr.clone(),
        service_cidr: settings.service_cidr.clone(),
    };
    let of = client(identity::PROXY);
    parts.keep("proxy", move |end| proxy::run(config.clone(), of.clone(), end));

    let dns_ip = IpAddr::V4(settings.dns_ip()?);
    let config = dns::Config {
        domain: DOMAIN.into(),
        listen: ground.dns_at.into(),
        service_address: Some(dns_ip),
        resolvers: dns::resolvers_from(&host_resolv_conf(), &[dns_ip, IpAddr::V4(*ground.dns_at.ip())]),
    };
    let of = client(identity::DNS);
    parts.keep("dns", move |end| dns::run(config.clone(), of.clone(), end));

    let config = kubelet_config(ground, server, dns_ip)?;
    let of = client((&identity::node_user(&settings.node_name), identity::NODE_GROUPS));
    parts.keep("kubelet", move |end| kubelet::run(config.clone(), of.clone(), end));

    let (of, at) = (client(identity::ADMIN), ground.dns_at);
    let dns_ip = settings.dns_ip()?;
    // Written once; kept until it succeeds.
    parts.keep("addons", move |end| {
        let of = of.clone();
        async move {
            addons::write(&of, dns_ip, at).await?;
            end.cancelled().await;
            anyhow::Ok(())
        }
    });
    Ok(())
}

fn kubelet_config(ground: &Ground, server: &Server, dns_ip: IpAddr) -> anyhow::Result<kubelet::Config> {
    let (layout, settings) = (&ground.layout, &ground.settings);
    let serving = identity::kubelet_serving(layout, server.authority(), &settings.node_name, ground.node_ip)?;
    let mut config = kubelet::Config::new(&settings.node_name, ground.node_ip, layout.containerd_socket(), layout.kubelet());
    config.log_dir = layout.pod_logs();
    config.static_pod_dir = Some(layout.data.join("manifests"));
    config.cluster_dns = vec![dns_ip];
    config.cluster_domain = DOMAIN.into();
    config.listen = ([0, 0, 0, 0], settings.kubelet_port).into();
    config.serving = Some(kubelet::Serving::new(serving.cert_pem, serving.key_pem, server.ca_pem()));
    config.pod_cidr = Some(settings.pod_cidr.clone());
    config.cgroup_root = layout.cgroup();
    config.resolv_conf = host_resolv_conf();
    Ok(config)
}

/// Where systemd-resolved runs, /etc/resolv.conf names a loopback address, which means something else inside a pod.
pub fn host_resolv_conf() -> PathBuf {
    let real = Path::new("/run/systemd/resolve/resolv.conf");
    let plain = PathBuf::from("/etc/resolv.conf");
    let stub = std::fs::read_to_string(&plain).is_ok_and(|text| text.contains("nameserver 127.0.0.53"));
    if stub && real.exists() { real.to_owned() } else { plain }
}

/// What goes on beside the start: the user's own archives, and the bound of the log.
fn background(ground: &Ground, end: CancellationToken) {
    let layout = ground.layout.clone();
    tokio::spawn(async move {
        for (path, result) in importer(&layout).import_folder(&layout.images()).await {
            match result {
                Ok(references) => tracing::info!(file = %path.display(), ?references, "images imported"),
                Err(error) => tracing::error!(file = %path.display(), %error, "images were not imported"),
            }
        }
        while tokio::time::timeout(LOG_LOOK, end.cancelled()).await.is_err() {
            daemon::bound_log(&layout);
        }
    });
}

async fn announce(ground: &Ground, server: &Arc<Server>, progress: &Progress) -> anyhow::Result<()> {
    let admin = server.local_client(identity::ADMIN.0, identity::ADMIN.1);
    ready::node(&admin, &ground.settings.node_name, READY_TIME).await?;
    progress.step(format!("node {} is Ready", ground.settings.node_name));
    ready::dns(ground.settings.dns_ip()?, DOMAIN, READY_TIME).await?;
    progress.step(format!("DNS answers at {}", ground.settings.dns_ip()?));
    progress.ready("the cluster works");
    Ok(())
}
