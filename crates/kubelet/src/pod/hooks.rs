//! Lifecycle hooks: exec, HTTP, sleep. Upstream: pkg/kubelet/lifecycle/handlers.go.

use std::time::Duration;

use cri::ExecSyncRequest;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod};

use crate::agent::Agent;
use crate::probe::{http, port};

const HTTP_TIME: Duration = Duration::from_secs(30);

pub async fn run(agent: &Agent, _pod: &Pod, container: &Container, id: &str, handler: &LifecycleHandler, pod_ips: &[String]) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        let request = ExecSyncRequest { container_id: id.to_owned(), cmd: exec.command.clone().unwrap_or_default(), timeout: 0 };
        let answer = agent.cri.exec_sync(request).await.map_err(|e| e.message())?;
        return if answer.exit_code == 0 { Ok(()) } else { Err(format!("command {:?} exited with {}: {}", exec.command.as_deref().unwrap_or_default().join(" "), answer.exit_code, String::from_utf8_lossy(&answer.stderr))) };
    }
    if let Some(get) = &handler.http_get {
        let host = get.host.as_deref().filter(|h| !h.is_empty()).or(pod_ips.first().map(String::as_str)).ok_or("failed to find networking container")?.to_owned();
        let number = port::resolve(&get.port, container)?;
        let request = http::Request::of(get, &host, number);
        let answer = http::get(&request, HTTP_TIME).await;
        // Upstream: a server that speaks plain HTTP on a port that is asked for HTTPS is asked again that way.
        let answer = match answer {
            Err(error) if request.tls && error.contains("InvalidContentType") => http::get(&request.plain(), HTTP_TIME).await,
            other => other,
        };
        return answer.and_then(|a| if a.status < 400 { Ok(()) } else { Err(format!("HTTP request failed with statuscode: {}", a.status)) });
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    Err("invalid handler: no action specified".into())
}
