//! `kubectl drain`: a node without pods, by evictions that budgets may hold back.
// Upstream: kubectl pkg/cmd/drain/drain.go, pkg/drain/drain.go, filters.go.

use serde_json::{Value, json};

use super::{mark, nodes};
use crate::call::Call;
use crate::change::Change;
use crate::client::with_query;
use crate::command::{Command, EMPTY};
use crate::commands::delete::until_gone;
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, duration, int, text, yes_no};
use crate::print::{DryRun, dry_run_suffix};
use crate::select::Info;
use crate::{complain, global, run, say, workload};

const FLAGS: &[Flag] = &[
    yes_no("force", "Also pods that nothing would make anew."),
    yes_no("ignore-daemonsets", "Leave pods of daemon sets."),
    yes_no("delete-emptydir-data", "Also pods whose emptyDir volumes are lost."),
    yes_no("disable-eviction", "Delete instead of evicting: budgets are not asked."),
    int("grace-period", "-1", "Seconds that pods have to end; negative is their own choice."),
    int("skip-wait-for-delete-timeout", "0", "Do not wait for pods that are ending for longer than these seconds."),
    duration("timeout", "0s", "How long to go on; zero is as long as it takes."),
    text("pod-selector", "", "Only pods with these labels."),
    global::SELECTOR,
    global::CHUNK,
    global::DRY_RUN,
];

