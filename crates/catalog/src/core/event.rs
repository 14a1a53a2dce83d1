//! Events, in the core group's form; `events.k8s.io` shows the same objects under its own names.

use serde_json::Value;

use crate::columns::{age_of, columns};
use crate::resource::{Column, GarbagePolicy, Resource};
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "Event", "events", true)
        .short(&["ev"])
        .garbage(GarbagePolicy::Unsupported)
        // `events.k8s.io` selects by position in this list: new names go to its end.
        .select(&[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
            "source",
        ])
        .rules(|rules| {
            // Upstream: what older clients call their events is not judged.
            rules.name = |_| Vec::new();
            rules.validate = super::event_rules::validate;
        })
        .columns(event_columns(), cells)
}

pub fn event_columns() -> Vec<Column> {
    columns(&["Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message", "+First Seen", "+Count#", "+Name"])
}

fn cells(object: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let first = [walk::text(object, "firstTimestamp"), walk::text(object, "eventTime")].into_iter().find(|t| !t.is_empty()).unwrap_or_default();
    let last = [walk::text(object, "series.lastObservedTime"), walk::text(object, "lastTimestamp"), first].into_iter().find(|t| !t.is_empty()).unwrap_or_default();
    let involved = |key| walk::text(object, key);
    let target = match involved("involvedObject.name") {
        "" => involved("involvedObject.kind").to_lowercase(),
        name => format!("{}/{name}", involved("involvedObject.kind").to_lowercase()),
    };
    let source = match (involved("source.component"), involved("source.host")) {
        ("", _) => involved("reportingComponent").to_owned(),
        (component, "") => component.to_owned(),
        (component, host) => format!("{component}, {host}"),
    };
    let count = walk::int(object, "series.count").max(walk::int(object, "count")).max(1);
    vec![
        age_of(last, now).into(),
        walk::text(object, "type").into(),
        walk::text(object, "reason").into(),
        target.into(),
        involved("involvedObject.fieldPath").into(),
        source.into(),
        walk::text(object, "message").trim().into(),
        age_of(first, now).into(),
        count.into(),
        api::meta::name(object).into(),
    ]
}
