//! The kubelet's own HTTPS API: logs, exec, attach, port-forward, pods, usage.
//!
//! Never answers a caller without a verified client certificate of an allowed user or group, and never follows a redirect. Without a
//! certificate of its own it does not serve. Upstream: pkg/kubelet/server/server.go.

mod answer;
mod container_logs;
mod metrics;
mod routes;
mod stats;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::{CertSlot, ClientAuth, Issued};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::agent::Agent;
use crate::{Error, Serving};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// More callers than this wait their turn.
const CONNECTIONS: usize = 512;

/// Who calls, by the certificate.
#[derive(Clone, Debug)]
struct Caller {
    user: String,
    groups: Vec<String>,
}

/// Starts serving; returns the port that the node's status tells.
pub async fn start(agent: &Arc<Agent>) -> Result<u16, Error> {
    let told = |bound: u16| if agent.config.advertised_port == 0 { bound } else { agent.config.advertised_port };
    let Some(serving) = agent.config.serving.clone() else {
        tracing::warn!("kubelet API is not served: no certificate");
        return Ok(told(agent.config.listen.port()));
    };
    let failed = |e: pki::Error| Error::Serving(e.to_string());
    let issued = Issued { cert_pem: serving.cert_pem.clone(), key_pem: serving.key_pem.clone() };
    let slot = CertSlot::new(&issued).map_err(failed)?;
    let config = pki::server_config(slot, ClientAuth::Optional { ca_pem: &serving.client_ca_pem }).map_err(failed)?;
    let mut config = (*config).clone();
    // Upgrades exist in HTTP/1.1 only.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let listener = TcpListener::bind(agent.config.listen).await.map_err(|source| Error::Io { what: format!("kubelet API at {}", agent.config.listen), source })?;
    let port = listener.local_addr().map_or(agent.config.listen.port(), |a| a.port());
    tokio::spawn(accept(agent.clone(), listener, TlsAcceptor::from(Arc::new(config)), Arc::new(serving)));
    Ok(told(port))
}

async fn accept(agent: Arc<Agent>, listener: TcpListener, tls: TlsAcceptor, serving: Arc<Serving>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = agent.shutdown.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (agent, tls, serving) = (agent.clone(), tls.clone(), serving.clone());
                tokio::spawn(async move {
                    serve(agent, stream, tls, serving).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(agent: Arc<Agent>, stream: TcpStream, tls: TlsAcceptor, serving: Arc<Serving>) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else { return };
    let caller = stream.get_ref().1.peer_certificates().and_then(|c| c.first()).and_then(|c| pki::peer_identity(c).ok()).map(|(user, groups)| Caller { user, groups });
    let shutdown = agent.shutdown.clone();
    let service = service_fn(move |request| {
        let (agent, serving, caller) = (agent.clone(), serving.clone(), caller.clone());
        async move { Ok::<_, std::convert::Infallible>(admit(agent, &serving, caller, request).await) }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30)).serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::select! {
        result = connection => if let Err(error) = result {
            tracing::debug!(%error, "connection broke");
        },
        () = shutdown.cancelled() => {}
    }
}

async fn admit(agent: Arc<Agent>, serving: &Serving, caller: Option<Caller>, request: answer::Request) -> answer::Response {
    let Some(caller) = caller else { return answer::text(401, "Unauthorized") };
    let allowed = serving.allowed_users.contains(&caller.user) || caller.groups.iter().any(|g| serving.allowed_groups.contains(g));
    if !allowed {
        return answer::text(403, &format!("Forbidden (user={}, verb={}, resource=nodes, subresource=proxy)", caller.user, request.method().as_str().to_lowercase()));
    }
    routes::route(&agent, request).await
}
