//! The ways out: what this server calls is reached directly, or through a proxy that CONNECTs.
//!
//! Nodes, pods, services and registered servers are in the cluster; webhooks by URL, and whoever is asked about identities, rights and
//! records, are of the control plane. Without a configuration everything is reached directly.
//!
//! Upstream: apiserver `pkg/server/egressselector/egress_selector.go`; who goes which way: `pkg/util/webhook/authentication.go`,
//! kube-apiserver `cmd/kube-apiserver/app/server.go`.
//!
//! Differs: the tunnel of konnectivity (`GRPC`) is refused, as is any but the direct way to etcd.

mod configuration;
mod proxy;

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use proxy::Proxy;

/// Where a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toward {
    Cluster,
    ControlPlane,
}

/// A connection, by whichever way.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}
pub type BoxedLine = Box<dyn Line>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error(transparent)]
    Direct(#[from] io::Error),
    /// In upstream's words, the proxy's address among them.
    #[error("{0}")]
    Proxy(String),
}

/// The ways of one server.
#[derive(Clone, Default)]
pub struct Egress(Arc<Ways>);

/// None: directly.
#[derive(Default)]
struct Ways {
    cluster: Option<Proxy>,
    control_plane: Option<Proxy>,
}

impl Egress {
    /// The ways of a configuration's text.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut ways = Ways::default();
        for selection in configuration::read(text)? {
            let way = match selection.connection.proxy_protocol.as_str() {
                "Direct" => None,
                "HTTPConnect" => selection.connection.transport.as_ref().map(Proxy::new).transpose()?,
                other => return Err(format!("egress selection {:?}: protocol {other} is not served: let the proxy serve HTTPConnect", selection.name)),
            };
            match selection.name.to_lowercase().as_str() {
                "cluster" => ways.cluster = way,
                "controlplane" => ways.control_plane = way,
                name if way.is_some() => return Err(format!("egress selection {name:?}: it is reached directly: leave the selection out")),
                _ => {}
            }
        }
        Ok(Self(Arc::new(ways)))
    }

    /// Connects to a host, which a proxy looks up itself.
    pub async fn dial(&self, toward: Toward, host: &str, port: u16) -> Result<BoxedLine, DialError> {
        let way = match toward {
            Toward::Cluster => &self.0.cluster,
            Toward::ControlPlane => &self.0.control_plane,
        };
        let host = host.trim_matches(['[', ']']);
        if let Some(proxy) = way {
            return proxy.dial(host, port).await.map_err(DialError::Proxy);
        }
        let stream = TcpStream::connect((host, port)).await?;
        let _ = stream.set_nodelay(true);
        Ok(Box::new(stream))
    }
}
