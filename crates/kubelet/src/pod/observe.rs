//! What the runtime holds for a pod, as the plan reads it.
//!
//! Never decides. Keeps true: an ended container is asked about once; its last words are read then and kept.

use std::collections::HashMap;

use cri::{ContainerFilter, ContainerState, ContainerStatus, ContainerStatusRequest, Cri, ListContainersRequest, ListPodSandboxRequest, PodSandboxFilter, PodSandboxState, PodSandboxStatusRequest};
use pod_lifecycle::{Container, RunState, Runtime, Sandbox};

use super::logs;
use crate::make::sandbox::{CONTAINER_HASH, CONTAINER_NAME, MESSAGE_PATH, MESSAGE_POLICY, POD_UID, RESTART_COUNT};

const LAST_WORDS_BYTES: u64 = 4096;

/// Ended containers and sandbox addresses, which do not change any more.
#[derive(Default)]
pub struct Known {
    ended: HashMap<String, Container>,
    sandboxes: HashMap<String, Sandbox>,
    running: HashMap<String, Container>,
}

pub async fn observe(cri: &Cri, uid: &str, known: &mut Known) -> Result<Runtime, cri::Error> {
    let label: HashMap<String, String> = [(POD_UID.to_owned(), uid.to_owned())].into();
    let filter = PodSandboxFilter { label_selector: label.clone(), ..PodSandboxFilter::default() };
    let containers = ContainerFilter { label_selector: label, ..ContainerFilter::default() };
    let (sandboxes, containers) = tokio::try_join!(cri.list_pod_sandbox(ListPodSandboxRequest { filter: Some(filter) }), cri.list_containers(ListContainersRequest { filter: Some(containers) }))?;
    let mut runtime = Runtime::default();
    for item in sandboxes.items {
        let ready = item.state == PodSandboxState::Ready as i32;
        if let Some(old) = known.sandboxes.get(&item.id).filter(|s| s.ready == ready) {
            runtime.sandboxes.push(old.clone());
            continue;
        }
        match sandbox(cri, &item.id).await {
            Ok(found) => {
                known.sandboxes.insert(item.id.clone(), found.clone());
                runtime.sandboxes.push(found);
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    runtime.sandboxes.sort_by_key(|s| std::cmp::Reverse((s.attempt, s.created_at)));
    let mut seen = Known { sandboxes: std::mem::take(&mut known.sandboxes), ..Known::default() };
    seen.sandboxes.retain(|id, _| runtime.sandboxes.iter().any(|s| s.id == *id));
    for item in containers.containers {
        let kept = match item.state {
            s if s == ContainerState::Exited as i32 => known.ended.remove(&item.id),
            s if s == ContainerState::Running as i32 => known.running.remove(&item.id),
            _ => None,
        };
        let found = match kept {
            Some(found) => found,
            None => match container(cri, &item.id, &item.pod_sandbox_id).await {
                Ok(found) => found,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            },
        };
        match found.state {
            RunState::Exited => drop(seen.ended.insert(found.id.clone(), found.clone())),
            RunState::Running => drop(seen.running.insert(found.id.clone(), found.clone())),
            _ => {}
        }
        runtime.containers.push(found);
    }
    *known = seen;
    Ok(runtime)
}

async fn sandbox(cri: &Cri, id: &str) -> Result<Sandbox, cri::Error> {
    let status = cri.pod_sandbox_status(PodSandboxStatusRequest { pod_sandbox_id: id.into(), verbose: false }).await?.status.unwrap_or_default();
    let network = status.network.unwrap_or_default();
    let ips = std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|i| i.ip)).filter(|ip| !ip.is_empty()).collect();
    Ok(Sandbox { id: status.id, attempt: status.metadata.unwrap_or_default().attempt, ready: status.state == PodSandboxState::Ready as i32, created_at: status.created_at, ips })
}

async fn container(cri: &Cri, id: &str, sandbox: &str) -> Result<Container, cri::Error> {
    let status = cri.container_status(ContainerStatusRequest { container_id: id.into(), verbose: false }).await?.status.unwrap_or_default();
    let state = match ContainerState::try_from(status.state) {
        Ok(ContainerState::Created) => RunState::Created,
        Ok(ContainerState::Running) => RunState::Running,
        Ok(ContainerState::Exited) => RunState::Exited,
        _ => RunState::Unknown,
    };
    let metadata = status.metadata.clone().unwrap_or_default();
    let annotation = |name: &str| status.annotations.get(name).cloned().unwrap_or_default();
    let message = if state == RunState::Exited { last_words(&status).await } else { String::new() };
    Ok(Container {
        id: status.id.clone(),
        name: status.labels.get(CONTAINER_NAME).cloned().unwrap_or(metadata.name),
        sandbox: sandbox.to_owned(),
        restart_count: annotation(RESTART_COUNT).parse().unwrap_or(metadata.attempt),
        state,
        created_at: status.created_at,
        // The runtime leaves it out for what never ran.
        started_at: status.started_at,
        finished_at: if status.finished_at > 0 { status.finished_at } else { status.created_at },
        exit_code: status.exit_code,
        reason: status.reason.clone(),
        message,
        image: status.image.clone().unwrap_or_default().image,
        image_id: status.image_ref.clone(),
        hash: annotation(CONTAINER_HASH),
        applied: None,
    })
}

/// The termination message: the file, or the end of the log of a failed container that wants it, or the runtime's own words.
/// Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go, getTerminationMessage.
async fn last_words(status: &ContainerStatus) -> String {
    let path = status.annotations.get(MESSAGE_PATH).cloned().unwrap_or_default();
    let file = status.mounts.iter().find(|m| !path.is_empty() && m.container_path == path).map(|m| m.host_path.clone());
    let log = status.log_path.clone();
    let fall_back = status.annotations.get(MESSAGE_POLICY).is_some_and(|p| p == "FallbackToLogsOnError") && status.exit_code != 0;
    let read = tokio::task::spawn_blocking(move || {
        let text = file.and_then(|f| read_end(&f, LAST_WORDS_BYTES)).unwrap_or_default();
        if text.is_empty() && fall_back { logs::tail_of_file(std::path::Path::new(&log), 80, 2048) } else { text }
    });
    let text = read.await.unwrap_or_default();
    if text.is_empty() { status.message.clone() } else { text }
}

fn read_end(path: &str, bytes: u64) -> Option<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok().filter(|m| m.is_file())?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes))).ok()?;
    let mut out = Vec::new();
    file.take(bytes).read_to_end(&mut out).ok()?;
    Some(String::from_utf8_lossy(&out).into_owned())
}
