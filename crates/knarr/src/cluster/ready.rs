//! When a cluster works: its node is Ready and its DNS answers over the service's own address.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::TryStreamExt;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use k8s_openapi::api::core::v1::Node;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::net::UdpSocket;

use crate::failure::failure;

const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Waits for the condition, by watching.
pub async fn node(client: &Client, name: &str, limit: Duration) -> anyhow::Result<()> {
    let api: Api<Node> = Api::all(client.clone());
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut nodes = std::pin::pin!(watcher(api, config).default_backoff().applied_objects());
    let mut last = "the node has not registered itself".to_owned();
    let wait = async {
        loop {
            // A broken watch is begun again by the stream itself.
            let Ok(next) = nodes.try_next().await else { continue };
            let Some(node) = next else { bail!("the watch on nodes ended") };
            let conditions = node.status.and_then(|s| s.conditions).unwrap_or_default();
            match conditions.into_iter().find(|c| c.type_ == "Ready") {
                Some(ready) if ready.status == "True" => return Ok(()),
                Some(ready) => last = format!("Ready is {}: {}", ready.status, ready.message.unwrap_or_default()),
                None => {}
            }
        }
    };
    match tokio::time::timeout(limit, wait).await {
        Ok(done) => done,
        Err(_) => Err(failure(format!("the node {name} was not Ready within {} s: {last}", limit.as_secs()), "the log says more; `knarr status` shows where it is")),
    }
}

/// Asks for `kubernetes.default` until it is answered.
pub async fn dns(service: Ipv4Addr, domain: &str, limit: Duration) -> anyhow::Result<()> {
    let name = Name::from_str(&format!("kubernetes.default.svc.{domain}.")).context("the cluster's domain")?;
    let wait = async {
        loop {
            if let Ok(true) = tokio::time::timeout(ASK_AGAIN * 4, ask(SocketAddr::from((service, 53)), &name)).await.unwrap_or(Ok(false)) {
                return;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    tokio::time::timeout(limit, wait).await.map_err(|_| {
        failure(format!("DNS did not answer at {service} within {} s", limit.as_secs()), "the log says more; `nft list ruleset` shows the service rules")
    })
}

async fn ask(server: SocketAddr, name: &Name) -> anyhow::Result<bool> {
    let mut question = Message::query();
    question.metadata.id = rand::random();
    question.add_query(Query::query(name.clone(), RecordType::A));
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect(server).await?;
    socket.send(&question.to_vec()?).await?;
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).await?;
    let answer = Message::from_vec(&buffer[..length])?;
    Ok(answer.metadata.id == question.metadata.id && answer.metadata.response_code == ResponseCode::NoError && !answer.answers.is_empty())
}
