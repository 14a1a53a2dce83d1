//! Hints for fields that the server refuses to know: where they stand in the file, and which field may have been meant.
//!
//! Adds to the server's words, never changes them; without a schema or a file it adds nothing.

use serde_json::Value;

use crate::call::Call;
use crate::command::distance;
use crate::failure::Failure;
use crate::openapi;
use crate::select::Info;

/// The fault with a line for each unknown field.
pub async fn with_hints(call: &Call, info: &Info, failure: Failure) -> Failure {
    let Failure::Status(mut status) = failure else { return failure };
    let message = status["message"].as_str().unwrap_or_default().to_owned();
    let unknown = quoted_after(&message, "unknown field \"");
    if unknown.is_empty() {
        return Failure::Status(status);
    }
    let document = openapi::document(call, &info.resource.api_version()).await.ok().flatten();
    let text = std::fs::read_to_string(&info.source).unwrap_or_default();
    let mut lines = Vec::new();
    for path in unknown {
        let steps: Vec<&str> = path.split('.').map(|s| s.split('[').next().unwrap_or(s)).collect();
        let Some((key, above)) = steps.split_last() else { continue };
        let meant = document.as_ref().and_then(|d| nearest(d, openapi::schema_of(d, &info.resource)?, above, key));
        let place = line_of(&text, key).map(|line| format!("{}:{line}: ", info.source)).unwrap_or_default();
        if let Some(meant) = meant {
            lines.push(format!("\n  {place}{key}: did you mean {meant:?}?"));
        } else if !place.is_empty() {
            lines.push(format!("\n  {place}{key}: there is no such field in {}", if above.is_empty() { info.resource.kind.clone() } else { above.join(".") }));
        }
    }
    status["message"] = format!("{message}{}", lines.concat()).into();
    Failure::Status(status)
}

fn quoted_after<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The known field of that place that is written most alike.
fn nearest(document: &Value, schema: &Value, above: &[&str], key: &str) -> Option<String> {
    let mut at = openapi::followed(document, schema);
    for step in above {
        let mut below = at["properties"].get(*step).or_else(|| at.get("additionalProperties").filter(|v| v.is_object()))?;
        below = openapi::followed(document, below);
        at = openapi::followed(document, below.get("items").unwrap_or(below));
    }
    let limit = (key.len() / 3).max(1) + 1;
    let names = at["properties"].as_object()?.keys().map(|name| (distance(&key.to_lowercase(), &name.to_lowercase()), name));
    names.filter(|(far, _)| *far <= limit).min().map(|(_, name)| name.clone())
}

/// The line of a key, where the file has it once.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let is_key = |line: &str| {
        let bare = line.trim_start_matches([' ', '\t', '-', '{', ',']);
        [format!("{key}:"), format!("\"{key}\":"), format!("{key} :")].iter().any(|k| bare.starts_with(k.as_str()) || line.contains(&format!("{{{k}")) || line.contains(&format!(", {k}")))
    };
    let mut found = text.lines().enumerate().filter(|(_, line)| is_key(line)).map(|(i, _)| i + 1);
    match (found.next(), found.next()) {
        (Some(line), None) => Some(line),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "spec:\n  replica: 3\n  list: [{name: a, imag: b}]\n  - name: x\n";
        assert_eq!(line_of(text, "replica"), Some(2));
        assert_eq!(line_of(text, "imag"), Some(3));
        assert_eq!(line_of(text, "name"), None);
        assert_eq!(quoted_after("a: unknown field \"spec.x\", unknown field \"y\"", "unknown field \""), ["spec.x", "y"]);
    }
}
