//! CronJobs.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use crate::check;
use crate::columns::{age, age_of, columns, containers, name, or_none, selector};
use crate::core::pod::{defaults::template, disabled};
use crate::resource::Resource;
use crate::walk::{self, fill, fill_text};

pub fn resource() -> Resource {
    Resource::new("batch", "v1", "CronJob", "cronjobs", true)
        .short(&["cj"])
        .in_all()
        .status()
        .rules(|rules| {
            rules.default = default;
            rules.validate = validate;
            rules.warn = super::warnings::cron_job;
            rules.prepare = |object, old| {
                walk::own_status(object, old, json!({}));
                walk::drop_new(object, old, "spec.jobTemplate.spec", "scheduling");
                disabled::drop(object, old, "spec.jobTemplate.spec.template.spec");
            };
        })
        .columns(columns(&["Name", "Schedule", "Timezone", "Suspend", "Active#", "Last Schedule", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let last = match walk::text(object, "status.lastScheduleTime") {
                "" => "<none>".to_owned(),
                at => age_of(at, now),
            };
            let [names, images] = containers(walk::at(object, "spec.jobTemplate.spec.template.spec"));
            let suspend = if walk::flag(object, "spec.suspend") { "True" } else { "False" };
            vec![
                name(object),
                walk::text(object, "spec.schedule").into(),
                or_none(walk::text(object, "spec.timeZone")),
                suspend.into(),
                walk::list(object, "status.active").len().into(),
                last.into(),
                age(object, now),
                names,
                images,
                selector(walk::at(object, "spec.jobTemplate.spec.selector")),
            ]
        })
}

/// Upstream: `pkg/apis/batch/v1/defaults.go`. The job in it is filled when it is made.
fn default(object: &mut Value) {
    template(object, "spec.jobTemplate.spec.template");
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    fill_text(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    if let Some(job) = walk::child(spec, "jobTemplate").and_then(|t| walk::child(t, "spec")) {
        super::job::default_failure_policy(job);
    }
}

/// Upstream: `validateCronJobSpec`. What a schedule means is its controller's to say; here its form.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let before = old.map(|old| walk::at(old, "spec"));
    schedule(&mut errors, spec, before, &path.child("schedule"));
    check::non_negative(&mut errors, spec, "startingDeadlineSeconds", &path);
    let zone = walk::at(spec, "timeZone");
    if let Some(name) = zone.as_str()
        && before.is_none_or(|before| walk::at(before, "timeZone") != zone)
    {
        super::time_zone::validate(&mut errors, name, &path.child("timeZone"));
    }
    check::one_of(&mut errors, &path.child("concurrencyPolicy"), walk::text(spec, "concurrencyPolicy"), &["Allow", "Forbid", "Replace"]);
    job(&mut errors, walk::at(spec, "jobTemplate.spec"), before.map(|before| walk::at(before, "jobTemplate.spec")), &path.child("jobTemplate").child("spec"));
    for key in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        check::non_negative(&mut errors, spec, key, &path);
    }
    let name = api::meta::name(object);
    // Upstream: one that was made with a longer name may still change.
    if old.is_none() && name.len() > 52 {
        errors.push(FieldError::invalid(&Path::new("metadata.name"), name, "must be no more than 52 characters"));
    }
    errors
}

fn schedule(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    let schedule = walk::text(spec, "schedule");
    let fields = schedule.split_whitespace().count();
    let had_zone = old.is_some_and(|old| walk::text(old, "schedule").contains("TZ"));
    if schedule.is_empty() {
        return errors.push(FieldError::required(path, ""));
    }
    let mut say = |fault: String| errors.push(FieldError::invalid(path, schedule, fault));
    if schedule.contains("TZ") {
        match had_zone {
            true if walk::at(spec, "timeZone").is_string() => say("cannot use both timeZone field and TZ or CRON_TZ in schedule".into()),
            true => {}
            false => say("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".into()),
        }
    } else if !schedule.starts_with('@') && fields != 5 {
        // As Go prints a list of words.
        let words: Vec<_> = schedule.split_whitespace().collect();
        say(format!("expected exactly 5 fields, found {fields}: [{}]", words.join(" ")));
    }
}

fn job(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    super::job_rules::spec(errors, spec, old, path);
    let selector = walk::at(spec, "selector");
    if selector.is_object() {
        errors.push(FieldError::invalid(&path.child("selector"), selector.clone(), "`selector` will be auto-generated"));
    }
    if walk::flag(spec, "manualSelector") {
        errors.push(FieldError::not_supported(&path.child("manualSelector"), true, &["nil", "false"]));
    }
}
