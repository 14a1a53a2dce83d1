//! `kubectl scale`, `kubectl autoscale`.
// Upstream: kubectl pkg/cmd/scale/scale.go, pkg/scale/scale.go, pkg/cmd/autoscale/autoscale.go.

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::change::{Change, update_last_applied};
use crate::client::MERGE_PATCH;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, Flags, duration, int, text, yes_no};
use crate::print::{DryRun, Printer};
use crate::select::{Info, Select};
use crate::{global, run};

const FLAGS: &[Flag] = &[
    global::RECORD,
    yes_no("all", "All objects of the type, in the namespace."),
    int("current-replicas", "-1", "Only scale an object of this size."),
    int("replicas", "0", "The new size."),
    text("resource-version", "", "Only scale an object that still has this revision."),
    duration("timeout", "0s", "How long to wait for the new size; zero does not wait."),
    global::SELECTOR,
    global::DRY_RUN,
];

pub const SCALE: Command = Command {
    name: "scale",
    usage: "[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)",
    about: "Set a new size of a deployment, replica set, replication controller, stateful set, or anything with a scale.",
    examples: "kubectl scale --replicas=3 deployment/foo\n\n# Only if it has two\nkubectl scale --current-replicas=2 --replicas=3 deployment/mysql",
    flags: &[FLAGS, global::PRINT, global::FILES],
    required: &["replicas"],
    run: run!(scale),
    ..EMPTY
};

