//! Scalars with a form of their own: times, durations, bytes, quantities. Parsed, checked and printed as Go prints them.
//!
//! Never panics; what cannot be read is told in Go's words.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

pub(crate) fn quantity(text: &str) -> Result<String, String> {
    quantity::canonical(text).map_err(|e| e.to_string())
}

/// RFC 3339 with any fraction, printed in whole seconds of UTC.
pub(crate) fn time(text: &str) -> Result<String, String> {
    Ok(print_time(parse_time(text, "2006-01-02T15:04:05Z07:00")?))
}

pub(crate) fn micro_time(text: &str) -> Result<String, String> {
    Ok(print_micro_time(parse_time(text, "2006-01-02T15:04:05.000000Z07:00")?))
}

pub(crate) fn print_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn print_micro_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn parse_time(text: &str, layout: &str) -> Result<Timestamp, String> {
    let shaped = text.len() >= 20 && text.as_bytes()[10] == b'T' && (text.ends_with('Z') || matches!(text.as_bytes()[text.len() - 6], b'+' | b'-'));
    let parsed = if shaped { text.parse::<Timestamp>().ok() } else { None };
    parsed.ok_or_else(|| format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""))
}

/// The canonical base64 of what `text` holds.
pub(crate) fn bytes(text: &str) -> Result<String, String> {
    Ok(STANDARD.encode(decode_bytes(text)?))
}

pub(crate) fn decode_bytes(text: &str) -> Result<Vec<u8>, String> {
    let plain: String;
    let text = if text.contains(['\n', '\r']) {
        // Upstream: Go's decoder ignores line breaks inside base64.
        plain = text.replace(['\n', '\r'], "");
        &plain
    } else {
        text
    };
    STANDARD.decode(text).map_err(|e| match e {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => format!("illegal base64 data at input byte {at}"),
        _ => format!("illegal base64 data at input byte {}", text.len() / 4 * 4),
    })
}

pub(crate) fn encode_bytes(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

const UNITS: [(&str, i128); 8] =
    [("ns", 1), ("us", 1_000), ("\u{b5}s", 1_000), ("\u{3bc}s", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

/// Go's `time.ParseDuration`, in nanoseconds.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let bad = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (_, scale) = UNITS.iter().find(|(u, _)| *u == &tail[..unit_end]).ok_or_else(bad)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if number.len() > 24 || (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(bad());
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
        let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| bad())? };
        total = whole.checked_mul(*scale).and_then(|w| w.checked_add(part * scale / 10i128.pow(fraction.len() as u32))).and_then(|n| n.checked_add(total)).ok_or_else(bad)?;
        rest = &tail[unit_end..];
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| bad())
}

/// Go's `Duration.String`.
pub(crate) fn print_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".into();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    let fraction = |n: u64, unit: u64| {
        let digits = unit.ilog10() as usize;
        let text = format!("{}.{:0digits$}", n / unit, n % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match n {
        0..1_000 => format!("{sign}{n}ns"),
        1_000..1_000_000 => format!("{sign}{}\u{b5}s", fraction(n, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(n, 1_000_000)),
        _ => {
            let (minutes, rest) = (n / 60_000_000_000, n % 60_000_000_000);
            let seconds = fraction(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, m) => format!("{sign}{m}m{seconds}s"),
                (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
            }
        }
    }
}
