//! Two sets of documents compared, line by line.
// Upstream: databus23/helm-diff diff/diff.go, diff/report.go, manifest/parse.go; aryann/difflib.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use serde_json::{Map, Value, json};

/// More cells of the table of common lines than this are not filled: the middle is shown as replaced.
const MAX_CELLS: usize = 40_000_000;

/// A document of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub kind: String,
    pub content: String,
    pub keep: bool,
}

/// How differences are shown.
pub struct Style {
    pub colour: bool,
    /// So many lines around changes; nothing is all.
    pub context: Option<usize>,
    pub secrets: bool,
    pub decoded: bool,
    pub strip_cr: bool,
    pub simple: bool,
    pub suppressed: Vec<String>,
}

/// The documents of a text by `namespace, name, Kind (group)`.
pub fn documents(text: &str, namespace: &str) -> BTreeMap<String, Document> {
    let mut out = BTreeMap::new();
    for content in charts::manifest::split(text) {
        let content = content.trim_end();
        let Ok(value) = goyaml::from_yaml(content) else { continue };
        let (api_version, kind) = (value["apiVersion"].as_str().unwrap_or_default(), value["kind"].as_str().unwrap_or_default());
        if kind.is_empty() {
            continue;
        }
        let metadata = &value["metadata"];
        let (name, own) = (metadata["name"].as_str().unwrap_or_default(), metadata["namespace"].as_str().unwrap_or(namespace));
        let group = api_version.split('/').next().unwrap_or_default();
        let keep = metadata["annotations"]["helm.sh/resource-policy"] == "keep";
        out.insert(format!("{own}, {name}, {kind} ({group})"), Document { kind: kind.into(), content: content.into(), keep });
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delta {
    Common,
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    Modified,
}

/// The whole report, and whether anything differs.
pub fn print(old: &BTreeMap<String, Document>, new: &BTreeMap<String, Document>, style: &Style) -> (String, bool) {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    // Upstream: what changed comes first, then what went, then what came.
    let rank = |key: &String| match (old.contains_key(key), new.contains_key(key)) {
        (true, true) => 0,
        (true, false) => 1,
        _ => 2,
    };
    let mut order: Vec<&String> = keys.into_iter().collect();
    order.sort_by_key(|k| rank(k));
    let (mut text, mut counts) = (String::new(), [0; 3]);
    for key in order {
        let (before, after) = (old.get(key), new.get(key));
        let change = match (before, after) {
            (Some(b), Some(a)) if b.content == a.content => continue,
            (Some(b), None) if b.keep => continue,
            (Some(_), Some(_)) => Change::Modified,
            (Some(_), None) => Change::Removed,
            _ => Change::Added,
        };
        let kind = before.or(after).map(|d| d.kind.clone()).unwrap_or_default();
        let (left, right) = shown(before, after, style);
        let records = compare(&left, &right, style.strip_cr);
        if change == Change::Modified && records.iter().all(|(d, _)| *d == Delta::Common) {
            continue;
        }
        counts[change as usize] += 1;
        entry(key, change, &kind, &records, style, &mut text);
    }
    let any = counts.iter().sum::<usize>() > 0;
    if style.simple {
        let [added, removed, modified] = counts;
        text += &format!("Plan: {added} to add, {modified} to change, {removed} to destroy, 0 to change ownership.\n");
    }
    (text, any)
}

fn paint(text: &str, code: &str, style: &Style) -> String {
    if style.colour { format!("\x1b[0;{code}m{text}\x1b[0m") } else { text.to_string() }
}

fn entry(key: &str, change: Change, kind: &str, records: &[(Delta, String)], style: &Style, text: &mut String) {
    let (code, long, short) = match change {
        Change::Added => ("32", "has been added:", "to be added."),
        Change::Removed => ("31", "has been removed:", "to be removed."),
        Change::Modified => ("33", "has changed:", "to be changed."),
    };
    *text += &format!("{}\n", paint(&format!("{key} {}", if style.simple { short } else { long }), code, style));
    if style.simple {
        return;
    }
    if style.suppressed.iter().any(|s| s == kind) {
        *text += &paint(&format!("+ Changes suppressed on sensitive content of type {kind}\n"), "33", style);
        return;
    }
    let near = distances(records);
    let mut omitting = false;
    for ((delta, line), distance) in records.iter().zip(near) {
        if style.context.is_some_and(|c| distance > c) {
            if !omitting {
                text.push_str("...\n");
            }
            omitting = true;
            continue;
        }
        omitting = false;
        *text += &match delta {
            Delta::Common => format!("  {line}\n"),
            Delta::Left => format!("{}\n", paint(&format!("- {line}"), "31", style)),
            Delta::Right => format!("{}\n", paint(&format!("+ {line}"), "32", style)),
        };
    }
}

/// How far each line is from the next change.
fn distances(records: &[(Delta, String)]) -> Vec<usize> {
    let mut out = vec![usize::MAX; records.len()];
    let mut sweep = |order: &mut dyn Iterator<Item = usize>| {
        let mut since = usize::MAX;
        for i in order {
            since = if records[i].0 == Delta::Common { since.saturating_add(1) } else { 0 };
            out[i] = out[i].min(since);
        }
    };
    sweep(&mut (0..records.len()));
    sweep(&mut (0..records.len()).rev());
    out
}

fn compare(left: &str, right: &str, strip_cr: bool) -> Vec<(Delta, String)> {
    let lines = |text: &str| -> Vec<String> { text.split('\n').map(|l| if strip_cr { l.trim_end_matches('\r').to_string() } else { l.to_string() }).collect() };
    let (a, b) = (lines(left), lines(right));
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    let mut out: Vec<(Delta, String)> = a[..head].iter().map(|l| (Delta::Common, l.clone())).collect();
    out.extend(middle(&a[head..a.len() - tail], &b[head..b.len() - tail]));
    out.extend(a[a.len() - tail..].iter().map(|l| (Delta::Common, l.clone())));
    out
}

/// The longest common lines of what lies between equal beginnings and ends.
fn middle(a: &[String], b: &[String]) -> Vec<(Delta, String)> {
    let replaced = || a.iter().map(|l| (Delta::Left, l.clone())).chain(b.iter().map(|l| (Delta::Right, l.clone()))).collect();
    if a.is_empty() || b.is_empty() || a.len().saturating_mul(b.len()) > MAX_CELLS {
        return replaced();
    }
    let width = b.len() + 1;
    let mut table = vec![0u32; (a.len() + 1) * width];
    for i in 0..a.len() {
        for j in 0..b.len() {
            table[(i + 1) * width + j + 1] = if a[i] == b[j] { table[i * width + j] + 1 } else { table[i * width + j + 1].max(table[(i + 1) * width + j]) };
        }
    }
    let (mut i, mut j, mut out) = (a.len(), b.len(), Vec::new());
    while i > 0 || j > 0 {
        if j > 0 && table[i * width + j] == table[i * width + j - 1] {
            j -= 1;
            out.push((Delta::Right, b[j].clone()));
        } else if i > 0 && table[i * width + j] == table[(i - 1) * width + j] {
            i -= 1;
            out.push((Delta::Left, a[i].clone()));
        } else {
            i -= 1;
            j -= 1;
            out.push((Delta::Common, a[i].clone()));
        }
    }
    out.reverse();
    out
}

/// The texts that are compared; what Secrets hold is told by its length alone unless it is asked for.
fn shown(before: Option<&Document>, after: Option<&Document>, style: &Style) -> (String, String) {
    let plain = |d: Option<&Document>| d.map(|d| d.content.clone()).unwrap_or_default();
    let secret = before.into_iter().chain(after).all(|d| d.kind == "Secret");
    if !secret || style.secrets && !style.decoded {
        return (plain(before), plain(after));
    }
    let (left, right) = (before.and_then(data), after.and_then(data));
    let text = |own: &Option<(Value, Map<String, Value>)>, other: &Option<(Value, Map<String, Value>)>, document: Option<&Document>, sign: char| match (own, document) {
        (Some((value, data)), Some(document)) => redacted(value, data, other.as_ref().map(|o| &o.1), document, sign, style.decoded),
        _ => plain(document),
    };
    (text(&left, &right, before, '-'), text(&right, &left, after, '+'))
}

/// A Secret and its data, decoded.
fn data(document: &Document) -> Option<(Value, Map<String, Value>)> {
    let value = goyaml::from_yaml(&document.content).ok()?;
    let mut out = Map::new();
    for (key, encoded) in value["data"].as_object().into_iter().flatten() {
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.as_str()?).ok()?;
        out.insert(key.clone(), Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    }
    for (key, text) in value["stringData"].as_object().into_iter().flatten() {
        out.insert(key.clone(), text.clone());
    }
    Some((value, out))
}

fn redacted(value: &Value, data: &Map<String, Value>, other: Option<&Map<String, Value>>, document: &Document, sign: char, decoded: bool) -> String {
    let told = |key: &String, v: &Value| {
        if decoded {
            return v.clone();
        }
        let length = v.as_str().map_or(0, str::len);
        let same = other.is_some_and(|o| o.get(key) == Some(v));
        let word = if same { "REDACTED".to_string() } else { sign.to_string().repeat(8) };
        Value::String(format!("{word} # ({length} bytes)"))
    };
    let mut out = value.clone();
    if let Some(map) = out.as_object_mut() {
        map.remove("stringData");
        map.remove("data");
    }
    let fields: Map<String, Value> = data.iter().map(|(k, v)| (k.clone(), told(k, v))).collect();
    if !fields.is_empty() {
        out["data"] = json!(fields);
    }
    let comment = document.content.lines().next().filter(|l| l.starts_with('#')).map(|l| format!("{l}\n")).unwrap_or_default();
    format!("{comment}{}", goyaml::to_yaml(&out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(context: Option<usize>) -> Style {
        Style { colour: false, context, secrets: false, decoded: false, strip_cr: false, simple: false, suppressed: Vec::new() }
    }

    #[test]
    fn changes_are_told_line_by_line() {
        let old = documents("---\n# Source: c/t.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replicas: 1\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n", "ns");
        let new = documents("---\n# Source: c/t.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replicas: 2\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n", "ns");
        let (text, changed) = print(&old, &new, &style(Some(1)));
        assert!(changed);
        assert_eq!(
            text,
            "ns, d, Deployment (apps) has changed:\n...\n  spec:\n-   replicas: 1\n+   replicas: 2\nns, s, Service (v1) has been removed:\n- apiVersion: v1\n- kind: Service\n- metadata: {name: s}\n+ \nns, p, Pod (v1) has been added:\n- \n+ apiVersion: v1\n+ kind: Pod\n+ metadata: {name: p}\n"
        );
        assert_eq!(print(&old, &old, &style(None)), (String::new(), false));
    }

    #[test]
    fn secrets_stay_secret() {
        let secret = |v: &str| documents(&format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ndata:\n  a: {v}\n  b: eA==\n"), "ns");
        let (text, _) = print(&secret("c2VjcmV0"), &secret("b3RoZXI="), &style(None));
        assert!(!text.contains("c2VjcmV0") && text.contains("-   a: '-------- # (6 bytes)'") && text.contains("+   a: '++++++++ # (5 bytes)'") && text.contains("  b: 'REDACTED # (1 bytes)'"), "{text}");
    }
}