async fn scale(call: &Call) -> Outcome {
    let flags = &call.flags;
    let replicas = flags.int("replicas");
    if replicas < 0 {
        return fail("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
    }
    if flags.given("current-replicas") && flags.int("current-replicas") < -1 {
        return fail("The --current-replicas must specify an integer of -1 or greater");
    }
    let change = Change::of(call)?;
    let mut select = Select::of(call)?;
    select.empty_selects = flags.yes("all");
    select.all = false;
    let (mut infos, mut missing) = (Vec::new(), Vec::new());
    for item in select.by(call, call.args()).await?.items {
        match item {
            Ok(info) => infos.push(info),
            Err(e) => missing.push(e),
        }
    }
    if infos.is_empty() && !missing.is_empty() {
        return Failure::many(missing);
    }
    if !flags.text("resource-version").is_empty() && infos.len() > 1 {
        return fail("cannot use --resource-version with multiple resources");
    }
    if infos.is_empty() {
        return fail("no objects passed to scale");
    }
    let mut printer = Printer::of_change(call, "scaled")?;
    for mut info in infos {
        if change.dry == DryRun::Client {
            info.object["spec"]["replicas"] = replicas.into();
        } else {
            one(call, &change, &info, replicas).await?;
            change.record(call, &info).await?;
        }
        if flags.seconds("timeout") > 0.0 && change.dry == DryRun::None {
            until_sized(call, &info, replicas).await?;
        }
        out(&printer.print(&info.object)?);
    }
    Failure::many(missing)
}

async fn one(call: &Call, change: &Change, info: &Info, replicas: i64) -> Outcome {
    let flags = &call.flags;
    let (api, path) = (call.api().await?, format!("{}/scale", info.path()));
    let (current, version) = (flags.int("current-replicas"), flags.text("resource-version"));
    if current < 0 && version.is_empty() {
        api.patch(&change.plain_query(&path), MERGE_PATCH, &json!({"spec": {"replicas": replicas}})).await?;
        return Ok(());
    }
    let mut scale = api.get(&path).await?;
    let now = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if current >= 0 && now != current {
        return fail(format!("Expected replicas to be {current}, was {now}"));
    }
    if !version.is_empty() && api::meta::resource_version(&scale) != version {
        return fail(format!("Expected resource version to be {version}, was {}", api::meta::resource_version(&scale)));
    }
    scale["spec"]["replicas"] = replicas.into();
    api.put(&change.plain_query(&path), &scale).await?;
    Ok(())
}

/// Waits until the status says the size.
async fn until_sized(call: &Call, info: &Info, replicas: i64) -> Outcome {
    let sized = |object: &Value| object["status"]["replicas"].as_i64().unwrap_or(0) == replicas && object["status"]["observedGeneration"].as_i64().unwrap_or(0) >= api::meta::generation(object);
    let waiting = super::wait::follow(call, info, |object| Ok(object.is_some_and(&sized)));
    match tokio::time::timeout(call.flags.duration("timeout"), waiting).await {
        Ok(result) => result.map(drop),
        Err(_) => fail("timed out waiting for the condition"),
    }
}

const AUTO_FLAGS: &[Flag] = &[
    int("min", "-1", "The least size."),
    int("max", "-1", "The greatest size."),
    int("cpu-percent", "-1", "CPU use to aim at, in percent of what pods request.").deprecated("Use --cpu with percentage or resource quantity format (e.g., '70%' for utilization or '500m' for milliCPU)."),
    text("cpu", "", "CPU use to aim at: an amount (500m) or a percentage (80%)."),
    text("memory", "", "Memory use to aim at: an amount (200Mi) or a percentage (80%)."),
    text("name", "", "The autoscaler's name; the object's unless said."),
    global::SAVE_CONFIG,
    global::RECORD,
    global::DRY_RUN,
    global::field_manager("kubectl-autoscale"),
];

pub const AUTOSCALE: Command = Command {
    name: "autoscale",
    usage: "(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu=CPU] [--memory=MEMORY]",
    about: "Create an autoscaler for a deployment, replica set, stateful set or replication controller.",
    examples: "kubectl autoscale deployment foo --min=2 --max=10",
    flags: &[AUTO_FLAGS, global::PRINT, global::FILES],
    required: &["max"],
    run: run!(autoscale),
    ..EMPTY
};

/// The target that a flag names: a percentage of what pods request, or an amount; bare numbers are millicores and mebibytes.
// Upstream: parseResourceInput.
fn target(name: &str, given: &str) -> Outcome<Value> {
    let given = given.trim();
    if let Some(percent) = given.strip_suffix('%') {
        return match percent.parse::<i32>() {
            Ok(percent) if percent >= 0 => Ok(json!({"type": "Utilization", "averageUtilization": percent})),
            _ => fail(format!("invalid percentage value: {percent}")),
        };
    }
    let amount = if given.parse::<f64>().is_ok() { format!("{given}{}", if name == "cpu" { "m" } else { "Mi" }) } else { given.to_owned() };
    match quantity::canonical(&amount) {
        Ok(amount) => Ok(json!({"type": "AverageValue", "averageValue": amount})),
        Err(_) => fail(format!("invalid resource {name} value: {given}")),
    }
}

fn metrics(flags: &Flags) -> Outcome<Vec<Value>> {
    let metric = |name: &str, target: Value| json!({"type": "Resource", "resource": {"name": name, "target": target}});
    let mut all = Vec::new();
    if flags.int("cpu-percent") > 0 {
        all.push(metric("cpu", json!({"type": "Utilization", "averageUtilization": flags.int("cpu-percent")})));
    }
    for name in ["cpu", "memory"] {
        if !flags.text(name).is_empty() {
            all.push(metric(name, target(name, flags.text(name))?));
        }
    }
    Ok(all)
}

/// What is said where the server refuses: upstream then tries autoscaling/v1, which knows CPU percentages alone.
// Upstream: canCreateHPAV1 reads --cpu and nothing else.
fn refused(flags: &Flags, failure: Failure) -> Failure {
    let why = match flags.text("cpu").trim() {
        "" => "empty input",
        cpu if cpu.ends_with('%') && flags.text("memory").is_empty() => return if failure.reason().is_empty() { Failure::Text(failure.message()) } else { failure },
        _ => "%!w(<nil>)",
    };
    Failure::Text(format!("failed to create autoscaling/v2 HPA and the configuration is incompatible with autoscaling/v1: {why}"))
}

async fn autoscale(call: &Call) -> Outcome {
    let flags = &call.flags;
    let (min, max) = (flags.int("min"), flags.int("max"));
    if max < 1 {
        return fail(format!("--max=MAXPODS is required and must be at least 1, max: {max}"));
    }
    if max < min {
        return fail(format!("--max=MAXPODS must be larger or equal to --min=MINPODS, max: {max}, min: {min}"));
    }
    if flags.int("cpu-percent") > 0 && !flags.text("cpu").is_empty() {
        return fail("--cpu-percent and --cpu are mutually exclusive");
    }
    let metrics = metrics(flags)?;
    let change = Change::of(call)?;
    let mut printer = Printer::of_change(call, "autoscaled")?.typed();
    let items = Select::of(call)?.by(call, call.args()).await?.items;
    if items.is_empty() {
        return fail("no objects passed to autoscale");
    }
    for item in items {
        let info = item?;
        let r = &info.resource;
        if !r.subresources.iter().any(|s| s == "scale") {
            return fail(format!("cannot autoscale a {}: no kind \"{}\" is registered with a scale", r.kind, r.kind));
        }
        let name = if flags.text("name").is_empty() { info.name.clone() } else { flags.text("name").to_owned() };
        let mut spec = json!({"maxReplicas": max, "scaleTargetRef": {"apiVersion": r.api_version(), "kind": r.kind, "name": info.name}});
        if min > 0 {
            spec["minReplicas"] = min.into();
        }
        if !metrics.is_empty() {
            spec["metrics"] = json!(metrics);
        }
        let mut made = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec, "status": {"currentMetrics": null, "desiredReplicas": 0}});
        update_last_applied(&mut made, flags.yes("save-config"));
        if change.dry != DryRun::Client {
            let path = format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers", info.namespace);
            made = call.api().await?.post(&change.plain_query(&path), &made).await.map_err(|e| refused(flags, e))?;
        }
        out(&printer.print(&made)?);
    }
    Ok(())
}
