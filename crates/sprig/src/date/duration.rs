//! Durations in nanoseconds: how Go writes and reads them.

use super::layout::quote;

const UNITS: [(&str, f64, i64); 8] = [
    ("ns", 1.0, 1),
    ("us", 1e3, 1_000),
    ("µs", 1e3, 1_000),
    ("μs", 1e3, 1_000),
    ("ms", 1e6, 1_000_000),
    ("s", 1e9, 1_000_000_000),
    ("m", 6e10, 60_000_000_000),
    ("h", 3.6e12, 3_600_000_000_000),
];

/// `Duration.String`
pub fn shown(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    if magnitude == 0 {
        return "0s".into();
    }
    if magnitude < 1_000_000_000 {
        let (unit, size, places) = match magnitude {
            0..1_000 => ("ns", 1, 0),
            1_000..1_000_000 => ("µs", 1_000, 3),
            _ => ("ms", 1_000_000, 6),
        };
        return format!("{sign}{}{unit}", fraction(magnitude / size, magnitude % size, places));
    }
    let seconds = magnitude / 1_000_000_000;
    let mut out = format!("{}s", fraction(seconds % 60, magnitude % 1_000_000_000, 9));
    if seconds >= 60 {
        out = format!("{}m{out}", seconds / 60 % 60);
    }
    if seconds >= 3600 {
        out = format!("{}h{out}", seconds / 3600);
    }
    format!("{sign}{out}")
}

fn fraction(whole: u64, part: u64, places: usize) -> String {
    let digits = format!("{part:0places$}");
    let digits = digits.trim_end_matches('0');
    if part == 0 || digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") }
}

/// `time.ParseDuration`
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
        let Some((_, size, exact)) = UNITS.iter().find(|(name, ..)| *name == unit) else {
            return Err(format!("time: unknown unit {} in duration {}", quote(unit.as_bytes()), quote(text.as_bytes())));
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let mut nanos = whole.checked_mul(exact.unsigned_abs()).ok_or_else(invalid)?;
        if !part.is_empty() {
            let fraction: f64 = format!("0.{part}").parse().unwrap_or(0.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below one unit")]
            let fraction = (fraction * size) as u64;
            nanos = nanos.checked_add(fraction).ok_or_else(invalid)?;
        }
        total = total.checked_add(nanos).filter(|t| *t <= 1 << 63).ok_or_else(invalid)?;
        rest = after;
    }
    match negative {
        true => 0i64.checked_sub_unsigned(total).ok_or_else(invalid),
        false => i64::try_from(total).map_err(|_| invalid()),
    }
}

fn take_digits<'t>(rest: &mut &'t str) -> &'t str {
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, after) = rest.split_at(end);
    *rest = after;
    digits
}
