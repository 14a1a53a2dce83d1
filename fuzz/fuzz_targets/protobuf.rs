//! Protobuf bodies: never a panic; what decodes encodes again and decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = codec::decode_proto(bytes);
    for (group, version, kind) in [("", "v1", "Pod"), ("apps", "v1", "Deployment"), ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")] {
        let Some(of) = schema::by_kind(group, version, kind) else { continue };
        let Ok(value) = codec::decode_message(bytes, of) else { continue };
        let Ok(again) = codec::encode_message(&value, of) else { continue };
        assert_eq!(codec::decode_message(&again, of).expect("own bytes decode"), value);
    }
});
