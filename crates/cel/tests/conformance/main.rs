//! The CEL specification's conformance cases, as far as Kubernetes' environment goes.
//!
//! Not applicable, because the environment has no protobuf messages, enums or wrappers: `proto2`, `proto3`, `proto2_ext`, `enums`,
//! `wrappers`, and every case whose text names such a message (most of `dynamic`, parts of others). Not applicable, because
//! Kubernetes switches the library off: `math_ext`, `encoders_ext`, `block_ext`, `reverse` of strings. Not applicable, because the
//! case declares functions of its own (`tuple`). Not applicable, because Kubernetes refuses IPv4-mapped addresses on purpose.

mod textproto;
mod values;

use std::path::PathBuf;

use cel::{Env, Program, Vars};
use textproto::Node;

const FILES: [&str; 19] = [
    "basic", "bindings_ext", "comparisons", "conversions", "dynamic", "fields", "fp_math", "integer_math", "lists", "logic", "macros", "macros2", "namespace", "network_ext", "optionals", "parse", "plumbing", "string",
    "string_ext",
];
const MORE: [&str; 3] = ["timestamps", "type_deduction", "unknowns"];
/// Raised as the score rises; falling below it is a failure.
const FLOOR: f64 = 99.9;

fn oracle() -> Option<PathBuf> {
    let mut root = PathBuf::from(std::env::var_os("KNARR_ORACLE")?);
    if root.is_relative() && !root.exists() {
        root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(root);
    }
    Some(root.join("cel"))
}

/// Whether a case stays within what Kubernetes' environment has.
fn applies(test: &Node) -> bool {
    let expr = test.get("expr").map(Node::text).unwrap_or_default();
    let text = test.rendered();
    let declares = test.all("type_env").any(|t| t.get("function").is_some()) || expr.contains("::ffff:c0a8:1");
    let protos = ["TestAllTypes", "NestedTestAllTypes", "GlobalEnum", "enum_value", "wrapper", "well_known: \"ANY\"", "conformance.proto"];
    let known = expr.replace("google.protobuf.Timestamp", "").replace("google.protobuf.Duration", "");
    let messages = text.replace("[type.googleapis.com/google.protobuf.Timestamp]", "").replace("[type.googleapis.com/google.protobuf.Duration]", "");
    !declares && !text.contains("container: {google.protobuf") && !protos.iter().any(|p| text.contains(p)) && !known.contains("google.protobuf.") && !expr.contains("google.protobuf.Timestamp{") && !expr.contains("google.protobuf.Duration{") && !messages.contains("[type.googleapis.com") && !expr.contains(".reverse()")
}

fn environment(test: &Node) -> Env {
    let mut env = Env::relaxed().container(&test.get("container").map(Node::text).unwrap_or_default());
    for declared in test.all("type_env") {
        let name = declared.get("name").map(Node::text).unwrap_or_default();
        if let Some(ty) = declared.get("ident").and_then(|i| i.get("type")) {
            env = env.variable(&name, values::ty(ty));
        }
    }
    if test.get("disable_check").is_some_and(Node::is_true) {
        env = env.without_checks();
        for bound in test.all("bindings") {
            env = env.variable(&bound.get("key").map(Node::text).unwrap_or_default(), cel::Type::Dyn);
        }
    }
    if test.get("disable_macros").is_some_and(Node::is_true) { env.without_macros() } else { env }
}

fn run(test: &Node) -> Result<(), String> {
    let expr = test.get("expr").map(Node::text).unwrap_or_default();
    let program = environment(test).compile(&expr);
    let fails = test.get("eval_error").is_some() || test.get("any_eval_errors").is_some();
    let program = match program {
        Ok(program) => program,
        Err(_) if fails => return Ok(()),
        Err(e) => return Err(e.to_string()),
    };
    if let Some(deduced) = test.get("typed_result").and_then(|r| r.get("deduced_type")) {
        let (want, got) = (values::ty(deduced).to_string(), program.result_type().to_string());
        if want != got {
            return Err(format!("type {got}, want {want}"));
        }
    }
    if test.get("check_only").is_some_and(Node::is_true) {
        return Ok(());
    }
    let want = test.get("value").or_else(|| test.get("typed_result").and_then(|r| r.get("result")));
    evaluate(&program, test, want, fails)
}

fn evaluate(program: &Program, test: &Node, want: Option<&Node>, fails: bool) -> Result<(), String> {
    let names: Vec<(String, cel::Value<'_>)> =
        test.all("bindings").map(|b| (b.get("key").map(Node::text).unwrap_or_default(), b.get("value").and_then(|v| v.get("value")).map_or(cel::Value::Null, values::value))).collect();
    let vars = names.iter().fold(Vars::new(), |vars, (name, value)| vars.with(name, value.clone()));
    match (program.evaluate(&vars, u64::MAX).value, fails) {
        (Err(_), true) => Ok(()),
        (Ok(got), true) => Err(format!("{got:?}, want an error")),
        (Err(e), false) => Err(e.to_string()),
        (Ok(got), false) => {
            let want = want.map_or(cel::Value::Bool(true), values::value);
            if values::same(&got, &want) { Ok(()) } else { Err(format!("{got:?}, want {want:?}")) }
        }
    }
}

#[test]
fn specification() {
    let Some(root) = oracle() else {
        println!("skipped: KNARR_ORACLE is not set");
        return;
    };
    let (mut passed, mut total, mut beyond) = (0, 0, 0);
    for name in FILES.iter().chain(&MORE) {
        let text = std::fs::read_to_string(root.join(format!("{name}.textproto"))).expect("the cases");
        let file = textproto::parse(&text);
        let (mut good, mut of) = (0, 0);
        for section in file.all("section") {
            for test in section.all("test") {
                if !applies(test) {
                    beyond += 1;
                    continue;
                }
                of += 1;
                match run(test) {
                    Ok(()) => good += 1,
                    Err(why) => println!(
                        "{name}/{}/{}: {}\n    {why}",
                        section.get("name").map(Node::text).unwrap_or_default(),
                        test.get("name").map(Node::text).unwrap_or_default(),
                        test.get("expr").map(Node::text).unwrap_or_default()
                    ),
                }
            }
        }
        println!("{name}: {good} of {of}");
        passed += good;
        total += of;
    }
    let score = f64::from(passed) * 100.0 / f64::from(total);
    println!("cel: {passed} of {total} applicable ({score:.1} %); {beyond} need messages, enums or libraries that Kubernetes has not");
    assert!(score >= FLOOR, "below {FLOOR} %");
}
