//! Reads k8s-openapi's generated sources as text: the `JsonSchema` bodies and the `Resource` constants.
//!
//! Never compiles them. Relies on the generator's regular layout and stops loudly where that changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use crate::model::{Model, package};

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder).expect("source folder").flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            out.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out
}

struct Found {
    name: String,
    body: String,
}

pub fn read(folder: &Path, model: &mut Model) {
    let described = Regex::new(r#"(?s)\(\{\s*let mut schema_obj = __gen\.subschema_for::<([^>]+)>\(\);\s*schema_obj\.ensure_object\(\)\.insert\("description"\.into\(\), ("(?:[^"\\]|\\.)*")\.into\(\)\);\s*schema_obj\s*\}\)"#).expect("regex");
    let plain = Regex::new(r"\(?__gen\.subschema_for::<([^>]+)>\(\)\)?").expect("regex");
    let constant = |name: &str| Regex::new(&format!(r#"const {name}: &'static str = "([^"]*)""#)).expect("regex");
    let (group, kind, version) = (constant("GROUP"), constant("KIND"), constant("VERSION"));
    let schema_name = Regex::new(r#"(?s)fn schema_name\(\)[^{]*\{\s*"([^"]+)"\.into\(\)"#).expect("regex");
    let rust_type = Regex::new(r"JsonSchema for (\w+) \{").expect("regex");

    let mut found = Vec::new();
    let mut by_path: BTreeMap<String, String> = BTreeMap::new();
    for file in files(folder) {
        let text = std::fs::read_to_string(&file).expect("source file");
        let (Some(name), Some(rust)) = (schema_name.captures(&text), rust_type.captures(&text)) else { continue };
        let name = name[1].to_owned();
        let module = file.parent().and_then(|p| p.strip_prefix(folder).ok()).expect("inside the folder");
        by_path.insert(format!("crate::{}::{}", module.display().to_string().replace('/', "::"), &rust[1]), name.clone());
        let at = text.find("json_schema!(").expect("a schema body") + "json_schema!(".len();
        let end = text[at..].find("\n        })").expect("end of the schema body") + at + "\n        }".len();
        found.push(Found { name: name.clone(), body: text[at..end].to_owned() });
        if let (Some(g), Some(k), Some(v)) = (group.captures(&text), kind.captures(&text), version.captures(&text)) {
            model.kinds.insert((g[1].to_owned(), v[1].to_owned(), k[1].to_owned()), name.clone());
            let family = package(package(&name)).to_owned();
            model.groups.insert(family, g[1].to_owned());
        }
    }
    for Found { name, body } in found {
        let body = described.replace_all(&body, r#"{"$$ref":"$1","description":$2}"#);
        let body = plain.replace_all(&body, r#"{"$$ref":"$1"}"#);
        let json = to_json(&body);
        let mut schema: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{name}: {e}\n{json}"));
        rename_refs(&mut schema, &by_path);
        model.add_schema(&name, &schema);
    }
}

fn rename_refs(schema: &mut Value, names: &BTreeMap<String, String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref") {
                *target = names.get(target.as_str()).unwrap_or_else(|| panic!("unknown type {target}")).clone();
            }
            map.values_mut().for_each(|v| rename_refs(v, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|v| rename_refs(v, names)),
        _ => {}
    }
}

/// Rust's literal syntax to JSON's: no trailing commas, no parentheses, JSON escapes.
fn to_json(body: &str) -> String {
    let mut out = String::new();
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push('"');
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => match chars.next() {
                            Some('\'') => out.push('\''),
                            Some('u') => {
                                let hex: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                                out.push_str(&format!("\\u{:0>4}", hex));
                            }
                            Some(other) => out.extend(['\\', other]),
                            None => {}
                        },
                        c => out.push(c),
                    }
                }
                out.push('"');
            }
            '}' | ']' => {
                let kept = out.trim_end().trim_end_matches(',').len();
                out.truncate(kept);
                out.push(c);
            }
            '(' | ')' => {}
            c => out.push(c),
        }
    }
    out
}
