//! `kubectl taint`.
// Upstream: kubectl pkg/cmd/taint/taint.go, utils.go.

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::change::Change;
use crate::client::MERGE_PATCH;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, yes_no};
use crate::print::{BASIC, DryRun, Printer};
use crate::select::{Info, Select};
use crate::{global, run};

const FLAGS: &[Flag] = &[
    yes_no("all", "All nodes."),
    yes_no("overwrite", "Change taints that are there already."),
    global::SELECTOR,
    global::VALIDATE,
    global::DRY_RUN,
    global::field_manager("kubectl-taint"),
];

pub const COMMAND: Command = Command {
    name: "taint",
    usage: "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N",
    about: "Update the taints of nodes. A taint that ends with - is removed.",
    examples: "kubectl taint nodes foo dedicated=special-user:NoSchedule\n\n# Remove it\nkubectl taint nodes foo dedicated:NoSchedule-",
    flags: &[FLAGS, global::PRINT],
    run: run!(run),
    ..EMPTY
};

#[derive(Debug, Clone, PartialEq)]
struct Taint {
    key: String,
    value: String,
    effect: String,
}

impl Taint {
    fn parse(text: &str) -> Outcome<Self> {
        let invalid = |why: &str| Failure::Text(format!("invalid taint spec: {text}{why}"));
        let (head, effect) = match text.split(':').collect::<Vec<_>>()[..] {
            [head] => (head, ""),
            [head, effect] => (head, effect),
            _ => return Err(invalid("")),
        };
        if !effect.is_empty() && !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            return fail(format!("invalid taint effect: {effect}, unsupported taint effect"));
        }
        let parts: Vec<&str> = if effect.is_empty() { vec![head] } else { head.split('=').collect() };
        let (key, value) = match parts[..] {
            [key] => (key, ""),
            [key, value] => (key, value),
            _ => return Err(invalid("")),
        };
        let faults = api::names::label_value(value);
        if !faults.is_empty() {
            return Err(invalid(&format!(", {}", faults.join("; "))));
        }
        let faults = api::names::qualified_name(key);
        if !faults.is_empty() {
            return Err(invalid(&format!(", {}", faults.join("; "))));
        }
        Ok(Self { key: key.into(), value: value.into(), effect: effect.into() })
    }

    fn shown(&self) -> String {
        match (self.effect.as_str(), self.value.as_str()) {
            ("", "") => self.key.clone(),
            ("", value) => format!("{}={value}:", self.key),
            (effect, "") => format!("{}:{effect}", self.key),
            (effect, value) => format!("{}={value}:{effect}", self.key),
        }
    }
}

fn parse(specs: &[String]) -> Outcome<(Vec<Taint>, Vec<Taint>)> {
    let (mut add, mut remove): (Vec<Taint>, Vec<Taint>) = (Vec::new(), Vec::new());
    for spec in specs {
        if let Some(spec) = spec.strip_suffix('-') {
            remove.push(Taint::parse(spec)?);
            continue;
        }
        let taint = Taint::parse(spec)?;
        if taint.effect.is_empty() {
            return fail(format!("invalid taint spec: {spec}"));
        }
        if add.iter().any(|t| t.key == taint.key && t.effect == taint.effect) {
            return fail(format!("duplicated taints with the same key and effect: {{{} {} {} <nil>}}", taint.key, taint.value, taint.effect));
        }
        add.push(taint);
    }
    let both: Vec<String> = add.iter().filter(|a| remove.iter().any(|r| r.key == a.key && (r.effect == a.effect || r.effect.is_empty()))).map(Taint::shown).collect();
    if !both.is_empty() {
        return fail(format!("can not both modify and remove the following taint(s) in the same command: {}", both.join(", ")));
    }
    Ok((add, remove))
}

