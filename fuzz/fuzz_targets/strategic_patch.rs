//! Strategic merge patches of a pod: directives in odd places are errors, not panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(pod) = schema::by_kind("", "v1", "Pod") else { return };
    let Ok(patch) = codec::decode_untyped(bytes, codec::Strictness::Ignore) else { return };
    let object = serde_json::json!({"metadata": {"name": "a", "finalizers": ["x"]}, "spec": {"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": 1}]}], "tolerations": [{"key": "k"}]}});
    let _ = patch::apply_strategic(&object, patch.value, pod);
});
