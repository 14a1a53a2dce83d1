//! Hooks of a release: made in the order of their weights, waited for, removed as their policies say.
// Upstream: helm pkg/action/hooks.go.

use std::time::Duration;

use charts::Release;
use charts::release::{Hook, LastRun};

use super::apply::{How, create, delete};
use super::wait::{Goal, wait_for};
use crate::cluster::{Cluster, parse_objects};
use crate::failure::{Failure, Outcome};
use crate::output::{now, out};
use crate::storage::escape;

const BEFORE_CREATION: &str = "before-hook-creation";

/// What running hooks needs.
#[derive(Clone, Copy)]
pub struct Runner<'a> {
    pub cluster: &'a Cluster,
    pub timeout: Duration,
    pub how: How,
}

/// Runs the hooks of an event; how they went is written into the release.
pub async fn run(runner: Runner<'_>, release: &mut Release, event: &str) -> Outcome {
    run_some(runner, release, event, |_| true).await
}

/// Like [`run`], for those that `wanted` picks.
pub async fn run_some(runner: Runner<'_>, release: &mut Release, event: &str, wanted: impl Fn(&Hook) -> bool) -> Outcome {
    let order = ordered(&release.hooks, event, wanted);
    for at in &order {
        if release.hooks[*at].delete_policies.is_empty() {
            release.hooks[*at].delete_policies.push(BEFORE_CREATION.into());
        }
        run_one(runner, release, *at, event).await?;
    }
    for at in order.iter().rev() {
        show_log(runner, &release.hooks[*at], &release.namespace, "hook-succeeded").await;
        remove(runner, &release.hooks[*at], &release.namespace, "hook-succeeded").await?;
    }
    Ok(())
}

/// The places of an event's hooks: by weight, then by kind, then by name.
fn ordered(hooks: &[Hook], event: &str, wanted: impl Fn(&Hook) -> bool) -> Vec<usize> {
    let mut order: Vec<(usize, &Hook)> = hooks.iter().enumerate().filter(|(_, h)| h.is_for(event) && wanted(h)).collect();
    order.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    charts::manifest::sort_by_kind(&mut order, |(_, hook)| &hook.kind, false);
    order.sort_by_key(|(_, hook)| hook.weight);
    order.into_iter().map(|(at, _)| at).collect()
}

async fn run_one(runner: Runner<'_>, release: &mut Release, at: usize, event: &str) -> Outcome {
    let hook = release.hooks[at].clone();
    let namespace = release.namespace.clone();
    remove(runner, &hook, &namespace, BEFORE_CREATION).await?;
    let discovery = runner.cluster.discovery().await?;
    let objects = parse_objects(&hook.manifest, discovery, &namespace).map_err(|e| e.of(format!("unable to build kubernetes object for {event} hook {}", hook.path)))?;
    release.hooks[at].last_run = LastRun { started_at: now(), completed_at: String::new(), phase: "Running".into() };
    let made = create(runner.cluster, &objects, runner.how).await.map_err(|e| e.of(format!("warning: Hook {event} {} failed", hook.path)));
    let ran = match made {
        Ok(()) => wait_for(runner.cluster, &objects, Goal::HooksDone, runner.timeout).await,
        Err(e) => Err(e),
    };
    let run = &mut release.hooks[at].last_run;
    run.completed_at = now();
    run.phase = if ran.is_ok() { "Succeeded" } else { "Failed" }.into();
    if let Err(e) = ran {
        show_log(runner, &hook, &namespace, "hook-failed").await;
        remove(runner, &hook, &namespace, "hook-failed").await?;
        return Err(e);
    }
    Ok(())
}

/// Removes a hook's objects if it has the policy, and waits until they are gone. Definitions of kinds are never removed.
pub async fn remove(runner: Runner<'_>, hook: &Hook, namespace: &str, policy: &str) -> Outcome {
    if hook.kind == "CustomResourceDefinition" || !(hook.delete_policies.iter().any(|p| p == policy) || hook.delete_policies.is_empty() && policy == BEFORE_CREATION) {
        return Ok(());
    }
    let discovery = runner.cluster.discovery().await?;
    let objects = parse_objects(&hook.manifest, discovery, namespace).map_err(|e| e.of(format!("unable to build kubernetes object for deleting hook {}", hook.path)))?;
    let faults = delete(runner.cluster, &objects, "Background").await;
    if !faults.is_empty() {
        return Err(Failure::new(faults.iter().map(|f| f.text.clone()).collect::<Vec<_>>().join("; ")));
    }
    wait_for(runner.cluster, &objects, Goal::Gone, runner.timeout).await
}

/// Prints the logs of a hook's pods if its policy asks for them.
async fn show_log(runner: Runner<'_>, hook: &Hook, namespace: &str, policy: &str) {
    if !hook.output_log_policies.iter().any(|p| p == policy) {
        return;
    }
    let selector = match hook.kind.as_str() {
        "Pod" => format!("fieldSelector={}", escape(&format!("metadata.name={}", hook.name))),
        "Job" => format!("labelSelector={}", escape(&format!("job-name={}", hook.name))),
        _ => return,
    };
    for (pod, containers) in pods_of(runner.cluster, namespace, &selector).await {
        for container in containers {
            if let Ok(text) = runner.cluster.get_text(&format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?container={container}")).await {
                out(&text);
            }
        }
    }
}

async fn pods_of(cluster: &Cluster, namespace: &str, selector: &str) -> Vec<(String, Vec<String>)> {
    let Ok(pods) = cluster.get(&format!("/api/v1/namespaces/{namespace}/pods?{selector}")).await else { return Vec::new() };
    let name = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_string();
    let one = |pod: &serde_json::Value| {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten().map(|c| name(&c["name"])).collect();
        (name(&pod["metadata"]["name"]), containers)
    };
    pods["items"].as_array().into_iter().flatten().map(one).collect()
}
