//! What only Go's struct tags tell: JSON spelling, pointers, `omitempty`, inlined structs. Facts are committed as a table.
//!
//! Never interprets Go beyond one line per field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::model::norm;

#[derive(Clone, Debug)]
pub struct GoField {
    pub json: String,
    pub number: u32,
    pub pointer: bool,
    pub plain: bool,
    pub omitempty: bool,
    pub inline: bool,
}

#[derive(Default)]
pub struct Go {
    /// normalised definition -> (definition as spelt, fields)
    pub types: BTreeMap<String, (String, Vec<GoField>)>,
}

pub fn parse(table: &str) -> Go {
    let mut go = Go::default();
    for line in table.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [definition, json, number, flags] = cells[..] else { continue };
        let entry = go.types.entry(norm(definition)).or_insert_with(|| (definition.to_owned(), Vec::new()));
        entry.1.push(GoField {
            json: json.to_owned(),
            number: number.parse().unwrap_or(0),
            pointer: flags.contains('*'),
            plain: flags.contains('p'),
            omitempty: flags.contains('o'),
            inline: flags.contains('i'),
        });
    }
    go
}

/// Prints `definition <tab> json <tab> number <tab> flags` for each field; `*` pointer, `p` neither pointer, list nor map,
/// `o` omitempty, `i` inlined.
pub fn print(source: &Path) {
    let staging = source.join("staging/src/k8s.io");
    for part in ["api", "apimachinery/pkg/apis", "apimachinery/pkg/runtime", "apiextensions-apiserver/pkg/apis", "kube-aggregator/pkg/apis", "metrics/pkg/apis"] {
        for file in go_files(&staging.join(part)) {
            let module = file.parent().and_then(|p| p.strip_prefix(&staging).ok()).expect("inside staging");
            let package = format!("io.k8s.{}", module.display().to_string().replace('/', "."));
            print_file(&package, &std::fs::read_to_string(&file).unwrap_or_default());
        }
    }
}

fn print_file(package: &str, text: &str) {
    let opening = Regex::new(r"^type (\w+) struct \{").expect("regex");
    let field = Regex::new(r"^\s+(?:\w+\s+)?([\w.*\[\]]+)\s+`(.*)`").expect("regex");
    let json = Regex::new(r#"json:"([^",]*)(,[^"]*)?""#).expect("regex");
    let proto = Regex::new(r#"protobuf:"\w+,(\d+)"#).expect("regex");
    let mut name = String::new();
    for line in text.lines() {
        if let Some(found) = opening.captures(line) {
            name = found[1].to_owned();
        } else if line == "}" {
            name.clear();
        } else if let (false, Some(found)) = (name.is_empty(), field.captures(line)) {
            let Some(tag) = json.captures(&found[2]) else { continue };
            let rest = tag.get(2).map_or("", |m| m.as_str());
            let number = proto.captures(&found[2]).map_or("0".to_owned(), |c| c[1].to_owned());
            let ty = &found[1];
            let mut flags = String::new();
            if ty.starts_with('*') {
                flags.push('*');
            } else if !ty.starts_with('[') && !ty.starts_with("map[") {
                flags.push('p');
            }
            if rest.contains("omitempty") {
                flags.push('o');
            }
            let inline = rest.contains("inline") || tag[1].is_empty();
            if inline {
                flags.push('i');
            }
            let json = if inline { ty } else { &tag[1] };
            println!("{package}.{name}\t{json}\t{number}\t{flags}");
        }
    }
}

fn go_files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return out };
    let mut entries: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            out.extend(go_files(&path));
        } else if name.ends_with(".go") && !name.contains("generated") && !name.ends_with("_test.go") {
            out.push(path);
        }
    }
    out
}
