//! Deployments and their kin, jobs, autoscalers, disruption budgets.

use serde_json::Value;

use super::{Described, Writer, annotations, controller, events, int, labels, list, or_unset, pod, selector_text, text};
use crate::time::{human, parse, rfc1123};

fn start(w: &mut Writer, object: &Value) {
    w.pair(0, "Name", api::meta::name(object));
    w.pair(0, "Namespace", api::meta::namespace(object));
}

fn marks(w: &mut Writer, object: &Value) {
    labels(w, "Labels", &object["metadata"]["labels"]);
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
}

fn conditions(w: &mut Writer, object: &Value) {
    let all = list(&object["status"]["conditions"]);
    if all.is_empty() {
        return;
    }
    w.line(0, "Conditions:");
    w.line(1, "Type\tStatus\tReason");
    w.line(1, "----\t------\t------");
    for c in all {
        w.line(1, &format!("{} \t{}\t{}", text(&c["type"]), text(&c["status"]), text(&c["reason"])));
    }
}

/// `1 Running / 0 Waiting / 0 Succeeded / 0 Failed`
fn pods(of: &Described) -> String {
    let uid = api::meta::uid(of.object);
    let count = |phase: &str| of.related.get("pods").map(list).unwrap_or_default().iter().filter(|p| crate::workload::is_controlled_by(p, uid) && p["status"]["phase"] == phase).count();
    format!("{} Running / {} Waiting / {} Succeeded / {} Failed", count("Running"), count("Pending"), count("Succeeded"), count("Failed"))
}

fn sets(all: &[&Value]) -> String {
    if all.is_empty() {
        return "<none>".into();
    }
    all.iter().map(|rs| format!("{} ({}/{} replicas created)", api::meta::name(rs), int(&rs["status"]["replicas"]), int(&rs["spec"]["replicas"]))).collect::<Vec<_>>().join(", ")
}

pub fn deployment(w: &mut Writer, of: &Described) {
    let (object, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    start(w, object);
    w.pair(0, "CreationTimestamp", rfc1123(&text(&object["metadata"]["creationTimestamp"])));
    marks(w, object);
    w.pair(0, "Selector", selector_text(&spec["selector"]));
    w.pair(
        0,
        "Replicas",
        format!("{} desired | {} updated | {} total | {} available | {} unavailable", int(&spec["replicas"]), int(&status["updatedReplicas"]), int(&status["replicas"]), int(&status["availableReplicas"]), int(&status["unavailableReplicas"])),
    );
    w.pair(0, "StrategyType", text(&spec["strategy"]["type"]));
    w.pair(0, "MinReadySeconds", int(&spec["minReadySeconds"]));
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        w.pair(0, "RollingUpdateStrategy", format!("{} max unavailable, {} max surge", text(&rolling["maxUnavailable"]), text(&rolling["maxSurge"])));
    }
    pod::template(w, &spec["template"]);
    conditions(w, object);
    let uid = api::meta::uid(object);
    let owned: Vec<&Value> = of.related.get("replicasets").map(list).unwrap_or_default().iter().filter(|rs| crate::workload::is_controlled_by(rs, uid)).collect();
    let same = |rs: &Value| {
        let mut template = rs["spec"]["template"].clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        template == spec["template"]
    };
    let (new, old): (Vec<&Value>, Vec<&Value>) = owned.into_iter().partition(|rs| same(rs));
    let old: Vec<&Value> = old.into_iter().filter(|rs| int(&rs["spec"]["replicas"]) > 0 || !new.is_empty() || int(&rs["status"]["replicas"]) > 0).collect();
    w.pair(0, "OldReplicaSets", sets(&old));
    w.pair(0, "NewReplicaSet", sets(&new));
    events(w, of);
}

pub fn replica_set(w: &mut Writer, of: &Described) {
    let (object, spec) = (of.object, &of.object["spec"]);
    start(w, object);
    w.pair(0, "Selector", selector_text(&spec["selector"]));
    replicas(w, of);
}

pub fn replication_controller(w: &mut Writer, of: &Described) {
    start(w, of.object);
    w.pair(0, "Selector", of.object["spec"]["selector"].as_object().map(crate::workload::pairs).unwrap_or_default());
    replicas(w, of);
}

