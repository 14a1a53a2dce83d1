//! The `autoscaling` group. `v2` is stored; `v1` is the same object seen through fewer fields.

use serde_json::{Value, json};

use crate::columns::{age, columns, name};
use crate::resource::{Conversion, Resource};
use crate::{autoscaling_rules, autoscaling_v1, walk};

pub fn resources() -> Vec<Resource> {
    let mut v1 = horizontal("v1");
    v1.stored_version = "v2".into();
    v1.conversion = Some(Conversion { from_stored: autoscaling_v1::from_v2, to_stored: autoscaling_v1::to_v2 });
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

fn as_v2(object: &Value) -> Value {
    let v1 = walk::text(object, "apiVersion") == "autoscaling/v1";
    if v1 { autoscaling_v1::to_v2(object.clone()) } else { object.clone() }
}

/// Upstream: `pkg/apis/autoscaling/v2/defaults.go`; v1 says its one metric in a field of its own.
fn default(object: &mut Value) {
    let v1 = walk::text(object, "apiVersion") == "autoscaling/v1";
    if !v1 {
        autoscaling_v1::drop_annotations(object);
    }
    let others = api::meta::annotation(object, autoscaling_v1::METRICS).is_some();
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
