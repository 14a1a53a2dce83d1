//! `knarr up`: look at the host, start the server in the background, show its progress, end when the cluster works.

use std::process::Child;

use anyhow::Context;
use host::{Layout, Outcome, Process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cli::ClusterArgs;
use crate::cluster::{daemon, kubeconfig};
use crate::failure::failure;
use crate::say::{self, Progress, Tone};
use crate::settings::Settings;

pub async fn run(layout: &Layout, args: &ClusterArgs) -> anyhow::Result<()> {
    let progress = Progress::new(false);
    let settings = Settings::resolve(layout, args)?;
    if let Some(server) = daemon::lasting(layout).await {
        return already(layout, &settings, server);
    }
    check_host(layout, &settings, &progress).await?;
    let child = daemon::spawn(layout, args)?;
    follow(layout, child, &progress).await?;
    let chosen = merge_context(layout, &progress);
    tell_next(layout, &settings, chosen);
    Ok(())
}

/// True when plain `kubectl` now speaks to this cluster. A kubeconfig that cannot be merged into is no reason to fail.
fn merge_context(layout: &Layout, progress: &Progress) -> bool {
    let Some(path) = kubeconfig::users_own() else { return false };
    if path == layout.kubeconfig() {
        return true;
    }
    let merged = std::fs::read_to_string(layout.kubeconfig())
        .context("reading the cluster's kubeconfig")
        .and_then(|text| serde_saphyr::from_str(&text).context("reading the cluster's kubeconfig"))
        .and_then(|own| kubeconfig::merge(&path, &own));
    match merged {
        Ok(chosen) => {
            progress.step(format!("context merged into {}", path.display()));
            chosen
        }
        Err(error) => {
            progress.doubt(format!("{} was left as it is: {error:#}", path.display()));
            false
        }
    }
}

fn tell_next(layout: &Layout, settings: &Settings, chosen: bool) {
    let kubectl = if chosen { "kubectl".to_owned() } else { format!("kubectl --context {}", settings.name) };
    let rows = [
        (format!("{kubectl} get nodes,pods -A"), "what runs"),
        ("knarr apply -f app.yaml".to_owned(), "bring your own"),
        ("knarr status".to_owned(), "how it is"),
    ];
    say::line("");
    let width = rows.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    rows.iter().for_each(|(command, meaning)| say::line(format!("  {command:<width$}   {}", say::paint(Tone::Faint, meaning))));
    say::line(format!("  {:<width$}   {}", layout.kubeconfig().display(), say::paint(Tone::Faint, "the kubeconfig alone")));
}

fn already(layout: &Layout, settings: &Settings, server: Process) -> anyhow::Result<()> {
    if Settings::load(layout)?.is_some_and(|saved| saved != *settings) {
        return Err(failure(
            format!("the cluster runs already (process {}), with other settings than these", server.pid),
            "`knarr down`, then `knarr up` with the new settings; its data stays",
        ));
    }
    say::line(format!("The cluster {} runs already (process {}). Nothing was changed.", say::paint(Tone::Strong, &settings.name), server.pid));
    say::line("  knarr status        how it is");
    Ok(())
}

async fn check_host(layout: &Layout, settings: &Settings, progress: &Progress) -> anyhow::Result<()> {
    // A containerd that outlived an earlier server belongs to the cluster; its ports are not ours to ask for.
    let demands = host::Demands {
        ports: vec![(settings.port, "the API server".into()), (settings.kubelet_port, "the kubelet".into())],
        pod_cidr: settings.pod_cidr.clone(),
        service_cidr: settings.service_cidr.clone(),
    };
    let checks = host::check_all(layout, &demands).await;
    let mut bad = 0;
    for check in &checks {
        match &check.outcome {
            Outcome::Good(_) => {}
            Outcome::Doubtful { what, mend } => progress.doubt(format!("{}: {what}\n           {mend}", check.name)),
            Outcome::Bad { what, mend } => {
                bad += 1;
                say::line(format!("{} {}: {what}\n  {} {mend}", say::paint(Tone::Bad, "cannot start:"), check.name, say::paint(Tone::Good, "mend:")));
            }
        }
    }
    if bad > 0 {
        return Err(failure(
            format!("{bad} of {} host checks failed; nothing was started", checks.len()),
            "mend what is listed above and run `knarr up` again",
        ));
    }
    progress.step(format!("host checked ({} points)", checks.len()));
    Ok(())
}

/// Shows the lines of the server until it is ready or ends.
async fn follow(layout: &Layout, mut child: Child, progress: &Progress) -> anyhow::Result<()> {
    let output = child.stdout.take().context("the server's progress cannot be read")?;
    let output = tokio::process::ChildStdout::from_std(output)?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        let Ok(Value::Object(message)) = serde_json::from_str(&line) else { continue };
        for (kind, text) in message {
            let text = text.as_str().unwrap_or_default();
            progress.show(&kind, text);
            if kind == "ready" {
                return Ok(());
            }
        }
    }
    let status = tokio::task::spawn_blocking(move || child.wait()).await??;
    Err(failure(
        format!("the server ended before the cluster worked ({status}); the end of its log:\n{}", daemon::log_tail(layout, 12)),
        format!("the whole log is {}", daemon::log_path(layout).display()),
    ))
}
