//! Server-side apply of whatever decodes as a pod, twice: the second changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(pod) = schema::by_kind("", "v1", "Pod") else { return };
    let Ok(decoded) = codec::decode_json(bytes, pod, codec::Strictness::Ignore) else { return };
    let write = patch::Write { manager: "fuzz", api_version: "v1", subresource: "", now: "2026-01-01T00:00:00Z", of: pod, reset: None };
    let Ok(once) = patch::apply(None, decoded.value.clone(), false, &write) else { return };
    let _ = patch::apply(Some(&once), decoded.value, false, &write);
});
