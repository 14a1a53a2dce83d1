//! What whoever writes a Job or a CronJob is told though nothing is wrong. Upstream: `pkg/api/job/warnings.go` and the
//! strategies of `pkg/registry/batch`.

use serde_json::Value;

use crate::apps::warnings::{is_changed, name};
use crate::core::pod::warnings::of_template;
use crate::walk;

const MANY_COMPLETIONS: i64 = 100_000;
const MANY_AT_ONCE: i64 = 10_000;

pub fn job(object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    if old.is_none() {
        name(&mut told, object);
    }
    if old.is_none_or(|old| is_changed(object, old)) {
        spec(&mut told, &object["spec"], "spec");
    }
    told
}

pub fn cron_job(object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    if old.is_none() {
        name(&mut told, object);
    }
    if old.is_none_or(|old| is_changed(object, old)) {
        spec(&mut told, walk::at(object, "spec.jobTemplate.spec"), "spec.jobTemplate.spec");
    }
    // A new one is refused for it. Upstream: the path says spec twice.
    if old.is_some() && walk::text(object, "spec.schedule").contains("TZ") {
        told.push("cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details".into());
    }
    told
}

fn spec(told: &mut Vec<String>, spec: &Value, path: &str) {
    if walk::text(spec, "completionMode") == "Indexed" && walk::int(spec, "completions") > MANY_COMPLETIONS && walk::int(spec, "parallelism") > MANY_AT_ONCE {
        told.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    let within = if path == "spec" { "spec.template." } else { "spec.jobTemplate.spec.template." };
    of_template(told, &spec["template"], within);
}
