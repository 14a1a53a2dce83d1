//! Templates of charts: any source renders or is an error, within the engine's budget.
#![no_main]

use charts::render::{ReleaseInfo, RenderInput};
use charts::{Chart, File, Metadata};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|source: &[u8]| {
    let template = File { name: "templates/a.yaml".into(), data: source.to_vec() };
    let chart = Chart { metadata: Metadata { name: "app".into(), version: "1.0.0".into(), ..Metadata::default() }, templates: vec![template], ..Chart::default() };
    let Value::Object(values) = json!({"app": {"a": [1, 2.5, "x", null]}, "n": -3, "s": "text", "t": true}) else { return };
    let values: Map<String, Value> = values;
    let _ = charts::render(&RenderInput::new(&chart, &values, ReleaseInfo::default()));
});
