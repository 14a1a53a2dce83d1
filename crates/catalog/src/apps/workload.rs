//! What controllers of pods have in common: a selector that must match the template, and bounds on counts.
//!
//! Upstream: `pkg/apis/apps/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::selector::LabelSelector;
use serde_json::Value;

use crate::core::pod::validate::template;
use crate::{check, walk};

/// Selector and template of what keeps a count of pods that are alike.
///
/// Upstream: `ValidatePodTemplateSpecForReplicaSet`; sets of replicas name deployments where their selector is empty.
pub fn replicated(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    let (selector, pods) = (walk::at(spec, "selector"), path.child("template"));
    self::selector(errors, selector, "deployment", &path.child("selector"));
    match fits(selector, walk::at(spec, "template")) {
        None => errors.push(FieldError::invalid(&path.child("selector"), selector.clone(), "invalid label selector")),
        Some(fit) => {
            if !fit {
                errors.push(apart(walk::at(spec, "template"), &pods));
            }
            changed_template(errors, spec, old, &pods);
            always(errors, walk::at(spec, "template"), &pods, "ReplicaSet");
        }
    }
}

/// A selector that has to be there and to say something.
pub fn selector(errors: &mut FieldErrors, selector: &Value, kind: &str, path: &Path) {
    if !selector.is_object() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    check::label_selector(errors, selector, path);
    if check::is_empty_selector(selector) {
        errors.push(empty(selector, kind, path));
    }
}

pub fn empty(selector: &Value, kind: &str, path: &Path) -> FieldError {
    FieldError::invalid(path, selector.clone(), format!("empty selector is invalid for {kind}"))
}

/// Whether the selector takes the template's pods; none where it cannot be read.
///
/// Upstream: `LabelSelectorAsSelector`, for which no selector takes nothing and an empty one everything.
pub fn fits(selector: &Value, template: &Value) -> Option<bool> {
    if !selector.is_object() {
        return Some(false);
    }
    let mut faults = FieldErrors::new();
    check::label_selector(&mut faults, selector, &Path::default());
    let labels = walk::at(template, "metadata.labels");
    let selector = LabelSelector::from_value(selector).ok().filter(|_| faults.is_empty())?;
    Some(selector.matches(|key| labels.get(key).and_then(Value::as_str)))
}

/// The fault of a template whose labels the selector does not take.
pub fn apart(template: &Value, path: &Path) -> FieldError {
    let labels = walk::at(template, "metadata.labels");
    let fault = FieldError::invalid(&path.child("metadata").child("labels"), labels.clone(), "`selector` does not match template `labels`");
    // Upstream: no map at all prints without quotes.
    if labels.is_null() { fault.shown_as(labels.to_string()) } else { fault }
}

/// A template that an older server let in may stay.
pub fn changed_template(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    let pods = walk::at(spec, "template");
    if old.is_none_or(|old| walk::at(old, "template") != pods) {
        template(errors, pods, path);
    }
}

/// Pods of a controller that keeps a count run for good.
pub fn always(errors: &mut FieldErrors, template: &Value, path: &Path, kind: &str) {
    let policy = walk::text(template, "spec.restartPolicy");
    if policy != "Always" {
        errors.push(FieldError::not_supported(&path.child("spec").child("restartPolicy"), policy, &["Always"]));
    }
    if !walk::at(template, "spec.activeDeadlineSeconds").is_null() {
        errors.push(FieldError::forbidden(&path.child("spec").child("activeDeadlineSeconds"), format!("activeDeadlineSeconds in {kind} is not Supported")));
    }
}

/// How many may be missing or more while rolling.
pub fn rolling(errors: &mut FieldErrors, update: &Value, path: &Path) {
    for key in ["maxUnavailable", "maxSurge"] {
        check::count_or_percent(errors, &path.child(key), walk::at(update, key));
    }
}

/// A strategy in the form in which upstream's errors tell it: its own names in their order, and nothing left out.
pub fn told(strategy: &Value, parts: [(&str, &str, Value); 2]) -> String {
    let update = walk::at(strategy, "rollingUpdate");
    let rolling = if update.is_object() { told_update(update, parts) } else { Value::Null.to_string() };
    format!(r#"{{"Type":{},"RollingUpdate":{rolling}}}"#, walk::at(strategy, "type"))
}

/// The same for what is said of rolling: each key, its name, and what stands where it is left out.
pub fn told_update(update: &Value, parts: [(&str, &str, Value); 2]) -> String {
    let told = parts.map(|(key, name, unset)| format!("{name:?}:{}", update.get(key).filter(|value| !value.is_null()).unwrap_or(&unset)));
    format!("{{{}}}", told.join(","))
}

/// What a deployment's and a daemon set's strategy say of rolling, for `told`.
pub fn surging() -> [(&'static str, &'static str, Value); 2] {
    [("maxUnavailable", "MaxUnavailable", 0.into()), ("maxSurge", "MaxSurge", 0.into())]
}
