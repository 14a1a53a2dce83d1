//! The dialects of `--set`: any text lays values down or is an error.
#![no_main]

use charts::set::{Dialect, parse_into};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|text: &str| {
    let named = |name: &str| Ok(Value::from(name));
    for dialect in [Dialect::Typed, Dialect::Text, Dialect::Json, Dialect::Literal, Dialect::Named(&named)] {
        let mut values = Map::new();
        let _ = parse_into(text, &dialect, &mut values);
        let _ = parse_into(text, &dialect, &mut values);
    }
});
