//! CronJobs.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use crate::check;
use crate::columns::{age, age_of, columns, containers, name, or_none, selector};
use crate::core::pod::defaults::template;
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
            rules.prepare = |object, old| walk::own_status(object, old, json!({}));
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

/// Upstream: `ValidateCronJobSpec`. What a schedule means is its controller's to say; here its form.
fn validate(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("spec");
    let schedule = walk::text(object, "spec.schedule");
    let fields = schedule.split_whitespace().count();
    if schedule.is_empty() {
        errors.push(FieldError::required(&path.child("schedule"), ""));
    } else if schedule.contains("TZ") {
        errors.push(FieldError::invalid(&path.child("schedule"), schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
    } else if !schedule.starts_with('@') && fields != 5 {
        errors.push(FieldError::invalid(&path.child("schedule"), schedule, format!("expected exactly 5 fields, found {fields}: {:?}", schedule.split_whitespace().collect::<Vec<_>>())));
    }
    check::one_of(&mut errors, &path.child("concurrencyPolicy"), walk::text(object, "spec.concurrencyPolicy"), &["Allow", "Forbid", "Replace"]);
    for key in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        check::non_negative(&mut errors, walk::at(object, "spec"), key, &path);
    }
    super::job::spec(&mut errors, walk::at(object, "spec.jobTemplate.spec"), None, &path.child("jobTemplate").child("spec"));
    let name = api::meta::name(object);
    if name.len() > 52 {
        errors.push(FieldError::invalid(&Path::new("metadata.name"), name, "must be no more than 52 characters"));
    }
    errors
}
