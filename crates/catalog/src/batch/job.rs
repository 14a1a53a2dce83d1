//! Jobs.

use api::field::{FieldError, FieldErrors, Path};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{job_rules, job_status, job_update};
use crate::apps::workload;
use crate::check;
use crate::columns::{age, columns, containers, name, selector};
use crate::core::pod::{defaults::template, disabled};
use crate::resource::{GarbagePolicy, Resource};
use crate::walk::{self, fill, fill_text};

/// Upstream: `pkg/registry/batch/job/storage/storage.go`.
const PODS_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";

pub fn resource() -> Resource {
    Resource::new("batch", "v1", "Job", "jobs", true)
        .in_all()
        .status()
        .select(&["status.successful"])
        .garbage(GarbagePolicy::Orphan(Some(PODS_STAY)))
        .rules(|rules| {
            rules.default = default;
            rules.validate = validate;
            rules.warn = super::warnings::job;
            rules.validate_status = job_status::validate;
            rules.prepare = prepare;
        })
        .columns(columns(&["Name", "Status", "Completions", "Duration", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![name(object), job_status(object).into(), completions(object).into(), duration(object, now).into(), age(object, now), names, images, selector(walk::at(object, "spec.selector"))]
        })
}

fn job_status(object: &Value) -> &'static str {
    let has = |kind: &str| walk::list(object, "status.conditions").iter().any(|c| walk::text(c, "type") == kind && walk::text(c, "status") == "True");
    // Upstream: in this order, deletion before the rest.
    if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if api::meta::is_deleting(object) {
        "Terminating"
    } else if has("Suspended") {
        "Suspended"
    } else if has("FailureTarget") {
        "FailureTarget"
    } else if has("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(object: &Value) -> String {
    let done = walk::int(object, "status.succeeded");
    match walk::at(object, "spec.completions").as_i64() {
        Some(wanted) => format!("{done}/{wanted}"),
        None => match walk::int(object, "spec.parallelism") {
            parallelism if parallelism > 1 => format!("{done}/1 of {parallelism}"),
            _ => format!("{done}/1"),
        },
    }
}

fn duration(object: &Value, now: Timestamp) -> String {
    let Some(start) = api::time::parse(walk::text(object, "status.startTime")) else { return String::new() };
    let end = api::time::parse(walk::text(object, "status.completionTime")).unwrap_or(now);
    api::time::human_duration(end.as_second() - start.as_second())
}

/// Labels that tie pods to their job; the second form of each is what older clients read.
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// Upstream: `pkg/apis/batch/v1/defaults.go`.
fn default(object: &mut Value) {
    template(object, "spec.template");
    let labels = walk::at(object, "spec.template.metadata.labels").clone();
    if labels.is_object()
        && walk::map(object, "metadata.labels").is_none_or(Map::is_empty)
        && let Some(metadata) = walk::existing_mut(object, "metadata")
    {
        metadata.insert("labels".into(), labels);
    }
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    let given = |spec: &Map<String, Value>, key: &str| spec.get(key).is_some_and(|v| !v.is_null());
    if !given(spec, "completions") && !given(spec, "parallelism") {
        spec.insert("completions".into(), 1.into());
    }
    fill(spec, "parallelism", 1);
    let unbounded = given(spec, "backoffLimitPerIndex");
    fill(spec, "backoffLimit", if unbounded { i32::MAX } else { 6 });
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    default_failure_policy(spec);
    let policy = if given(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    fill(spec, "podReplacementPolicy", policy);
}

pub(super) fn default_failure_policy(spec: &mut Map<String, Value>) {
    let Some(policy) = walk::child(spec, "podFailurePolicy") else { return };
    for rule in walk::items(policy, "rules") {
        for pattern in walk::items(rule, "onPodConditions") {
            fill_text(pattern, "status", "True");
        }
    }
}

/// Upstream: `generateSelector` of `pkg/registry/batch/job/strategy.go`. Labels a user gave stay, so that validation sees them.
fn prepare(object: &mut Value, old: Option<&Value>) {
    walk::own_status(object, old, json!({}));
    // WorkloadWithJob is off.
    walk::drop_new(object, old, "spec", "scheduling");
    disabled::drop(object, old, "spec.template.spec");
    if old.is_some() || walk::flag(object, "spec.manualSelector") {
        return;
    }
    let (uid, name) = (api::meta::uid(object).to_owned(), api::meta::name(object).to_owned());
    if let Some(labels) = walk::object_mut(object, "spec.template.metadata.labels") {
        for (keys, value) in [(UID_LABELS, &uid), (NAME_LABELS, &name)] {
            for key in keys {
                fill(labels, key, value.as_str());
            }
        }
    }
    if let Some(labels) = walk::object_mut(object, "spec.selector.matchLabels") {
        fill(labels, UID_LABELS[0], uid);
    }
}

/// Upstream: `ValidateJob` and `ValidateJobUpdate` in `pkg/apis/batch/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("spec");
    if old.is_none() {
        generated_labels(&mut errors, object, &path);
    }
    job_rules::spec(&mut errors, walk::at(object, "spec"), old.map(|o| walk::at(o, "spec")), &path);
    let selector = walk::at(object, "spec.selector");
    if selector.is_object() {
        check::label_selector(&mut errors, selector, &path.child("selector"));
    } else {
        errors.push(FieldError::required(&path.child("selector"), ""));
    }
    let template = walk::at(object, "spec.template");
    if workload::fits(selector, template) == Some(false) {
        errors.push(workload::apart(template, &path.child("template")));
    }
    match old {
        None => pod_names(&mut errors, object),
        Some(old) => job_update::check(&mut errors, object, old, &path),
    }
    errors
}

/// Labels that tie pods to their job are as they were made, unless the user sees to the selector.
fn generated_labels(errors: &mut FieldErrors, object: &Value, path: &Path) {
    if walk::flag(object, "spec.manualSelector") || !walk::at(object, "spec.selector").is_object() {
        return;
    }
    let labels = walk::at(object, "spec.template.metadata.labels");
    let list = path.child("template").child("metadata").child("labels");
    let (uid, name) = (api::meta::uid(object), api::meta::name(object));
    let wanted = [(UID_LABELS[1], uid), (NAME_LABELS[1], name), (UID_LABELS[0], uid), (NAME_LABELS[0], name)];
    for (key, value) in wanted {
        match labels.get(key).and_then(Value::as_str) {
            None => errors.push(FieldError::required(&list.key(key), format!("must be '{value}'"))),
            Some(other) if other != value => errors.push(FieldError::invalid(&list.key(key), labels.clone(), format!("must be '{value}'"))),
            Some(_) => {}
        }
    }
    let selector = walk::at(object, "spec.selector");
    let made = |key: &str| wanted.iter().find(|(label, _)| *label == key).map(|(_, value)| *value);
    if api::selector::LabelSelector::from_value(selector).is_ok_and(|selector| !selector.matches(made)) {
        errors.push(FieldError::invalid(&path.child("selector"), selector.clone(), "`selector` not auto-generated"));
    }
}

/// The pods of an indexed job are called by its name and their index, which must be a name of DNS.
fn pod_names(errors: &mut FieldErrors, object: &Value) {
    let count = walk::int(object, "spec.completions");
    if !job_rules::is_indexed(walk::at(object, "spec")) || count <= 0 {
        return;
    }
    let longest = format!("{}-{}", api::meta::name(object), count - 1);
    if !api::names::dns1123_label(&longest).is_empty() {
        errors.push(FieldError::invalid(&Path::new("metadata.name"), api::meta::name(object), format!("will not able to create pod with invalid DNS label: {longest}")));
    }
}
