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

/// `apiVersion` as `API Version`: words of the camel case, known short words in capitals; what holds more than letters and dashes stays.
// Upstream: smartLabelFor.
fn title(name: &str) -> String {
    if name.chars().any(|c| !c.is_alphabetic() && c != '-') {
        return name.to_owned();
    }
    const CAPITALS: [&str; 5] = ["API", "URL", "UID", "OSB", "GUID"];
    let titled = |word: String| {
        let upper = word.to_uppercase();
        if CAPITALS.contains(&upper.as_str()) {
            return upper;
        }
        let mut chars = word.chars();
        chars.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + chars.as_str())
    };
    words(name).into_iter().map(titled).collect::<Vec<_>>().join(" ")
}

/// Runs of capitals, of small letters and of dashes. Small letters take the last of one or two capitals before them
/// (`IPs`: `I`, `Ps`); three capitals or more keep together and take the small letters (`CIDRs`).
// Upstream: the splitter of kubectl 1.37.
fn words(name: &str) -> Vec<String> {
    let class = |c: char| if c.is_uppercase() { 'A' } else if c.is_alphabetic() { 'a' } else { '-' };
    let mut runs: Vec<String> = Vec::new();
    for c in name.chars() {
        match runs.last_mut() {
            Some(run) if run.ends_with(|last| class(last) == class(c)) => run.push(c),
            _ => runs.push(c.to_string()),
        }
    }
    let mut words: Vec<String> = Vec::new();
    for run in runs {
        let capitals = words.last().filter(|w| run.starts_with(char::is_lowercase) && w.chars().all(char::is_uppercase)).map(|w| w.chars().count());
        match (capitals, words.pop()) {
            (Some(1 | 3..), Some(before)) => words.push(before + &run),
            (Some(_), Some(mut before)) => {
                let last = before.pop().map(String::from).unwrap_or_default();
                words.extend([before, last + &run]);
            }
            (_, before) => words.extend(before.into_iter().chain([run])),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn names_of_fields_become_words() {
        for (name, shown) in [
            ("apiVersion", "API Version"),
            ("nonResourceURLs", "Non Resource URLs"),
            ("podCIDRs", "Pod CIDRs"),
            ("podIPs", "Pod I Ps"),
            ("myIPFoo", "My IPFoo"),
            ("getHTTPResponse", "Get HTTPResponse"),
            ("externalURLsAndMore", "External URLs And More"),
            ("aBCde", "A B Cde"),
            ("fooBs", "Foo Bs"),
            ("creationTimestamp", "Creation Timestamp"),
            ("a-bC", "A - B C"),
            ("k8sVersion", "k8sVersion"),
            ("foo_bar", "foo_bar"),
            ("uid", "UID"),
            ("dnsCA", "Dns CA"),
        ] {
            assert_eq!(title(name), shown);
        }
    }
}
