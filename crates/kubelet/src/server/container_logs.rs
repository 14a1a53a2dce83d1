//! Logs of a container. Upstream: pkg/kubelet/server/server.go getContainerLogs, kubelet_pods.go validateContainerLogStatus.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus};
use tokio::sync::mpsc;

use super::answer::{Query, Response, streamed, text};
use super::routes::{find_pod, statuses};
use crate::agent::Agent;
use crate::paths::Paths;
use crate::pod::logs::{self, LogOptions};

pub fn serve(agent: &Arc<Agent>, namespace: &str, pod: &str, container: &str, query: &Query) -> Response {
    let handle = match find_pod(agent, namespace, pod) {
        Ok(handle) => handle,
        Err(answer) => return *answer,
    };
    let object = handle.pod_with_status();
    if pod_lifecycle::find_container(&object, container).is_none() {
        return text(404, &format!("container {container:?} not found in pod {pod:?}\n"));
    }
    let options = match options(query) {
        Ok(options) => options,
        Err(why) => return text(400, &why),
    };
    let previous = query.flag(&["previous"]);
    let Some(status) = statuses(&object).find(|s| s.name == container) else {
        return text(400, &format!("container {container:?} in pod {pod:?} is not available"));
    };
    let (id, attempt) = match choose(status, pod, previous) {
        Ok(chosen) => chosen,
        Err(why) => return text(400, &why),
    };
    let log = agent.paths.pod_logs_of(&object).join(Paths::container_log(container, attempt));
    let (sender, receiver) = mpsc::channel::<Bytes>(16);
    tokio::spawn(async move {
        if let Err(error) = logs::stream(log, options, id, Some(handle), sender).await {
            tracing::debug!(%error, "log was not read to its end");
        }
    });
    streamed(receiver)
}

fn options(query: &Query) -> Result<LogOptions, String> {
    let number = |name: &str| query.get(name).map(|v| v.parse::<i64>().map_err(|_| format!("invalid value {v:?} for {name}"))).transpose();
    let not_negative = |name: &str| -> Result<Option<u64>, String> { number(name)?.map(|n| u64::try_from(n).map_err(|_| format!("{name} must be greater than or equal to 0"))).transpose() };
    let since = match (number("sinceSeconds")?, query.get("sinceTime")) {
        (Some(seconds), _) if seconds < 1 => return Err("sinceSeconds must be greater than 0".into()),
        (Some(seconds), _) => Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).ok(),
        (None, Some(time)) => Some(time.parse::<Timestamp>().map_err(|e| e.to_string())?),
        (None, None) => None,
    };
    let limit_bytes = not_negative("limitBytes")?;
    if limit_bytes == Some(0) {
        return Err("limitBytes must be greater than 0".into());
    }
    let stream = query.get("stream").map(str::to_lowercase).filter(|s| s != "all");
    Ok(LogOptions { follow: query.flag(&["follow"]), tail_lines: not_negative("tailLines")?, since, timestamps: query.flag(&["timestamps"]), limit_bytes, stream })
}

/// Which run of the container is meant: its id and restart count.
fn choose(status: &ContainerStatus, pod: &str, previous: bool) -> Result<(String, u32), String> {
    let name = &status.name;
    let count = u32::try_from(status.restart_count).unwrap_or(0);
    let ended = |state: Option<&ContainerState>| state.and_then(|s| s.terminated.as_ref()).and_then(|t| t.container_id.clone());
    let plain = |id: String| id.strip_prefix("containerd://").map_or(id.clone(), str::to_owned);
    let current = status.container_id.clone().unwrap_or_default();
    let last = ended(status.last_state.as_ref());
    // While a new start is held back, the container that ended last is still the newest.
    let last_is_newest = last.as_ref().is_some_and(|id| *id == current);
    let state = status.state.as_ref();
    if previous {
        return match last {
            Some(id) => Ok((plain(id), if last_is_newest { count } else { count.saturating_sub(1) })),
            None => Err(format!("previous terminated container {name:?} in pod {pod:?} not found")),
        };
    }
    if state.is_some_and(|s| s.running.is_some() || s.terminated.is_some()) {
        return Ok((plain(current), count));
    }
    if let Some(id) = last {
        return Ok((plain(id), if last_is_newest { count } else { count.saturating_sub(1) }));
    }
    let reason = state.and_then(|s| s.waiting.as_ref()).and_then(|w| w.reason.clone()).unwrap_or_default();
    Err(match reason.as_str() {
        "ErrImagePull" => format!("container {name:?} in pod {pod:?} is waiting to start: image can't be pulled"),
        "ImagePullBackOff" => format!("container {name:?} in pod {pod:?} is waiting to start: trying and failing to pull image"),
        reason => format!("container {name:?} in pod {pod:?} is waiting to start: {reason}"),
    })
}
