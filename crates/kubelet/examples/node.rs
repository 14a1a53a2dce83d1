//! Runs the node agent alone against any kubeconfig: `node KUBECONFIG NODE_IP SOCKET ROOT [option=value ...]`.
//!
//! For trying it out against another server; the product runs it inside knarr.

use std::collections::HashMap;

use kubelet::{Config, Serving};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kubeconfig, ip, socket, root, rest @ ..] = args.as_slice() else { anyhow::bail!("usage: node KUBECONFIG NODE_IP SOCKET ROOT [option=value ...]") };
    let options: HashMap<&str, &str> = rest.iter().filter_map(|a| a.split_once('=')).collect();
    let mut config = Config::new(options.get("name").copied().unwrap_or("node-1"), ip.parse()?, socket, root);
    config.streaming_lists = options.get("streaming") == Some(&"true");
    config.static_pod_dir = options.get("static").map(Into::into);
    config.cgroup_root = options.get("cgroup").copied().unwrap_or_default().into();
    if let Some(listen) = options.get("listen") {
        config.listen = listen.parse()?;
    }
    if let Some(dns) = options.get("dns") {
        config.cluster_dns = vec![dns.parse()?];
    }
    if let (Some(cert), Some(key), Some(ca)) = (options.get("cert"), options.get("key"), options.get("ca")) {
        config.serving = Some(Serving::new(std::fs::read_to_string(cert)?, std::fs::read_to_string(key)?, std::fs::read_to_string(ca)?));
    }
    let client = client::from_kubeconfig(kubeconfig).await?;
    let shutdown = CancellationToken::new();
    let ended = shutdown.clone();
    tokio::spawn(async move {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        match term.as_mut() {
            Some(term) => drop(term.recv().await),
            None => std::future::pending().await,
        }
        ended.cancel();
    });
    kubelet::run(config, client, shutdown).await?;
    Ok(())
}
