//! `knarr status`: one look at a cluster.

use host::{Containerd, Layout, Process};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::{Api, Client};

use crate::cluster::daemon;
use crate::failure::failure;
use crate::say::{self, Tone};
use crate::settings::Settings;

pub async fn run(layout: &Layout) -> anyhow::Result<()> {
    let Some(settings) = Settings::load(layout)? else {
        return Err(failure(format!("there is no cluster at {}", layout.data.display()), "`knarr up` starts one; --data-dir names another folder"));
    };
    say::line(format!("{}  {}", say::paint(Tone::Strong, &settings.name), settings.server_url()));
    say::line(format!("kubeconfig {}", layout.kubeconfig().display()));
    say::line("");
    let (server, containerd) = (daemon::running(layout), Containerd::running(layout));
    say::table(&["PART", "STATE", "PROCESS", "MEMORY"], &[process_row("knarr", server), process_row("containerd", containerd)]);
    if server.is_none() {
        let what = if containerd.is_some() { "the server does not run; containers and services go on without it" } else { "the cluster does not run" };
        return Err(failure(what, "`knarr up` starts it"));
    }
    let client = client::from_kubeconfig(layout.kubeconfig()).await?;
    say::line("");
    match objects(&client).await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context("the server runs, but its API does not answer")),
    }
}

fn process_row(name: &str, process: Option<Process>) -> Vec<String> {
    match process {
        Some(process) => vec![name.into(), "runs".into(), process.pid.to_string(), memory(process.pid)],
        None => vec![name.into(), "does not run".into(), "-".into(), "-".into()],
    }
}

fn memory(pid: i32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or("-".into(), |kib| format!("{:.1} MB", kib as f64 * 1.024 / 1000.0))
}

async fn objects(client: &Client) -> anyhow::Result<()> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
    let pods = Api::<Pod>::all(client.clone()).list(&ListParams::default()).await?;
    let rows: Vec<Vec<String>> = nodes.items.iter().map(|node| node_row(node, &pods.items)).collect();
    say::table(&["NODE", "STATE", "ADDRESS", "PODS", "VERSION"], &rows);
    let troubled: Vec<Vec<String>> = pods.items.iter().filter_map(trouble).collect();
    if !troubled.is_empty() {
        say::line("");
        say::table(&["POD", "STATE"], &troubled);
    }
    Ok(())
}

fn node_row(node: &Node, pods: &[Pod]) -> Vec<String> {
    let name = node.metadata.name.clone().unwrap_or_default();
    let status = node.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let address = status.addresses.iter().flatten().find(|a| a.type_ == "InternalIP").map_or("-".to_owned(), |a| a.address.clone());
    let here: Vec<&Pod> = pods.iter().filter(|p| p.spec.as_ref().and_then(|s| s.node_name.as_ref()) == Some(&name)).collect();
    let running = here.iter().filter(|p| phase(p) == "Running").count();
    let version = status.node_info.map_or("-".to_owned(), |info| info.kubelet_version);
    vec![name, if ready { "Ready".into() } else { "NotReady".into() }, address, format!("{running}/{} running", here.len()), version]
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

/// Pods that neither run well nor ended well.
fn trouble(pod: &Pod) -> Option<Vec<String>> {
    let statuses = pod.status.as_ref().and_then(|s| s.container_statuses.as_deref()).unwrap_or_default();
    let waiting = statuses.iter().find_map(|c| c.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let state = match phase(pod) {
        "Running" | "Succeeded" if waiting.is_none() => return None,
        other => waiting.unwrap_or_else(|| other.to_owned()),
    };
    let (namespace, name) = (pod.metadata.namespace.as_deref().unwrap_or_default(), pod.metadata.name.as_deref().unwrap_or_default());
    Some(vec![format!("{namespace}/{name}"), state])
}
