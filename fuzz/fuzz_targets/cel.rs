//! CEL: any source compiles or is refused; what compiles runs within its budget.
#![no_main]

use cel::{Env, Type, Value, Vars};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    let env = Env::kubernetes().variable("self", Type::Dyn);
    let Ok(program) = env.compile(source) else { return };
    let json = serde_json::json!({"a": [1, "x", {"b": 2.5}], "s": "text", "n": null});
    let Ok(value) = Value::json(&json, &cel::Decl::DYN) else { return };
    let _ = program.evaluate(&Vars::new().with("self", value), 10_000);
});
