//! `kubectl get`: one or many objects, as a table or in a form that `-o` names; watched when asked.
// Upstream: kubectl pkg/cmd/get/get.go.

use std::collections::HashSet;
use std::rc::Rc;

use http::Method;
use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::client::{JSON, request, with_query};
use crate::command::{Command, EMPTY};
use crate::discovery::Resource;
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, int, slice, text, yes_no};
use crate::print::{self, Printer, Table, TableOptions};
use crate::select::{Info, Select, Selected};
use crate::{complain, global, run, sort, watch};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

const FLAGS: &[Flag] = &[
    yes_no("watch", "After listing, go on with what changes.").short('w'),
    yes_no("watch-only", "Only what changes, without listing first."),
    yes_no("output-watch-events", "Show the events of --watch: ADDED, MODIFIED, DELETED."),
    yes_no("ignore-not-found", "Objects that do not exist are no failure."),
    yes_no("no-headers", "No header line."),
    yes_no("show-labels", "Show all labels as the last column."),
    yes_no("show-kind", "Show the kind with each name."),
    slice("label-columns", "Labels to show as columns of their own.").short('L'),
    text("sort-by", "", "Sort by the field at this JSONPath."),
    text("raw", "", "A path to ask the server for as it is."),
    text("subresource", "", "The subresource to get: status, scale, resize."),
    yes_no("server-print", "Let the server make the table.").default("true"),
    int("chunk-size", "500", "Ask for long lists in pieces of this size; 0 asks for all at once."),
    global::ALL_NAMESPACES,
    global::SELECTOR,
    global::FIELD_SELECTOR,
    text("output", "", "How to show the result: json, yaml, kyaml, name, wide, go-template, jsonpath, jsonpath-as-json, custom-columns and their -file forms.").short('o'),
];

