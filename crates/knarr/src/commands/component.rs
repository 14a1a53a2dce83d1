//! One component alone: the API server with its own data, the others against any cluster.

use std::path::Path;

use anyhow::Context;
use apiserver::Server;
use host::Layout;
use kube::Client;

use crate::cli::{ClusterArgs, ComponentArgs, ControllersArgs, DnsArgs, KubeletArgs, ProxyArgs};
use crate::cluster::{daemon, identity, kubeconfig, shutdown};
use crate::commands::server;
use crate::say;
use crate::settings::Settings;

pub async fn apiserver(layout: &Layout, args: &ClusterArgs) -> anyhow::Result<()> {
    let end = shutdown::on_signal()?;
    let settings = Settings::resolve(layout, args)?;
    // Its store is locked while a killed server takes its time to go.
    let _ = daemon::lasting(layout).await;
    let node_ip = match settings.node_ip {
        Some(ip) => ip,
        None => host::node_address().await?,
    };
    let server = Server::start(server::api_config(layout, &settings, node_ip)?).await?;
    let admin = identity::admin(layout, server.authority())?;
    let config = kubeconfig::make(&settings.name, &settings.server_url(), server.ca_pem(), &admin);
    kubeconfig::write(&layout.kubeconfig(), &config)?;
    say::line(format!("API serves at {}; kubeconfig {}", settings.server_url(), layout.kubeconfig().display()));
    end.cancelled().await;
    server.shutdown().await;
    Ok(())
}

pub async fn scheduler(args: &ComponentArgs) -> anyhow::Result<()> {
    let (client, end) = (connect(args).await?, shutdown::on_signal()?);
    Ok(scheduler::run(scheduler::Config { any_server: true, ..scheduler::Config::default() }, client, end).await?)
}

pub async fn controllers(layout: &Layout, args: &ControllersArgs) -> anyhow::Result<()> {
    let (client, end) = (connect(&args.component).await?, shutdown::on_signal()?);
    let config = controllers::Config {
        cluster_ca_pem: args.cluster_ca.as_deref().map(read).transpose()?.unwrap_or_default(),
        local_path_dir: args.volumes.clone().unwrap_or_else(|| layout.volumes()),
        node_name: args.node_name.clone().unwrap_or_default(),
        any_server: true,
        account_secrets: args.account_secrets,
        bootstrap_tokens: args.bootstrap_tokens,
        ..controllers::Config::default()
    };
    Ok(controllers::run(config, client, end).await?)
}

pub async fn kubelet(layout: &Layout, args: &KubeletArgs) -> anyhow::Result<()> {
    let (client, end) = (connect(&args.component).await?, shutdown::on_signal()?);
    let node_ip = match args.node_ip {
        Some(ip) => ip,
        None => host::node_address().await?,
    };
    let mut config = kubelet::Config::new(node_name(args.node_name.as_ref())?, node_ip, &args.runtime, layout.kubelet());
    config.log_dir = layout.pod_logs();
    config.static_pod_dir.clone_from(&args.static_pods);
    config.cluster_dns.clone_from(&args.cluster_dns);
    config.listen = args.listen;
    config.cgroup_root = layout.cgroup();
    config.resolv_conf = server::host_resolv_conf();
    if let (Some(cert), Some(key), Some(ca)) = (&args.tls_cert, &args.tls_key, &args.client_ca) {
        config.serving = Some(kubelet::Serving::new(read(cert)?, read(key)?, read(ca)?));
    }
    Ok(kubelet::run(config, client, end).await?)
}

pub async fn proxy(args: &ProxyArgs) -> anyhow::Result<()> {
    let (client, end) = (connect(&args.component).await?, shutdown::on_signal()?);
    let config = proxy::Config {
        node_name: node_name(args.node_name.as_ref())?,
        table: args.table.clone(),
        pod_cidr: args.pod_cidr.clone(),
        service_cidr: args.service_cidr.clone(),
    };
    Ok(proxy::run(config, client, end).await?)
}

pub async fn dns(args: &DnsArgs) -> anyhow::Result<()> {
    let (client, end) = (connect(&args.component).await?, shutdown::on_signal()?);
    let resolvers = dns::resolvers_from(&args.resolv_conf, &[args.listen.ip()]);
    let config = dns::Config { domain: args.domain.clone(), listen: args.listen, service_address: None, resolvers };
    Ok(dns::run(config, client, end).await?)
}

async fn connect(args: &ComponentArgs) -> anyhow::Result<Client> {
    Ok(client::from_kubeconfig(&args.kubeconfig).await?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn node_name(given: Option<&String>) -> anyhow::Result<String> {
    match given {
        Some(name) => Ok(name.clone()),
        None => Ok(nix::unistd::gethostname().context("reading this machine's name")?.to_string_lossy().to_ascii_lowercase()),
    }
}