fn replicas(w: &mut Writer, of: &Described) {
    let (object, spec) = (of.object, &of.object["spec"]);
    marks(w, object);
    if let Some(by) = controller(object).filter(|_| object["kind"] == "ReplicaSet") {
        w.pair(0, "Controlled By", by);
    }
    w.pair(0, "Replicas", format!("{} current / {} desired", int(&object["status"]["replicas"]), int(&spec["replicas"])));
    w.pair(0, "Pods Status", pods(of));
    pod::template(w, &spec["template"]);
    conditions(w, object);
    events(w, of);
}

pub fn stateful_set(w: &mut Writer, of: &Described) {
    let (object, spec) = (of.object, &of.object["spec"]);
    start(w, object);
    w.pair(0, "CreationTimestamp", rfc1123(&text(&object["metadata"]["creationTimestamp"])));
    w.pair(0, "Selector", selector_text(&spec["selector"]));
    marks(w, object);
    for (title, key) in [("Service Name", "serviceName"), ("Pod Management Policy", "podManagementPolicy")] {
        if let Some(value) = spec[key].as_str().filter(|v| !v.is_empty()) {
            w.pair(0, title, value);
        }
    }
    w.pair(0, "Replicas", format!("{} desired | {} total", int(&spec["replicas"]), int(&object["status"]["replicas"])));
    w.pair(0, "Update Strategy", text(&spec["updateStrategy"]["type"]));
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    if let Some(partition) = rolling["partition"].as_i64() {
        w.pair(1, "Partition", partition);
        if !rolling["maxUnavailable"].is_null() {
            w.pair(1, "MaxUnavailable", text(&rolling["maxUnavailable"]));
        }
    }
    let retention = &spec["persistentVolumeClaimRetentionPolicy"];
    if retention.is_object() {
        w.line(0, "Persistent Volume Claim Retention Policy:");
        w.pair(1, "WhenDeleted", text(&retention["whenDeleted"]));
        w.pair(1, "WhenScaled", text(&retention["whenScaled"]));
    }
    w.pair(0, "Pods Status", pods(of));
    pod::template(w, &spec["template"]);
    claims(w, &spec["volumeClaimTemplates"]);
    events(w, of);
}

fn claims(w: &mut Writer, templates: &Value) {
    if list(templates).is_empty() {
        w.line(0, "Volume Claims:\t<none>");
        return;
    }
    w.line(0, "Volume Claims:");
    for claim in list(templates) {
        w.pair(1, "Name", api::meta::name(claim));
        w.pair(1, "StorageClass", text(&claim["spec"]["storageClassName"]));
        super::labels_indented(w, "  ", "Labels", "\t", &claim["metadata"]["labels"], &[]);
        super::labels_indented(w, "  ", "Annotations", "\t", &claim["metadata"]["annotations"], &[]);
        let capacity = text(&claim["spec"]["resources"]["requests"]["storage"]);
        w.pair(1, "Capacity", if capacity.is_empty() { "<default>" } else { &capacity });
        w.pair(1, "Access Modes", format!("[{}]", super::join(&claim["spec"]["accessModes"], " ")));
    }
}

