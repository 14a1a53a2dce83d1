//! CronJobs.

use serde_json::{Value, json};

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
