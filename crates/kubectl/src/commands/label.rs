//! `kubectl label` and `kubectl annotate`: the two maps of an object's metadata.
// Upstream: kubectl pkg/cmd/label/label.go, annotate/annotate.go, pkg/cmd/util GetResourcesAndPairs.

use serde_json::{Map, Value};

use crate::call::{Call, out};
use crate::change::Change;
use crate::client::MERGE_PATCH;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, text, yes_no};
use crate::print::{BASIC, DryRun, Printer, dry_run_suffix};
use crate::select::{Info, Select};
use crate::{global, run, say};

const FLAGS: &[Flag] = &[
    global::RECORD,
    yes_no("overwrite", "Change values that are there already."),
    yes_no("list", "Show what there is."),
    yes_no("all", "All objects of the type, in the namespace."),
    text("resource-version", "", "Only change an object that still has this revision."),
    global::LOCAL,
    global::DRY_RUN,
    global::SELECTOR,
    global::FIELD_SELECTOR,
    global::ALL_NAMESPACES,
];

pub const LABEL: Command = Command {
    name: "label",
    usage: "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
    about: "Update the labels of a resource.\n\nA key that ends with - is removed. Values that are there are changed only with --overwrite.",
    examples: "# One pod\nkubectl label pods foo unhealthy=true\n\n# All pods of the namespace\nkubectl label pods --all status=unhealthy\n\n# Remove a label\nkubectl label pods foo bar-",
    flags: &[FLAGS, &[global::field_manager("kubectl-label")], global::PRINT, global::FILES],
    run: run!(label),
    ..EMPTY
};

pub const ANNOTATE: Command = Command {
    name: "annotate",
    usage: "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
    about: "Update the annotations of a resource.\n\nA key that ends with - is removed. Values that are there are changed only with --overwrite.",
    examples: "# One pod\nkubectl annotate pods foo description='my frontend'\n\n# Remove an annotation\nkubectl annotate pods foo description-",
    flags: &[FLAGS, &[global::field_manager("kubectl-annotate")], global::PRINT, global::FILES],
    run: run!(annotate),
    ..EMPTY
};

struct Words {
    field: &'static str,
    one: &'static str,
    done: &'static str,
    not_done: &'static str,
}

async fn label(call: &Call) -> Outcome {
    work(call, Words { field: "labels", one: "label", done: "labeled", not_done: "not labeled" }).await
}

async fn annotate(call: &Call) -> Outcome {
    work(call, Words { field: "annotations", one: "annotation", done: "annotated", not_done: "annotated" }).await
}

/// Arguments apart: what names objects, what names pairs.
fn pairs<'a>(args: &'a [String], what: &str) -> Outcome<(Vec<String>, Vec<&'a str>)> {
    let is_pair = |arg: &str| (arg.contains('=') && !arg.starts_with('=')) || (arg.ends_with('-') && arg.len() > 1);
    let (mut resources, mut pairs) = (Vec::new(), Vec::new());
    for arg in args {
        if is_pair(arg) {
            pairs.push(arg.as_str());
        } else if pairs.is_empty() {
            resources.push(arg.clone());
        } else {
            return fail(format!("all resources must be specified before {what} changes: {arg}"));
        }
    }
    Ok((resources, pairs))
}

struct Wanted {
    set: Map<String, Value>,
    remove: Vec<String>,
}

fn parse(pairs: &[&str], words: &Words) -> Outcome<Wanted> {
    let mut wanted = Wanted { set: Map::new(), remove: Vec::new() };
    let mut invalid = Vec::new();
    for pair in pairs {
        if let Some((key, value)) = pair.split_once('=') {
            if words.one == "label" {
                if value.contains('=') {
                    return fail(format!("invalid label spec: {pair}"));
                }
                let faults = api::names::label_value(value);
                if !faults.is_empty() {
                    return fail(format!("invalid label value: {pair:?}: {}", faults.join(";")));
                }
            }
            if key.is_empty() {
                invalid.push(*pair);
            }
            wanted.set.insert(key.to_owned(), value.into());
        } else if let Some(key) = pair.strip_suffix('-') {
            wanted.remove.push(key.to_owned());
        } else {
            invalid.push(*pair);
        }
    }
    if let Some(pair) = invalid.first() {
        return fail(format!("invalid {} format: {pair}", words.one));
    }
    if let Some(key) = wanted.remove.iter().find(|k| wanted.set.contains_key(*k)) {
        return fail(if words.one == "label" { "can not both modify and remove a label in the same command".to_owned() } else { format!("can not both modify and remove the following annotation(s) in the same command: {key}") });
    }
    Ok(wanted)
}