pub fn daemon_set(w: &mut Writer, of: &Described) {
    let (object, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    start(w, object);
    w.pair(0, "Selector", selector_text(&spec["selector"]));
    w.pair(0, "Node-Selector", crate::print::labels_text(&spec["template"]["spec"]["nodeSelector"]));
    marks(w, object);
    for (title, key) in [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        w.line(0, &format!("{title}: {}", int(&status[key])));
    }
    w.pair(0, "Pods Status", pods(of));
    pod::template(w, &spec["template"]);
    events(w, of);
}

pub fn job(w: &mut Writer, of: &Described) {
    let (object, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    start(w, object);
    w.pair(0, "Selector", selector_text(&spec["selector"]));
    marks(w, object);
    if let Some(by) = controller(object) {
        w.pair(0, "Controlled By", by);
    }
    if !spec["parallelism"].is_null() {
        w.pair(0, "Parallelism", int(&spec["parallelism"]));
    }
    w.pair(0, "Completions", or_unset(&spec["completions"]));
    if !spec["completionMode"].is_null() {
        w.pair(0, "Completion Mode", text(&spec["completionMode"]));
    }
    if !spec["suspend"].is_null() {
        w.pair(0, "Suspend", spec["suspend"] == true);
    }
    w.pair(0, "Backoff Limit", or_unset(&spec["backoffLimit"]));
    if let Some(seconds) = spec["ttlSecondsAfterFinished"].as_i64() {
        w.pair(0, "TTL Seconds After Finished", seconds);
    }
    let at = |key: &str| status[key].as_str();
    if let Some(start) = at("startTime") {
        w.pair(0, "Start Time", rfc1123(start));
    }
    if let Some(end) = at("completionTime") {
        w.pair(0, "Completed At", rfc1123(end));
    }
    if let (Some(start), Some(end)) = (at("startTime").and_then(parse), at("completionTime").and_then(parse)) {
        w.pair(0, "Duration", human(end.as_second() - start.as_second()));
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64() {
        w.pair(0, "Active Deadline Seconds", format!("{seconds}s"));
    }
    let ready = status["ready"].as_i64().map(|r| format!(" ({r} Ready)")).unwrap_or_default();
    w.pair(0, "Pods Statuses", format!("{} Active{ready} / {} Succeeded / {} Failed", int(&status["active"]), int(&status["succeeded"]), int(&status["failed"])));
    if spec["completionMode"] == "Indexed" {
        let done = text(&status["completedIndexes"]);
        w.pair(0, "Completed Indexes", super::or_none(&done));
    }
    pod::template(w, &spec["template"]);
    events(w, of);
}

pub fn cron_job(w: &mut Writer, of: &Described) {
    let (object, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    start(w, object);
    marks(w, object);
    w.pair(0, "Schedule", text(&spec["schedule"]));
    w.pair(0, "Concurrency Policy", text(&spec["concurrencyPolicy"]));
    w.pair(0, "Suspend", if spec["suspend"].is_null() { "<unset>" } else { super::title_bool(spec["suspend"] == true) });
    w.pair(0, "Time Zone", or_unset(&spec["timeZone"]));
    w.pair(0, "Successful Job History Limit", or_unset(&spec["successfulJobsHistoryLimit"]));
    w.pair(0, "Failed Job History Limit", or_unset(&spec["failedJobsHistoryLimit"]));
    w.pair(0, "Starting Deadline Seconds", spec["startingDeadlineSeconds"].as_i64().map_or_else(|| "<unset>".to_owned(), |s| format!("{s}s")));
    let template = &spec["jobTemplate"]["spec"];
    w.pair(0, "Selector", if template["selector"].is_object() { selector_text(&template["selector"]) } else { "<unset>".into() });
    w.pair(0, "Parallelism", or_unset(&template["parallelism"]));
    w.pair(0, "Completions", or_unset(&template["completions"]));
    if let Some(seconds) = template["activeDeadlineSeconds"].as_i64() {
        w.pair(0, "Active Deadline Seconds", format!("{seconds}s"));
    }
    pod::template(w, &template["template"]);
    w.pair(0, "Last Schedule Time", status["lastScheduleTime"].as_str().map_or_else(|| "<unset>".to_owned(), rfc1123));
    let active: Vec<String> = list(&status["active"]).iter().map(|a| text(&a["name"])).collect();
    w.pair(0, "Active Jobs", super::or_none(&active.join(", ")));
    events(w, of);
}

pub fn autoscaler(w: &mut Writer, of: &Described) {
    let (object, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    start(w, object);
    marks(w, object);
    w.pair(0, "CreationTimestamp", rfc1123(&text(&object["metadata"]["creationTimestamp"])));
    w.pair(0, "Reference", format!("{}/{}", text(&spec["scaleTargetRef"]["kind"]), text(&spec["scaleTargetRef"]["name"])));
    w.line(0, "Metrics:\t( current / target )");
    for (i, metric) in list(&spec["metrics"]).iter().enumerate() {
        let now = list(&status["currentMetrics"]).get(i).unwrap_or(&Value::Null);
        one_metric(w, metric, now);
    }
    w.pair(0, "Min replicas", or_unset(&spec["minReplicas"]));
    w.pair(0, "Max replicas", int(&spec["maxReplicas"]));
    if spec["behavior"].is_object() {
        w.line(0, "Behavior:");
        for (direction, key) in [("Up", "scaleUp"), ("Down", "scaleDown")] {
            scaling(w, direction, &spec["behavior"][key]);
        }
    }
    let kind = text(&spec["scaleTargetRef"]["kind"]);
    w.pair(0, &format!("{kind} pods"), format!("{} current / {} desired", int(&status["currentReplicas"]), int(&status["desiredReplicas"])));
    let all = list(&status["conditions"]);
    if !all.is_empty() {
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus\tReason\tMessage");
        w.line(1, "----\t------\t------\t-------");
        for c in all {
            w.line(1, &format!("{}\t{}\t{}\t{}", text(&c["type"]), text(&c["status"]), text(&c["reason"]), text(&c["message"])));
        }
    }
    events(w, of);
}

fn scaling(w: &mut Writer, direction: &str, rules: &Value) {
    if !rules.is_object() {
        return;
    }
    w.line(1, &format!("Scale {direction}:"));
    if let Some(seconds) = rules["stabilizationWindowSeconds"].as_i64() {
        w.line(2, &format!("Stabilization Window: {seconds} seconds"));
    }
    if !list(&rules["policies"]).is_empty() {
        w.line(2, &format!("Select Policy: {}", rules["selectPolicy"].as_str().unwrap_or("Max")));
        w.line(2, "Policies:");
        for policy in list(&rules["policies"]) {
            w.line(3, &format!("- Type: {}\tValue: {}\tPeriod: {} seconds", text(&policy["type"]), int(&policy["value"]), int(&policy["periodSeconds"])));
        }
    }
}

fn one_metric(w: &mut Writer, metric: &Value, now: &Value) {
    let unknown = || "<unknown>".to_owned();
    if metric["type"] == "Resource" || metric["type"] == "ContainerResource" {
        let field = if metric["type"] == "Resource" { "resource" } else { "containerResource" };
        let (of, current) = (&metric[field], &now[field]["current"]);
        let value = |v: &Value| text(v);
        if of["target"]["averageValue"].is_null() {
            let shown = match current["averageUtilization"].as_i64() {
                Some(percent) => format!("{percent}% ({})", value(&current["averageValue"])),
                None => unknown(),
            };
            let target = of["target"]["averageUtilization"].as_i64().map_or_else(|| "<auto>".to_owned(), |p| format!("{p}%"));
            w.line(1, &format!("resource {} on pods  (as a percentage of request):\t{shown} / {target}", text(&of["name"])));
        } else {
            let shown = if current["averageValue"].is_null() { unknown() } else { value(&current["averageValue"]) };
            w.line(1, &format!("resource {} on pods:\t{shown} / {}", text(&of["name"]), value(&of["target"]["averageValue"])));
        }
        return;
    }
    let (field, on) = match metric["type"].as_str() {
        Some("Pods") => ("pods", " on pods".to_owned()),
        Some("Object") => ("object", format!(" on {}/{} (target value)", text(&metric["object"]["describedObject"]["kind"]), text(&metric["object"]["describedObject"]["name"]))),
        Some("External") => ("external", " (target value)".to_owned()),
        other => {
            w.line(1, &format!("<unknown metric type {:?}>", other.unwrap_or_default()));
            return;
        }
    };
    let of = &metric[field];
    let key = if of["target"]["averageValue"].is_null() { "value" } else { "averageValue" };
    let current = text(&now[field]["current"][key]);
    w.line(1, &format!("\"{}\"{on}:\t{} / {}", text(&of["metric"]["name"]), if current.is_empty() { unknown() } else { current }, text(&of["target"][key])));
}

pub fn disruption_budget(w: &mut Writer, of: &Described) {
    let (object, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    start(w, object);
    if !spec["minAvailable"].is_null() {
        w.pair(0, "Min available", text(&spec["minAvailable"]));
    } else if !spec["maxUnavailable"].is_null() {
        w.pair(0, "Max unavailable", text(&spec["maxUnavailable"]));
    }
    w.pair(0, "Selector", if spec["selector"].is_object() { selector_text(&spec["selector"]) } else { "<unset>".into() });
    w.line(0, "Status:");
    w.pair(2, "Allowed disruptions", int(&status["disruptionsAllowed"]));
    w.pair(2, "Current", int(&status["currentHealthy"]));
    w.pair(2, "Desired", int(&status["desiredHealthy"]));
    w.pair(2, "Total", int(&status["expectedPods"]));
    events(w, of);
}
