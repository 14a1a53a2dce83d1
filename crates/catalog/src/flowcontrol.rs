//! The `flowcontrol.apiserver.k8s.io` group.

use serde_json::{Value, json};

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::{flowcontrol_rules, walk};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

pub fn resources() -> Vec<Resource> {
    let flow = Resource::new(GROUP, "v1", "FlowSchema", "flowschemas", false).status().rules(|rules| {
        rules.default = default_flow;
        rules.validate = flowcontrol_rules::flow_schema;
        rules.validate_status = flowcontrol_rules::conditions;
        rules.prepare = |object, old| walk::own_status(object, old, json!({}));
    }).columns(
        columns(&["Name", "PriorityLevel", "MatchingPrecedence#", "DistinguisherMethod", "Age", "MissingPL"]),
        |object, now| {
            let method = match walk::text(object, "spec.distinguisherMethod.type") {
                "" => "<none>",
                method => method,
            };
            let dangling = walk::list(object, "status.conditions").iter().find(|c| walk::text(c, "type") == "Dangling").map_or("?", |c| walk::text(c, "status"));
            vec![
                name(object),
                walk::text(object, "spec.priorityLevelConfiguration.name").into(),
                walk::int(object, "spec.matchingPrecedence").into(),
                method.into(),
                age(object, now),
                dangling.into(),
            ]
        },
    );
    let level = Resource::new(GROUP, "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations", false).status().rules(|rules| {
        rules.default = default_level;
        rules.validate = flowcontrol_rules::priority_level;
        rules.validate_status = flowcontrol_rules::conditions;
        rules.prepare = |object, old| walk::own_status(object, old, json!({}));
    }).columns(
        columns(&["Name", "Type", "NominalConcurrencyShares", "Queues", "HandSize", "QueueLengthLimit", "Age"]),
        |object, now| {
            let number = |path: &str| walk::at(object, path).as_i64().map_or("<none>".to_owned(), |n| n.to_string()).into();
            vec![
                name(object),
                walk::text(object, "spec.type").into(),
                number("spec.limited.nominalConcurrencyShares"),
                number("spec.limited.limitResponse.queuing.queues"),
                number("spec.limited.limitResponse.queuing.handSize"),
                number("spec.limited.limitResponse.queuing.queueLengthLimit"),
                age(object, now),
            ]
        },
    );
    vec![flow, level]
}

fn default_flow(object: &mut Value) {
    if let Some(spec) = walk::existing_mut(object, "spec") {
        walk::fill_number(spec, "matchingPrecedence", 1000);
    }
}

/// Upstream: `pkg/apis/flowcontrol/v1/defaults.go`.
fn default_level(object: &mut Value) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    if let Some(limited) = walk::child(spec, "limited") {
        walk::fill(limited, "nominalConcurrencyShares", 30);
        walk::fill(limited, "lendablePercent", 0);
        if let Some(queuing) = walk::child(limited, "limitResponse").and_then(|r| walk::child(r, "queuing")) {
            for (key, value) in [("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)] {
                walk::fill_number(queuing, key, value);
            }
        }
    }
    if spec.get("type").is_some_and(|t| t == "Exempt")
        && let Some(exempt) = walk::made(spec, "exempt")
    {
        walk::fill(exempt, "nominalConcurrencyShares", 0);
        walk::fill(exempt, "lendablePercent", 0);
    }
}
