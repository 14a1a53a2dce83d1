//! kubectl's dialect of JSONPath: templates of text and `{paths}`, with range, filters, slices, unions, descent.
//!
//! Knows no cluster and does no IO. A template either parses as upstream's does or fails with upstream's words; evaluation
//! is bounded in depth and in the number of values.
// Upstream: client-go util/jsonpath (parser.go, jsonpath.go); kubectl pkg/cmd/get/customcolumn.go (the relaxed form).

mod eval;
mod number;
mod parse;
#[cfg(test)]
mod tests;

pub use eval::Found;
pub use number::go_float;
pub use parse::{ParseError, Template};

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(pub(crate) String);

impl Template {
    /// What `-o jsonpath` writes; a missing key is an error unless allowed.
    pub fn render(&self, value: &Value, allow_missing: bool) -> Result<String, EvalError> {
        let mut out = String::new();
        for group in self.find(value, allow_missing)? {
            for (i, found) in group.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(&text(found));
            }
        }
        Ok(out)
    }

    /// What `-o jsonpath-as-json` writes: each path's values as an indented array.
    pub fn render_json(&self, value: &Value, allow_missing: bool) -> Result<Vec<Value>, EvalError> {
        Ok(self.find(value, allow_missing)?.into_iter().map(|group| Value::Array(group.into_iter().map(std::borrow::Cow::into_owned).collect())).collect())
    }
}

/// A value as fmt.Fprint writes it; maps and lists as compact JSON.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(s) => s.clone(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => number::go_number(n),
        Value::Array(_) | Value::Object(_) => html_safe(&value.to_string()),
    }
}

/// encoding/json keeps its output safe inside HTML.
pub fn html_safe(json: &str) -> String {
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

/// `x.y`, `.x.y`, `{x.y}` and `{.x.y}` are all the path `{.x.y}`.
pub fn relaxed(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    if inner.is_empty() || inner.contains(['{', '}']) {
        return Err("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'".into());
    }
    Ok(format!("{{.{inner}}}"))
}
