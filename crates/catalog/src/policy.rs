//! The `policy` group.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::check;
use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut budget = Resource::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true)
        .short(&["pdb"])
        .status()
        .rules(|rules| {
            rules.validate = |object, _| {
                let mut errors = FieldErrors::new();
                let path = Path::new("spec");
                let (least, most) = (walk::at(object, "spec.minAvailable"), walk::at(object, "spec.maxUnavailable"));
                if !least.is_null() && !most.is_null() {
                    errors.push(FieldError::invalid(&path, walk::at(object, "spec").clone(), "minAvailable and maxUnavailable cannot be both set"));
                }
                for (key, value) in [("minAvailable", least), ("maxUnavailable", most)] {
                    check::count_or_percent(&mut errors, &path.child(key), value);
                    check::not_over_100_percent(&mut errors, &path.child(key), value);
                }
                check::label_selector(&mut errors, walk::at(object, "spec.selector"), &path.child("selector"));
                check::maybe_one_of(&mut errors, &path.child("unhealthyPodEvictionPolicy"), walk::text(object, "spec.unhealthyPodEvictionPolicy"), &["AlwaysAllow", "IfHealthyBudget"]);
                errors
            };
            rules.validate_status = |object, _| {
                let (mut errors, status) = (FieldErrors::new(), walk::at(object, "status"));
                check::conditions(&mut errors, walk::list(status, "conditions"), &Path::new("status.conditions"));
                for key in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
                    check::non_negative(&mut errors, status, key, &Path::new("status"));
                }
                errors
            };
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                if old.is_none() {
                    object["status"] = serde_json::json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
                }
            }
        })
        .columns(columns(&["Name", "Min Available", "Max Unavailable", "Allowed Disruptions#", "Age"]), |object, now| {
            let amount = |path: &str| match walk::at(object, path) {
                Value::Null => "N/A".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            vec![name(object), amount("spec.minAvailable").into(), amount("spec.maxUnavailable").into(), walk::int(object, "status.disruptionsAllowed").into(), age(object, now)]
        });
    budget.table = "/registry/poddisruptionbudgets".into();
    vec![budget]
}
