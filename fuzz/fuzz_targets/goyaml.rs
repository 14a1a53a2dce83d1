//! YAML as Go reads and writes it: what was written is read again, and written to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = goyaml::from_yaml_strict(text);
    if let Ok(value) = goyaml::from_yaml(text) {
        let written = goyaml::to_yaml(&value);
        let again = goyaml::from_yaml(&written).unwrap_or_else(|error| panic!("{error:?} in {written:?}"));
        assert_eq!(goyaml::to_yaml(&again), written);
        let _ = goyaml::to_yaml_pretty(&value);
    }
});
