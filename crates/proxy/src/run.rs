//! The loop: wait for a change, plan from the caches, bring the kernel to the plan.

use std::sync::Arc;
use std::time::Duration;

use client::{Informer, InformerOptions};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::runtime::watcher;
use nlink::netlink::nftables::NftablesEvent;
use service_rules::{Node, Observed, Range, RuleSet, plan, plan_stale};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::health::HealthServers;
use crate::{Error, Kernel, conntrack, loopback};

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Even without a notice the kernel is compared with the plan now and then.
const RESYNC: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub struct Config {
    pub node_name: String,
    /// The nftables table that is this cluster's alone.
    pub table: String,
    /// Such as `10.42.0.0/24`: whose traffic stays as it is inside the cluster and is masqueraded when it leaves.
    pub pod_cidr: String,
    pub service_cidr: String,
}

struct Caches {
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
    pods: Informer<Pod>,
}

/// Runs until `shutdown`; the rules stay.
pub async fn run(config: Config, client: kube::Client, shutdown: CancellationToken) -> Result<(), Error> {
    let range = |text: &str| Range::parse(text).ok_or_else(|| Error::Range(text.to_owned()));
    let node = Node { name: config.node_name.clone(), pod_range: range(&config.pod_cidr)?, service_range: range(&config.service_cidr)? };
    let kernel = Kernel::open(&config.table)?;
    let changed = Arc::new(Notify::new());
    let caches = watch(&config, client, &changed, &shutdown);
    tokio::select! {
        synced = async { tokio::try_join!(caches.services.wait_synced(), caches.slices.wait_synced(), caches.pods.wait_synced()) } => { synced?; }
        () = shutdown.cancelled() => return Ok(()),
    }
    let kernel = Arc::new(kernel);
    let guard = tokio::spawn(notice_removal(config.table.clone(), kernel.clone(), changed.clone()));
    let mut health = HealthServers::default();
    let mut held: Option<RuleSet> = None;
    let mut retry = RETRY_FIRST;
    loop {
        let rules = plan(&observe(&node, &caches));
        health.apply(&rules.health_checks).await;
        let wait = match bring(&kernel, held.as_ref(), &rules).await {
            Ok(()) => {
                held = Some(rules);
                retry = RETRY_FIRST;
                RESYNC
            }
            Err(error) => {
                tracing::warn!(%error, retry_ms = retry.as_millis() as u64, "service rules were not applied");
                let wait = retry;
                retry = (retry * 2).min(RETRY_MAX);
                wait
            }
        };
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(wait) => kernel.distrust().await,
            () = shutdown.cancelled() => break,
        }
    }
    guard.abort();
    Ok(())
}

async fn bring(kernel: &Kernel, held: Option<&RuleSet>, rules: &RuleSet) -> Result<(), Error> {
    let changes = kernel.apply(rules).await?;
    loopback::open(rules);
    if changes > 0 {
        tracing::debug!(changes, "service rules changed");
    }
    if let Some(held) = held {
        let flows = conntrack::forget(&plan_stale(held, rules)).await?;
        if flows > 0 {
            tracing::debug!(flows, "stale UDP flows forgotten");
        }
    }
    Ok(())
}

fn watch(config: &Config, client: kube::Client, changed: &Arc<Notify>, shutdown: &CancellationToken) -> Caches {
    let on_node = watcher::Config::default().fields(&format!("spec.nodeName={}", config.node_name));
    let services = Informer::start(Api::<Service>::all(client.clone()), InformerOptions::default(), shutdown.clone());
    let slices = Informer::start(Api::<EndpointSlice>::all(client.clone()), InformerOptions::default(), shutdown.clone());
    let options = InformerOptions { watch: on_node, trim: Some(trim_pod), ..InformerOptions::default() };
    let pods = Informer::start(Api::<Pod>::all(client), options, shutdown.clone());
    let notify = |changed: &Arc<Notify>| {
        let changed = changed.clone();
        move || changed.notify_one()
    };
    let (one, two, three) = (notify(changed), notify(changed), notify(changed));
    services.on_change(move |_| one());
    slices.on_change(move |_| two());
    pods.on_change(move |change| {
        // Most pods have no port on the node; their many status changes mean nothing here.
        if has_host_port(change.object()) || change.old().is_some_and(|old| has_host_port(old)) {
            three();
        }
    });
    Caches { services, slices, pods }
}

fn observe(node: &Node, caches: &Caches) -> Observed {
    let pods = caches.pods.list().into_iter().filter(|pod| has_host_port(pod)).collect();
    Observed { node: node.clone(), services: caches.services.list(), slices: caches.slices.list(), pods }
}

fn has_host_port(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    containers.flat_map(|c| c.ports.iter().flatten()).any(|port| port.host_port.is_some_and(|p| p != 0))
}

/// Only ports, addresses and phase are read.
fn trim_pod(pod: &mut Pod) {
    if !has_host_port(pod) {
        pod.spec = None;
        pod.status = None;
    }
    pod.metadata.annotations = None;
    if let Some(spec) = &mut pod.spec {
        spec.volumes = None;
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            container.env = None;
            container.volume_mounts = None;
        }
    }
}

/// Wakes the loop when somebody removes our table, as a firewall's reload does.
async fn notice_removal(table: String, kernel: Arc<Kernel>, changed: Arc<Notify>) {
    let Ok(connection) = Kernel::listen() else { return };
    let mut events = connection.events().await;
    while let Some(event) = events.next().await {
        match event {
            Ok(NftablesEvent::DelTable(gone)) if gone.name == table => {
                tracing::warn!(table, "service rules were removed by another program");
            }
            Ok(_) => continue,
            // Events were lost: look at everything.
            Err(error) => tracing::debug!(%error, "notices of the kernel were lost"),
        }
        kernel.distrust().await;
        changed.notify_one();
    }
}
