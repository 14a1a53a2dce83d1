//! From the runtime's events to the workers: who is concerned looks again.
//!
//! Never concludes anything from an event. Keeps true: after each (re)connection every pod looks once; a slow comparison of the
//! whole list is the net below. Upstream: pkg/kubelet/pleg, with events in place of a list each second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::EventType;
use cri::{ContainerFilter, ContainerState, ContainerStatusRequest, Event, ListContainersRequest, ListPodSandboxRequest};

use pod_lifecycle::Kind;

use super::registry::PodHandle;
use super::start::container_reference;
use crate::agent::Agent;
use crate::make::sandbox::POD_UID;

const NET: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);
/// The runtime's own book-keeping follows an exit within moments; asked again so often, for 10 s in all.
const SETTLE: Duration = Duration::from_secs(10);

pub async fn follow(agent: Arc<Agent>) {
    let net = tokio::spawn(compare(agent.clone()));
    let shutdown = agent.shutdown.clone();
    tokio::select! {
        () = listen(&agent) => {}
        () = shutdown.cancelled() => {}
    }
    net.abort();
}

async fn listen(agent: &Arc<Agent>) {
    loop {
        match agent.cri.subscribe().await {
            Ok(mut stream) => {
                for handle in agent.registry.all() {
                    handle.wake();
                }
                loop {
                    match stream.next().await {
                        Ok(Some(event)) => apply(agent, event),
                        Ok(None) => break,
                        Err(error) => {
                            tracing::warn!(%error, "runtime events were cut off");
                            break;
                        }
                    }
                }
            }
            Err(cri::Error::Unimplemented(_)) => {
                tracing::warn!("runtime has no event stream: changes are seen by comparison only");
                return std::future::pending().await;
            }
            Err(error) => tracing::debug!(%error, "runtime events are not available"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn apply(agent: &Arc<Agent>, event: Event) {
    match event {
        Event::Started { id } | Event::Deleted { id } => {
            if let Some(handle) = agent.registry.owner(&id) {
                handle.wake();
            }
        }
        Event::OutOfMemory { id } => {
            if let Some(handle) = agent.registry.owner(&id) {
                tell_out_of_memory(agent, &handle, &id);
                handle.wake();
            }
        }
        Event::Exited { id } => {
            let agent = agent.clone();
            tokio::spawn(async move { settle(&agent, &id).await });
        }
    }
}

/// Differs: a process killed for memory is told of even when its container lives on; upstream says nothing then.
fn tell_out_of_memory(agent: &Agent, handle: &PodHandle, id: &str) {
    let Some((name, _, _)) = handle.running_containers().into_iter().find(|(_, _, running)| running == id) else { return };
    let pod = handle.pod();
    let kind = pod_lifecycle::find_container(&pod, &name).map_or(Kind::Regular, |c| c.kind);
    let text = format!("A process of container {name} was killed: its memory limit was reached");
    agent.recorder.event(&container_reference(&pod, kind, &name), EventType::Warning, "OOMKilling", text);
}

/// Waits until the runtime itself says that the container ended, then wakes the pod.
async fn settle(agent: &Arc<Agent>, id: &str) {
    let ends = tokio::time::Instant::now() + SETTLE;
    let mut pause = Duration::from_millis(2);
    loop {
        let status = agent.cri.container_status(ContainerStatusRequest { container_id: id.into(), verbose: false }).await;
        let running = matches!(&status, Ok(s) if s.status.as_ref().is_some_and(|s| s.state == ContainerState::Running as i32));
        if !running || tokio::time::Instant::now() >= ends {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
    match agent.registry.owner(id) {
        Some(handle) => handle.wake(),
        None => wake_by_label(agent, id).await,
    }
}

async fn wake_by_label(agent: &Agent, id: &str) {
    let filter = ContainerFilter { id: id.into(), ..ContainerFilter::default() };
    let Ok(found) = agent.cri.list_containers(ListContainersRequest { filter: Some(filter) }).await else { return };
    for container in found.containers {
        if let Some(uid) = container.labels.get(POD_UID) {
            agent.registry.wake(uid);
        }
    }
}

/// The net: states of everything once a minute; a difference that no event told wakes its pod.
async fn compare(agent: Arc<Agent>) {
    let mut before: HashMap<String, i32> = HashMap::new();
    let mut ticks = tokio::time::interval(NET);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (Ok(containers), Ok(sandboxes)) = tokio::join!(agent.cri.list_containers(ListContainersRequest::default()), agent.cri.list_pod_sandbox(ListPodSandboxRequest::default())) else { continue };
        let all = containers.containers.into_iter().map(|c| (c.id, c.state, c.labels)).chain(sandboxes.items.into_iter().map(|s| (s.id, s.state, s.labels)));
        let mut now = HashMap::new();
        for (id, state, labels) in all {
            if let Some(uid) = labels.get(POD_UID).filter(|_| before.get(&id) != Some(&state)) {
                agent.registry.wake(uid);
            }
            now.insert(id, state);
        }
        for id in before.keys().filter(|id| !now.contains_key(*id)) {
            if let Some(handle) = agent.registry.owner(id) {
                handle.wake();
            }
        }
        before = now;
    }
}
