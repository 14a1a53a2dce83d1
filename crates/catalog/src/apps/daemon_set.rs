//! DaemonSets.

use serde_json::{Value, json};

use crate::columns::{age, columns, containers, labels, name, selector};
use crate::core::pod::defaults::template;
use crate::resource::Resource;
use crate::walk::{self, fill, fill_text, made};

pub fn resource() -> Resource {
    Resource::new("apps", "v1", "DaemonSet", "daemonsets", true)
        .short(&["ds"])
        .in_all()
        .status()
        .rules(|rules| {
            rules.default = default;
            rules.prepare = |object, old| walk::own_status(object, old, json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}));
        })
        .columns(columns(&["Name", "Desired#", "Current#", "Ready#", "Up-to-date#", "Available#", "Node Selector", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let count = |path| walk::int(object, path).into();
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![
                name(object),
                count("status.desiredNumberScheduled"),
                count("status.currentNumberScheduled"),
                count("status.numberReady"),
                count("status.updatedNumberScheduled"),
                count("status.numberAvailable"),
                labels(walk::at(object, "spec.template.spec.nodeSelector")),
                age(object, now),
                names,
                images,
                selector(walk::at(object, "spec.selector")),
            ]
        })
}

/// Upstream: `pkg/apis/apps/v1/defaults.go`.
fn default(object: &mut Value) {
    template(object, "spec.template");
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    if let Some(strategy) = made(spec, "updateStrategy") {
        fill_text(strategy, "type", "RollingUpdate");
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = made(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", 1);
            fill(rolling, "maxSurge", 0);
        }
    }
    fill(spec, "revisionHistoryLimit", 10);
}
