//! The `batch` group.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::columns::{age, age_of, columns, containers, name, or_none, selector};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    vec![cron_job(), job()]
}

fn own_status(object: &mut Value, old: Option<&Value>) {
    walk::keep(object, old, "status");
    if old.is_none() {
        object["status"] = json!({});
    }
}

fn cron_job() -> Resource {
    Resource::new("batch", "v1", "CronJob", "cronjobs", true)
        .short(&["cj"])
        .in_all()
        .status()
        .rules(|rules| rules.prepare = own_status)
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

fn job() -> Resource {
    Resource::new("batch", "v1", "Job", "jobs", true)
        .in_all()
        .status()
        .select(&["status.successful"])
        .rules(|rules| rules.prepare = own_status)
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
