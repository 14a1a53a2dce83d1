//! JSON bodies: typed and untyped decoding never panic, and what was decoded is encoded and decoded to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = codec::decode_untyped(bytes, codec::Strictness::Collect);
    let Some(pod) = schema::by_kind("", "v1", "Pod") else { return };
    if let Ok(once) = codec::decode_json(bytes, pod, codec::Strictness::Collect) {
        let text = serde_json::to_vec(&once.value).expect("a value has a text");
        let twice = codec::decode_json(&text, pod, codec::Strictness::Ignore).expect("its own text decodes");
        assert_eq!(once.value, twice.value);
    }
});
