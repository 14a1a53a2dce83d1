//! The `policy` group.

use serde_json::Value;

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut budget = Resource::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true)
        .short(&["pdb"])
        .status()
        .rules(|rules| {
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
