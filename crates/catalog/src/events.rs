//! The `events.k8s.io` group: the objects of core's `events` under newer names.

use serde_json::Value;

use crate::resource::{Conversion, GarbagePolicy, Resource};
use crate::{core, walk};

/// Names that differ: here, in the core group.
const NAMES: [(&str, &str); 7] = [
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

pub fn resources() -> Vec<Resource> {
    let mut event = Resource::new("events.k8s.io", "v1", "Event", "events", true).short(&["ev"]).garbage(GarbagePolicy::Unsupported).select(&[
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ]);
    event.table = "/registry/events".into();
    event.stored_group = "".into();
    event.conversion = Some(Conversion { from_stored, to_stored });
    event.rules.validate = |object, old| core::event_rules::validate_strictly(&to_stored(object.clone()), old.map(|old| to_stored(old.clone())).as_ref());
    event.rules.columns = core::event::event_columns();
    event.rules.cells = |object, now| (core::event::resource().rules.cells)(&to_stored(object.clone()), now);
    vec![event]
}

fn rename(object: &mut Value, from: impl Fn(&(&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(map) = object.as_object_mut() else { return };
    for pair in &NAMES {
        let (old, new) = from(pair);
        if let Some(value) = map.remove(old) {
            map.insert(new.to_owned(), value);
        }
    }
}

fn from_stored(mut object: Value) -> Value {
    rename(&mut object, |(here, core)| (core, here));
    object["apiVersion"] = "events.k8s.io/v1".into();
    object
}

fn to_stored(mut object: Value) -> Value {
    rename(&mut object, |(here, core)| (here, core));
    object["apiVersion"] = "v1".into();
    // The core form has no null source: printers read its component.
    if walk::at(&object, "source").is_null()
        && let Some(map) = object.as_object_mut()
    {
        map.remove("source");
    }
    object
}
