//! `kubectl diff`: what apply would change, by the `diff` program.
// Upstream: kubectl pkg/cmd/diff/diff.go; exit codes: 0 no difference, 1 differences, above 1 a fault.

use std::process::Command as Process;

use serde_json::Value;

use crate::call::Call;
use crate::change::{Change, configuration};
use crate::client::{APPLY_PATCH, JSON, MERGE_PATCH, STRATEGIC_PATCH, request, with_query};
use crate::command::{Command, EMPTY};
use crate::commands::apply;
use crate::failure::{Failure, Outcome};
use crate::files::FileFlags;
use crate::flags::{Flag, int, slice, text, yes_no};
use crate::select::{Info, Select};
use crate::{complain, global, openapi, print, run};

const FLAGS: &[Flag] = &[
    yes_no("server-side", "Ask what a server-side apply would do."),
    yes_no("force-conflicts", "Take over fields that others own; with --server-side."),
    yes_no("prune", "Also what --prune would delete."),
    slice("prune-allowlist", "Types to prune, as <group/version/kind>."),
    yes_no("show-managed-fields", "Keep metadata.managedFields."),
    int("concurrency", "1", "How many objects at once; they are taken one by one."),
    text("field-manager", "kubectl-client-side-apply", "Name under which changed fields would be tracked."),
    global::SELECTOR,
];

pub const COMMAND: Command = Command {
    name: "diff",
    usage: "-f FILENAME",
    about: "Show how what files describe differs from what there is.\n\nThe program of KUBECTL_EXTERNAL_DIFF compares, or diff -u -N. The exit code is 0 without differences, 1 with, above 1 where something failed.",
    examples: "# A file\nkubectl diff -f pod.json",
    flags: &[FLAGS, global::FILES],
    run: run!(run),
    ..EMPTY
};

/// Faults end with 2, so that 1 can say "there are differences".
async fn run(call: &Call) -> Outcome {
    match compare(call).await {
        Ok(different) if different => Err(Failure::Exit(1)),
        Ok(_) => Ok(()),
        Err(Failure::Exit(code)) => Err(Failure::Exit(code)),
        Err(failure) => {
            if let Some(text) = failure.shown() {
                complain!("{}", text.trim_end_matches('\n'));
            }
            Err(Failure::Exit(2))
        }
    }
}

async fn compare(call: &Call) -> Outcome<bool> {
    if !call.args().is_empty() {
        return Err(call.usage(&format!("Unexpected args: [{}]", call.args().join(" "))));
    }
    FileFlags::of(call).require()?;
    let (live, merged) = (tempfile::Builder::new().prefix("LIVE-").tempdir()?, tempfile::Builder::new().prefix("MERGED-").tempdir()?);
    for item in Select::of(call)?.by(call, &[]).await?.items {
        let info = item?;
        let now = match call.api().await?.get(&info.path()).await {
            Ok(now) => Some(now),
            Err(e) if e.is_not_found() => None,
            Err(e) => return Err(e),
        };
        let then = dry_run(call, &info, now.as_ref()).await?;
        let file = format!("{}.{}.{}.{}.{}", info.resource.group, info.resource.version, info.resource.kind, info.namespace, info.name).trim_start_matches('.').replace('/', "_");
        let shown = |object: &Value| {
            let object = if call.flags.yes("show-managed-fields") { None } else { print::without_managed_fields(object) }.unwrap_or_else(|| object.clone());
            object
        };
        let (mut a, mut b) = (now.as_ref().map(shown), shown(&then));
        if info.resource.kind == "Secret" && info.resource.group.is_empty() {
            mask(a.as_mut(), &mut b);
        }
        std::fs::write(live.path().join(&file), a.map(|a| print::yaml(&a)).unwrap_or_default())?;
        std::fs::write(merged.path().join(&file), print::yaml(&b))?;
    }
    let program = std::env::var("KUBECTL_EXTERNAL_DIFF").unwrap_or_else(|_| "diff".into());
    let mut words = program.split_whitespace();
    let name = words.next().unwrap_or("diff").to_owned();
    let mut process = Process::new(&name);
    if std::env::var_os("KUBECTL_EXTERNAL_DIFF").is_some() {
        process.args(words.filter(|w| w.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '=')));
    } else {
        process.args(["-u", "-N"]);
    }
    let status = process.arg(live.path()).arg(merged.path()).status().map_err(|_| Failure::Text(format!("failed to run {name:?}: exec: {name:?}: executable file not found in $PATH")))?;
    match status.code() {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(Failure::Text(format!("failed to run {name:?}: {status}"))),
    }
}

/// Values of Secrets are not shown, only whether they differ.
fn mask(live: Option<&mut Value>, merged: &mut Value) {
    let data = |v: &Value| v["data"].as_object().cloned().unwrap_or_default();
    let (before, after) = (live.as_ref().map(|l| data(l)).unwrap_or_default(), data(merged));
    for (key, value) in &after {
        let differs = before.get(key).is_some_and(|old| old != value);
        merged["data"][key] = if differs { "*** (after)" } else { "***" }.into();
    }
    if let Some(live) = live {
        for (key, value) in &before {
            let differs = after.get(key).is_some_and(|new| new != value);
            live["data"][key] = if differs { "*** (before)" } else { "***" }.into();
        }
    }
}

async fn dry_run(call: &Call, info: &Info, now: Option<&Value>) -> Outcome<Value> {
    let api = call.api().await?;
    let manager = call.flags.text("field-manager");
    let change = Change::of(call)?;
    if call.flags.yes("server-side") {
        let manager = if call.flags.given("field-manager") { manager } else { "kubectl" };
        let force = if call.flags.yes("force-conflicts") { "true" } else { "false" };
        let path = with_query(&info.path(), &[("dryRun", "All"), ("fieldManager", manager), ("force", force)]);
        return api.json(request(http::Method::PATCH, &path, JSON, Some((APPLY_PATCH, print::compact(&info.object).into_bytes())))).await;
    }
    let pairs = [("dryRun", "All"), ("fieldManager", manager)];
    let Some(now) = now else {
        return api.post(&with_query(&change.plain_query(&info.resource.collection(&info.namespace)), &pairs[..1]), &info.object).await;
    };
    let modified: Value = serde_json::from_str(&configuration(&info.object, true)).map_err(|e| Failure::Text(e.to_string()))?;
    let original = apply::last_applied(now).unwrap_or_else(apply::empty);
    let text = |e: patch::DiffError| Failure::Text(e.to_string());
    let document = openapi::document(call, &info.resource.api_version()).await?;
    let strategic = document.as_ref().filter(|d| openapi::merges(d, &info.resource)).and_then(|d| Some((d, openapi::schema_of(d, &info.resource)?)));
    let (kind, patch) = match strategic {
        Some((document, schema)) => (STRATEGIC_PATCH, patch::three_way_strategic(&original, &modified, now, openapi::Place { document, schema: Some(schema) }).map_err(text)?),
        None => (MERGE_PATCH, patch::three_way_merge(&original, &modified, now).map_err(text)?),
    };
    api.patch(&with_query(&info.path(), &pairs), kind, &patch).await
}
