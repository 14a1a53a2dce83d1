//! `kubectl wait`: until objects have a condition, a value, exist, or are gone.
// Upstream: kubectl pkg/cmd/wait.

use serde_json::Value;

use crate::call::{Call, out};
use crate::client::{JSON, with_query};
use crate::command::{Command, EMPTY};
use crate::commands::delete;
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, duration, text, yes_no};
use crate::print::{BASIC, Printer};
use crate::select::{Info, Select};
use crate::{global, run, watch};

const FLAGS: &[Flag] = &[
    duration("timeout", "30s", "How long to wait; zero looks once, negative is a week."),
    text("for", "", "condition=NAME[=VALUE], jsonpath='{PATH}'[=VALUE], create or delete."),
    yes_no("all", "All objects of the type, in the namespace."),
    global::LOCAL,
    global::SELECTOR,
    global::FIELD_SELECTOR,
    global::ALL_NAMESPACES,
];

pub const COMMAND: Command = Command {
    name: "wait",
    usage: "([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) [--for=create|--for=delete|--for condition=available|--for=jsonpath='{}'[=value]]",
    about: "Wait until objects are as asked for, or the time is over.",
    examples: "kubectl wait --for=condition=Ready pod/busybox1\n\n# Until it is gone\nkubectl wait --for=delete pod/busybox1 --timeout=60s",
    flags: &[FLAGS, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

enum For {
    Delete,
    Create,
    Condition { name: String, value: String },
    Path { template: jsonpath::Template, value: Option<String> },
}

fn parse(text: &str) -> Outcome<For> {
    if text.eq_ignore_ascii_case("delete") {
        return Ok(For::Delete);
    }
    if text.eq_ignore_ascii_case("create") {
        return Ok(For::Create);
    }
    if let Some(rest) = text.strip_prefix("condition=") {
        let (name, value) = rest.split_once('=').unwrap_or((rest, "true"));
        return Ok(For::Condition { name: name.to_owned(), value: value.to_owned() });
    }
    if let Some(rest) = text.strip_prefix("jsonpath=") {
        return path(rest);
    }
    fail(format!("unrecognized condition: {text:?}"))
}

fn path(text: &str) -> Outcome<For> {
    // The value stands behind the path's closing brace, or behind the first sign where the path has none.
    let (path, value) = match text.rfind('}') {
        Some(end) => (&text[..=end], &text[end + 1..]),
        None => text.split_at(text.find('=').unwrap_or(text.len())),
    };
    let value = match value.strip_prefix('=') {
        Some("") => return fail("jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3"),
        Some(value) => Some(value.trim_matches('"').to_owned()),
        None if value.is_empty() => None,
        None => return fail(format!("jsonpath wait format must be --for=jsonpath='{{.status.readyReplicas}}'=3 or --for=jsonpath='{{.status.readyReplicas}}'")),
    };
    let path = jsonpath::relaxed(path).map_err(|_| Failure::Text("jsonpath expression cannot be empty".into()))?;
    let template = jsonpath::Template::parse(&path).map_err(|e| Failure::Text(e.to_string()))?;
    Ok(For::Path { template, value })
}

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    if flags.text("for").is_empty() {
        return fail("unrecognized condition: []");
    }
    let wanted = parse(flags.text("for"))?;
    let mut printer = match Printer::of_flags(call, BASIC)? {
        Some(printer) => printer,
        None => Printer::named("condition met"),
    };
    let limit = match flags.seconds("timeout") {
        negative if negative < 0.0 => std::time::Duration::from_secs(168 * 3600),
        _ => flags.duration("timeout"),
    };
    let end = tokio::time::Instant::now() + limit;
    let mut select = Select::of(call)?;
    if matches!(wanted, For::Delete | For::Create) {
        select = select.unfetched();
    } else {
        select = select.latest();
    }
    let selective = flags.yes("all") || select.selector.is_some() || select.field_selector.is_some();
    let mut items = select.by(call, call.args()).await?.items;
    if matches!(wanted, For::Delete) {
        items.retain(|i| !i.as_ref().err().is_some_and(Failure::is_not_found));
    }
    if items.is_empty() && selective && !matches!(wanted, For::Delete) {
        return fail("no matching resources found");
    }
    let mut faults = Vec::new();
    for item in items {
        let info = match item {
            Ok(info) => info,
            Err(e) => {
                faults.push(e);
                continue;
            }
        };
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        let waiting = one(call, &info, &wanted);
        let result = if flags.seconds("timeout") == 0.0 { once(call, &info, &wanted).await.map(Some) } else { tokio::time::timeout(left, waiting).await.unwrap_or_else(|_| fail("timed out waiting for the condition")) };
        match result {
            // What was not there did not go.
            Ok(None) => {}
            Ok(Some(object)) => {
                if matches!(wanted, For::Delete) && flags.text("output").is_empty() {
                    crate::say!("{} condition met", info.resource.slashed(&info.name));
                } else {
                    out(&printer.print(&object)?);
                }
            }
            Err(e) => faults.push(about(e, &info)),
        }
    }
    Failure::many(faults)
}

fn about(failure: Failure, info: &Info) -> Failure {
    match failure {
        Failure::Text(text) if text == "timed out waiting for the condition" => Failure::Text(format!("{text} on {}/{}", info.resource.name, info.name)),
        other => other,
    }
}

/// Looks once: a time limit of zero.
async fn once(call: &Call, info: &Info, wanted: &For) -> Outcome<Value> {
    let now = call.api().await?.get(&info.path()).await;
    let met = match (&now, wanted) {
        (Err(e), For::Delete) if e.is_not_found() => return Ok(info.object.clone()),
        (Err(e), _) => return Err(e.clone()),
        (Ok(_), For::Delete) => return Err(Failure::Text(format!("condition is not met for {}/{}", info.resource.name, info.name))),
        (Ok(object), wanted) => is_met(object, wanted)?,
    };
    if met { now } else { fail(format!("condition is not met for {}/{}", info.resource.name, info.name)) }
}

async fn one(call: &Call, info: &Info, wanted: &For) -> Outcome<Option<Value>> {
    if let For::Delete = wanted {
        // Another object of the same name does not count.
        let now = call.api().await?.get(&info.path()).await;
        let uid = match &now {
            Ok(object) => api::meta::uid(object).to_owned(),
            Err(e) if e.is_not_found() => return Ok(None),
            Err(_) => String::new(),
        };
        delete::until_gone(call, info, &uid).await?;
        return Ok(Some(now.unwrap_or_else(|_| info.object.clone())));
    }
    let object = follow(call, info, |object| match object {
        Some(object) => is_met(object, wanted),
        None if matches!(wanted, For::Create) => Ok(false),
        None => Err(crate::failure::status(404, "NotFound", &format!("{} {:?} not found", info.resource.qualified(), info.name))),
    })
    .await?;
    Ok(Some(object))
}

fn is_met(object: &Value, wanted: &For) -> Outcome<bool> {
    match wanted {
        For::Create => Ok(true),
        For::Delete => Ok(false),
        For::Condition { name, value } => {
            let conditions = object["status"]["conditions"].as_array();
            let Some(found) = conditions.and_then(|all| all.iter().find(|c| c["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(name)))) else { return Ok(false) };
            let (generation, observed) = (api::meta::generation(object), found["observedGeneration"].as_i64().or(object["status"]["observedGeneration"].as_i64()));
            if observed.is_some_and(|o| o < generation) {
                return Ok(false);
            }
            Ok(found["status"].as_str().is_some_and(|s| s.eq_ignore_ascii_case(value)))
        }
        For::Path { template, value } => {
            let found = template.find(object, true).map_err(|e| Failure::Text(e.to_string()))?;
            let values: Vec<_> = found.iter().flatten().collect();
            match value {
                None => Ok(!values.is_empty()),
                Some(_) if values.is_empty() => Ok(false),
                Some(_) if values.len() > 1 => fail("given jsonpath expression matches more than one value"),
                Some(wanted) => {
                    if values[0].is_object() || values[0].is_array() {
                        return fail("jsonpath leads to a nested object or list which is not supported");
                    }
                    Ok(jsonpath::text(values[0]).trim() == wanted.trim())
                }
            }
        }
    }
}

/// Looks at an object now and at each change, until `done` says so.
pub async fn follow(call: &Call, info: &Info, mut done: impl FnMut(Option<&Value>) -> Outcome<bool>) -> Outcome<Value> {
    let api = call.api().await?;
    let selector = format!("metadata.name={}", info.name);
    let collection = info.resource.collection(&info.namespace);
    loop {
        let list = api.get(&with_query(&collection, &[("fieldSelector", &selector)])).await?;
        let mut object = list["items"].as_array().and_then(|items| items.first()).cloned();
        if let Some(object) = &mut object {
            crate::select::with_type(object, &info.resource.api_version(), &info.resource.kind);
        }
        if done(object.as_ref())? {
            return Ok(object.unwrap_or_default());
        }
        let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let path = with_query(&collection, &[("watch", "true"), ("fieldSelector", &selector), ("resourceVersion", revision)]);
        let mut events = watch::open(&api, &path, JSON).await?;
        while let Some(event) = events.next().await? {
            let there = match event["type"].as_str() {
                Some("ERROR") => break,
                Some("DELETED") => None,
                Some("BOOKMARK") => continue,
                _ => Some(&event["object"]),
            };
            if done(there)? {
                return Ok(event["object"].clone());
            }
        }
    }
}
