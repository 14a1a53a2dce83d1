//! YAML bodies: aliases, nesting, odd scalars; never a panic, never long.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = codec::decode_yaml(text, codec::Strictness::Collect);
    let _ = codec::split_documents(text);
});
