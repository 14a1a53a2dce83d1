//! The `flowcontrol.apiserver.k8s.io` group.

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

pub fn resources() -> Vec<Resource> {
    let flow = Resource::new(GROUP, "v1", "FlowSchema", "flowschemas", false).status().columns(
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
    let level = Resource::new(GROUP, "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations", false).status().columns(
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
