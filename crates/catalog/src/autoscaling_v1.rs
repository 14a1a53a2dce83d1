//! The first version of horizontal pod autoscalers: what it cannot say travels in annotations, in a form of their own.
//!
//! Upstream: `pkg/apis/autoscaling/v1/conversion.go` and `pkg/apis/autoscaling/annotations.go`.

use api::meta;
use serde_json::{Map, Value, json};

use crate::walk;

/// Metrics but that of the processor.
pub const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// Upstream: `DropRoundTripHorizontalPodAutoscalerAnnotations`.
pub fn drop_annotations(object: &mut Value) {
    for key in [METRICS, CURRENT, BEHAVIOR, CONDITIONS] {
        if let Some(annotations) = walk::existing_mut(object, "metadata.annotations") {
            annotations.remove(key);
            if annotations.is_empty()
                && let Some(metadata) = walk::existing_mut(object, "metadata")
            {
                metadata.remove("annotations");
            }
        }
    }
}

/// Of v2 as it is stored.
pub fn from_v2(mut object: Value) -> Value {
    object["apiVersion"] = "autoscaling/v1".into();
    drop_annotations(&mut object);
    let mut notes = Vec::new();
    if let Some(spec) = walk::existing_mut(&mut object, "spec") {
        let metrics = spec.remove("metrics").unwrap_or_default();
        if let Some(percent) = items(&metrics).iter().find(|metric| is_processor(metric)).map(|metric| walk::at(metric, "resource.target.averageUtilization")).filter(|p| p.is_number()) {
            spec.insert("targetCPUUtilizationPercentage".into(), percent.clone());
        }
        let others: Vec<_> = items(&metrics).iter().filter(|metric| !is_percent(metric)).map(|metric| old_metric(metric, "target")).collect();
        notes.extend((!others.is_empty()).then(|| (METRICS, list(&others))));
        notes.extend(spec.remove("behavior").filter(Value::is_object).map(|behavior| (BEHAVIOR, old_behavior(&behavior))));
    }
    if let Some(status) = walk::existing_mut(&mut object, "status") {
        let [current, conditions] = ["currentMetrics", "conditions"].map(|key| status.remove(key).unwrap_or_default());
        let percent = items(&current).iter().filter(|metric| is_processor(metric)).map(|metric| walk::at(metric, "resource.current.averageUtilization")).find(|p| p.is_number());
        if let Some(percent) = percent {
            status.insert("currentCPUUtilizationPercentage".into(), percent.clone());
        }
        let shown: Vec<_> = items(&current).iter().map(|metric| old_metric(metric, "current")).collect();
        notes.extend((!shown.is_empty()).then(|| (CURRENT, list(&shown))));
        let told: Vec<_> = items(&conditions).iter().map(|condition| picked(condition, &["type", "status", "lastTransitionTime", "reason", "message"])).collect();
        notes.extend((!told.is_empty()).then(|| (CONDITIONS, list(&told))));
        walk::fill(status, "currentReplicas", 0);
        walk::fill(status, "desiredReplicas", 0);
    }
    for (key, text) in notes {
        meta::set_annotation(&mut object, key, &text);
    }
    object
}

/// As v2 says it, and as it is stored.
pub fn to_v2(mut object: Value) -> Value {
    object["apiVersion"] = "autoscaling/v2".into();
    let noted = |object: &Value, key: &str| meta::annotation(object, key).and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
    let [others, current, behavior, conditions] = [METRICS, CURRENT, BEHAVIOR, CONDITIONS].map(|key| noted(&object, key));
    drop_annotations(&mut object);
    if let Some(spec) = walk::existing_mut(&mut object, "spec") {
        let mut metrics: Vec<_> = items(&others).iter().map(|metric| new_metric(metric, "target")).collect();
        if let Some(percent) = spec.remove("targetCPUUtilizationPercentage").filter(Value::is_number) {
            metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}));
        }
        if !metrics.is_empty() {
            spec.insert("metrics".into(), metrics.into());
        }
        if let Some(behavior) = new_behavior(&behavior) {
            spec.insert("behavior".into(), behavior);
        }
    }
    if let Some(status) = walk::existing_mut(&mut object, "status") {
        let percent = status.remove("currentCPUUtilizationPercentage").filter(Value::is_number);
        let metrics: Vec<_> = items(&current).iter().map(|metric| new_metric(metric, "current")).collect();
        let processor = percent.map(|percent| vec![json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}})]);
        if let Some(metrics) = Some(metrics).filter(|metrics| !metrics.is_empty()).or(processor) {
            status.insert("currentMetrics".into(), metrics.into());
        }
        if conditions.is_array() {
            status.insert("conditions".into(), conditions);
        }
    }
    object
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_processor(metric: &Value) -> bool {
    walk::text(metric, "resource.name") == "cpu"
}

