//! `kubectl events`.
// Upstream: kubectl pkg/cmd/events/events.go, event_printer.go.

use serde_json::Value;

use crate::call::{Call, out};
use crate::client::{JSON, with_query};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, slice, text, yes_no};
use crate::print::{self, Printer};
use crate::tabs::Tabs;
use crate::{complain, global, run, time, watch};

const FLAGS: &[Flag] = &[
    yes_no("watch", "After listing, go on with what comes.").short('w'),
    global::ALL_NAMESPACES,
    text("for", "", "Only events about this object, as TYPE/NAME."),
    slice("types", "Only events of these types: Normal, Warning."),
    yes_no("no-headers", "No header line."),
    global::CHUNK,
];

pub const COMMAND: Command = Command {
    name: "events",
    usage: "[(-o|--output=)FORM] [--for TYPE/NAME] [--watch] [--types=Normal,Warning]",
    about: "Show events, the latest last.",
    examples: "kubectl events\n\n# Of one pod, as they come\nkubectl events --for pod/web-pod-13je7 --watch",
    flags: &[FLAGS, global::PRINT],
    run: run!(run),
    ..EMPTY
};

fn check(call: &Call) -> Outcome {
    for kind in call.flags.list("types") {
        if !kind.eq_ignore_ascii_case("normal") && !kind.eq_ignore_ascii_case("warning") {
            return fail("valid --types are Normal or Warning");
        }
    }
    Ok(())
}

/// What `--for` names, as a field selector.
async fn about(call: &Call) -> Outcome<String> {
    let named = call.flags.text("for");
    if named.is_empty() {
        return Ok(String::new());
    }
    let Some((kind, name)) = named.split_once('/').filter(|(k, n)| !k.is_empty() && !n.is_empty() && !n.contains('/')) else {
        return fail("--for must be in resource/name form");
    };
    let resource = call.resource(kind).await?;
    Ok(format!("involvedObject.kind={},involvedObject.name={name},involvedObject.apiVersion={}", resource.kind, resource.api_version()))
}

/// When an event happened last.
pub fn last_seen(event: &Value) -> &str {
    let text = |v: &'_ Value| v.as_str().map(str::len).is_some_and(|l| l > 0);
    for at in [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]] {
        if text(at) {
            return at.as_str().unwrap_or_default();
        }
    }
    event["metadata"]["creationTimestamp"].as_str().unwrap_or_default()
}

/// `5s`, or `5s (x3 over 10m)`.
pub fn interval(event: &Value) -> String {
    // Upstream: the time of the event itself comes first here.
    let first = event["eventTime"].as_str().filter(|t| !t.is_empty()).unwrap_or_else(|| event["firstTimestamp"].as_str().unwrap_or_default());
    let first = time::since(Some(first).filter(|t| !t.is_empty()));
    if let Some(count) = event["series"]["count"].as_i64() {
        return format!("{} (x{count} over {first})", time::since(event["series"]["lastObservedTime"].as_str()));
    }
    match event["count"].as_i64() {
        Some(count) if count > 1 => format!("{} (x{count} over {first})", time::since(event["lastTimestamp"].as_str())),
        _ => first,
    }
}

fn row(event: &Value, with_namespace: bool) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut cells = Vec::new();
    if with_namespace {
        cells.push(text(&event["metadata"]["namespace"]));
    }
    let target = &event["involvedObject"];
    cells.extend([interval(event), text(&event["type"]), text(&event["reason"]), format!("{}/{}", text(&target["kind"]), text(&target["name"])), text(&event["message"]).trim().to_owned()]);
    cells
}

async fn run(call: &Call) -> Outcome {
    check(call)?;
    let flags = &call.flags;
    let all = flags.yes("all-namespaces");
    let namespace = call.namespace()?.name;
    let selector = about(call).await?;
    let path = if all { "/api/v1/events".to_owned() } else { format!("/api/v1/namespaces/{namespace}/events") };
    let mut pairs = Vec::new();
    if !selector.is_empty() {
        pairs.push(("fieldSelector", selector.as_str()));
    }
    let api = call.api().await?;
    let list = api.get(&with_query(&path, &pairs)).await?;
    let types = flags.list("types");
    let wanted = |event: &Value| types.is_empty() || types.iter().any(|t| event["type"].as_str().is_some_and(|e| e.eq_ignore_ascii_case(t)));
    let mut events: Vec<Value> = list["items"].as_array().into_iter().flatten().filter(|e| wanted(e)).cloned().collect();
    for event in &mut events {
        crate::select::with_type(event, "v1", "Event");
    }
    events.sort_by_key(|e| time::parse(last_seen(e)));
    let mut printer = Printer::of_flags(call, print::BASIC)?.map(Printer::typed);
    if flags.yes("watch") {
        return follow(call, &path, &pairs, list["metadata"]["resourceVersion"].as_str().unwrap_or_default(), &events, printer.as_mut(), &wanted).await;
    }
    if events.is_empty() && printer.is_none() {
        if all {
            complain!("No events found.");
        } else {
            complain!("No events found in {namespace} namespace.");
        }
        return Ok(());
    }
    if let Some(printer) = &mut printer {
        let list = print::list(events);
        let mut list = list;
        list["kind"] = "EventList".into();
        list["metadata"] = serde_json::json!({});
        out(&printer.print(&list)?);
        return Ok(());
    }
    let mut tabs = Tabs::table();
    header(call, &mut tabs);
    for event in &events {
        tabs.row(&row(event, all));
    }
    out(&tabs.flush());
    Ok(())
}

fn header(call: &Call, tabs: &mut Tabs) {
    if !call.flags.yes("no-headers") {
        tabs.push(&format!("{}LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n", if call.flags.yes("all-namespaces") { "NAMESPACE\t" } else { "" }));
    }
}

async fn follow(call: &Call, path: &str, pairs: &[(&str, &str)], revision: &str, before: &[Value], mut printer: Option<&mut Printer>, wanted: &impl Fn(&Value) -> bool) -> Outcome {
    let all = call.flags.yes("all-namespaces");
    let mut tabs = Tabs::table();
    if printer.is_none() {
        header(call, &mut tabs);
    }
    let mut show = |event: &Value, tabs: &mut Tabs| -> Outcome {
        match &mut printer {
            Some(printer) => out(&printer.print(event)?),
            None => {
                tabs.row(&row(event, all));
                out(&tabs.flush());
            }
        }
        Ok(())
    };
    for event in before {
        show(event, &mut tabs)?;
    }
    let mut query = pairs.to_vec();
    query.extend([("watch", "true"), ("resourceVersion", revision)]);
    let mut events = watch::open(&*call.api().await?, &with_query(path, &query), JSON).await?;
    while let Some(event) = events.next().await? {
        if event["type"] == "ERROR" {
            return Err(Failure::Status(Box::new(event["object"].clone())));
        }
        // Upstream: deletions of events are no news.
        if event["type"] != "DELETED" && wanted(&event["object"]) {
            show(&event["object"], &mut tabs)?;
        }
    }
    Ok(())
}
