//! Starts every controller over one set of shared caches and waits for the end.

use client::{Executor, Informers, Recorder, Shell};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::caches::Caches;
use crate::{Config, Error};

/// Runs all controllers until `shutdown`.
pub async fn run(config: Config, client: kube::Client, shutdown: CancellationToken) -> Result<(), Error> {
    if config.leader_identity.is_empty() {
        return lead(config, client, shutdown).await;
    }
    let elector = client::LeaderElector::new(client.clone(), "kube-system", "kube-controller-manager", &config.leader_identity, client::LeaseTimings::default());
    let work = |leading| lead(config, client, leading);
    elector.lead(shutdown, work).await.unwrap_or(Ok(()))
}

async fn lead(config: Config, client: kube::Client, shutdown: CancellationToken) -> Result<(), Error> {
    // Whatever ends this run ends its watches, and nothing of the caller's.
    let shutdown = shutdown.child_token();
    let _ending = shutdown.clone().drop_guard();
    let informers = Informers::new(client.clone(), shutdown.clone());
    let informers = if config.paged_lists { informers.paged() } else { informers };
    let informers = if config.any_server {
        tokio::select! {
            served = client::Served::wait(&client) => informers.of(served),
            () = shutdown.cancelled() => return Ok(()),
        }
    } else {
        informers
    };
    let recorder = Recorder::new(client.clone(), "controllermanager", "", shutdown.clone());
    let executor = Executor::new(client, recorder, "kube-controller-manager");
    let shell = Shell { informers: informers.clone(), executor, shutdown: shutdown.clone() };
    let caches = Caches::new(informers.clone());
    let mut tasks = JoinSet::new();
    crate::replicaset::start(&caches, &shell, &mut tasks);
    crate::deployment::start(&caches, &shell, &mut tasks);
    crate::namespace::start(&caches, &shell, &mut tasks);
    crate::serviceaccount::start(&caches, &shell, &mut tasks);
    crate::service_ranges::start(&caches, &shell, &mut tasks);
    crate::endpoints::start(&caches, &shell, &mut tasks);
    crate::disruption::start(&caches, &shell, &mut tasks);
    crate::cluster_role::start(&caches, &shell, &mut tasks);
    let counted = crate::quota::start(&caches, &shell, &mut tasks);
    crate::garbage::start(&shell, config.paged_lists, counted, &mut tasks);
    crate::nodes::start_lifecycle(&caches, &shell, config.node_grace, config.paged_lists, &mut tasks);
    crate::nodes::start_eviction(&caches, &shell, &mut tasks);
    crate::pod_gc::start(&caches, &shell, config.terminated_pods, &mut tasks);
    crate::daemonset::start(&caches, &shell, &mut tasks);
    crate::statefulset::start(&caches, &shell, &mut tasks);
    crate::cronjob::start(&caches, &shell, &mut tasks);
    crate::job::start(&caches, &shell, &mut tasks);
    crate::volumes::start_binder(&caches, &shell, &mut tasks);
    crate::volumes::start_protection(&caches, &shell, &mut tasks);
    if !config.node_name.is_empty() {
        crate::volumes::start_local_path(&caches, &shell, &config.local_path_dir, &config.node_name, &mut tasks);
    }
    if !config.cluster_ca_pem.is_empty() {
        crate::account_tokens::start(&caches, &shell, &config.cluster_ca_pem, config.paged_lists, &mut tasks);
        crate::root_ca::start(&caches, &shell, &config.cluster_ca_pem, config.paged_lists, &mut tasks);
    }
    crate::certificates::start(&caches, &shell, config.signing.as_ref(), &mut tasks);
    if config.bootstrap_tokens {
        crate::bootstrap_tokens::start(&shell, config.paged_lists, &mut tasks);
    }
    if config.account_secrets {
        crate::account_secrets::start(&caches, &shell, config.paged_lists, &mut tasks);
    }
    if config.load_balancer {
        crate::load_balancer::start(&caches, &shell, &mut tasks);
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}
