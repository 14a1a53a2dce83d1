//! `kubectl patch`: a patch given as text, sent to the server or applied to a file.
// Upstream: kubectl pkg/cmd/patch/patch.go.

use serde_json::Value;

use crate::call::{Call, out};
use crate::change::Change;
use crate::client::{JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail, path_error};
use crate::flags::{Flag, text};
use crate::print::{BASIC, DryRun, Printer, dry_run_suffix};
use crate::select::{Info, Select};
use crate::{global, run};

const FLAGS: &[Flag] = &[
    global::RECORD,
    text("patch", "", "The patch, as JSON or YAML.").short('p'),
    text("patch-file", "", "A file that holds the patch."),
    text("type", "strategic", "json, merge or strategic."),
    text("subresource", "", "The subresource to patch: status, scale, resize."),
    global::LOCAL,
    global::DRY_RUN,
    global::field_manager("kubectl-patch"),
];

pub const COMMAND: Command = Command {
    name: "patch",
    usage: "(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE]",
    about: "Update fields of a resource by a patch.\n\nThe patch is a strategic merge patch, a JSON merge patch or a JSON patch, written as JSON or YAML.",
    examples: "# A node\nkubectl patch node k8s-node-1 -p '{\"spec\":{\"unschedulable\":true}}'\n\n# A JSON patch\nkubectl patch pod valid-pod --type=json -p='[{\"op\": \"replace\", \"path\": \"/spec/containers/0/image\", \"value\": \"new image\"}]'",
    flags: &[FLAGS, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let change = Change::of(call)?;
    let local = flags.yes("local");
    if flags.given("patch") && !flags.text("patch").is_empty() && !flags.text("patch-file").is_empty() {
        return fail("cannot specify --patch and --patch-file together");
    }
    if flags.text("patch").is_empty() && flags.text("patch-file").is_empty() {
        return fail("must specify --patch or --patch-file containing the contents of the patch");
    }
    if local && !call.args().is_empty() {
        return fail("cannot specify --local and server resources");
    }
    if local && change.dry == DryRun::Server {
        return fail("cannot specify --local and --dry-run=server - did you mean --dry-run=client?");
    }
    let kind = match flags.text("type").to_lowercase().as_str() {
        "json" => JSON_PATCH,
        "merge" => MERGE_PATCH,
        "strategic" => STRATEGIC_PATCH,
        _ => return fail(format!("--type must be one of [json merge strategic], not {:?}", flags.text("type"))),
    };
    let patch = read(call)?;
    let selected = Select::of(call)?.by(call, call.args()).await?;
    if selected.items.is_empty() {
        return fail("no objects passed to patch");
    }
    let mut faults = Vec::new();
    for item in selected.items {
        let result = match item {
            Ok(info) => one(call, info, kind, &patch, &change).await,
            Err(e) => Err(e),
        };
        if let Err(e) = result {
            faults.push(e);
        }
    }
    Failure::many(faults)
}

/// The patch, and its text where that is no JSON though it begins like one: the server shall judge it.
struct Given {
    value: Value,
    raw: Option<String>,
}

fn read(call: &Call) -> Outcome<Given> {
    let file = call.flags.text("patch-file");
    let text = if file.is_empty() {
        call.flags.text("patch").to_owned()
    } else {
        std::fs::read_to_string(file).map_err(|e| Failure::Text(format!("unable to read patch file: {}", path_error("open", file, &e))))?
    };
    if text.trim_start().starts_with('{') {
        return Ok(match serde_json::from_str(&text) {
            Ok(value) => Given { value, raw: None },
            Err(_) => Given { value: Value::Null, raw: Some(text) },
        });
    }
    let value = goyaml::from_yaml(&text).map_err(|e| Failure::Text(format!("unable to parse {text:?}: {e}")))?;
    Ok(Given { value, raw: None })
}

async fn one(call: &Call, info: Info, kind: &str, patch: &Given, change: &Change) -> Outcome {
    let patched = if call.flags.yes("local") || change.dry == DryRun::Client { local_patch(&info, &info.object, kind, &patch.value)? } else { send(call, &info, kind, patch, change).await? };
    let done = if patched == info.object { "patched (no change)" } else { "patched" };
    let operation = format!("{done}{}", dry_run_suffix(change.dry));
    let mut printer = Printer::of_flags(call, BASIC)?.unwrap_or_else(|| Printer::named(&operation));
    out(&printer.print(&patched)?);
    Ok(())
}

async fn send(call: &Call, info: &Info, kind: &str, patch: &Given, change: &Change) -> Outcome<Value> {
    let Some(raw) = &patch.raw else { return change.patch(call, info, kind, &patch.value).await };
    let path = change.plain_query(&crate::change::sub_path(call, info));
    call.api().await?.json(crate::client::request(http::Method::PATCH, &path, crate::client::JSON, Some((kind, raw.clone().into_bytes())))).await
}

/// The patch's result without the server.
pub fn local_patch(info: &Info, object: &Value, kind: &str, change: &Value) -> Outcome<Value> {
    let text = |e: &dyn std::fmt::Display| Failure::Text(e.to_string());
    match kind {
        JSON_PATCH => patch::apply_json_patch(object, change.to_string().as_bytes()).map_err(|e| text(&e)),
        MERGE_PATCH => {
            let mut object = object.clone();
            patch::apply_merge_patch(&mut object, change.clone());
            Ok(object)
        }
        _ => {
            let r = &info.resource;
            let Some(of) = schema::by_kind(&r.group, &r.version, &r.kind) else {
                return fail(format!("cannot apply strategic merge patch for {}/{}, Kind={} locally, try --type merge", r.group, r.version, r.kind));
            };
            patch::apply_strategic(object, change.clone(), of).map_err(|e| text(&e))
        }
    }
}
