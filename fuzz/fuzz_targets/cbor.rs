//! CBOR bodies: decoding never panics, and what was decoded is encoded and decoded to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(once) = codec::decode_cbor(bytes) else { return };
    assert_eq!(codec::decode_cbor(&codec::encode_cbor(&once, None)).expect("its own bytes decode"), once);
    if let Some(secret) = schema::by_kind("", "v1", "Secret") {
        let _ = codec::encode_cbor(&once, Some(secret));
    }
});