pub const COMMAND: Command = Command {
    name: "get",
    aliases: &[],
    usage: "[(-o|--output=)FORM] (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]",
    about: "Show one or many resources.\n\nWithout a name all objects of the type are listed, those of one namespace where the type has namespaces.\n\n'kubectl api-resources' tells the types.",
    examples: "# Pods of the namespace, with their nodes\nkubectl get pods -o wide\n\n# One deployment as YAML\nkubectl get deployment web -o yaml\n\n# What runs, in all namespaces\nkubectl get all -A\n\n# One field of many objects\nkubectl get pods -o jsonpath='{.items[*].metadata.name}'",
    flags: &[FLAGS, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    if !flags.text("raw").is_empty() {
        return raw(call).await;
    }
    check(call)?;
    if flags.yes("watch") || flags.yes("watch-only") {
        return watch_one(call).await;
    }
    if is_human(call) { table(call).await } else { generic(call).await }
}

fn is_human(call: &Call) -> bool {
    let output = call.flags.text("output");
    (output.is_empty() && call.flags.text("template").is_empty()) || output == "wide"
}

fn check(call: &Call) -> Outcome {
    let flags = &call.flags;
    let watching = flags.yes("watch") || flags.yes("watch-only");
    if watching && !flags.text("sort-by").is_empty() {
        let flag = if flags.yes("watch") { "watch" } else { "watch-only" };
        complain!("warning: --{flag} requested, --sort-by will be ignored");
    }
    if !watching && call.args().is_empty() && flags.list("filename").is_empty() && flags.text("kustomize").is_empty() {
        complain!("You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n");
        return Err(call.usage("Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods)."));
    }
    let output = flags.text("output");
    if flags.yes("show-labels") && !output.is_empty() && output != "wide" {
        return fail(format!("--show-labels option cannot be used with {output} printer"));
    }
    if flags.yes("output-watch-events") && !watching {
        return fail("--output-watch-events option can only be used with --watch or --watch-only");
    }
    Ok(())
}

async fn raw(call: &Call) -> Outcome {
    let flags = &call.flags;
    if !call.args().is_empty() {
        return fail("arguments may not be passed when --raw is specified");
    }
    if flags.yes("watch") || flags.yes("watch-only") || !flags.text("selector").is_empty() {
        return fail("--raw may not be specified with other flags that filter the server request or alter the output");
    }
    if !flags.text("output").is_empty() {
        return fail("--raw and --output are mutually exclusive");
    }
    let path = flags.text("raw");
    if !path.starts_with('/') {
        return fail(format!("--raw must be a valid URL path: parse {path:?}: invalid URI for request"));
    }
    let response = call.api().await?.send(request(Method::GET, path, JSON, None)).await?;
    watch::copy(response, crate::call::out_bytes).await
}

fn selection(call: &Call, human: bool) -> Outcome<Select> {
    let mut select = Select::of(call)?.with_all().latest();
    if human && call.flags.yes("server-print") {
        select.accept = TABLE.into();
        select.whole_lists = true;
        if !call.flags.text("sort-by").is_empty() {
            select.params.push(("includeObject".into(), "Object".into()));
        }
    } else if human {
        select.whole_lists = true;
    }
    if !call.flags.text("sort-by").is_empty() {
        select.chunk = 0;
    }
    Ok(select)
}

fn table_options(call: &Call) -> TableOptions {
    let flags = &call.flags;
    TableOptions {
        no_headers: flags.yes("no-headers"),
        wide: flags.text("output") == "wide",
        show_labels: flags.yes("show-labels"),
        label_columns: flags.list("label-columns"),
        with_namespace: false,
        kind: None,
    }
}

fn kind_prefix(resource: &Resource) -> String {
    resource.slashed("").trim_end_matches('/').to_owned()
}

async fn table(call: &Call) -> Outcome {
    let flags = &call.flags;
    let selected = selection(call, true)?.by(call, call.args()).await?;
    let all_namespaces = flags.yes("all-namespaces");
    let (mut infos, faults) = split(selected, flags.yes("ignore-not-found"));
    let several = infos.iter().any(|i| i.resource.kind != infos[0].resource.kind || i.resource.group != infos[0].resource.group);
    let sort_by = flags.text("sort-by");
    if !sort_by.is_empty() {
        let mut objects: Vec<Value> = infos.iter_mut().map(|i| i.object.take()).collect();
        sort::tables(&mut objects, sort_by)?;
        for (info, object) in infos.iter_mut().zip(objects) {
            info.object = object;
        }
    }
    let (mut written, mut last): (bool, Option<Rc<Resource>>) = (false, None);
    let mut printer = Table::new(table_options(call));
    let (mut all_namespaced, mut with_namespace) = (!all_namespaces, false);
    for info in &infos {
        all_namespaced = all_namespaced && info.resource.namespaced;
        if last.as_ref().is_none_or(|l| l.qualified() != info.resource.qualified()) {
            let text = printer.tabs.flush();
            written = written || !text.is_empty();
            out(&text);
            let separate = last.is_some() && !printer.options.no_headers && written;
            // Upstream: the column stays once a table had it, also for types without namespaces.
            with_namespace = with_namespace || (all_namespaces && info.resource.namespaced);
            printer = Table::new(TableOptions { with_namespace, kind: (several || flags.yes("show-kind")).then(|| kind_prefix(&info.resource)), ..table_options(call) });
            printer.add(&info.object, None);
            if separate && !printer.tabs.is_empty() {
                out("\n");
            }
            last = Some(info.resource.clone());
            continue;
        }
        printer.add(&info.object, None);
    }
    let text = printer.tabs.flush();
    written = written || !text.is_empty();
    out(&text);
    if !written && !flags.yes("ignore-not-found") && faults.is_empty() {
        if all_namespaced {
            complain!("No resources found in {} namespace.", call.namespace()?.name);
        } else {
            complain!("No resources found");
        }
    }
    Failure::many(faults)
}

/// Objects and faults apart; the same fault is said once.
fn split(selected: Selected, ignore_not_found: bool) -> (Vec<Info>, Vec<Failure>) {
    let (mut infos, mut faults, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for item in selected.items {
        match item {
            Ok(info) => infos.push(info),
            Err(e) if ignore_not_found && e.is_not_found() => {}
            Err(e) => {
                if seen.insert(e.message()) {
                    faults.push(e);
                }
            }
        }
    }
    (infos, faults)
}

async fn generic(call: &Call) -> Outcome {
    let selected = selection(call, false)?.by(call, call.args()).await?;
    let single = selected.single;
    let (mut infos, faults) = split(selected, call.flags.yes("ignore-not-found"));
    if single && !faults.is_empty() {
        return Failure::many(faults);
    }
    if infos.is_empty() && call.flags.yes("ignore-not-found") {
        return Failure::many(faults);
    }
    // Upstream: a form that cannot be had is said once the objects are there.
    let Some(mut printer) = Printer::of_flags(call, print::GET)? else { return Ok(()) };
    let sort_by = call.flags.text("sort-by");
    if !sort_by.is_empty() && !single {
        let mut objects: Vec<Value> = infos.iter_mut().map(|i| i.object.take()).collect();
        sort::objects(&mut objects, sort_by)?;
        for (info, object) in infos.iter_mut().zip(objects) {
            info.object = object;
        }
    }
    let object = if single && infos.len() == 1 { infos.remove(0).object } else { print::list(infos.into_iter().map(|i| i.object).collect()) };
    out(&printer.print(&object)?);
    Failure::many(faults)
}

async fn watch_one(call: &Call) -> Outcome {
    let flags = &call.flags;
    let human = is_human(call);
    let mut select = selection(call, human)?;
    select.single_type = true;
    select.whole_lists = true;
    // Upstream: one answer holds everything, so that its revision is the one to go on from.
    select.chunk = 0;
    let mut infos = select.by(call, call.args()).await?.all()?;
    if infos.len() != 1 {
        return fail("watch is only supported on individual resources and resource collections - more than 1 resource was found");
    }
    let mut printer = Printer::of_flags(call, print::GET)?;
    let info = infos.remove(0);
    let is_list = info.name.is_empty();
    let mut table = Table::new(TableOptions { with_namespace: flags.yes("all-namespaces") && info.resource.namespaced, kind: flags.yes("show-kind").then(|| kind_prefix(&info.resource)), ..table_options(call) });
    let with_events = flags.yes("output-watch-events");
    let revision = if is_list { info.object["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned() } else { "0".into() };
    if !flags.yes("watch-only") {
        for object in initial(&info.object) {
            show(&mut table, printer.as_mut(), &object, with_events.then_some("ADDED"))?;
        }
        out(&table.tabs.flush());
    }
    let name_selector = format!("metadata.name={}", info.name);
    let mut pairs = vec![("watch", "true"), ("resourceVersion", revision.as_str())];
    if !is_list {
        pairs.push(("fieldSelector", &name_selector));
    } else if let Some(selector) = Some(flags.text("field-selector")).filter(|s| !s.is_empty()) {
        pairs.push(("fieldSelector", selector));
    }
    if is_list && !flags.text("selector").is_empty() {
        pairs.push(("labelSelector", flags.text("selector")));
    }
    let path = with_query(&info.resource.collection(&info.namespace), &pairs);
    let accept = if human && flags.yes("server-print") { TABLE } else { JSON };
    let mut events = watch::open(&*call.api().await?, &path, accept).await?;
    // The first event of a single object is what was shown already.
    let mut skip = !is_list;
    while let Some(event) = events.next().await? {
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        if kind == "ERROR" {
            return Err(Failure::Status(Box::new(event["object"].clone())));
        }
        if std::mem::take(&mut skip) {
            continue;
        }
        show(&mut table, printer.as_mut(), &event["object"], with_events.then_some(kind.as_str()))?;
        out(&table.tabs.flush());
    }
    Ok(())
}

/// A list's items one by one; a table as it is.
fn initial(object: &Value) -> Vec<Value> {
    match object["items"].as_array() {
        Some(items) if print::is_list(object) => {
            let kind = object["kind"].as_str().unwrap_or_default().trim_end_matches("List");
            let with_kind = |item: &Value| {
                let mut item = item.clone();
                crate::select::with_type(&mut item, object["apiVersion"].as_str().unwrap_or_default(), kind);
                item
            };
            items.iter().map(with_kind).collect()
        }
        _ => vec![object.clone()],
    }
}

fn show(table: &mut Table, printer: Option<&mut Printer>, object: &Value, event: Option<&str>) -> Outcome {
    match printer {
        None => table.add(object, event),
        Some(printer) => {
            let wrapped = event.map(|event| json!({"type": event, "object": object}));
            out(&printer.print(wrapped.as_ref().unwrap_or(object))?);
        }
    }
    Ok(())
}
