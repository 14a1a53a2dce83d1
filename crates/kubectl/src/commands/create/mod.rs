//! `kubectl create`: objects from files, and generators of the usual kinds.
// Upstream: kubectl pkg/cmd/create.

mod configuration;
mod ingress;
mod quotas;
mod rbac;
mod secret;
mod service;
mod token;
mod workloads;

use serde_json::{Value, json};

pub use configuration::hash as content_hash;
pub use quotas::{amounts, label_selector};
pub use workloads::random;

use crate::call::{Call, out, out_bytes};
use crate::change::{Change, update_last_applied, with_source};
use crate::client::{JSON, request};
use crate::command::{Command, EMPTY};
use crate::commands::{edit, replace};
use crate::failure::{Failure, Outcome, fail};
use crate::files::FileFlags;
use crate::flags::{Flag, text, yes_no};
use crate::print::{DryRun, Printer};
use crate::select::Select;
use crate::{global, run};

const FLAGS: &[Flag] = &[
    global::RECORD,
    yes_no("edit", "Edit the object before it is created."),
    yes_no("windows-line-endings", "Lines that end as Windows ends them; with --edit."),
    text("raw", "", "A path to POST to as it is."),
    global::SELECTOR,
];

/// Flags that every generator takes too.
pub const COMMON: &[Flag] = &[global::SAVE_CONFIG, global::VALIDATE, global::DRY_RUN, global::field_manager("kubectl-create")];

pub const COMMAND: Command = Command {
    name: "create",
    usage: "-f FILENAME",
    about: "Create resources from files or standard input, or one of a usual kind from flags.",
    examples: "# From a file\nkubectl create -f ./pod.json\n\n# From standard input\ncat pod.json | kubectl create -f -",
    flags: &[FLAGS, COMMON, global::PRINT, global::FILES],
    subs: &[
        &rbac::CLUSTERROLE,
        &rbac::CLUSTERROLEBINDING,
        &configuration::CONFIGMAP,
        &workloads::CRONJOB,
        &workloads::DEPLOYMENT,
        &ingress::INGRESS,
        &workloads::JOB,
        &quotas::NAMESPACE,
        &quotas::PDB,
        &quotas::PRIORITYCLASS,
        &quotas::QUOTA,
        &rbac::ROLE,
        &rbac::ROLEBINDING,
        &secret::SECRET,
        &service::SERVICE,
        &quotas::SERVICEACCOUNT,
        &token::TOKEN,
    ],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let files = FileFlags::of(call);
    if files.is_empty() {
        if call.args().is_empty() {
            return fail("must specify one of -f and -k");
        }
    }
    if !call.args().is_empty() {
        return Err(call.usage(&format!("Unexpected args: [{}]", call.args().join(" "))));
    }
    if !flags.text("raw").is_empty() {
        let body = replace::raw_body(call, &files)?;
        let answer = call.api().await?.bytes(request(http::Method::POST, flags.text("raw"), JSON, Some((JSON, body)))).await?;
        out_bytes(&answer);
        return Ok(());
    }
    let change = Change::of(call)?;
    let mut printer = Printer::of_change(call, "created")?;
    let items = Select::of(call)?.by(call, &[]).await?.items;
    if items.is_empty() {
        return fail("no objects passed to create");
    }
    let mut faults = Vec::new();
    for item in items {
        let result = async {
            let mut info = item?;
            if flags.yes("edit") {
                let edited = edit::in_editor(&crate::print::yaml(&info.object), ".yaml")?;
                info.object = goyaml::from_yaml(&edited).map_err(|e| Failure::Text(format!("The edited file had a syntax error: {e}")))?;
                info.refresh();
            }
            update_last_applied(&mut info.object, flags.yes("save-config"));
            let made = if change.dry == DryRun::Client { info.object.clone() } else { change.create(call, &info).await.map_err(|e| with_source(e, "creating", &info.source))? };
            out(&printer.print(&made)?);
            Ok(())
        };
        if let Err(e) = result.await {
            faults.push(e);
        }
    }
    Failure::many(faults)
}

/// The one name that a generator takes.
pub fn name(call: &Call) -> Outcome<String> {
    let args = &call.args()[..call.flags.dash.unwrap_or(call.args().len())];
    match args {
        [name] => Ok(name.clone()),
        _ => Err(call.usage(&format!("exactly one NAME is required, got {}", args.len()))),
    }
}

/// What stands behind `--`.
pub fn command_words(call: &Call) -> Vec<String> {
    call.flags.dash.map(|at| call.args()[at..].to_vec()).unwrap_or_default()
}

/// Creates the object and shows it: generators need no discovery.
pub async fn finish(call: &Call, path: &str, object: Value) -> Outcome {
    finish_as(call, path, object, "").await
}

/// The same; a fault begins with the words given.
pub async fn finish_as(call: &Call, path: &str, mut object: Value, fault: &str) -> Outcome {
    let change = Change::of(call)?;
    let mut printer = Printer::of_change(call, "created")?.typed();
    let namespaced = path.contains("{}");
    let namespace = call.namespace()?;
    if namespaced && namespace.explicit {
        api::meta::set(&mut object, "namespace", namespace.name.as_str());
    }
    update_last_applied(&mut object, call.flags.yes("save-config"));
    if change.dry != DryRun::Client {
        let path = path.replace("{}", &crate::client::escape(&namespace.name));
        object = call.api().await?.post(&change.query(&path), &object).await.map_err(|e| match e {
            e if fault.is_empty() => e,
            other => Failure::Text(format!("{fault}: {}", other.message())),
        })?;
    }
    out(&printer.print(&object)?);
    Ok(())
}

pub fn object(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
}
