//! Schemas of custom resources: any JSON builds a type, and any JSON is conformed to it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let Ok(schema) = codec::decode_untyped(&bytes[..cut], codec::Strictness::Ignore) else { return };
    let of = schema::custom_type("fuzz", Some(&schema.value));
    if let Ok(decoded) = codec::decode_json(bytes.get(cut + 1..).unwrap_or_default(), &of, codec::Strictness::Collect) {
        let _ = codec::conform(decoded.value, &of, codec::Strictness::Ignore);
    }
});
