//! The `autoscaling` group. `v2` is stored; `v1` is the same object seen through fewer fields.

use serde_json::{Value, json};

use crate::columns::{age, columns, name};
use crate::resource::{Conversion, Resource};
use crate::{autoscaling_rules, walk};

pub fn resources() -> Vec<Resource> {
    let mut v1 = horizontal("v1");
    v1.stored_version = "v2".into();
    v1.conversion = Some(Conversion { from_stored: to_v1, to_stored: to_v2 });
    vec![horizontal("v2"), v1]
}

fn horizontal(version: &'static str) -> Resource {
    Resource::new("autoscaling", version, "HorizontalPodAutoscaler", "horizontalpodautoscalers", true)
        .short(&["hpa"])
        .in_all()
        // Upstream: HPAGeneration, on since 1.37.
        .status()
        .rules(|rules| {
            rules.default = default;
            // v1 is judged in the form that is stored.
            rules.validate = |object, _| autoscaling_rules::validate(&as_v2(object));
            rules.validate_status = autoscaling_rules::validate_status;
            rules.prepare = |object, old| walk::own_status(object, old, json!({"desiredReplicas": 0, "currentMetrics": null}));
        })
        .columns(columns(&["Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas#", "Age"]), |object, now| {
            let reference = format!("{}/{}", walk::text(object, "spec.scaleTargetRef.kind"), walk::text(object, "spec.scaleTargetRef.name"));
            let minimum = walk::at(object, "spec.minReplicas").as_i64().map_or("<unset>".to_owned(), |n| n.to_string());
            let maximum = walk::int(object, "spec.maxReplicas").to_string();
            vec![name(object), reference.into(), targets(object).into(), minimum.into(), maximum.into(), walk::int(object, "status.currentReplicas").into(), age(object, now)]
        })
}

/// Upstream: `formatHPAMetrics`, two shown and the rest counted.
fn targets(object: &Value) -> String {
    let (wanted, current) = (walk::list(object, "spec.metrics"), walk::list(object, "status.currentMetrics"));
    if wanted.is_empty() {
        return "<none>".into();
    }
    let mut shown: Vec<_> = wanted.iter().enumerate().map(|(i, metric)| target(metric, current.get(i).unwrap_or(&Value::Null))).collect();
    let more = shown.len().saturating_sub(2);
    shown.truncate(2);
    let text = shown.join(", ");
    if more > 0 { format!("{text} + {more} more...") } else { text }
}

fn target(metric: &Value, current: &Value) -> String {
    let (source, label) = match walk::text(metric, "type") {
        "Resource" => ("resource", format!("{}: ", walk::text(metric, "resource.name"))),
        "ContainerResource" => ("containerResource", format!("{}: ", walk::text(metric, "containerResource.name"))),
        "Pods" => ("pods", String::new()),
        "Object" => ("object", String::new()),
        "External" => ("external", String::new()),
        _ => return "<unknown type>".into(),
    };
    let (target, current) = (walk::at(metric, &format!("{source}.target")), walk::at(current, &format!("{source}.current")));
    let amount = |value: &Value| value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|n| n.to_string()));
    let utilization = walk::at(target, "averageUtilization").as_i64();
    match utilization {
        Some(percent) => {
            let now = walk::at(current, "averageUtilization").as_i64().map_or("<unknown>".into(), |n| format!("{n}%"));
            format!("{label}{now}/{percent}%")
        }
        None => {
            let key = if target.get("averageValue").is_some() { "averageValue" } else { "value" };
            let suffix = if key == "averageValue" && source == "external" { " (avg)" } else { "" };
            let now = amount(walk::at(current, key)).unwrap_or_else(|| "<unknown>".into());
            format!("{label}{now}/{}{suffix}", amount(walk::at(target, key)).unwrap_or_default())
        }
    }
}

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";

/// Upstream: what v1 cannot say travels in annotations.
fn to_v1(mut object: Value) -> Value {
    object["apiVersion"] = "autoscaling/v1".into();
    let mut others = Vec::new();
    let metrics = object.get_mut("spec").and_then(Value::as_object_mut).and_then(|spec| spec.remove("metrics"));
    for metric in metrics.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let percent = walk::at(metric, "resource.target.averageUtilization");
        if walk::text(metric, "resource.name") == "cpu" && percent.is_number() {
            object["spec"]["targetCPUUtilizationPercentage"] = percent.clone();
        } else {
            others.push(metric.clone());
        }
    }
    if !others.is_empty() {
        api::meta::set_annotation(&mut object, METRICS, &Value::Array(others).to_string());
    }
    let behavior = object.get_mut("spec").and_then(Value::as_object_mut).and_then(|spec| spec.remove("behavior"));
    if let Some(behavior) = behavior {
        api::meta::set_annotation(&mut object, "autoscaling.alpha.kubernetes.io/behavior", &behavior.to_string());
    }
    if let Some(status) = walk::existing_mut(&mut object, "status") {
        status.remove("currentMetrics");
        status.remove("conditions");
        walk::fill(status, "currentReplicas", 0);
    }
    object
}

fn as_v2(object: &Value) -> Value {
    let v1 = walk::text(object, "apiVersion") == "autoscaling/v1";
    if v1 { to_v2(object.clone()) } else { object.clone() }
}

fn to_v2(mut object: Value) -> Value {
    object["apiVersion"] = "autoscaling/v2".into();
    let annotations = walk::existing_mut(&mut object, "metadata.annotations");
    let taken = |key: &str| annotations.as_deref().and_then(|a| a.get(key)).and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let (others, behavior) = (taken(METRICS), taken("autoscaling.alpha.kubernetes.io/behavior"));
    if let Some(annotations) = walk::existing_mut(&mut object, "metadata.annotations") {
        annotations.remove(METRICS);
        annotations.remove("autoscaling.alpha.kubernetes.io/behavior");
    }
    if let Some(spec) = walk::existing_mut(&mut object, "spec") {
        let mut metrics = others.and_then(|o| o.as_array().cloned()).unwrap_or_default();
        if let Some(percent) = spec.remove("targetCPUUtilizationPercentage") {
            metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}));
        }
        if !metrics.is_empty() {
            spec.insert("metrics".into(), metrics.into());
        }
        if let Some(behavior) = behavior {
            spec.insert("behavior".into(), behavior);
        }
    }
    object
}

/// Upstream: `pkg/apis/autoscaling/v2/defaults.go`; v1 says its one metric in a field of its own.
fn default(object: &mut Value) {
    let v1 = walk::text(object, "apiVersion") == "autoscaling/v1";
    let others = api::meta::annotation(object, METRICS).is_some();
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    walk::fill(spec, "minReplicas", 1);
    if v1 {
        if !others {
            walk::fill(spec, "targetCPUUtilizationPercentage", 80);
        }
        return;
    }
    if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        spec.insert("metrics".into(), json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]));
    }
    let Some(behavior) = walk::child(spec, "behavior") else { return };
    let (by_pods, by_percent) = (json!({"type": "Pods", "value": 4, "periodSeconds": 15}), json!({"type": "Percent", "value": 100, "periodSeconds": 15}));
    if let Some(up) = walk::made(behavior, "scaleUp") {
        walk::fill(up, "stabilizationWindowSeconds", 0);
        walk::fill(up, "selectPolicy", "Max");
        walk::fill(up, "policies", json!([by_pods, by_percent]));
    }
    if let Some(down) = walk::made(behavior, "scaleDown") {
        walk::fill(down, "selectPolicy", "Max");
        walk::fill(down, "policies", json!([by_percent]));
    }
}
