//! Numbers as Go's fmt prints them. Never rounds: the shortest text that reads back as the same float.

use serde_json::Number;

pub(crate) fn go_number(n: &Number) -> String {
    match n.as_f64() {
        Some(f) if n.is_f64() => go_float(f),
        _ => n.to_string(),
    }
}

/// `%v` of a float64: plain between 1e-4 and 1e21, else with an exponent of at least two digits.
pub fn go_float(f: f64) -> String {
    if f == 0.0 || !f.is_finite() {
        return if f.is_nan() { "NaN".into() } else if f.is_infinite() { if f > 0.0 { "+Inf".into() } else { "-Inf".into() } } else { "0".into() };
    }
    let size = f.abs();
    if (1e-4..1e21).contains(&size) {
        return format!("{f}");
    }
    let text = format!("{f:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    format!("{digits}e{sign}{exponent:0>2}")
}
