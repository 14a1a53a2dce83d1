//! A proxy that CONNECTs, over TCP, TLS or a socket of this machine.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::BoxedLine;
use super::configuration::{Tls, Transport};
use crate::webhook;

pub struct Proxy {
    /// How it is called in errors.
    address: String,
    at: At,
}

enum At {
    Tcp { host: String, port: u16, tls: Option<Arc<ClientConfig>> },
    Socket(PathBuf),
}

impl Proxy {
    /// Reads the files that the transport names.
    pub fn new(transport: &Transport) -> Result<Self, String> {
        if let Some(uds) = &transport.uds {
            return Ok(Self { address: uds.uds_name.display().to_string(), at: At::Socket(uds.uds_name.clone()) });
        }
        let Some(tcp) = &transport.tcp else { return Err("Either a TCP or UDS transport must be specified".into()) };
        let wrong = |why: &dyn std::fmt::Display| format!("invalid proxy server url {:?}: {why}", tcp.url);
        let url: Uri = tcp.url.parse().map_err(|e| wrong(&e))?;
        let host = url.host().ok_or_else(|| wrong(&"no host"))?.trim_matches(['[', ']']).to_owned();
        let tls = tcp.tls_config.as_ref().map(settings).transpose()?;
        let port = url.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Ok(Self { address: url.authority().map(ToString::to_string).unwrap_or_default(), at: At::Tcp { host, port, tls } })
    }

    pub async fn dial(&self, host: &str, port: u16) -> Result<BoxedLine, String> {
        let failed = |why: &dyn std::fmt::Display| format!("dialing proxy {:?} failed: {why}", self.address);
        let line: BoxedLine = match &self.at {
            At::Socket(path) => Box::new(UnixStream::connect(path).await.map_err(|e| failed(&e))?),
            At::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|e| failed(&e))?;
                let _ = stream.set_nodelay(true);
                match tls {
                    None => Box::new(stream),
                    Some(tls) => {
                        let name = ServerName::try_from(host.clone()).map_err(|e| failed(&e))?;
                        Box::new(TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|e| failed(&webhook::tls_words(&e)))?)
                    }
                }
            }
        };
        self.tunnel(line, &if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }).await
    }

    async fn tunnel(&self, line: BoxedLine, target: &str) -> Result<BoxedLine, String> {
        let failed = |why: &dyn std::fmt::Display| format!("reading HTTP response from CONNECT to {target} via proxy {} failed: {why}", self.address);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(line)).await.map_err(|e| failed(&e))?;
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        let request = Request::builder().method(Method::CONNECT).uri(target).header("host", "127.0.0.1").body(Empty::<Bytes>::new()).map_err(|e| failed(&e))?;
        let answer = sender.send_request(request).await.map_err(|e| failed(&e))?;
        let status = answer.status();
        if status != http::StatusCode::OK {
            return Err(format!("proxy error from {} while dialing {target}, code {}: {status}", self.address, status.as_u16()));
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(|e| failed(&e))?;
        Ok(Box::new(TokioIo::new(upgraded)))
    }
}

/// Whom to trust, and what to show.
fn settings(tls: &Tls) -> Result<Arc<ClientConfig>, String> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let ca = if tls.ca_bundle.as_os_str().is_empty() { Vec::new() } else { read(&tls.ca_bundle)? };
    let pair = |why: &dyn std::fmt::Display| format!("failed to read key pair {} & {}, got {why}", tls.client_cert.display(), tls.client_key.display());
    let (chain, key) = pki::identity_of_pem(&read(&tls.client_cert).map_err(|e| pair(&e))?, &read(&tls.client_key).map_err(|e| pair(&e))?).map_err(|e| pair(&e))?;
    let mut config = webhook::client_config(&ca)?.with_client_auth_cert(chain, key).map_err(|e| pair(&e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use pki::{Authority, CertSlot, ClientAuth, Leaf};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::super::{Egress, Toward};

    /// A proxy under TLS that lets through who shows its authority's certificate, and echoes instead of going anywhere.
    #[tokio::test]
    async fn a_proxy_under_tls_is_shown_a_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "ca").unwrap();
        let leaf = |server: bool| Leaf { common_name: "proxy".into(), dns_names: vec!["localhost".into()], server, client: !server, days: 1, ..Leaf::default() };
        let tls = pki::server_config(CertSlot::new(&authority.issue(&leaf(true)).unwrap()).unwrap(), ClientAuth::Optional { ca_pem: authority.cert_pem() }).unwrap();
        let shown = authority.issue(&leaf(false)).unwrap();
        std::fs::write(folder.path().join("client.crt"), &shown.cert_pem).unwrap();
        std::fs::write(folder.path().join("client.key"), &shown.key_pem).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut line) = TlsAcceptor::from(tls.clone()).accept(stream).await else { continue };
                assert!(line.get_ref().1.peer_certificates().is_some());
                let mut head = vec![0; 256];
                let count = line.read(&mut head).await.unwrap();
                let answer = if head[..count].starts_with(b"CONNECT [fd00::1]:443 HTTP/1.1\r\n") { "HTTP/1.1 200 OK\r\n\r\nfirst " } else { "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n" };
                line.write_all(answer.as_bytes()).await.unwrap();
                let (mut from, mut to) = tokio::io::split(line);
                let _ = tokio::io::copy(&mut from, &mut to).await;
            }
        });
        let name = |file: &str| folder.path().join(file).display().to_string();
        let tls = serde_json::json!({"caBundle": name("ca.crt"), "clientCert": name("client.crt"), "clientKey": name("client.key")});
        let connection = serde_json::json!({"proxyProtocol": "HTTPConnect", "transport": {"tcp": {"url": format!("https://localhost:{port}"), "tlsConfig": tls}}});
        let text = serde_json::json!({"apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration", "egressSelections": [{"name": "cluster", "connection": connection}]});
        let egress = Egress::read(&text.to_string()).unwrap();
        let mut line = egress.dial(Toward::Cluster, "fd00::1", 443).await.unwrap();
        line.write_all(b"echoed").await.unwrap();
        let mut heard = [0; 12];
        line.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"first echoed");
        drop(line);
        let refused = egress.dial(Toward::Cluster, "a.example.com", 80).await.err().unwrap().to_string();
        assert_eq!(refused, format!("proxy error from localhost:{port} while dialing a.example.com:80, code 502: 502 Bad Gateway"));
        let unreached = Egress::read(&text.to_string().replace(&port.to_string(), "1")).unwrap().dial(Toward::Cluster, "a", 80).await.err().unwrap().to_string();
        assert!(unreached.starts_with("dialing proxy \"localhost:1\" failed: "), "{unreached}");
        assert!(Egress::default().dial(Toward::ControlPlane, "127.0.0.1", port).await.is_ok());
    }
}
