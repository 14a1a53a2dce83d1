//! What of many objects a request selects, as those who judge are told.
//!
//! Upstream: apiserver `pkg/endpoints/filters/authorization.go`, `plugin/pkg/authorizer/webhook/webhook.go`;
//! `pkg/apis/authorization/validation`. Selectors only narrow, so what of them cannot be told is left out.

use api::selector::{FieldSelector, LabelSelector, Requirement};
use api::{FieldError, Path, names};
use serde_json::{Value, json};

use api::request::Info;

/// Which of a request's two selectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Fields,
    Labels,
}

/// A selector, read when somebody wants to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    #[default]
    None,
    Text(String),
    Requirements(Vec<Value>),
}

impl Selection {
    pub fn of(text: &str) -> Self {
        if text.is_empty() { Self::None } else { Self::Text(text.to_owned()) }
    }

    /// Out of a review's `fieldSelector` or `labelSelector`.
    pub fn of_review(selector: &Value) -> Self {
        match (selector["rawSelector"].as_str(), selector["requirements"].as_array()) {
            (Some(text), _) if !text.is_empty() => Self::of(text),
            (_, Some(requirements)) => Self::Requirements(requirements.clone()),
            _ => Self::None,
        }
    }

    /// As reviews write them; empty where nothing is selected, or nothing that can be told.
    pub fn requirements(&self, of: Of) -> Vec<Value> {
        match (self, of) {
            (Self::None, _) => Vec::new(),
            (Self::Requirements(given), Of::Fields) => given.iter().filter(|r| is_known(r) && of_one_value(r)).cloned().collect(),
            (Self::Requirements(given), Of::Labels) => given.iter().filter(|r| is_known(r)).cloned().collect(),
            (Self::Text(text), Of::Fields) => {
                let terms = FieldSelector::parse(text).unwrap_or_default().0;
                terms.into_iter().map(|(field, equal, value)| json!({"key": field, "operator": if equal { "In" } else { "NotIn" }, "values": [value]})).collect()
            }
            (Self::Text(text), Of::Labels) => LabelSelector::parse(text).unwrap_or_default().0.into_iter().filter_map(label).collect(),
        }
    }
}

fn is_known(requirement: &Value) -> bool {
    matches!(requirement["operator"].as_str(), Some("In" | "NotIn" | "Exists" | "DoesNotExist"))
}

/// Upstream: a field selector of this server holds one value for each field, `FieldSelectorAsSelector` tells no other.
fn of_one_value(requirement: &Value) -> bool {
    matches!(requirement["operator"].as_str(), Some("In" | "NotIn")) && requirement["values"].as_array().is_some_and(|values| values.len() == 1)
}

fn label(requirement: Requirement) -> Option<Value> {
    let sorted = |mut values: Vec<String>| {
        values.sort();
        values
    };
    Some(match requirement {
        Requirement::In(key, values) => json!({"key": key, "operator": "In", "values": sorted(values)}),
        Requirement::NotIn(key, values) => json!({"key": key, "operator": "NotIn", "values": sorted(values)}),
        Requirement::Exists(key) => json!({"key": key, "operator": "Exists"}),
        Requirement::DoesNotExist(key) => json!({"key": key, "operator": "DoesNotExist"}),
        Requirement::Greater(..) | Requirement::Less(..) => return None,
    })
}

/// The selectors of a request. Upstream: requests of the old form `/watch/...` have none.
pub fn of_request(info: &Info) -> (Selection, Selection) {
    (Selection::of(&info.field_selector), Selection::of(&info.label_selector))
}

/// What is wrong with the spec of a review of rights.
pub fn check_spec(spec: &Value, of_user: bool) -> Vec<FieldError> {
    let (root, mut errors) = (Path::new("spec"), Vec::new());
    let (resource, other) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    match (resource.is_object(), other.is_object()) {
        (true, true) => errors.push(FieldError::invalid(&root.child("nonResourceAttributes"), other.clone(), "cannot be specified in combination with resourceAttributes")),
        (false, false) => errors.push(FieldError::invalid(&root.child("resourceAttributes"), Value::Null, "exactly one of nonResourceAttributes or resourceAttributes must be specified")),
        _ => {}
    }
    let has_groups = ["groups", "group"].iter().any(|key| spec[*key].as_array().is_some_and(|g| !g.is_empty()));
    if of_user && spec["user"].as_str().unwrap_or_default().is_empty() && !has_groups {
        errors.push(FieldError::invalid(&root.child("user"), "", "at least one of user or group must be specified"));
    }
    for (field, of) in [("fieldSelector", Of::Fields), ("labelSelector", Of::Labels)] {
        if resource[field].is_object() {
            check(&resource[field], of, &root.child("resourceAttributes").child(field), &mut errors);
        }
    }
    errors
}

