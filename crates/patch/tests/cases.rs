//! Apply conversations and strategic patches as cases, and the json-patch project's own tests.

use std::path::PathBuf;

use patch::{Write, apply, apply_json_patch, apply_merge_patch, apply_strategic, track_update};
use schema::Type;
use serde_json::Value;

fn type_of(object: &Value) -> &'static Type {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    schema::by_kind(group, version, object["kind"].as_str().unwrap_or_default()).expect("a built-in kind")
}

/// Each line: `update|status|apply|force MANAGER JSON`; the clock moves a second a line.
fn conversation(given: &str) -> String {
    let (mut live, mut out): (Option<Value>, String) = (None, String::new());
    for (second, line) in given.lines().filter(|l| !l.trim().is_empty()).enumerate() {
        let mut words = line.splitn(3, ' ');
        let (verb, manager, text) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
        let mut object: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{line}: {e}"));
        let api_version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
        let now = format!("2026-01-01T00:00:{second:02}Z");
        let subresource = if verb == "status" { "status" } else { "" };
        let write = Write { manager, api_version: &api_version, subresource, now: &now, of: type_of(&object), reset: None };
        let result = match verb {
            "apply" | "force" => apply(live.as_ref(), object, verb == "force", &write),
            _ => {
                track_update(live.as_ref(), &mut object, &write);
                Ok(object)
            }
        };
        match result {
            Ok(object) => {
                out += &format!("# {verb} {manager}\n");
                let mut plain = object.clone();
                let managed = plain["metadata"].as_object_mut().and_then(|m| m.remove("managedFields")).unwrap_or_default();
                out += &format!("{plain}\n");
                for entry in managed.as_array().into_iter().flatten() {
                    let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
                    out += &format!("  {} {} {} {} {}\n", text("manager"), text("operation"), text("subresource"), text("time"), entry["fieldsV1"]);
                }
                live = Some(object);
            }
            Err(error) => out += &format!("# {verb} {manager}\n! {error}\n"),
        }
    }
    out
}

#[test]
fn apply_conversations() {
    casefile::run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases/apply"), conversation);
}

/// Two JSON lines: the object and the patch.
#[test]
fn strategic_patches() {
    casefile::run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases/strategic"), |given| {
        let mut lines = given.lines();
        let mut next = || serde_json::from_str::<Value>(lines.next().unwrap_or_default()).expect("a JSON line");
        let (object, patch) = (next(), next());
        match apply_strategic(&object, patch, type_of(&object)) {
            Ok(patched) => patched.to_string(),
            Err(error) => format!("! {error}"),
        }
    });
}

#[test]
fn merge_patches_follow_rfc_7386() {
    for (target, patch, expected) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
        (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        let mut value: Value = serde_json::from_str(target).expect("target");
        apply_merge_patch(&mut value, serde_json::from_str(patch).expect("patch"));
        assert_eq!(value.to_string(), expected);
    }
}

#[test]
fn json_patch_oracle() {
    let Some(oracle) = std::env::var_os("KNARR_ORACLE") else {
        println!("skipped: KNARR_ORACLE is not set");
        return;
    };
    let mut root = PathBuf::from(oracle);
    if root.is_relative() && !root.exists() {
        root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(root);
    }
    let (mut passed, mut failures) = (0, Vec::new());
    for file in ["spec_tests.json", "tests.json"] {
        let text = std::fs::read(root.join("json-patch").join(file)).expect("json-patch cases");
        let cases: Vec<Value> = serde_json::from_slice(&text).expect("json-patch cases");
        for case in cases.iter().filter(|c| c["disabled"] != true && c.get("patch").is_some()) {
            let found = apply_json_patch(&case["doc"], case["patch"].to_string().as_bytes());
            let ok = match (&found, case.get("expected"), case.get("error")) {
                (Ok(found), Some(expected), _) => found == expected,
                (Err(_), None, Some(_)) => true,
                (Ok(_), None, None) => true,
                _ => false,
            };
            if ok { passed += 1 } else { failures.push(format!("{file}: {case}\n   found {found:?}")) }
        }
    }
    println!("json-patch cases: {passed} passed");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn json_patch_bounds() {
    let many = Value::Array(vec![serde_json::json!({"op": "test", "path": "", "value": {}}); 10_001]);
    assert!(apply_json_patch(&serde_json::json!({}), many.to_string().as_bytes()).is_err_and(|e| e.to_string().contains("10000, got 10001")));
    let copies: Vec<Value> = (0..40).map(|i| serde_json::json!({"op": "copy", "from": "", "path": format!("/{i}")})).collect();
    assert!(apply_json_patch(&serde_json::json!({"a": "x".repeat(1000)}), Value::Array(copies).to_string().as_bytes()).is_err_and(|e| e.to_string().contains("accumulated size")));
}

#[test]
fn custom_resources_merge_by_their_own_schema() {
    let schema = serde_json::json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"], "items": {"type": "object", "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}}},
        "free": {"x-kubernetes-preserve-unknown-fields": true}}}}});
    let of = schema::custom_type("com.example.v1.Thing", Some(&schema));
    let write = |manager| Write { manager, api_version: "example.com/v1", subresource: "", now: "2026-01-01T00:00:00Z", of: &of, reset: None };
    let thing = |spec: Value| serde_json::json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec});
    let live = apply(None, thing(serde_json::json!({"parts": [{"id": "a", "n": 1}], "free": {"x": {"y": 1}}})), false, &write("one")).expect("creates");
    let live = apply(Some(&live), thing(serde_json::json!({"parts": [{"id": "b", "n": 2}], "free": {"z": 1}})), false, &write("two")).expect("merges");
    assert_eq!(live["spec"], serde_json::json!({"parts": [{"id": "a", "n": 1}, {"id": "b", "n": 2}], "free": {"x": {"y": 1}, "z": 1}}));
    let refused = apply(Some(&live), thing(serde_json::json!({"part": 1})), false, &write("two"));
    assert!(refused.is_err_and(|e| e.to_string().ends_with(".spec.part: field not declared in schema")));
}