fn is_percent(metric: &Value) -> bool {
    is_processor(metric) && walk::at(metric, "resource.target.averageUtilization").is_number()
}

/// The key of a metric's source by its type.
fn source_of(metric: &Value) -> &'static str {
    match walk::text(metric, "type") {
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "External" => "external",
        _ => "",
    }
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.join(","))
}

/// An object with its members in this order; what is nothing is left out.
fn object(members: &[(&str, Value)]) -> String {
    let members: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| format!("{key:?}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn picked(value: &Value, keys: &[&str]) -> String {
    object(&keys.iter().map(|key| (*key, walk::at(value, key).clone())).collect::<Vec<_>>())
}

/// A metric (`target`) or what was measured (`current`) as v1 writes it. An amount that cannot be left out is nothing.
fn old_metric(metric: &Value, part: &str) -> String {
    let key = source_of(metric);
    let (source, wanted) = (walk::at(metric, key), part == "target");
    let amount = |name: &str| walk::at(walk::at(source, part), name).clone();
    let certain = |name: &str| if amount(name).is_null() { json!("0") } else { amount(name) };
    let (name, selector) = (walk::at(source, "metric.name").clone(), walk::at(source, "metric.selector").clone());
    let names = |target: &'static str, current: &'static str| if wanted { target } else { current };
    let average = names("targetAverageValue", "currentAverageValue");
    let percent = names("targetAverageUtilization", "currentAverageUtilization");
    let measured = |name: &str| if wanted { amount(name) } else { certain(name) };
    let shown = match key {
        "object" => {
            let target = walk::at(source, "describedObject").clone();
            object(&[("target", target), ("metricName", name), (names("targetValue", "currentValue"), certain("value")), ("selector", selector), ("averageValue", amount("averageValue"))])
        }
        "pods" => object(&[("metricName", name), (average, certain("averageValue")), ("selector", selector)]),
        "resource" => object(&[("name", walk::at(source, "name").clone()), (percent, amount("averageUtilization")), (average, measured("averageValue"))]),
        "containerResource" => {
            let [name, container] = ["name", "container"].map(|key| walk::at(source, key).clone());
            object(&[("name", name), (percent, amount("averageUtilization")), (average, measured("averageValue")), ("container", container)])
        }
        "external" => object(&[("metricName", name), ("metricSelector", selector), (names("targetValue", "currentValue"), measured("value")), (average, amount("averageValue"))]),
        _ => return object(&[("type", walk::at(metric, "type").clone())]),
    };
    format!(r#"{{"type":{},"{key}":{shown}}}"#, walk::at(metric, "type"))
}

fn new_metric(metric: &Value, part: &str) -> Value {
    let key = source_of(metric);
    let (source, wanted) = (walk::at(metric, key), part == "target");
    let word = |name: &str| format!("{part}{name}");
    let [value, average, percent] = ["Value", "AverageValue", "AverageUtilization"].map(|name| walk::at(source, &word(name)).clone());
    let selector = if key == "external" { "metricSelector" } else { "selector" };
    let named = || without_nothing(json!({"name": walk::at(source, "metricName"), "selector": walk::at(source, selector)}));
    let (kind, amounts) = match key {
        "object" => {
            let average = walk::at(source, "averageValue").clone();
            (if average.is_null() { "Value" } else { "AverageValue" }, json!({"value": value, "averageValue": average}))
        }
        "pods" => ("AverageValue", json!({"averageValue": average})),
        "external" => (if value.is_null() { "AverageValue" } else { "Value" }, json!({"value": value, "averageValue": average})),
        _ => (if percent.is_null() { "AverageValue" } else { "Utilization" }, json!({"averageValue": average, "averageUtilization": percent})),
    };
    let mut amounts = without_nothing(amounts);
    if wanted {
        amounts["type"] = kind.into();
    }
    let made = match key {
        "" => return json!({"type": walk::at(metric, "type")}),
        "object" => json!({"describedObject": walk::at(source, "target"), "metric": named(), part: amounts}),
        "pods" | "external" => json!({"metric": named(), part: amounts}),
        _ => without_nothing(json!({"name": walk::at(source, "name"), "container": walk::at(source, "container"), part: amounts})),
    };
    json!({"type": walk::at(metric, "type"), key: made})
}

fn without_nothing(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
}

/// Names of behavior as v2 and as the annotation has them.
const DIRECTIONS: [(&str, &str); 2] = [("scaleUp", "ScaleUp"), ("scaleDown", "ScaleDown")];
const RULES: [(&str, &str); 4] = [("stabilizationWindowSeconds", "StabilizationWindowSeconds"), ("selectPolicy", "SelectPolicy"), ("policies", "Policies"), ("tolerance", "Tolerance")];
const POLICY: [(&str, &str); 3] = [("type", "Type"), ("value", "Value"), ("periodSeconds", "PeriodSeconds")];

/// Upstream writes its own form here, with all that is left out.
fn old_behavior(behavior: &Value) -> String {
    renamed(behavior, &DIRECTIONS, |_, rules| {
        if !rules.is_object() {
            return Value::Null.to_string();
        }
        renamed(rules, &RULES, |key, rule| match rule.as_array() {
            Some(policies) if key == "policies" => list(&policies.iter().map(|policy| renamed(policy, &POLICY, |_, value| value.to_string())).collect::<Vec<_>>()),
            _ => rule.to_string(),
        })
    })
}

fn renamed(value: &Value, names: &[(&str, &str)], show: impl Fn(&str, &Value) -> String) -> String {
    let members: Vec<_> = names.iter().map(|(key, name)| format!("{name:?}:{}", show(key, walk::at(value, key)))).collect();
    format!("{{{}}}", members.join(","))
}

/// None where nothing is said. Upstream reads names in any case.
fn new_behavior(behavior: &Value) -> Option<Value> {
    let said = named(behavior, &DIRECTIONS, |_, rules| {
        named(rules, &RULES, |key, rule| match rule.as_array() {
            Some(policies) if key == "policies" => policies.iter().map(|policy| named(policy, &POLICY, |_, value| value.clone())).collect::<Vec<_>>().into(),
            _ => rule.clone(),
        })
    });
    Some(said).filter(|said| said.as_object().is_some_and(|said| !said.is_empty()))
}

fn named(value: &Value, names: &[(&str, &str)], read: impl Fn(&str, &Value) -> Value) -> Value {
    let Some(members) = value.as_object() else { return value.clone() };
    let found = |key: &str| members.iter().find(|(name, value)| name.eq_ignore_ascii_case(key) && !value.is_null()).map(|(_, value)| read(key, value));
    names.iter().filter_map(|(key, _)| Some(((*key).to_owned(), found(key)?))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{from_v2, to_v2};

    fn v2() -> Value {
        let target = json!({"kind": "Deployment", "name": "d"});
        json!({
            "apiVersion": "autoscaling/v2", "metadata": {"name": "a"},
            "spec": {"scaleTargetRef": target, "maxReplicas": 3, "minReplicas": 1, "behavior": {"scaleUp": {"stabilizationWindowSeconds": 3, "selectPolicy": "Max", "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}}, "metrics": [
                {"type": "Object", "object": {"describedObject": target, "metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}}, "target": {"type": "AverageValue", "value": "0", "averageValue": "3"}}},
                {"type": "Pods", "pods": {"metric": {"name": "p"}, "target": {"type": "AverageValue", "averageValue": "3"}}},
                {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 3}}},
                {"type": "External", "external": {"metric": {"name": "e"}, "target": {"type": "Value", "value": "7"}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]},
            "status": {"currentReplicas": 1, "desiredReplicas": 2, "conditions": [{"type": "AbleToScale", "status": "True"}], "currentMetrics": [
                {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 3, "averageValue": "30m"}}},
                {"type": "External", "external": {"metric": {"name": "e"}, "current": {"value": "7"}}}]},
        })
    }

    #[test]
    fn the_first_version_says_the_rest_in_annotations() {
        let old = from_v2(v2());
        assert_eq!((&old["spec"]["targetCPUUtilizationPercentage"], &old["status"]["currentCPUUtilizationPercentage"]), (&json!(50), &json!(3)));
        let note = |key: &str| old["metadata"]["annotations"][format!("autoscaling.alpha.kubernetes.io/{key}")].as_str().unwrap_or_default().to_owned();
        assert_eq!(note("behavior"), r#"{"ScaleUp":{"StabilizationWindowSeconds":3,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}],"Tolerance":null},"ScaleDown":null}"#);
        assert!(note("metrics").contains(r#"{"type":"Pods","pods":{"metricName":"p","targetAverageValue":"3"}}"#), "{}", note("metrics"));
        assert!(note("metrics").ends_with(r#"{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}]"#), "{}", note("metrics"));
        assert!(note("current-metrics").starts_with(r#"[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":3,"currentAverageValue":"30m"}}"#));
        assert_eq!(note("conditions"), r#"[{"type":"AbleToScale","status":"True"}]"#);
    }

    #[test]
    fn nothing_is_lost_on_the_way_and_back() {
        assert_eq!(to_v2(from_v2(v2())), v2());
    }
}
