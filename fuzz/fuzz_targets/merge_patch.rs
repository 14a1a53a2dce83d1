//! Merge patches: applying one twice is applying it once.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(patch) = codec::decode_untyped(bytes, codec::Strictness::Ignore) else { return };
    let mut once = serde_json::json!({"metadata": {"name": "a"}, "spec": {"list": [1], "map": {"a": {"b": 1}}}});
    patch::apply_merge_patch(&mut once, patch.value.clone());
    let mut twice = once.clone();
    patch::apply_merge_patch(&mut twice, patch.value);
    assert_eq!(once, twice);
});
