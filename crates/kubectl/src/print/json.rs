//! JSON as encoding/json writes it: sorted keys, four blanks, safe inside HTML.

use serde_json::Value;

pub fn pretty(value: &Value) -> String {
    let mut out = String::new();
    write(value, Some(0), &mut out);
    out
}

/// With two blanks, as json.Indent is sometimes asked for.
pub fn pretty_two(value: &Value) -> String {
    pretty(value).lines().map(|line| {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        format!("{}{}\n", " ".repeat(blanks / 2), &line[blanks..])
    }).collect()
}

pub fn compact(value: &Value) -> String {
    let mut out = String::new();
    write(value, None, &mut out);
    out
}

fn line(depth: Option<usize>, out: &mut String) {
    if let Some(depth) = depth {
        out.push('\n');
        for _ in 0..depth {
            out.push_str("    ");
        }
    }
}

fn write(value: &Value, depth: Option<usize>, out: &mut String) {
    let below = depth.map(|d| d + 1);
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(below, out);
                write(item, below, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(below, out);
                out.push_str(&text(key));
                out.push_str(if depth.is_some() { ": " } else { ":" });
                write(item, below, out);
            }
            line(depth, out);
            out.push('}');
        }
        Value::String(s) => out.push_str(&text(s)),
        Value::Number(n) if n.is_f64() => out.push_str(&number(n.as_f64().unwrap_or(0.0))),
        other => out.push_str(&other.to_string()),
    }
}

fn text(s: &str) -> String {
    let quoted = Value::String(s.to_owned()).to_string();
    jsonpath::html_safe(&quoted.replace('\u{7f}', "\u{7f}"))
}

/// encoding/json keeps floats plain between 1e-6 and 1e21.
fn number(f: f64) -> String {
    let size = f.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{f:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent:0>2}"),
            Some((digits, exponent)) => format!("{digits}e-{:0>2}", &exponent[1..]),
            None => text,
        };
    }
    format!("{f}")
}
