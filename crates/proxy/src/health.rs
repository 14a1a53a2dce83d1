//! Answers load balancers that ask whether this node has an endpoint of a service with the policy Local.
//!
//! One small listener per health-check node port; never reads more than a head. Bounded connections and time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use service_rules::HealthCheck;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

const CONNECTIONS_MAX: usize = 64;
const REQUEST_TIME: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct HealthServers {
    running: BTreeMap<u16, (watch::Sender<HealthCheck>, JoinHandle<()>)>,
}

impl HealthServers {
    /// Starts, changes and ends listeners so that they are the ones wanted.
    pub async fn apply(&mut self, wanted: &BTreeMap<u16, HealthCheck>) {
        self.running.retain(|port, (_, task)| {
            let keep = wanted.contains_key(port) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for (port, check) in wanted {
            if let Some((state, _)) = self.running.get(port) {
                state.send_replace(check.clone());
                continue;
            }
            match TcpListener::bind(("0.0.0.0", *port)).await {
                Ok(listener) => {
                    let (state, seen) = watch::channel(check.clone());
                    self.running.insert(*port, (state, tokio::spawn(serve(listener, seen))));
                }
                Err(error) => tracing::warn!(port, %error, "health check port was not opened"),
            }
        }
    }
}

impl Drop for HealthServers {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

async fn serve(listener: TcpListener, state: watch::Receiver<HealthCheck>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(permit) = room.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let check = state.borrow().clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(REQUEST_TIME, answer(stream, check)).await;
            drop(permit);
        });
    }
}

// Upstream: pkg/proxy/healthcheck/service_health.go: 503 without local endpoints, the counts in the body.
async fn answer(mut stream: TcpStream, check: HealthCheck) -> std::io::Result<()> {
    let mut head = [0; 2048];
    let _ = stream.read(&mut head).await?;
    let status = if check.local_endpoints > 0 { "200 OK" } else { "503 Service Unavailable" };
    let body = serde_json::json!({
        "service": {"namespace": check.namespace, "name": check.name},
        "localEndpoints": check.local_endpoints, "serviceProxyHealthy": true,
    });
    let body = body.to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Load-Balancing-Endpoint-Weight: {}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}",
        check.local_endpoints
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