fn check(selector: &Value, of: Of, path: &Path, errors: &mut Vec<FieldError>) {
    let raw = selector["rawSelector"].as_str().unwrap_or_default();
    let requirements: &[Value] = selector["requirements"].as_array().map_or(&[], Vec::as_slice);
    match (raw.is_empty(), requirements.is_empty()) {
        (false, false) => errors.push(FieldError::invalid(&path.child("rawSelector"), raw, "may not specified at the same time as requirements")),
        (true, true) => errors.push(FieldError::required(&path.child("requirements"), format!("when {path} is specified, requirements or rawSelector is required"))),
        _ => {}
    }
    for (i, requirement) in requirements.iter().enumerate() {
        let at = path.child("requirements").index(i);
        let key = requirement["key"].as_str().unwrap_or_default();
        if matches!(of, Of::Fields) && key.is_empty() {
            errors.push(FieldError::required(&at.child("key"), "must be specified"));
        }
        let has_values = requirement["values"].as_array().is_some_and(|v| !v.is_empty());
        // Upstream: operators that are not known here may be those of newer clients.
        match requirement["operator"].as_str().unwrap_or_default() {
            "In" | "NotIn" if !has_values => errors.push(FieldError::required(&at.child("values"), "must be specified when `operator` is 'In' or 'NotIn'")),
            "Exists" | "DoesNotExist" if has_values => errors.push(FieldError::forbidden(&at.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")),
            _ => {}
        }
        if matches!(of, Of::Labels) {
            errors.extend(names::qualified_name(key).into_iter().map(|why| FieldError::invalid(&at.child("key"), key, why)));
            for (j, value) in requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str).enumerate() {
                errors.extend(names::label_value(value).into_iter().map(|why| FieldError::invalid(&at.child("values").index(j), value, why)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_told_as_requirements() {
        let fields = Selection::of("spec.nodeName=a,status.phase!=Failed").requirements(Of::Fields);
        assert_eq!(fields, [json!({"key": "spec.nodeName", "operator": "In", "values": ["a"]}), json!({"key": "status.phase", "operator": "NotIn", "values": ["Failed"]})]);
        let labels = Selection::of("a=b,c in (z,y),!d,e,f>1").requirements(Of::Labels);
        let told: Vec<String> = labels.iter().map(|r| format!("{} {} {}", r["key"], r["operator"], r["values"])).collect();
        assert_eq!(told, [r#""a" "In" ["b"]"#, r#""c" "In" ["y","z"]"#, r#""d" "DoesNotExist" null"#, r#""e" "Exists" null"#]);
        assert_eq!(Selection::of("a=b=c").requirements(Of::Labels), Vec::<Value>::new());
        let given = Selection::of_review(&json!({"requirements": [{"key": "a", "operator": "New"}, {"key": "b", "operator": "In", "values": ["c"]}]}));
        assert_eq!(given.requirements(Of::Fields), [json!({"key": "b", "operator": "In", "values": ["c"]})]);
    }

    #[test]
    fn faults_of_reviews_are_told() {
        let told = |resource: Value| check_spec(&json!({"resourceAttributes": resource}), false).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(told(json!({"fieldSelector": {"rawSelector": "foo", "requirements": [{"key": "a", "operator": "Exists"}]}})), "spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: \"foo\": may not specified at the same time as requirements");
        assert_eq!(told(json!({"labelSelector": {}})), "spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required");
        assert!(told(json!({"fieldSelector": {"requirements": [{"operator": "In"}]}})).contains("requirements[0].key: Required value: must be specified"));
        assert_eq!(told(json!({"labelSelector": {"requirements": [{"key": "a", "operator": "In", "values": ["-"]}]}})).split(": ").next(), Some("spec.resourceAttributes.labelSelector.requirements[0].values[0]"));
        assert_eq!(check_spec(&json!({}), true)[1].to_string(), "spec.user: Invalid value: \"\": at least one of user or group must be specified");
        assert!(check_spec(&json!({}), true)[0].to_string().contains("exactly one of nonResourceAttributes or resourceAttributes must be specified"));
        assert!(check_spec(&json!({"resourceAttributes": {}, "nonResourceAttributes": {}}), false)[0].to_string().contains("cannot be specified in combination with resourceAttributes"));
    }
}
