//! From a created object to a running one, as a watching client sees it.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

const IMAGE: &str = "knarr.io/hello:1";

fn spec() -> Value {
    json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "hello", "image": IMAGE, "imagePullPolicy": "Never",
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}}]})
}

/// Waits for an object to hold what is asked, by its watch.
async fn until<K>(api: &Api<K>, name: &str, holds: impl Fn(&K) -> bool) -> Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug + kube::Resource,
{
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(120);
    let mut events = pin!(api.watch(&params, "0").await?);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
            && holds(&object)
        {
            return Ok(());
        }
    }
    anyhow::bail!("{name} did not get there within two minutes")
}

async fn gone(api: &Api<Pod>, name: &str) -> Result<()> {
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(120);
    let mut events = pin!(api.watch(&params, "0").await?);
    api.delete(name, &DeleteParams::default()).await?;
    while let Some(event) = events.try_next().await? {
        if matches!(event, WatchEvent::Deleted(_)) {
            return Ok(());
        }
    }
    Ok(())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

pub async fn create_to_ready(client: &kube::Client, runs: usize) -> Result<Vec<Duration>> {
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    let mut all = Vec::new();
    for run in 0..runs {
        let name = format!("bench-{run}");
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec()}))?;
        let start = Instant::now();
        api.create(&PostParams::default(), &pod).await.context("could not create the pod")?;
        until(&api, &name, is_ready).await?;
        all.push(start.elapsed());
        gone(&api, &name).await?;
    }
    Ok(all)
}

pub async fn deployment_to_available(client: &kube::Client, replicas: i32, runs: usize) -> Result<Vec<Duration>> {
    let api: Api<Deployment> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let mut all = Vec::new();
    for run in 0..runs {
        let name = format!("bench-many-{run}");
        let labels = json!({"bench": name});
        let deployment: Deployment = serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"replicas": replicas,
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec()}}}))?;
        let start = Instant::now();
        api.create(&PostParams::default(), &deployment).await.context("could not create the deployment")?;
        until(&api, &name, |d| d.status.as_ref().and_then(|s| s.available_replicas) == Some(replicas)).await?;
        all.push(start.elapsed());
        let params = WatchParams::default().labels(&format!("bench={name}")).timeout(120);
        let mut left = replicas;
        let mut events = pin!(pods.watch(&params, "0").await?);
        api.delete(&name, &DeleteParams::background()).await?;
        while left > 0 {
            match events.try_next().await? {
                Some(WatchEvent::Deleted(_)) => left -= 1,
                Some(_) => {}
                None => break,
            }
        }
    }
    Ok(all)
}
