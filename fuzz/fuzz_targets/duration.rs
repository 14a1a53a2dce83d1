//! Durations: what is read and shown is read to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(nanos) = gotime::parse(text) {
        assert_eq!(gotime::parse(&gotime::shown(nanos)), Ok(nanos));
    }
});
