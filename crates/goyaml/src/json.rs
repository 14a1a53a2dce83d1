//! Writes JSON as Go's encoding/json does: keys sorted, `<`, `>`, `&` and the line separators escaped.

use serde_json::{Number, Value};

use crate::number::float_json;

/// As `json.Marshal` writes.
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write(value, None, 0, true, &mut out);
    out
}

/// As `json.MarshalIndent` writes with the given indent, e.g. two or four spaces.
pub fn to_json_pretty(value: &Value, indent: &str) -> String {
    let mut out = String::new();
    write(value, Some(indent), 0, true, &mut out);
    out
}

fn write(value: &Value, indent: Option<&str>, depth: usize, html: bool, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => write_number(n, out),
        Value::String(s) => write_json_string(s, html, out),
        Value::Array(items) => {
            let each = items.iter().map(|item| (None, item)).collect();
            write_all(each, ['[', ']'], indent, depth, html, out);
        }
        Value::Object(map) => {
            let mut each: Vec<(Option<&str>, &Value)> = map.iter().map(|(k, v)| (Some(k.as_str()), v)).collect();
            each.sort_by_key(|(k, _)| *k);
            write_all(each, ['{', '}'], indent, depth, html, out);
        }
    }
}

fn write_all(each: Vec<(Option<&str>, &Value)>, brackets: [char; 2], indent: Option<&str>, depth: usize, html: bool, out: &mut String) {
    out.push(brackets[0]);
    let new_line = |depth: usize, out: &mut String| {
        if let Some(indent) = indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    };
    for (i, (key, value)) in each.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        new_line(depth + 1, out);
        if let Some(key) = key {
            write_json_string(key, html, out);
            out.push_str(if indent.is_some() { ": " } else { ":" });
        }
        write(value, indent, depth + 1, html, out);
    }
    if !each.is_empty() {
        new_line(depth, out);
    }
    out.push(brackets[1]);
}

fn write_number(number: &Number, out: &mut String) {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(f) => out.push_str(&float_json(f)),
        None => out.push_str(&number.to_string()),
    }
}

/// A JSON string with its quotes. `html`: `<`, `>` and `&` are escaped, as Go does unless told otherwise.
// Upstream: golang/go src/encoding/json/encode.go appendString.
pub fn write_json_string(text: &str, html: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}
