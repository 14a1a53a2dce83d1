//! Durations in nanoseconds: how Go reads and writes them.
//!
//! Upstream: `ParseDuration` and `Duration.String` in Go's src/time.

use std::time::Duration;

use crate::quote;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// `Duration.String`: `1h2m3.5s`, `300ms`, `0s`.
pub fn shown(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let (unit, size, places) = match magnitude {
        0 => return "0s".into(),
        1..1_000 => ("ns", 1, 0),
        1_000..1_000_000 => ("\u{b5}s", 1_000, 3),
        1_000_000..1_000_000_000 => ("ms", 1_000_000, 6),
        _ => return format!("{sign}{}", clock(magnitude)),
    };
    format!("{sign}{}{unit}", decimal(magnitude / size, magnitude % size, places))
}

/// A second and more.
fn clock(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    let mut out = format!("{}s", decimal(seconds % 60, nanos % 1_000_000_000, 9));
    if seconds >= 60 {
        out = format!("{}m{out}", seconds / 60 % 60);
    }
    if seconds >= 3600 {
        out = format!("{}h{out}", seconds / 3600);
    }
    out
}

fn decimal(whole: u64, part: u64, places: usize) -> String {
    if part == 0 {
        return whole.to_string();
    }
    let digits = format!("{part:0places$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// `time.ParseDuration`: nanoseconds, or the error in Go's words.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text.as_bytes()));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole = take_digits(&mut rest);
        let mut part = "";
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            part = take_digits(&mut rest);
        }
        if whole.is_empty() && part.is_empty() {
            return Err(invalid());
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text.as_bytes())));
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {} in duration {}", quote(unit.as_bytes()), quote(text.as_bytes())));
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let nanos = whole.checked_mul(*size).and_then(|n| n.checked_add(below_one(part, *size))).ok_or_else(invalid)?;
        total = total.checked_add(nanos).filter(|t| *t <= 1 << 63).ok_or_else(invalid)?;
        rest = after;
    }
    match negative {
        true => 0i64.checked_sub_unsigned(total).ok_or_else(invalid),
        false => i64::try_from(total).map_err(|_| invalid()),
    }
}

/// Nanoseconds of the digits after the point, rounded as Go rounds them: digits beyond 63 bits do not count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "Go computes so; below one unit")]
fn below_one(digits: &str, unit: u64) -> u64 {
    const MOST: u64 = (1 << 63) - 1;
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in digits.bytes().map(|b| u64::from(b - b'0')) {
        if value > MOST / 10 || value * 10 + digit > 1 << 63 {
            break;
        }
        value = value * 10 + digit;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// The same as a length of time that cannot be negative; none for other texts.
pub fn at_least_zero(text: &str) -> Option<Duration> {
    parse(text).ok().and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos)
}

fn take_digits<'t>(rest: &mut &'t str) -> &'t str {
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, after) = rest.split_at(end);
    *rest = after;
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_go_reads_them() {
        for (text, millis) in [("0", 0), ("-0", 0), ("2m0s", 120_000), ("1h2m3.5s", 3_723_500), ("300ms", 300), ("+1s", 1000), (".5s", 500), ("5.s", 5000), ("-3s", -3000)] {
            assert_eq!(parse(text), Ok(millis * 1_000_000), "{text}");
        }
        assert_eq!((parse("1.5\u{b5}s"), parse("0.3333333333333333333h")), (Ok(1500), Ok(1_200_000_000_000)));
        assert_eq!((parse("9223372036854775807ns"), parse("-9223372036854775808ns")), (Ok(i64::MAX), Ok(i64::MIN)));
    }

    #[test]
    fn errors_are_gos() {
        let invalid = |text: &str| Err(format!("time: invalid duration \"{text}\""));
        for text in ["", "-", ".", "s", "1.2.3s", "9223372036854775808ns", "99999999999999999999999h", "3000000h"] {
            let wanted = if text == "1.2.3s" { Err("time: missing unit in duration \"1.2.3s\"".into()) } else { invalid(text) };
            assert_eq!(parse(text), wanted, "{text}");
        }
        assert_eq!(parse("3"), Err("time: missing unit in duration \"3\"".into()));
        assert_eq!(parse("3x"), Err("time: unknown unit \"x\" in duration \"3x\"".into()));
        assert_eq!(parse("3\u{e4}"), Err("time: unknown unit \"\\xc3\\xa4\" in duration \"3\\xc3\\xa4\"".into()));
    }

    #[test]
    fn what_was_shown_is_read_again() {
        let shown_as = [(0, "0s"), (1, "1ns"), (1_100, "1.1\u{b5}s"), (2_200_000, "2.2ms"), (3_300_000_000, "3.3s"), (245_000_000_000, "4m5s"), (18_367_001_000_000, "5h6m7.001s"), (i64::MIN, "-2562047h47m16.854775808s")];
        for (nanos, text) in shown_as {
            assert_eq!((shown(nanos).as_str(), parse(text)), (text, Ok(nanos)));
        }
    }

    #[test]
    fn lengths_are_never_negative() {
        assert_eq!((at_least_zero("90s"), at_least_zero("-1s"), at_least_zero("x")), (Some(Duration::from_secs(90)), None, None));
    }
}
