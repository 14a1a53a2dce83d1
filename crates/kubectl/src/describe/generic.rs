//! Any object, by its fields.
// Upstream: kubectl pkg/describe genericDescriber, printUnstructuredContent.

use serde_json::Value;

use super::{Described, Writer, annotations, events, labels, text};

const SKIPPED: [&str; 5] = [".metadata.managedFields", ".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"];
const MAX_DEPTH: usize = 64;

pub fn describe(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    w.pair(0, "Namespace", api::meta::namespace(object));
    labels(w, "Labels", &object["metadata"]["labels"]);
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
    fields(w, 0, object, "", 0);
    events(w, of);
}

fn fields(w: &mut Writer, level: usize, value: &Value, path: &str, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for (key, field) in value.as_object().into_iter().flatten() {
        let at = format!("{path}.{key}");
        if SKIPPED.contains(&at.as_str()) {
            continue;
        }
        let title = title(key);
        match field {
            Value::Object(_) => {
                w.line(level, &format!("{title}:"));
                fields(w, level + 1, field, &at, depth + 1);
            }
            Value::Array(items) => {
                w.line(level, &format!("{title}:"));
                for item in items {
                    match item {
                        Value::Object(_) => fields(w, level + 1, item, &at, depth + 1),
                        other => w.line(level + 1, &plain(other)),
                    }
                }
            }
            Value::Null => w.line(level, &format!("{title}:\t<nil>")),
            other => w.line(level, &format!("{title}:\t{}", plain(other))),
        }
    }
}

fn plain(value: &Value) -> String {
    if value.is_array() { crate::print::compact(value) } else { text(value) }
}

/// `apiVersion` as `API Version`: words of the camel case, known short words in capitals.
fn title(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let (mut words, mut word): (Vec<String>, String) = (Vec::new(), String::new());
    for (i, c) in chars.iter().enumerate() {
        let starts = c.is_uppercase() && i > 0 && (chars[i - 1].is_lowercase() || chars[i - 1].is_ascii_digit() || chars.get(i + 1).is_some_and(|n| n.is_lowercase()));
        if starts && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.push(*c);
    }
    words.push(word);
    const CAPITALS: [&str; 5] = ["API", "URL", "UID", "OSB", "GUID"];
    words
        .iter()
        .map(|word| {
            let upper = word.to_uppercase();
            if CAPITALS.contains(&upper.as_str()) {
                return upper;
            }
            let mut chars = word.chars();
            chars.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + chars.as_str())
        })
        .collect::<Vec<_>>()
        .join(" ")
}
