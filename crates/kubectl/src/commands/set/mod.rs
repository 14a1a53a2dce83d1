//! `kubectl set`: single parts of workloads, services and bindings.
// Upstream: kubectl pkg/cmd/set.

mod env;
mod image;
mod resources;
mod subject;

use serde_json::Value;

use crate::call::{Call, out};
use crate::change::Change;
use crate::client::{MERGE_PATCH, STRATEGIC_PATCH};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::files::FileFlags;
use crate::flags::{Flag, yes_no};
use crate::print::{DryRun, Printer};
use crate::select::{Info, Select};
use crate::{global, openapi, workload};

pub const COMMAND: Command = Command {
    name: "set",
    usage: "SUBCOMMAND",
    about: "Change parts of existing objects.",
    subs: &[&env::COMMAND, &image::COMMAND, &resources::COMMAND, &subject::SELECTOR, &subject::SERVICEACCOUNT, &subject::SUBJECT],
    ..EMPTY
};

/// Flags of all that change pod templates.
pub const COMMON: &[Flag] = &[yes_no("all", "All objects of the type, in the namespace."), global::RECORD, global::SELECTOR, global::LOCAL, global::DRY_RUN, global::field_manager("kubectl-set")];

pub fn check_local(call: &Call, change: &Change) -> Outcome {
    if call.flags.yes("local") && change.dry == DryRun::Server {
        return fail("cannot specify --local and --dry-run=server - did you mean --dry-run=client?");
    }
    Ok(())
}

pub fn check_named(call: &Call, resources: &[String]) -> Outcome {
    if resources.is_empty() && FileFlags::of(call).is_empty() {
        return fail("one or more resources must be specified as <resource> <name> or <resource>/<name>");
    }
    Ok(())
}

pub async fn infos(call: &Call, resources: &[String]) -> Outcome<Vec<Info>> {
    let mut select = Select::of(call)?.latest();
    select.empty_selects = call.flags.yes("all");
    select.all = false;
    if call.flags.yes("local") {
        select.selector = None;
    }
    select.by(call, resources).await?.all()
}

/// Changes the pod spec of each object; sends what changed and shows it.
pub async fn each_pod_spec(call: &Call, infos: Vec<Info>, done: &str, work: impl Fn(&Info, &mut Value) -> Outcome) -> Outcome {
    each(call, infos, done, |info, object| {
        let Some(path) = workload::pod_spec_path(object) else { return fail(format!("the object is not a pod or does not have a pod template: {}", info.resource.kind)) };
        work(info, workload::at_mut(object, path))
    })
    .await
}

/// Changes each object; sends the difference.
pub async fn each(call: &Call, infos: Vec<Info>, done: &str, work: impl Fn(&Info, &mut Value) -> Outcome) -> Outcome {
    let change = Change::of(call)?;
    let mut printer = Printer::of_change(call, done)?.typed();
    let mut faults = Vec::new();
    for info in infos {
        let mut after = info.object.clone();
        if let Err(e) = work(&info, &mut after) {
            let Failure::Text(text) = &e else { return Err(e) };
            faults.push(Failure::Text(if text.starts_with("error: ") { text.clone() } else { format!("error: {} {text}", info.object_name()) }));
            continue;
        }
        if call.flags.yes("local") || change.dry == DryRun::Client {
            out(&printer.print(&after)?);
            continue;
        }
        // Upstream: what did not change is not sent and not shown.
        if after == info.object {
            continue;
        }
        out(&printer.print(&send(call, &change, &info, &after).await?)?);
    }
    Failure::many(faults)
}

async fn send(call: &Call, change: &Change, info: &Info, after: &Value) -> Outcome<Value> {
    let text = |e: patch::DiffError| Failure::Text(e.to_string());
    let document = openapi::document(call, &info.resource.api_version()).await?;
    let strategic = document.as_ref().filter(|d| openapi::merges(d, &info.resource)).and_then(|d| Some((d, openapi::schema_of(d, &info.resource)?)));
    let (kind, patch) = match strategic {
        Some((document, schema)) => (STRATEGIC_PATCH, patch::diff_strategic(&info.object, after, openapi::Place { document, schema: Some(schema) }).map_err(text)?),
        None => (MERGE_PATCH, patch::diff_merge(&info.object, after).map_err(text)?),
    };
    change.patch(call, info, kind, &patch).await
}
