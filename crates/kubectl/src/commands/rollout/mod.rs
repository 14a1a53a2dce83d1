//! `kubectl rollout`: history, pause, restart, resume, status, undo.
// Upstream: kubectl pkg/cmd/rollout, pkg/polymorphichelpers.

mod history;
mod status;
mod undo;

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::change::Change;
use crate::client::STRATEGIC_PATCH;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::files::FileFlags;
use crate::flags::Flag;
use crate::print::{DryRun, Printer};
use crate::select::{Info, Select};
use crate::{global, run};

pub const COMMAND: Command = Command {
    name: "rollout",
    usage: "SUBCOMMAND",
    about: "Look after the rollout of deployments, daemon sets and stateful sets.",
    examples: "# Back to what was before\nkubectl rollout undo deployment/abc\n\n# How it goes\nkubectl rollout status daemonset/foo",
    subs: &[&history::COMMAND, &PAUSE, &RESTART, &RESUME, &status::COMMAND, &undo::COMMAND],
    ..EMPTY
};

const CHANGES: &[Flag] = &[global::SELECTOR, global::DRY_RUN, global::field_manager("kubectl-rollout")];

const PAUSE: Command = Command { name: "pause", usage: "RESOURCE", about: "Hold a rollout.", flags: &[CHANGES, global::PRINT, global::FILES], run: run!(pause), ..EMPTY };
const RESUME: Command = Command { name: "resume", usage: "RESOURCE", about: "Let a held rollout go on.", flags: &[CHANGES, global::PRINT, global::FILES], run: run!(resume), ..EMPTY };
const RESTART: Command = Command { name: "restart", usage: "RESOURCE", about: "Replace all pods, by and by.", flags: &[CHANGES, global::PRINT, global::FILES], run: run!(restart), ..EMPTY };

pub async fn infos(call: &Call) -> Outcome<Vec<Outcome<Info>>> {
    if call.args().is_empty() && FileFlags::of(call).is_empty() {
        return fail("required resource not specified");
    }
    Ok(Select::of(call)?.with_all().latest().by(call, call.args()).await?.items)
}

/// `{"apps" "Deployment"}` as Go shows a group and kind.
pub fn group_kind(info: &Info) -> String {
    let r = &info.resource;
    if r.group.is_empty() { r.kind.clone() } else { format!("{}.{}", r.kind, r.group) }
}

/// Kinds that have no rollout, in upstream's two ways of saying it.
pub fn no_viewer(info: &Info, doing: &str, what: &str) -> Failure {
    let shown = group_kind(info);
    if ["Pod", "Job", "CronJob", "ReplicaSet", "ReplicationController"].contains(&info.resource.kind.as_str()) {
        return Failure::Text(format!("no {what} has been implemented for {shown:?}"));
    }
    Failure::Text(format!("error retrieving {doing} for {shown:?}, no visitor method exists for {{{} {}}}", info.resource.group, info.resource.kind))
}

/// Changes each object by a patch that `make` gives, or says why not.
async fn each(call: &Call, done: &str, already: &str, make: impl Fn(&Info) -> Outcome<Value>) -> Outcome {
    let change = Change::of(call)?;
    let (mut faults, mut printer) = (Vec::new(), Printer::of_change(call, done)?.typed());
    for item in infos(call).await? {
        let info = match item {
            Ok(info) => info,
            Err(e) => {
                faults.push(e);
                continue;
            }
        };
        let patch = match make(&info) {
            Ok(patch) => patch,
            Err(e) => {
                let r = &info.resource;
                faults.push(Failure::Text(format!("error: {} {:?} {}", r.qualified(), info.name, e.message())));
                continue;
            }
        };
        if patch.is_null() {
            // Nothing to do is said, not refused.
            let mut printer = Printer::of_change(call, already)?.typed();
            out(&printer.print(&info.object)?);
            continue;
        }
        if change.dry == DryRun::Client {
            out(&printer.print(&info.object)?);
            continue;
        }
        match change.patch(call, &info, STRATEGIC_PATCH, &patch).await {
            Ok(object) => out(&printer.print(&object)?),
            Err(e) => faults.push(Failure::Text(format!("failed to patch: {}", e.message()))),
        }
    }
    Failure::many(faults)
}

async fn pause(call: &Call) -> Outcome {
    each(call, "paused", "already paused", |info| {
        if info.resource.kind != "Deployment" {
            return fail("pausing is not supported");
        }
        if info.object["spec"]["paused"] == true {
            return fail("is already paused");
        }
        Ok(json!({"spec": {"paused": true}}))
    })
    .await
}

async fn resume(call: &Call) -> Outcome {
    each(call, "resumed", "already resumed", |info| {
        if info.resource.kind != "Deployment" {
            return fail("resuming is not supported");
        }
        if info.object["spec"]["paused"] != true {
            return fail("is not paused");
        }
        Ok(json!({"spec": {"paused": null}}))
    })
    .await
}

async fn restart(call: &Call) -> Outcome {
    let now = crate::time::rfc3339_local();
    each(call, "restarted", "", |info| {
        if !["Deployment", "DaemonSet", "StatefulSet"].contains(&info.resource.kind.as_str()) {
            return fail("restarting is not supported");
        }
        if info.object["spec"]["paused"] == true {
            return fail("can't restart paused deployment (run rollout resume first)");
        }
        Ok(json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}}}}))
    })
    .await
}
