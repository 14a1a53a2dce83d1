//! JSON patches: bounded in operations and growth, applied whole or not at all.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let object = serde_json::json!({"metadata": {"name": "a", "labels": {"a": "b"}}, "spec": {"list": [1, 2, {"x": null}], "a/b": {"c~d": true}}});
    let _ = patch::apply_json_patch(&object, bytes);
});
