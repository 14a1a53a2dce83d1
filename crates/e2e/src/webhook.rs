//! A webhook beside the cluster: HTTPS on the loopback, answers computed by the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use base64::Engine as _;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// Makes an answer (status and body, in JSON or a text as it is) of a path and a request body.
pub type Answers = Arc<dyn Fn(&str, &Value) -> (u16, Value) + Send + Sync>;

pub struct Webhook {
    pub port: u16,
    /// The certificate to trust, in base64 as configurations hold it.
    pub ca_bundle: String,
    /// What was asked, in the order it came.
    pub asked: Receiver<(String, Value)>,
    /// The heads of those requests.
    pub heads: Receiver<String>,
}

impl Webhook {
    /// Writes a kubeconfig that leads to a path of it; tells where.
    pub fn kubeconfig(&self, folder: &Path, name: &str, path: &str) -> String {
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "w",
            "clusters": [{"name": "w", "cluster": {"server": format!("https://localhost:{}{path}", self.port), "certificate-authority-data": self.ca_bundle}}],
            "users": [{"name": "w", "user": {"token": "for-the-webhook"}}], "contexts": [{"name": "w", "context": {"cluster": "w", "user": "w"}}]});
        let file = folder.join(name);
        std::fs::write(&file, config.to_string()).expect("the kubeconfig is written");
        file.display().to_string()
    }

    pub fn start(answers: Answers) -> Self {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(vec![issued.cert.der().clone()], key).expect("TLS settings"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let ((told, asked), (head, heads)) = (channel(), channel());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, answers, told, head) = (config.clone(), answers.clone(), told.clone(), head.clone());
                std::thread::spawn(move || serve(stream, config, &answers, &told, &head));
            }
        });
        Self { port, ca_bundle: base64::prelude::BASE64_STANDARD.encode(issued.cert.pem()), asked, heads }
    }

    /// A `clientConfig` for a path of this webhook.
    pub fn client_config(&self, path: &str) -> Value {
        serde_json::json!({"url": format!("https://localhost:{}{path}", self.port), "caBundle": self.ca_bundle})
    }
}

/// One request a connection.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, answers: &Answers, told: &Sender<(String, Value)>, heads: &Sender<String>) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut bytes = Vec::new();
    let (head, body_at) = loop {
        let mut part = [0u8; 8192];
        let count = stream.read(&mut part).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(part.get(..count)?);
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes[..at]).into_owned(), at + 4);
        }
    };
    let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length:").and_then(|n| n.trim().parse::<usize>().ok())).unwrap_or(0);
    while bytes.len() < body_at + length {
        let mut part = [0u8; 8192];
        let count = stream.read(&mut part).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(part.get(..count)?);
    }
    let body: Value = if length == 0 { Value::Null } else { serde_json::from_slice(bytes.get(body_at..body_at + length)?).ok()? };
    let _ = heads.send(head.clone());
    let target = head.split_whitespace().nth(1)?.to_owned();
    let path = target.split('?').next()?.to_owned();
    let (code, answer) = answers(&path, &body);
    let _ = told.send((target, body));
    let location = answer["location"].as_str().map(|l| format!("Location: {l}\r\n")).unwrap_or_default();
    // A text goes as it is.
    let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let _ = write!(stream, "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\n{location}Connection: close\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    stream.conn.send_close_notify();
    stream.flush().ok()
}
