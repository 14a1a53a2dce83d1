//! Upstream's wire fixtures: every kind with every field set must survive both ways.

use std::path::PathBuf;

use serde_json::Value;

/// Zero and empty values say the same as absence, and Go's typed objects hold no more.
fn pruned(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(s) => (!s.is_empty()).then(|| value.clone()),
        Value::Bool(b) => b.then(|| value.clone()),
        Value::Number(n) => (n.as_f64() != Some(0.0)).then(|| value.clone()),
        Value::Array(items) => (!items.is_empty()).then(|| Value::Array(items.iter().map(|i| pruned(i).unwrap_or(Value::Null)).collect())),
        Value::Object(map) => {
            let map: serde_json::Map<_, _> = map.iter().filter_map(|(k, v)| Some((k.clone(), pruned(v)?))).collect();
            (!map.is_empty()).then_some(Value::Object(map))
        }
    }
}

fn difference(at: &str, left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => a.keys().chain(b.keys()).find_map(|k| difference(&format!("{at}.{k}"), a.get(k).unwrap_or(&Value::Null), b.get(k).unwrap_or(&Value::Null))),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a.iter().zip(b).find_map(|(a, b)| difference(at, a, b)),
        (a, b) => (a != b).then(|| format!("{at}: {a} <> {b}")),
    }
}

#[test]
fn wire_fixtures_survive_both_ways() {
    let Some(oracle) = std::env::var_os("KNARR_ORACLE") else {
        println!("skipped: KNARR_ORACLE is not set");
        return;
    };
    let mut root = PathBuf::from(oracle);
    if root.is_relative() && !root.exists() {
        root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(root);
    }
    let (mut total, mut encoded, mut decoded, mut failures) = (0, 0, 0, Vec::new());
    for entry in std::fs::read_dir(root.join("wire")).expect("wire fixtures").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        total += 1;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let json: Value = serde_json::from_slice(&std::fs::read(&path).expect("json")).expect("json");
        let wire = std::fs::read(path.with_extension("pb")).expect("pb");
        let api_version = json["apiVersion"].as_str().unwrap_or_default();
        let kind = json["kind"].as_str().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        // WatchEvent does not say what it is.
        let Some(of) = schema::by_kind(group, version, if kind.is_empty() { "WatchEvent" } else { kind }) else {
            failures.push(format!("{stem}: no type"));
            continue;
        };
        match codec::encode_message(&json, of).map(|message| codec::envelope(api_version, kind, &message)) {
            Ok(bytes) if bytes == wire => encoded += 1,
            Ok(bytes) => {
                let at = bytes.iter().zip(&wire).position(|(a, b)| a != b).unwrap_or(bytes.len().min(wire.len()));
                failures.push(format!("{stem}: json->pb differs at {at} of {}/{}: {}", bytes.len(), wire.len(), String::from_utf8_lossy(&wire[at.saturating_sub(30)..(at + 30).min(wire.len())]).escape_debug()));
            }
            Err(e) => failures.push(format!("{stem}: json->pb {e}")),
        }
        match codec::decode_proto_as(&wire, of) {
            Ok(object) => match difference("", &pruned(&object.value).unwrap_or_default(), &pruned(&json).unwrap_or_default()) {
                None => decoded += 1,
                Some(why) => failures.push(format!("{stem}: pb->json {why}")),
            },
            Err(e) => failures.push(format!("{stem}: pb->json {e}")),
        }
        let conformed = codec::decode_json(&std::fs::read(&path).expect("json"), of, codec::Strictness::Collect);
        match conformed {
            Ok(c) if !c.strict_errors.is_empty() => failures.push(format!("{stem}: {:?}", c.strict_errors)),
            Ok(c) => {
                if let Some(why) = difference("", &c.value, &json) {
                    failures.push(format!("{stem}: json->json {why}"));
                }
                let again = codec::conform(c.value.clone(), of, codec::Strictness::Collect).expect("conforms");
                assert_eq!(again.value, c.value, "{stem}: conforming twice changes");
            }
            Err(e) => failures.push(format!("{stem}: json {e}")),
        }
    }
    println!("json->pb {encoded}/{total}, pb->json {decoded}/{total}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
