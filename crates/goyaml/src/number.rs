//! Floating point numbers as Go's strconv and encoding/json write them.

/// As `strconv.FormatFloat(f, 'g', -1, 64)` and `%v` write: the shortest digits, with an exponent below 1e-4 and from 1e+06 on.
// Upstream: golang/go src/strconv/ftoa.go, verb 'g': the shortest form decides as if six digits were asked for.
pub fn float_g(f: f64) -> String {
    if f.is_nan() {
        return "NaN".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let (digits, exponent) = scientific(f);
    if (-4..6).contains(&exponent) {
        return format!("{f}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// As `encoding/json` writes a float64. Infinite numbers and NaN have no JSON and give `null`.
// Upstream: golang/go src/encoding/json/encode.go floatEncoder: an exponent below 1e-6 and from 1e21 on, without a leading zero.
pub fn float_json(f: f64) -> String {
    if !f.is_finite() {
        return "null".into();
    }
    if f == 0.0 || (1e-6..1e21).contains(&f.abs()) {
        return format!("{f}");
    }
    let (digits, exponent) = scientific(f);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:}", exponent.abs())
}

fn scientific(f: f64) -> (String, i32) {
    let text = format!("{f:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_string(), exponent.parse().unwrap_or(0))
}