pub const COMMAND: Command = Command {
    name: "drain",
    usage: "NODE",
    about: "Empty a node for its maintenance.\n\nThe node is marked unschedulable and its pods are evicted, as their disruption budgets allow.",
    examples: "kubectl drain foo --ignore-daemonsets",
    flags: &[FLAGS],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let nodes = nodes(call, "drain NODE").await?;
    let change = Change::of(call)?;
    mark(call, &nodes, true).await?;
    let (mut faults, mut failed) = (Vec::new(), Vec::new());
    for node in &nodes {
        let work = one(call, node, &change);
        let limit = call.flags.seconds("timeout");
        let result = if limit > 0.0 { tokio::time::timeout(call.flags.duration("timeout"), work).await.unwrap_or_else(|_| fail(format!("global timeout reached: {}", call.flags.text("timeout")))) } else { work.await };
        match result {
            Ok(()) => say!("node/{} drained{}", node.name, dry_run_suffix(change.dry)),
            Err(e) => {
                complain!("error: unable to drain node {:?} due to error: {}, continuing command...", node.name, e.message());
                failed.push(node.name.clone());
                faults.push(e);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    // Upstream: an aggregate of one is still one, without a prefix.
    complain!("There are pending nodes to be drained:");
    for name in &failed {
        complain!(" {name}");
    }
    Err(Failure::Many(faults))
}

const UNMANAGED: &str = "cannot delete Pods that declare no controller (use --force to override)";
const UNMANAGED_WARNING: &str = "deleting Pods that declare no controller";
const DAEMONS: &str = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)";
const DAEMONS_WARNING: &str = "ignoring DaemonSet-managed Pods";
const LOCAL: &str = "cannot delete Pods with local storage (use --delete-emptydir-data to override)";
const LOCAL_WARNING: &str = "deleting Pods with local storage";

enum Verdict {
    Evict(Option<&'static str>),
    Leave(Option<&'static str>),
    Refuse(&'static str),
}

/// What happens to a pod.
fn judge(call: &Call, pod: &Value) -> Verdict {
    let flags = &call.flags;
    let finished = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if api::meta::annotation(pod, "kubernetes.io/config.mirror").is_some() {
        return Verdict::Leave(None);
    }
    let skip = flags.int("skip-wait-for-delete-timeout");
    if skip > 0
        && let Some(since) = pod["metadata"]["deletionTimestamp"].as_str().and_then(crate::time::parse)
        && crate::time::now().as_second() - since.as_second() > skip
    {
        return Verdict::Leave(None);
    }
    let controller = workload::controller_of(pod);
    if controller.is_some_and(|c| c["kind"] == "DaemonSet") && !finished {
        return if flags.yes("ignore-daemonsets") { Verdict::Leave(Some(DAEMONS_WARNING)) } else { Verdict::Refuse(DAEMONS) };
    }
    let local = pod["spec"]["volumes"].as_array().is_some_and(|v| v.iter().any(|v| v["emptyDir"].is_object()));
    let mut warning = None;
    if local && !finished {
        if !flags.yes("delete-emptydir-data") {
            return Verdict::Refuse(LOCAL);
        }
        warning = Some(LOCAL_WARNING);
    }
    if controller.is_none() && !finished {
        if !flags.yes("force") {
            return Verdict::Refuse(UNMANAGED);
        }
        warning = Some(UNMANAGED_WARNING);
    }
    Verdict::Evict(warning)
}

fn names(all: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let mut out: Vec<(&'static str, Vec<&str>)> = Vec::new();
    for (what, name) in all {
        match out.iter_mut().find(|(w, _)| w == what) {
            Some((_, names)) => names.push(name),
            None => out.push((what, vec![name])),
        }
    }
    out.into_iter().map(|(what, names)| (what, names.join(", "))).collect()
}

async fn one(call: &Call, node: &Info, change: &Change) -> Outcome {
    let selector = format!("spec.nodeName={}", node.name);
    let mut pairs = vec![("fieldSelector", selector.as_str())];
    if !call.flags.text("pod-selector").is_empty() {
        pairs.push(("labelSelector", call.flags.text("pod-selector")));
    }
    let list = call.api().await?.get(&with_query("/api/v1/pods", &pairs)).await?;
    let (mut evicted, mut refused, mut warned) = (Vec::new(), Vec::new(), Vec::new());
    for pod in list["items"].as_array().into_iter().flatten() {
        let shown = format!("{}/{}", api::meta::namespace(pod), api::meta::name(pod));
        match judge(call, pod) {
            Verdict::Evict(warning) => {
                warned.extend(warning.map(|w| (w, shown)));
                evicted.push(pod.clone());
            }
            Verdict::Leave(warning) => warned.extend(warning.map(|w| (w, shown))),
            Verdict::Refuse(why) => refused.push((why, shown)),
        }
    }
    if !refused.is_empty() {
        return Failure::many(names(&refused).into_iter().map(|(why, names)| Failure::Text(format!("{why}: {names}"))).collect()).map_err(|e| Failure::Text(e.message()));
    }
    if !warned.is_empty() {
        complain!("Warning: {}", names(&warned).into_iter().map(|(what, names)| format!("{what}: {names}")).collect::<Vec<_>>().join("; "));
    }
    if change.dry == DryRun::Client {
        for pod in &evicted {
            say!("evicting pod {}/{} (dry run)", api::meta::namespace(pod), api::meta::name(pod));
        }
        return Ok(());
    }
    let results = futures::future::join_all(evicted.iter().map(|pod| evict(call, pod, change))).await;
    let faults: Vec<Failure> = results.into_iter().filter_map(Result::err).collect();
    Failure::many(faults)
}

async fn evict(call: &Call, pod: &Value, change: &Change) -> Outcome {
    let (namespace, name) = (api::meta::namespace(pod), api::meta::name(pod));
    let resource = call.resource("pods").await?;
    let info = Info { resource, namespace: namespace.to_owned(), name: name.to_owned(), object: Value::Null, source: String::new() };
    let mut options = json!({});
    if call.flags.int("grace-period") >= 0 {
        options["gracePeriodSeconds"] = call.flags.int("grace-period").into();
    }
    if change.dry == DryRun::Server {
        options["dryRun"] = json!(["All"]);
    }
    if call.flags.yes("disable-eviction") {
        call.api().await?.delete(&info.path(), &options).await?;
    } else {
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}, "deleteOptions": options});
        loop {
            say!("evicting pod {namespace}/{name}{}", dry_run_suffix(change.dry));
            match call.api().await?.post(&format!("{}/eviction", info.path()), &body).await {
                Ok(_) => break,
                Err(e) if e.is_not_found() => return Ok(()),
                // A budget holds it back: it lets go when others are ready, which nothing announces.
                Err(e) if e.code() == 429 => {
                    complain!("error when evicting pods/{name:?} -n {namespace:?} (will retry after 5s): {}", e.message());
                    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
                }
                Err(e) => return fail(format!("error when evicting pods/{name:?} -n {namespace:?}: {}", e.message())),
            }
        }
    }
    if change.dry == DryRun::Server {
        return Ok(());
    }
    until_gone(call, &info, api::meta::uid(pod)).await.map_err(|e| Failure::Text(format!("error when waiting for pod {name:?} in namespace {namespace:?} to terminate: {}", e.message())))
}
