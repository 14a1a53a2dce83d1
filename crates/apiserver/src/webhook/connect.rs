//! Connections for calls: dialled to a service's endpoint or to a host, under TLS, kept for the next call.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::answer::io_words;
use super::resolve::{Endpoint, Services};
use super::target::ServicePort;
use super::trust;
use crate::egress::{BoxedLine, DialError, Toward};

/// Why there is no connection, in Go's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

/// Makes connections to one target.
#[derive(Clone)]
pub struct Connector {
    pub services: Services,
    pub service: Option<ServicePort>,
    /// Where a target is that is no service.
    pub outside: Toward,
    pub tls: Arc<ClientConfig>,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Stream, ConnectError> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let endpoint = match &self.service {
            Some(service) => self.services.resolve(service).map_err(|e| ConnectError(e.message))?,
            None => Endpoint { host: host.clone(), port: uri.port_u16().unwrap_or(443) },
        };
        let failed = |why: &std::io::Error| ConnectError(format!("dial tcp {}:{}: {}", endpoint.host, endpoint.port, dial_words(why)));
        let toward = if self.service.is_some() { Toward::Cluster } else { self.outside };
        let line = self.services.egress.dial(toward, &endpoint.host, endpoint.port).await.map_err(|e| match e {
            DialError::Direct(why) => failed(&why),
            DialError::Proxy(why) => ConnectError(why),
        })?;
        let name = ServerName::try_from(host).map_err(|e| ConnectError(format!("tls: {e}")))?;
        let tls = TlsConnector::from(self.tls.clone()).connect(name, line).await.map_err(|e| ConnectError(trust::words(&e)))?;
        Ok(Stream(TokioIo::new(tls)))
    }
}

fn dial_words(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => format!("connect: {}", io_words(error)),
        None => io_words(error),
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A TLS connection as the pool wants it.
pub struct Stream(TokioIo<TlsStream<BoxedLine>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: hyper::rt::ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
