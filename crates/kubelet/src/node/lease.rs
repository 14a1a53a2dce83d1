//! The node's heartbeat: a Lease in `kube-node-lease`, renewed every ten seconds.
//!
//! Never overwrites a lease blindly: the renewal carries the version it read. Upstream: staging/src/k8s.io/component-helpers/apimachinery/lease.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use crate::agent::Agent;

const RENEW: Duration = Duration::from_secs(10);
const DURATION_SECONDS: i32 = 40;
const NAMESPACE: &str = "kube-node-lease";

pub async fn keep(agent: Arc<Agent>) {
    let api: Api<Lease> = Api::namespaced(agent.client.clone(), NAMESPACE);
    let mut held: Option<Lease> = None;
    let mut failures = 0u32;
    loop {
        let wait = match renew(&agent, &api, held.take()).await {
            Ok(lease) => {
                held = Some(lease);
                failures = 0;
                RENEW
            }
            Err(error) => {
                tracing::debug!(error = client::api_message(&error), "lease was not renewed");
                failures += 1;
                Duration::from_millis(200 << failures.min(5)).min(Duration::from_secs(7))
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = agent.shutdown.cancelled() => return,
        }
    }
}

async fn renew(agent: &Agent, api: &Api<Lease>, held: Option<Lease>) -> Result<Lease, kube::Error> {
    let name = &agent.config.node_name;
    let held = match held {
        Some(held) => Some(held),
        None => api.get_opt(name).await?,
    };
    let now = MicroTime(Timestamp::now());
    match held {
        Some(mut lease) => {
            let spec = lease.spec.get_or_insert_default();
            spec.renew_time = Some(now);
            spec.holder_identity = Some(name.clone());
            spec.lease_duration_seconds = Some(DURATION_SECONDS);
            if lease.metadata.owner_references.as_ref().is_none_or(Vec::is_empty) {
                lease.metadata.owner_references = owner(agent).await;
            }
            api.replace(name, &PostParams::default(), &lease).await
        }
        None => {
            let spec = LeaseSpec { holder_identity: Some(name.clone()), lease_duration_seconds: Some(DURATION_SECONDS), renew_time: Some(now), ..LeaseSpec::default() };
            let metadata = ObjectMeta { name: Some(name.clone()), namespace: Some(NAMESPACE.into()), owner_references: owner(agent).await, ..ObjectMeta::default() };
            api.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await
        }
    }
}

/// The lease goes with its node.
async fn owner(agent: &Agent) -> Option<Vec<OwnerReference>> {
    let nodes: Api<Node> = Api::all(agent.client.clone());
    let node = nodes.get_opt(&agent.config.node_name).await.ok()??;
    let reference = OwnerReference { api_version: "v1".into(), kind: "Node".into(), name: agent.config.node_name.clone(), uid: node.metadata.uid?, ..OwnerReference::default() };
    Some(vec![reference])
}
