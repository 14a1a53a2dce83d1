//! The pod that an argument means (`NAME`, `TYPE/NAME`), and the container in it.
// Upstream: kubectl pkg/polymorphichelpers/attachablepodforobject.go, pkg/cmd/util/podcmd.

use std::time::Duration;

use serde_json::Value;

use crate::call::Call;
use crate::client::with_query;
use crate::complain;
use crate::failure::{Failure, Outcome, fail};
use crate::select::{Info, Select};
use crate::{watch, workload};

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The object that an argument names; pods where only a name is given.
pub async fn named(call: &Call, word: &str) -> Outcome<Info> {
    let word = if word.contains('/') { word.to_owned() } else { format!("pods/{word}") };
    let mut select = Select::of(call)?.latest();
    select.files = Default::default();
    select.selector = None;
    let mut infos = select.by(call, &[word]).await?.all()?;
    Ok(infos.remove(0))
}

/// How long to wait for a running pod.
///
/// Upstream: kubectl `pkg/cmd/util/helpers.go` (`GetPodRunningTimeoutFlag`).
pub fn running_timeout(call: &Call) -> Outcome<Duration> {
    match call.flags.duration("pod-running-timeout") {
        Duration::ZERO => fail("--pod-running-timeout must be higher than zero"),
        limit => Ok(limit),
    }
}

/// A pod of the object: itself, or one that it selects, running and ready ones first.
pub async fn of_object(call: &Call, info: &Info, limit: Duration) -> Outcome<Value> {
    if info.resource.kind == "Pod" {
        return Ok(info.object.clone());
    }
    let selector = workload::selector_text(&info.object).map_err(|_| Failure::Text(format!("cannot attach to {}: selector could not be determined", info.resource.kind)))?;
    let path = with_query(&format!("/api/v1/namespaces/{}/pods", info.namespace), &[("labelSelector", &selector)]);
    let find = async {
        let api = call.api().await?;
        loop {
            let list = api.get(&path).await?;
            let mut pods: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
            if !pods.is_empty() {
                pods.sort_by_key(rank);
                return Ok(pods.remove(0));
            }
            let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            let mut events = watch::open(&api, &with_query(&path, &[("watch", "true"), ("resourceVersion", revision)]), "application/json").await?;
            if events.next().await?.is_none() {
                return fail("watch closed before UntilWithoutRetry timeout");
            }
        }
    };
    match tokio::time::timeout(limit, find).await {
        Ok(found) => found,
        Err(_) => fail("timed out waiting for the condition"),
    }
}

/// Running and ready before others, older before younger.
pub fn rank(pod: &Value) -> (bool, u8, bool, String) {
    let phase = match pod["status"]["phase"].as_str() {
        Some("Running") => 0,
        Some("Pending") => 1,
        _ => 2,
    };
    let ready = pod["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
    (pod["spec"]["nodeName"].is_null(), phase, !ready, pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned())
}

pub fn container_names(pod: &Value) -> Vec<String> {
    let named = |list: &str, suffix: &str| -> Vec<String> {
        pod["spec"][list].as_array().into_iter().flatten().map(|c| format!("{}{suffix}", c["name"].as_str().unwrap_or_default())).collect()
    };
    let mut all = named("containers", "");
    all.extend(named("ephemeralContainers", " (ephem)"));
    all.extend(named("initContainers", " (init)"));
    all
}

/// The container asked for, or the default one, said on standard error where there are several.
pub fn container(pod: &Value, asked: &str, quiet: bool) -> Outcome<String> {
    let has = |name: &str| ["containers", "initContainers", "ephemeralContainers"].iter().any(|list| pod["spec"][*list].as_array().is_some_and(|all| all.iter().any(|c| c["name"] == name)));
    if !asked.is_empty() {
        return if has(asked) { Ok(asked.to_owned()) } else { fail(format!("container {asked} is not valid for pod {} out of: {}", api::meta::name(pod), container_names(pod).join(", "))) };
    }
    if let Some(name) = api::meta::annotation(pod, DEFAULT_CONTAINER) {
        if has(name) {
            return Ok(name.to_owned());
        }
        complain!("Default container name {name:?} not found in pod {}", api::meta::name(pod));
    }
    let Some(first) = pod["spec"]["containers"][0]["name"].as_str() else { return fail(format!("pod {} has no containers", api::meta::name(pod))) };
    let all = container_names(pod);
    if all.len() > 1 && !quiet {
        complain!("Defaulted container {first:?} out of: {}", all.join(", "));
    }
    Ok(first.to_owned())
}