async fn run(call: &Call) -> Outcome {
    let is_taint = |arg: &String| (arg.contains('=') || arg.contains(':') || arg.ends_with('-')) && !arg.starts_with('=');
    let resources: Vec<String> = call.args().iter().take_while(|a| !is_taint(a)).cloned().collect();
    let specs = &call.args()[resources.len()..];
    if let Some(stray) = specs.iter().find(|s| !is_taint(s)) {
        return fail(format!("all resources must be specified before taint changes: {stray}"));
    }
    if resources.is_empty() {
        return fail("one or more resources must be specified as <resource> <name>");
    }
    if specs.is_empty() {
        return fail("at least one taint update is required");
    }
    let (add, remove) = parse(specs).map_err(|e| call.usage(&e.message()))?;
    let (all, selector) = (call.flags.yes("all"), call.flags.text("selector"));
    if all && !selector.is_empty() {
        return fail("setting 'all' parameter with a non empty selector is prohibited");
    }
    let kind = call.resource(resources[0].split('/').next().unwrap_or_default()).await?;
    if kind.kind != "Node" {
        return fail(format!("invalid resource type {}, only node types are supported", resources[0].split('/').next().unwrap_or_default()));
    }
    if !all && selector.is_empty() && resources.len() < 2 && !resources[0].contains('/') {
        return fail("at least one resource name must be specified since 'all' parameter is not set");
    }
    let change = Change::of(call)?;
    let mut faults = Vec::new();
    let mut select = Select::of(call)?.latest();
    select.files = Default::default();
    for item in select.by(call, &resources).await?.items {
        let result = match item {
            Ok(info) => one(call, info, &add, &remove, &change).await,
            Err(e) => Err(e),
        };
        if let Err(e) = result {
            faults.push(e);
        }
    }
    Failure::many(faults)
}

fn now(object: &Value) -> Vec<Value> {
    object["spec"]["taints"].as_array().cloned().unwrap_or_default()
}

async fn one(call: &Call, mut info: Info, add: &[Taint], remove: &[Taint], change: &Change) -> Outcome {
    let before = now(&info.object);
    let is = |taint: &Taint, value: &Value| value["key"] == *taint.key && (taint.effect.is_empty() || value["effect"] == *taint.effect);
    if !call.flags.yes("overwrite") {
        let there: Vec<String> = add.iter().filter(|a| before.iter().any(|t| is(a, t))).map(|t| t.shown()).collect();
        if !there.is_empty() {
            return fail(format!("node {} already has {} taint(s) with same effect(s) and --overwrite is false", info.name, there.join(",")));
        }
    }
    let missing: Vec<Failure> = remove.iter().filter(|r| !before.iter().any(|t| is(r, t))).map(|r| Failure::Text(format!("taint {:?} not found", r.shown()))).collect();
    Failure::many(missing)?;
    let mut after: Vec<Value> = add
        .iter()
        .map(|t| {
            let mut taint = json!({"key": t.key, "effect": t.effect});
            if !t.value.is_empty() {
                taint["value"] = t.value.as_str().into();
            }
            taint
        })
        .collect();
    after.extend(before.iter().filter(|t| !add.iter().chain(remove).any(|a| is(a, t))).cloned());
    let done = match (add.is_empty(), remove.is_empty()) {
        (false, true) if add.iter().any(|a| before.iter().any(|t| is(a, t))) => "modified",
        (false, true) => "tainted",
        (true, false) => "untainted",
        _ => "modified",
    };
    info.object["spec"]["taints"] = json!(after);
    if change.dry != DryRun::Client {
        let mut patch = json!({"spec": {"taints": after}});
        // A list that merges by key forgets nothing unless told so.
        patch["spec"]["taints"] = if after.is_empty() { json!(null) } else { json!(after) };
        if !after.is_empty() {
            patch["metadata"]["resourceVersion"] = info.object["metadata"]["resourceVersion"].clone();
        }
        info.object = change.patch(call, &info, MERGE_PATCH, &patch).await?;
    }
    // Upstream: taints do not say when they are a dry run.
    let printer = Printer::of_flags(call, BASIC)?.unwrap_or_else(|| Printer::named(done));
    // Upstream: the object as it was read is a map, what the server answers is a struct.
    let mut printer = if change.dry == DryRun::Client { printer } else { printer.typed() };
    out(&printer.print(&info.object)?);
    Ok(())
}
