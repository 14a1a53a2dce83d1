//! YAML as sigs.k8s.io/yaml writes it, and KYAML: flow style that is strict, quoted and comma-terminated.
// Upstream: sigs.k8s.io/yaml kyaml/kyaml.go (layout of KYAML).

use serde_json::Value;

use super::shape::Shape;

pub fn yaml(value: &Value) -> String {
    goyaml::to_yaml(value)
}

pub fn kyaml(value: &Value, shape: Shape) -> String {
    let mut out = String::new();
    write(value, shape, 0, &mut out);
    out.push('\n');
    out
}

fn line(depth: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn write(value: &Value, shape: Shape, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Object(map) => {
            out.push('{');
            for (key, item, shape) in shape.entries(map) {
                line(depth + 1, out);
                out.push_str(&key_text(key));
                out.push_str(": ");
                write(item, shape, depth + 1, out);
                out.push(',');
            }
            line(depth, out);
            out.push('}');
        }
        Value::Array(items) => write_list(items, shape.item(), depth, out),
        Value::String(text) => string(text, depth, out),
        other => out.push_str(&goyaml::to_json(other)),
    }
}

/// Objects and lists in a list cuddle their brackets.
fn write_list(items: &[Value], shape: Shape, depth: usize, out: &mut String) {
    let cuddled = items.iter().all(|i| i.as_object().is_some_and(|m| !m.is_empty()) || i.as_array().is_some_and(|l| !l.is_empty()));
    if cuddled {
        out.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            write(item, shape, depth, out);
        }
        out.push(']');
        return;
    }
    out.push('[');
    for item in items {
        line(depth + 1, out);
        write(item, shape, depth + 1, out);
        out.push(',');
    }
    line(depth, out);
    out.push(']');
}

/// Keys stay bare where no reader could take them for something else.
fn key_text(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.".contains(c)) && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if plain && matches!(goyaml::resolve(key), goyaml::Plain::Str) { key.to_owned() } else { goyaml::to_json(&Value::String(key.to_owned())) }
}

fn string(text: &str, depth: usize, out: &mut String) {
    let mut quoted = String::new();
    goyaml::write_json_string(text, false, &mut quoted);
    if !text.contains('\n') {
        out.push_str(&quoted);
        return;
    }
    // Lines of a text stand on lines of their own, folded by the backslash.
    out.push_str("\"\\");
    let mut parts = text.split_inclusive('\n').peekable();
    while let Some(part) = parts.next() {
        line(depth + 1, out);
        let mut escaped = String::new();
        goyaml::write_json_string(part, false, &mut escaped);
        let inner = &escaped[1..escaped.len() - 1];
        out.push_str(if inner.starts_with(' ') { "\\" } else { " " });
        out.push_str(inner);
        out.push('\\');
        if parts.peek().is_none() {
            line(depth + 1, out);
        }
    }
    out.push('"');
}
