//! One question to one container: exec, HTTP, TCP or gRPC. Upstream: pkg/probe, pkg/kubelet/prober/prober.go.

use std::time::Duration;

use cri::ExecSyncRequest;
use k8s_openapi::api::core::v1::{Container, GRPCAction, Probe};
use tonic_prost::ProstCodec;

use super::{http, port};
use crate::agent::Agent;

/// Exec output is cut here.
const OUTPUT_BYTES: usize = 10 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// It answered well, but something is to be said about it.
    Warning(String),
    Failure(String),
    /// Nobody knows: the question could not be put.
    Unknown(String),
}

pub async fn ask(agent: &Agent, container: &Container, probe: &Probe, id: &str, pod_ip: &str) -> Outcome {
    let time = Duration::from_secs(u64::try_from(probe.timeout_seconds.unwrap_or(1).max(1)).unwrap_or(1));
    if let Some(exec) = &probe.exec {
        return ask_exec(agent, exec.command.clone().unwrap_or_default(), id, time).await;
    }
    if let Some(get) = &probe.http_get {
        let host = get.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(pod_ip);
        return match port::resolve(&get.port, container) {
            Ok(number) => judge_http(http::get(&http::Request::of(get, host, number), time).await),
            Err(why) => Outcome::Unknown(why),
        };
    }
    if let Some(tcp) = &probe.tcp_socket {
        let host = tcp.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(pod_ip);
        return match port::resolve(&tcp.port, container) {
            Ok(number) => match tokio::time::timeout(time, http::connect(host, number)).await {
                Ok(Ok(_)) => Outcome::Success,
                Ok(Err(why)) => Outcome::Failure(why),
                Err(_) => Outcome::Failure(format!("dial tcp {host}:{number}: i/o timeout")),
            },
            Err(why) => Outcome::Unknown(why),
        };
    }
    if let Some(grpc) = &probe.grpc {
        return ask_grpc(grpc, pod_ip, time).await;
    }
    Outcome::Unknown("missing probe handler".into())
}

async fn ask_exec(agent: &Agent, cmd: Vec<String>, id: &str, time: Duration) -> Outcome {
    let shown = cmd.join(" ");
    let seconds = i64::try_from(time.as_secs()).unwrap_or(1);
    match agent.cri.exec_sync(ExecSyncRequest { container_id: id.to_owned(), cmd, timeout: seconds }).await {
        Ok(answer) if answer.exit_code == 0 => Outcome::Success,
        Ok(answer) => {
            let mut output = answer.stdout;
            output.extend_from_slice(&answer.stderr);
            output.truncate(OUTPUT_BYTES);
            Outcome::Failure(String::from_utf8_lossy(&output).into_owned())
        }
        Err(cri::Error::Deadline) => Outcome::Failure(format!("command timed out: {shown:?} timed out after {seconds}s")),
        Err(error) => Outcome::Unknown(error.to_string()),
    }
}

fn judge_http(answer: Result<http::Answer, String>) -> Outcome {
    match answer {
        Err(why) => Outcome::Failure(why),
        Ok(answer) if answer.redirected_away => Outcome::Warning(format!("Probe terminated redirects, Response body: {}", answer.body)),
        Ok(answer) if (200..400).contains(&answer.status) => Outcome::Success,
        Ok(answer) => Outcome::Failure(format!("HTTP probe failed with statuscode: {}", answer.status)),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    /// 1 is serving.
    #[prost(int32, tag = "1")]
    status: i32,
}

async fn ask_grpc(grpc: &GRPCAction, pod_ip: &str, time: Duration) -> Outcome {
    let shown = if pod_ip.contains(':') { format!("[{pod_ip}]:{}", grpc.port) } else { format!("{pod_ip}:{}", grpc.port) };
    let service = grpc.service.clone().unwrap_or_default();
    match tokio::time::timeout(time, check_health(&shown, service)).await {
        Err(_) => Outcome::Failure(format!("timeout: failed to connect service {shown:?} within {}s: context deadline exceeded", time.as_secs())),
        Ok(Ok(1)) => Outcome::Success,
        Ok(Ok(0)) => Outcome::Failure("service unhealthy (responded with \"UNKNOWN\")".into()),
        Ok(Ok(3)) => Outcome::Failure("service unhealthy (responded with \"SERVICE_UNKNOWN\")".into()),
        Ok(Ok(_)) => Outcome::Failure("service unhealthy (responded with \"NOT_SERVING\")".into()),
        Ok(Err(why)) => Outcome::Failure(why),
    }
}

async fn check_health(address: &str, service: String) -> Result<i32, String> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).map_err(|e| e.to_string())?;
    let channel = endpoint.user_agent("kube-probe/1.37").map_err(|e| e.to_string())?.connect().await.map_err(|e| format!("error: failed to connect service at {address:?}: {e}"))?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|e| e.to_string())?;
    let path = ::http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec: ProstCodec<HealthCheckRequest, HealthCheckResponse> = ProstCodec::default();
    match client.unary(tonic::Request::new(HealthCheckRequest { service }), path, codec).await {
        Ok(response) => Ok(response.into_inner().status),
        Err(status) if status.code() == tonic::Code::Unimplemented => Err("error: this server does not implement the grpc health protocol (grpc.health.v1.Health)".into()),
        Err(status) => Err(format!("error: health rpc probe failed: {}", status.message())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{StreamBody, combinators::BoxBody, BodyExt as _};
    use hyper::body::Frame;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    use super::*;

    /// Answers every call with one status of the health protocol.
    async fn serve(status: u8) -> i32 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper::service::service_fn(move |request: ::http::Request<hyper::body::Incoming>| async move {
                    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                    let mut trailers = ::http::HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().unwrap());
                    let frames = [Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]))), Ok(Frame::trailers(trailers))];
                    let body: BoxBody<Bytes, std::convert::Infallible> = StreamBody::new(futures::stream::iter(frames)).boxed();
                    ::http::Response::builder().header("content-type", "application/grpc").body(body)
                });
                drop(tokio::spawn(hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service)));
            }
        });
        i32::from(port)
    }

    #[tokio::test]
    async fn grpc_health_is_asked_in_its_own_protocol() {
        let time = Duration::from_secs(5);
        let action = |port| GRPCAction { port, ..GRPCAction::default() };
        assert_eq!(ask_grpc(&action(serve(1).await), "127.0.0.1", time).await, Outcome::Success);
        assert!(matches!(ask_grpc(&action(serve(2).await), "127.0.0.1", time).await, Outcome::Failure(why) if why.contains("NOT_SERVING")));
        assert!(matches!(ask_grpc(&action(1), "127.0.0.1", time).await, Outcome::Failure(why) if why.contains("failed to connect")));
    }
}
