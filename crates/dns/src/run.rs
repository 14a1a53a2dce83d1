//! Fills the caches, opens the sockets, and keeps the zone equal to the caches.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use client::{Informer, InformerOptions};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::forward::Forwarder;
use crate::respond::Responder;
use crate::serve::{bind, serve_datagrams, serve_streams};
use crate::zone::Zone;

/// Changes come in bursts; the zone is built once per burst.
const BURST: Duration = Duration::from_millis(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("DNS cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
}

#[derive(Debug, Clone)]
pub struct Config {
    /// Such as `cluster.local`.
    pub domain: String,
    /// An address of the node itself, not of the service: the proxy leads the service here, for pods and for the node alike.
    pub listen: SocketAddr,
    /// The address of the DNS service, told as the zone's name server.
    pub service_address: Option<IpAddr>,
    /// Who is asked about the rest of the world; see [`crate::resolvers_from`].
    pub resolvers: Vec<SocketAddr>,
}

/// Runs until `shutdown`.
pub async fn run(config: Config, client: kube::Client, shutdown: CancellationToken) -> Result<(), Error> {
    let services = Informer::start(Api::<Service>::all(client.clone()), InformerOptions::default(), shutdown.clone());
    let slices = Informer::start(Api::<EndpointSlice>::all(client.clone()), InformerOptions::default(), shutdown.clone());
    let namespaces = Informer::start(Api::<Namespace>::all(client), InformerOptions::default(), shutdown.clone());
    let changed = Arc::new(Notify::new());
    let (one, two, three) = (changed.clone(), changed.clone(), changed.clone());
    services.on_change(move |_| one.notify_one());
    slices.on_change(move |_| two.notify_one());
    namespaces.on_change(move |_| three.notify_one());
    tokio::select! {
        synced = async { tokio::try_join!(services.wait_synced(), slices.wait_synced(), namespaces.wait_synced()) } => { synced?; }
        () = shutdown.cancelled() => return Ok(()),
    }
    let build = || {
        let (namespaces, services, slices) = (namespaces.list(), services.list(), slices.list());
        Arc::new(Zone::build(&config.domain, config.service_address, &namespaces, &services, &slices))
    };
    let (zone, seen) = watch::channel(build());
    let responder = Arc::new(Responder { zone: seen, forwarder: Forwarder::new(config.resolvers.clone()) });
    let (socket, listener) = bind(config.listen).await.map_err(|source| Error::Listen { address: config.listen, source })?;
    tracing::info!(address = %config.listen, resolvers = config.resolvers.len(), "DNS served");
    let keep = async {
        loop {
            changed.notified().await;
            tokio::time::sleep(BURST).await;
            zone.send_replace(build());
        }
    };
    tokio::select! {
        () = serve_datagrams(socket, responder.clone()) => {}
        () = serve_streams(listener, responder) => {}
        () = keep => {}
        () = shutdown.cancelled() => {}
    }
    Ok(())
}
