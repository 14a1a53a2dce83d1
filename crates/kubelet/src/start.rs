//! Bringing the agent up, and down without touching what runs.

use std::time::Duration;

use cri::{RuntimeConfig, UpdateRuntimeConfigRequest, VersionRequest};
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::cgroup::Cgroups;
use crate::node::capacity::Machine;
use crate::node::{lease, status};
use crate::pod::{adopt, logs, runtime_events, source, statics};
use crate::{Config, Error, server};

const RUNTIME_TIME: Duration = Duration::from_secs(60);

/// Runs the node agent until the shutdown. Containers go on running after it.
pub async fn run(config: Config, client: kube::Client, shutdown: CancellationToken) -> Result<(), Error> {
    for dir in [config.root_dir.join("pods"), config.log_dir.clone()] {
        std::fs::create_dir_all(&dir).map_err(|source| Error::Io { what: dir.display().to_string(), source })?;
    }
    let machine = Machine::read(&config.root_dir);
    let cgroups = Cgroups::find(&config.cgroup_root, config.pod_pids_limit);
    let agent = Agent::new(config, client, machine, cgroups, shutdown.clone());
    wait_for_runtime(&agent).await?;
    let port = server::start(&agent).await?;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(runtime_events::follow(agent.clone()));
    tasks.spawn(status::keep(agent.clone(), port));
    tasks.spawn(lease::keep(agent.clone()));
    tasks.spawn(logs::rotate(agent.clone()));
    if let Some(dir) = agent.config.static_pod_dir.clone() {
        tasks.spawn(statics::follow(agent.clone(), dir));
    }
    let pods = source::start(&agent);
    let orphans = agent.clone();
    tasks.spawn(async move {
        if pods.wait_synced().await.is_ok() {
            // Handlers ran for the whole first list before it counted as synced; the queue behind them is drained at once.
            tokio::task::yield_now().await;
            adopt::end_orphans(&orphans, &pods).await;
        }
    });
    shutdown.cancelled().await;
    tasks.shutdown().await;
    Ok(())
}

async fn wait_for_runtime(agent: &Agent) -> Result<(), Error> {
    let ends = tokio::time::Instant::now() + RUNTIME_TIME;
    let mut pause = Duration::from_millis(10);
    loop {
        match agent.cri.version(VersionRequest { version: "v1".into() }).await {
            Ok(_) => break,
            Err(source) if tokio::time::Instant::now() >= ends => return Err(Error::Runtime { socket: agent.config.cri_socket.display().to_string(), source }),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_millis(500));
    }
    if let Some(cidr) = agent.config.pod_cidr.clone() {
        let config = RuntimeConfig { network_config: Some(cri::NetworkConfig { pod_cidr: cidr }) };
        if let Err(error) = agent.cri.update_runtime_config(UpdateRuntimeConfigRequest { runtime_config: Some(config) }).await {
            tracing::debug!(%error, "runtime did not take the pod network");
        }
    }
    Ok(())
}
