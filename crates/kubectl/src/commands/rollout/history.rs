//! `rollout history`: revisions and what caused them; one revision's pod template.
// Upstream: kubectl pkg/polymorphichelpers/history.go, pkg/cmd/rollout/rollout_history.go.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{infos, no_viewer};
use crate::call::{Call, out};
use crate::client::with_query;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, int};
use crate::print::{BASIC, Printer};
use crate::select::Info;
use crate::tabs::Tabs;
use crate::{describe, global, run, say, workload};

const FLAGS: &[Flag] = &[int("revision", "0", "Show this revision, with its pod template."), global::SELECTOR];

pub const COMMAND: Command =
    Command { name: "history", usage: "(TYPE NAME | TYPE/NAME) [flags]", about: "Show the revisions of a rollout.", examples: "kubectl rollout history deployment/abc", flags: &[FLAGS, global::PRINT, global::FILES], run: run!(run), ..EMPTY };

const CAUSE: &str = "kubernetes.io/change-cause";

/// One revision: where it is kept, its template, what caused it.
pub struct Revision {
    pub holder: Value,
    pub template: Value,
    pub cause: String,
}

/// The revisions of a workload, by number.
pub async fn revisions(call: &Call, info: &Info) -> Outcome<BTreeMap<i64, Revision>> {
    let kind = info.resource.kind.as_str();
    let list = match kind {
        "Deployment" => "replicasets",
        "DaemonSet" | "StatefulSet" => "controllerrevisions",
        _ => return Err(no_viewer(info, "history", "history viewer")),
    };
    let selector = workload::selector_text(&info.object)?;
    let path = with_query(&format!("/apis/apps/v1/namespaces/{}/{list}", info.namespace), &[("labelSelector", &selector)]);
    let all = call.api().await?.get(&path).await?;
    let mut out = BTreeMap::new();
    for holder in all["items"].as_array().into_iter().flatten().filter(|h| workload::is_controlled_by(h, api::meta::uid(&info.object))) {
        let cause = api::meta::annotation(holder, CAUSE).unwrap_or_default().to_owned();
        let (number, template) = if kind == "Deployment" {
            let number = api::meta::annotation(holder, "deployment.kubernetes.io/revision").and_then(|r| r.parse().ok());
            (number, holder["spec"]["template"].clone())
        } else {
            let mut template = holder["data"]["spec"]["template"].clone();
            if let Some(map) = template.as_object_mut() {
                map.remove("$patch");
            }
            (holder["revision"].as_i64(), template)
        };
        if let Some(number) = number {
            out.insert(number, Revision { holder: holder.clone(), template, cause });
        }
    }
    Ok(out)
}

async fn run(call: &Call) -> Outcome {
    let wanted = call.flags.int("revision");
    if wanted < 0 {
        return fail(format!("revision must be a positive integer: {wanted}"));
    }
    let printer = Printer::of_flags(call, BASIC)?.map(Printer::typed);
    let mut printer = printer;
    for item in infos(call).await? {
        let info = item?;
        let revisions = revisions(call, &info).await?;
        if let Some(printer) = &mut printer {
            show_object(printer, &info, &revisions, wanted)?;
            continue;
        }
        let text = if revisions.is_empty() {
            "No rollout history found.".to_owned()
        } else if wanted > 0 {
            let Some(revision) = revisions.get(&wanted) else { return fail("unable to find the specified revision") };
            template_text(revision)
        } else {
            table(&revisions)
        };
        let with = if wanted > 0 { format!(" with revision #{wanted}") } else { String::new() };
        say!("{}{with}\n{text}", info.resource.slashed(&info.name) + if wanted > 0 { "" } else { " " });
    }
    Ok(())
}

fn show_object(printer: &mut Printer, info: &Info, revisions: &BTreeMap<i64, Revision>, wanted: i64) -> Outcome {
    let shown: Vec<&Revision> = if wanted > 0 {
        match revisions.get(&wanted) {
            Some(revision) => vec![revision],
            None => return Err(Failure::Text(format!("unable to find the specified revision: {wanted}"))),
        }
    } else {
        revisions.values().collect()
    };
    for revision in shown {
        let mut object = revision.holder.clone();
        crate::select::with_type(&mut object, &info.resource.api_version(), if info.resource.kind == "Deployment" { "ReplicaSet" } else { "ControllerRevision" });
        out(&printer.print(&object)?);
    }
    Ok(())
}

fn table(revisions: &BTreeMap<i64, Revision>) -> String {
    let mut tabs = Tabs::describe();
    tabs.push("REVISION\tCHANGE-CAUSE\n");
    for (number, revision) in revisions {
        tabs.push(&format!("{number}\t{}\n", if revision.cause.is_empty() { "<none>" } else { &revision.cause }));
    }
    tabs.flush()
}

/// The template as `describe` shows it.
pub fn template_text(revision: &Revision) -> String {
    let mut template = revision.template.clone();
    if !revision.cause.is_empty() {
        if !template["metadata"]["annotations"].is_object() {
            template["metadata"]["annotations"] = json!({});
        }
        template["metadata"]["annotations"][CAUSE] = revision.cause.as_str().into();
    }
    describe::pod_template(&template)
}
