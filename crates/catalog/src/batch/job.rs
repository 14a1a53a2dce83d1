//! Jobs.

use api::field::{FieldError, FieldErrors, Path};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::check;
use crate::columns::{age, columns, containers, name, selector};
use crate::core::pod::defaults::template;
use crate::resource::Resource;
use crate::walk::{self, fill, fill_text};

pub fn resource() -> Resource {
    Resource::new("batch", "v1", "Job", "jobs", true)
        .in_all()
        .status()
        .select(&["status.successful"])
        .rules(|rules| {
            rules.default = default;
            rules.validate = validate;
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

/// Upstream: `pkg/apis/batch/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("spec");
    spec(&mut errors, walk::at(object, "spec"), old.map(|o| walk::at(o, "spec")), &path);
    let selector = walk::at(object, "spec.selector");
    check::label_selector(&mut errors, selector, &path.child("selector"));
    let labels = walk::at(object, "spec.template.metadata.labels");
    if let Ok(wanted) = api::selector::LabelSelector::from_value(selector)
        && !wanted.matches(|key| labels.get(key).and_then(Value::as_str))
    {
        errors.push(FieldError::invalid(&path.child("template").child("metadata").child("labels"), labels.clone(), "`selector` does not match template `labels`"));
    }
    let Some(old) = old else { return errors };
    check::immutable(&mut errors, &path.child("selector"), selector, walk::at(old, "spec.selector"));
    for key in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        check::immutable(&mut errors, &path.child(key), walk::at(walk::at(object, "spec"), key), walk::at(walk::at(old, "spec"), key));
    }
    let elastic = walk::text(old, "spec.completionMode") == "Indexed" && walk::at(object, "spec.completions") == walk::at(object, "spec.parallelism");
    if !elastic {
        check::immutable(&mut errors, &path.child("completions"), walk::at(object, "spec.completions"), walk::at(old, "spec.completions"));
    }
    // Upstream: a job that waits may still be told where its pods go.
    let waiting = walk::flag(old, "spec.suspend") && walk::text(old, "status.startTime").is_empty();
    if !waiting {
        check::immutable(&mut errors, &path.child("template"), walk::at(object, "spec.template"), walk::at(old, "spec.template"));
    }
    errors
}

/// A job's spec but its selector; also of the jobs of a CronJob.
pub(super) fn spec(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    for key in ["parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimitPerIndex", "maxFailedIndexes"] {
        check::non_negative(errors, spec, key, path);
    }
    check::maybe_one_of(errors, &path.child("completionMode"), walk::text(spec, "completionMode"), &["Indexed", "NonIndexed"]);
    if walk::text(spec, "completionMode") == "Indexed" {
        if walk::at(spec, "completions").is_null() {
            errors.push(FieldError::required(&path.child("completions"), "when completion mode is Indexed"));
        }
        let parallelism = walk::int(spec, "parallelism");
        if parallelism > 100_000 {
            errors.push(FieldError::invalid(&path.child("parallelism"), parallelism, "must be less than or equal to 100000 when completion mode is Indexed"));
        }
    }
    check::maybe_one_of(errors, &path.child("podReplacementPolicy"), walk::text(spec, "podReplacementPolicy"), &["Failed", "TerminatingOrFailed"]);
    let template = walk::at(spec, "template");
    if old.is_none_or(|old| walk::at(old, "template") != template) {
        crate::core::pod::validate::template(errors, template, &path.child("template"));
    }
    let policy = walk::text(template, "spec.restartPolicy");
    let policy_path = path.child("template").child("spec").child("restartPolicy");
    if !matches!(policy, "OnFailure" | "Never") {
        errors.push(FieldError::required(&policy_path, "valid values: \"OnFailure\", \"Never\""));
    } else if walk::at(spec, "podFailurePolicy").is_object() && policy != "Never" {
        errors.push(FieldError::invalid(&policy_path, policy, "only \"Never\" is supported when podFailurePolicy is specified"));
    }
}
