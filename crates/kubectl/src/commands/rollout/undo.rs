//! `rollout undo`: an earlier revision's template again.
// Upstream: kubectl pkg/polymorphichelpers/rollback.go.

use serde_json::{Value, json};

use super::history::{revisions, template_text};
use super::{infos, no_viewer};
use crate::call::{Call, out};
use crate::change::{Change, LAST_APPLIED};
use crate::client::{JSON_PATCH, STRATEGIC_PATCH};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, int};
use crate::print::{DryRun, Printer};
use crate::select::Info;
use crate::{complain, global, run};

const FLAGS: &[Flag] = &[int("to-revision", "0", "The revision to go back to; 0 is the one before."), global::SELECTOR, global::DRY_RUN];

pub const COMMAND: Command =
    Command { name: "undo", usage: "(TYPE NAME | TYPE/NAME) [flags]", about: "Go back to an earlier revision.", examples: "kubectl rollout undo deployment/abc --to-revision=3", flags: &[FLAGS, global::PRINT, global::FILES], run: run!(run), ..EMPTY };

/// Annotations that belong to the deployment, not to a revision.
const KEPT: [&str; 7] = [
    LAST_APPLIED,
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
    "deprecated.daemonset.template.generation",
];

async fn run(call: &Call) -> Outcome {
    let wanted = call.flags.int("to-revision");
    let change = Change::of(call)?;
    for item in infos(call).await? {
        let info = item?;
        if !["Deployment", "DaemonSet", "StatefulSet"].contains(&info.resource.kind.as_str()) {
            return Err(no_viewer(&info, "rollbacker", "rollbacker"));
        }
        if wanted < 0 {
            return fail(format!("unable to find specified revision {wanted} in history"));
        }
        if api::meta::annotation(&info.object, LAST_APPLIED).is_some() {
            complain!("Warning: resource {}/{} was previously managed with 'kubectl apply'. Rolling back will not update the {LAST_APPLIED} annotation, which may cause unexpected behavior on future 'kubectl apply' operations. Consider using 'kubectl apply' with your previous configuration file instead.", info.resource.name, info.name);
        }
        let operation = back(call, &info, wanted, &change).await?;
        let mut printer = Printer::of_change(call, &operation)?.typed();
        if change.dry == DryRun::Client && operation != "rolled back" && call.flags.text("output").is_empty() {
            printer = Printer::named(&operation);
        }
        out(&printer.print(&info.object)?);
    }
    Ok(())
}

async fn back(call: &Call, info: &Info, wanted: i64, change: &Change) -> Outcome<String> {
    let all = revisions(call, info).await?;
    let deployment = info.resource.kind == "Deployment";
    let number = if wanted > 0 {
        wanted
    } else {
        let mut numbers = all.keys().rev();
        match (numbers.next(), numbers.next()) {
            (Some(_), Some(before)) => *before,
            _ if deployment => return fail(format!("no rollout history found for deployment {:?}", info.name)),
            _ => return fail("no last revision to roll back to"),
        }
    };
    let Some(revision) = all.get(&number) else { return fail(format!("unable to find specified revision {number} in history")) };
    if change.dry == DryRun::Client {
        return Ok(format!("will roll back to {}", template_text(revision)));
    }
    if deployment && info.object["spec"]["paused"] == true {
        return fail("you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again");
    }
    let template = without_hash(&revision.template);
    if template == without_hash(&info.object["spec"]["template"]) {
        return Ok(format!("skipped rollback (current template already matches revision {number})"));
    }
    let (kind, patch) = if deployment {
        let mut annotations = serde_json::Map::new();
        for (key, value) in info.object["metadata"]["annotations"].as_object().into_iter().flatten().filter(|(k, _)| KEPT.contains(&k.as_str())) {
            annotations.insert(key.clone(), value.clone());
        }
        for (key, value) in revision.holder["metadata"]["annotations"].as_object().into_iter().flatten().filter(|(k, _)| !KEPT.contains(&k.as_str())) {
            annotations.insert(key.clone(), value.clone());
        }
        (JSON_PATCH, json!([{"op": "replace", "path": "/spec/template", "value": template}, {"op": "replace", "path": "/metadata/annotations", "value": annotations}]))
    } else {
        (STRATEGIC_PATCH, revision.holder["data"].clone())
    };
    change.patch(call, info, kind, &patch).await.map_err(|e| Failure::Text(format!("failed restoring revision {number}: {}", e.message())))?;
    Ok("rolled back".into())
}

fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    template
}
