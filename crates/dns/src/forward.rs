//! Questions that are not about the cluster, asked of the host's resolvers.
//!
//! Keeps true: a query goes out under its own number from its own socket, so that an answer cannot be guessed; never to this server itself.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{Mutex, Semaphore};

use crate::cache::{Cache, Key};

const TRY_TIME: Duration = Duration::from_secs(2);
const RESOLVERS_MAX: usize = 3;
const AT_ONCE_MAX: usize = 512;

/// The resolvers a resolv.conf names, without those in `own` (which would lead back here).
pub fn resolvers_from(resolv_conf: &Path, own: &[IpAddr]) -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(resolv_conf).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines
        .filter_map(|rest| rest.trim().parse::<IpAddr>().ok())
        .filter(|ip| !own.contains(ip))
        .take(RESOLVERS_MAX)
        .map(|ip| SocketAddr::new(ip, 53))
        .collect()
}

pub(crate) struct Forwarder {
    resolvers: Vec<SocketAddr>,
    room: Semaphore,
    cache: Mutex<Cache>,
}

impl Forwarder {
    pub fn new(resolvers: Vec<SocketAddr>) -> Self {
        Self { resolvers, room: Semaphore::new(AT_ONCE_MAX), cache: Mutex::default() }
    }

    /// The answer of the first resolver that gives one. None: nobody did.
    pub async fn ask(&self, question: &Message, by_stream: bool) -> Option<Message> {
        let query = question.queries.first()?;
        let signed = question.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let key = Key::of(query, signed);
        if let Some(mut known) = self.cache.lock().await.get(&key, Instant::now()) {
            known.metadata.id = question.metadata.id;
            known.queries.clone_from(&question.queries);
            return Some(known);
        }
        // More than this at once is a flood or a dead resolver: refuse rather than queue.
        let _place = self.room.try_acquire().ok()?;
        let mut sent = question.clone();
        sent.metadata.id = rand::random();
        let bytes = sent.to_vec().ok()?;
        for resolver in &self.resolvers {
            let tried = tokio::time::timeout(TRY_TIME, async {
                if by_stream { ask_by_stream(*resolver, &bytes).await } else { ask_by_datagram(*resolver, &bytes, &sent).await }
            });
            match tried.await {
                Ok(Ok(mut answer)) if answer.metadata.id == sent.metadata.id && answer.queries == sent.queries => {
                    self.cache.lock().await.put(key, &answer, Instant::now());
                    answer.metadata.id = question.metadata.id;
                    return Some(answer);
                }
                Ok(Ok(_)) => tracing::debug!(%resolver, "resolver answered another question"),
                Ok(Err(error)) => tracing::debug!(%resolver, %error, "resolver was not reached"),
                Err(_) => tracing::debug!(%resolver, "resolver was late"),
            }
        }
        None
    }
}

async fn ask_by_datagram(resolver: SocketAddr, bytes: &[u8], sent: &Message) -> std::io::Result<Message> {
    let any: SocketAddr = if resolver.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(resolver).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match Message::from_vec(&buffer[..length]) {
            Ok(answer) if answer.metadata.id == sent.metadata.id => return Ok(answer),
            // Not ours, or a forgery: keep waiting until the time is over.
            _ => {}
        }
    }
}

async fn ask_by_stream(resolver: SocketAddr, bytes: &[u8]) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(resolver).await?;
    let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(bytes).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    Message::from_vec(&buffer).map_err(std::io::Error::other)
}