async fn work(call: &Call, words: Words) -> Outcome {
    let flags = &call.flags;
    let change = Change::of(call)?;
    let (resources, changes) = pairs(call.args(), words.one)?;
    let wanted = parse(&changes, &words)?;
    let (list, local) = (flags.yes("list"), flags.yes("local"));
    if list && !flags.text("output").is_empty() {
        return fail("--list and --output may not be specified together");
    }
    if local && change.dry == DryRun::Server {
        return fail("cannot specify --local and --dry-run=server - did you mean --dry-run=client?");
    }
    if flags.yes("all") && !flags.text("selector").is_empty() {
        return fail("cannot set --all and --selector at the same time");
    }
    if flags.yes("all") && !flags.text("field-selector").is_empty() {
        return fail("cannot set --all and --field-selector at the same time");
    }
    if resources.is_empty() && flags.list("filename").is_empty() && flags.text("kustomize").is_empty() {
        return fail("one or more resources must be specified as <resource> <name> or <resource>/<name>");
    }
    if changes.is_empty() && !list {
        return fail(format!("at least one {} update is required", words.one));
    }
    let mut select = Select::of(call)?.latest();
    select.empty_selects = flags.yes("all");
    select.all = false;
    let selected = select.by(call, &resources).await?;
    let single = selected.single;
    if !single && !flags.text("resource-version").is_empty() {
        return fail("--resource-version may only be used with a single resource");
    }
    let mut faults = Vec::new();
    for item in selected.items {
        let result = match item {
            Ok(info) => one(call, info, &wanted, &change, &words, single).await,
            Err(e) => Err(e),
        };
        if let Err(e) = result {
            faults.push(e);
        }
    }
    Failure::many(faults)
}

fn current(object: &Value, field: &str) -> Map<String, Value> {
    object["metadata"][field].as_object().cloned().unwrap_or_default()
}

async fn one(call: &Call, mut info: Info, wanted: &Wanted, change: &Change, words: &Words, single: bool) -> Outcome {
    let flags = &call.flags;
    let before = info.object.clone();
    let mut map = current(&before, words.field);
    let quiet = change.dry == DryRun::Client || flags.yes("local") || flags.yes("list");
    if !quiet && words.one == "label" {
        for key in wanted.remove.iter().filter(|k| !map.contains_key(*k)) {
            say!("label {key:?} not found.");
        }
    }
    if !flags.yes("overwrite") {
        let taken = |(key, value): (&String, &Value)| {
            let old = map.get(key)?;
            if old == value {
                return None;
            }
            let old = old.as_str().unwrap_or_default();
            Some(Failure::Text(if words.one == "label" { format!("'{key}' already has a value ({old}), and --overwrite is false") } else { format!("--overwrite is false but found the following declared annotation(s): '{key}' already has a value ({old})") }))
        };
        Failure::many(wanted.set.iter().filter_map(taken).collect())?;
    }
    for (key, value) in &wanted.set {
        map.insert(key.clone(), value.clone());
    }
    let mut unset = 0;
    for key in &wanted.remove {
        unset += usize::from(map.remove(key).is_some());
    }
    let changed = map != current(&before, words.field);
    info.object["metadata"][words.field] = Value::Object(map);
    if !quiet {
        info.object = send(call, &info, &before, change, words).await?;
    }
    if flags.yes("list") {
        return show_list(&info, words, single);
    }
    let done = match (changed, words.one) {
        (true, "label") if unset > 0 && wanted.set.is_empty() => "unlabeled",
        (true, _) => words.done,
        (false, _) => words.not_done,
    };
    let operation = format!("{done}{}", dry_run_suffix(change.dry));
    let mut printer = Printer::of_flags(call, BASIC)?.unwrap_or_else(|| Printer::named(&operation));
    out(&printer.print(&info.object)?);
    Ok(())
}

async fn send(call: &Call, info: &Info, before: &Value, change: &Change, words: &Words) -> Outcome<Value> {
    let mut patch = patch::diff_merge(&before["metadata"][words.field], &info.object["metadata"][words.field]).map_err(|e| Failure::Text(e.to_string()))?;
    patch = if patch.as_object().is_some_and(Map::is_empty) { serde_json::json!({}) } else { serde_json::json!({"metadata": {words.field: patch}}) };
    let version = call.flags.text("resource-version");
    if !version.is_empty() {
        patch["metadata"]["resourceVersion"] = version.into();
    }
    change.patch(call, info, MERGE_PATCH, &patch).await
}

fn show_list(info: &Info, words: &Words, single: bool) -> Outcome {
    let mut indent = "";
    if !single {
        indent = " ";
        say!("Listing {} for {}.{}/{}:", words.field, info.resource.kind, info.resource.group, info.name);
    }
    for (key, value) in current(&info.object, words.field) {
        say!("{indent}{key}={}", value.as_str().unwrap_or_default());
    }
    Ok(())
}
