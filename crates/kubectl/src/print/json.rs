//! JSON as encoding/json writes it: four blanks, safe inside HTML; keys sorted, or in the order of Go's struct.

use serde_json::Value;

use super::shape::Shape;

pub fn pretty(value: &Value) -> String {
    pretty_as(value, Shape::Sorted)
}

pub fn pretty_as(value: &Value, shape: Shape) -> String {
    let mut out = String::new();
    write(value, shape, Some(0), &mut out);
    out
}

/// With two blanks, as json.Indent is sometimes asked for.
pub fn pretty_two(value: &Value) -> String {
    with_two_blanks(&pretty(value))
}

pub fn with_two_blanks(pretty: &str) -> String {
    pretty.lines().map(|line| {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        format!("{}{}\n", " ".repeat(blanks / 2), &line[blanks..])
    }).collect()
}

pub fn compact(value: &Value) -> String {
    let mut out = String::new();
    write(value, Shape::Sorted, None, &mut out);
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

fn write(value: &Value, shape: Shape, depth: Option<usize>, out: &mut String) {
    let below = depth.map(|d| d + 1);
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(below, out);
                write(item, shape.item(), below, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (i, (key, item, shape)) in shape.entries(map).into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(below, out);
                out.push_str(&text(key));
                out.push_str(if depth.is_some() { ": " } else { ":" });
                write(item, shape, below, out);
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
