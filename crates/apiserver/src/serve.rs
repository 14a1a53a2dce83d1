//! HTTPS: accepting connections, who the client certificate names, HTTP/1.1 and HTTP/2 on one port.

mod gather;
mod lent;

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use pki::{CertSlot, ClientAuth, Issued, Leaf};
use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;

use self::gather::Gather;
use crate::auth::authenticate::Peer;
use crate::auth::certificate::{Certificates, Shown};
use crate::config::{PairFiles, Serving, ServingFiles};
use crate::filters;
use crate::handler;
use crate::server::{Server, StartError};

/// A client has this long for the TLS handshake and for the headers of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at once.
const CONNECTIONS: usize = 20_000;

pub async fn listen(server: Arc<Server>, address: SocketAddr) -> Result<(), StartError> {
    let leaf = leaf(&server);
    let issued = server.authority.load_or_issue(&server.config.pki_dir, "apiserver", &leaf)?;
    let slot = CertSlot::new(&issued)?;
    let (usual, named) = shown(&server.config.access.serving).map_err(StartError::Config)?;
    slot.exchange(usual, named)?;
    server.tls.store(Some(Arc::new(Tls::new(slot, &server.authenticator.certificates(), &server.config.serving)?)));
    let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
    tracing::info!(%address, "serving the API");
    tokio::spawn(accept(server, listener));
    Ok(())
}

/// What connections are accepted with.
pub struct Tls {
    pub slot: Arc<CertSlot>,
    acceptor: TlsAcceptor,
}

impl Tls {
    pub fn new(slot: Arc<CertSlot>, certificates: &Certificates, serving: &Serving) -> Result<Self, pki::Error> {
        let mut config = pki::server_config_of(slot.clone(), ClientAuth::Shown { roots: &certificates.roots() }, &serving.tls)?;
        if !serving.http2 {
            config.alpn_protocols.retain(|protocol| protocol != b"h2");
        }
        let config = Arc::new(config);
        Ok(Self { slot, acceptor: TlsAcceptor::from(config) })
    }
}

/// What stands in the files: shown instead of the server's own certificate, and for names.
pub fn shown(files: &ServingFiles) -> Result<(Option<Issued>, Vec<(Vec<String>, Issued)>), String> {
    let pair = |files: &PairFiles| Ok::<_, String>(Issued { cert_pem: files.certificate.now()?, key_pem: files.key.now()? });
    let named = files.named.iter().map(|files| Ok((files.names.clone(), pair(files)?))).collect::<Result<_, String>>()?;
    Ok((files.usual.as_ref().map(pair).transpose()?, named))
}

fn leaf(server: &Server) -> Leaf {
    let config = &server.config;
    let mut dns_names: Vec<String> = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"].map(str::to_owned).into();
    let mut ips = vec![config.advertise, std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    ips.extend(config.kubernetes_ip().map(std::net::IpAddr::V4));
    ips.extend(config.listen.map(|l| l.ip()).filter(|ip| !ip.is_unspecified()));
    for name in config.extra_names.iter().chain(&config.serving.external) {
        match name.parse() {
            Ok(ip) => ips.push(ip),
            Err(_) => dns_names.push(name.clone()),
        }
    }
    ips.sort();
    ips.dedup();
    Leaf { common_name: "kube-apiserver".into(), organizations: Vec::new(), dns_names, ips, server: true, client: false, days: 365 }
}

async fn accept(server: Arc<Server>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let (stream, from) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, say: the connection is lost, the listener is not.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::task::yield_now().await;
                    continue;
                }
            },
            () = server.closing.cancelled() => return,
        };
        let Some(tls) = server.tls.load_full() else { return };
        let server = server.clone();
        let counted = server.ending.connection();
        tokio::spawn(async move {
            let _counted = counted;
            connection(server, stream, from.ip(), tls.acceptor.clone()).await;
            drop(permit);
        });
    }
}

async fn connection(server: Arc<Server>, stream: TcpStream, address: IpAddr, tls: TlsAcceptor) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(stream)).await else {
        server.metrics.access.failed_handshake();
        return;
    };
    let certificate = stream.get_ref().1.peer_certificates().map(Shown::new);
    let peer = Peer::Remote { certificate, address };
    let closing = server.closing.clone();
    let streams = server.config.limits.streams;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let chance = server.config.serving.goaway;
    let goaway = Arc::new(Notify::new());
    let away = goaway.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (server, peer, away) = (server.clone(), peer.clone(), away.clone());
        async move {
            let (parts, body) = request.into_parts();
            let (body, left) = lent::lend(body);
            let body = body.map_err(handler::BodyError::from).boxed_unsync();
            let mut answer = handler::handle(server, peer, Request::from_parts(parts, body)).await;
            if is_http2 && filters::goes_away(chance, answer.headers_mut()) {
                away.notify_one();
            }
            left.read().await;
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(streams).keep_alive_interval(Duration::from_secs(30)).max_header_list_size(1 << 20);
    if is_http2 {
        let gather = Gather::new(stream);
        let builder = builder.http2_only();
        let connection = builder.serve_connection(TokioIo::new(gather.clone()), service);
        tokio::pin!(connection);
        let mut stays = true;
        loop {
            tokio::select! {
                () = poll_fn(|context| step(connection.as_mut(), &gather, context)) => return,
                () = goaway.notified(), if stays => stays = false,
                () = closing.cancelled() => break,
            }
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(PATIENCE, poll_fn(|context| step(connection.as_mut(), &gather, context))).await;
        return;
    }
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(PATIENCE, connection).await;
        }
    }
}

/// Polls a connection, then sends what it wrote; over when either is.
fn step<S: AsyncWrite + Unpin>(connection: Pin<&mut impl Future>, gather: &Gather<S>, context: &mut Context<'_>) -> Poll<()> {
    let over = connection.poll(context).map(|_| ());
    match gather.send(context) {
        Poll::Ready(Err(_)) => Poll::Ready(()),
        _ => over,
    }
}
