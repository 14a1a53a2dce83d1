//! Values that upstream's Helm wrote and texts that it read (`toYaml`, `toYamlPretty`, `fromYaml`, `fromYamlArray` of Helm 4.3.1), held against ours.
//!
//! `GOYAML_CASES` names another folder with more of them.

use std::path::PathBuf;

use serde_json::{Number, Value};

fn lines(name: &str) -> Vec<Value> {
    let folder = std::env::var_os("GOYAML_CASES").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/upstream"), PathBuf::from);
    let text = std::fs::read_to_string(folder.join(name)).expect("the file of cases");
    text.lines().map(|line| goyaml::from_yaml(line).expect("a case")).collect()
}

/// Numbers as Helm's values have them: all floating point.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(n) => Value::Number(Number::from_f64(n.as_f64().unwrap_or_default()).expect("finite")),
        Value::Array(items) => items.iter().map(as_floats).collect(),
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), as_floats(v))).collect()),
        other => other.clone(),
    }
}

fn check(faults: Vec<String>, total: usize) {
    assert!(total > 300, "few cases: {total}");
    assert!(faults.is_empty(), "{} of {total} differ:\n{}", faults.len(), faults.into_iter().take(8).collect::<Vec<_>>().join("\n"));
}

fn same(what: &str, input: &str, ours: &str, theirs: &str) -> Option<String> {
    let ours = ours.strip_suffix('\n').unwrap_or(ours);
    (ours != theirs).then(|| format!("== {what} {input}\nours:   {ours:?}\ntheirs: {theirs:?}"))
}

#[test]
fn writes_what_go_writes() {
    let cases = lines("cases.jsonl");
    let mut faults = Vec::new();
    for case in &cases {
        let value = as_floats(&case["value"]);
        let input = case["value"].to_string();
        faults.extend(same("yaml", &input, &goyaml::to_yaml(&value), case["yaml"].as_str().expect("text")));
        faults.extend(same("pretty", &input, &goyaml::to_yaml_pretty(&value), case["pretty"].as_str().expect("text")));
    }
    check(faults, cases.len());
}

#[test]
fn reads_what_go_reads() {
    let cases = lines("reads.jsonl");
    let mut faults = Vec::new();
    for case in &cases {
        let text = case["text"].as_str().expect("text");
        let (map, list) = (case["map"].as_str().expect("text"), case["list"].as_str().expect("text"));
        let ours = match goyaml::from_yaml(text) {
            Ok(value) => goyaml::to_json(&as_floats(&value)),
            Err(e) => format!("error {e}"),
        };
        let refused = |theirs: &str| theirs.starts_with("{\"Error\":") || theirs.starts_with("[\"error");
        let theirs = if !refused(map) { map } else { list };
        // A text that is neither a map nor a list is refused for its type alone.
        if refused(theirs) && (ours.starts_with("error") || !map.contains("converting YAML")) {
            continue;
        }
        let nothing = ours == "null" && theirs == "{}";
        faults.extend(same("read", &format!("{text:?} ({map})"), &ours, theirs).filter(|_| !nothing));
    }
    check(faults, cases.len());
}
