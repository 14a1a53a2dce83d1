//! Texts that a schema gives a format, read as the API server's format library reads them.
//!
//! Upstream: k8s.io/kube-openapi/pkg/validation/strfmt. Looser than CEL's own conversions: `1 day` is a duration, a time may lack its zone.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, alphabet};

use crate::time::{self, Moment};

/// Padded, in the alphabet for URLs, unused bits of any value: Go's `base64.URLEncoding`.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

pub(crate) fn date(text: &str) -> Result<Moment, String> {
    time::date(text).ok_or_else(|| format!("Invalid date formatted string {text}: {}", not_a_time(text, "2006-01-02")))
}

/// The empty text is the epoch, a time without a zone is in UTC.
pub(crate) fn date_time(text: &str) -> Result<Moment, String> {
    let zoned = if text.is_empty() { time::timestamp("1970-01-01T00:00:00Z") } else { time::timestamp(text) };
    let moment = zoned.or_else(|| time::timestamp(&format!("{text}Z")));
    moment.ok_or_else(|| format!("Invalid date-time formatted string {text}: {}", not_a_time(text, "2006-01-02T15:04:05")))
}

/// What Go's `time.Parse` says of a text that does not fit the layout.
fn not_a_time(text: &str, layout: &str) -> String {
    let mut rest = text;
    for part in layout.split_inclusive(['-', 'T', ':']) {
        let element = part.trim_end_matches(['-', 'T', ':']);
        let cannot = |what: &str| format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {what:?}");
        let Some((number, after)) = rest.split_at_checked(element.len()).filter(|(n, _)| n.bytes().all(|c| c.is_ascii_digit())) else { return cannot(element) };
        let limits = match element {
            "01" => Some((1..=12, "month")),
            "15" => Some((0..=23, "hour")),
            "04" => Some((0..=59, "minute")),
            "05" => Some((0..=59, "second")),
            _ => None,
        };
        if let Some((_, name)) = limits.filter(|(range, _)| !number.parse().is_ok_and(|n: u8| range.contains(&n))) {
            return format!("parsing time {text:?}: {name} out of range");
        }
        let separator = &part[element.len()..];
        let Some(next) = after.strip_prefix(separator) else { return format!("parsing time {text:?} as {layout:?}: cannot parse {after:?} as {separator:?}") };
        rest = next;
    }
    if rest.is_empty() { format!("parsing time {text:?}: day out of range") } else { format!("parsing time {text:?}: extra text: {rest:?}") }
}

pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let text_without_ends: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    URL_SAFE.decode(&text_without_ends).map_err(|e| {
        let at = match e {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len(),
        };
        format!("Invalid byte formatted string {text}: illegal base64 data at input byte {at}")
    })
}

/// Go's durations, or any text with numbers and words of time in it.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    if let Ok(nanos) = gotime::parse(text) {
        return Ok(nanos);
    }
    let (mut total, mut found) = (0i64, false);
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (number, after) = split_while(&rest[start..], |c| c.is_ascii_digit());
        let (word, next) = split_while(after.trim_start_matches([' ', '\t', '\n', '\x0c', '\r']), |c| c.is_ascii_alphabetic() || c == 'µ');
        rest = next;
        if word.is_empty() {
            continue;
        }
        let count: i64 = number.parse().map_err(|_| format!("Invalid duration {text}: strconv.Atoi: parsing {number:?}: value out of range"))?;
        if let Some(unit) = unit(&word.to_lowercase()) {
            found = true;
            total = total.wrapping_add(count.wrapping_mul(unit));
        }
    }
    if found { Ok(total) } else { Err(format!("Invalid duration {text}: unable to parse {text} as duration")) }
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// Short names, and the beginning of the long one.
fn unit(word: &str) -> Option<i64> {
    const SECOND: i64 = 1_000_000_000;
    const UNITS: [(&[&str], &str, i64); 8] = [
        (&["ns"], "nano", 1),
        (&["us", "µs"], "micro", 1_000),
        (&["ms"], "milli", 1_000_000),
        (&["s"], "sec", SECOND),
        (&["m"], "min", 60 * SECOND),
        (&["h", "hr"], "hour", 3600 * SECOND),
        (&["d"], "day", 86_400 * SECOND),
        (&["w", "wk"], "week", 604_800 * SECOND),
    ];
    UNITS.iter().find(|(short, long, _)| short.contains(&word) || word.starts_with(long)).map(|u| u.2)
}

/// `format.datetime()`: what is between the date and a second `t`, of any case.
pub(crate) fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(day), Some(clock)) = (parts.next(), parts.next()) else { return false };
    let Some((hms, rest)) = clock.split_at_checked(8) else { return false };
    let fits = |at: usize, below: &str| hms[at..at + 2].bytes().all(|c| c.is_ascii_digit()) && &hms[at..at + 2] <= below;
    let shaped = hms.is_ascii() && hms.as_bytes()[2] == b':' && hms.as_bytes()[5] == b':';
    time::date(day).is_some() && shaped && fits(0, "23") && fits(3, "59") && fits(6, "59") && is_zone(rest)
}

/// `(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})$`, the dot being any character.
fn is_zone(text: &str) -> bool {
    let zone = |z: &str| z == "z" || matches!(z.as_bytes(), [b'+' | b'-', h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|c| c.is_ascii_digit()));
    let after = text.chars().next().map_or("", |c| if c == '\n' { "" } else { &text[c.len_utf8()..] });
    let (digits, rest) = split_while(after, |c| c.is_ascii_digit());
    zone(text) || (!digits.is_empty() && zone(rest))
}

/// `format.byte()`: the standard alphabet, in whole groups, never empty.
pub(crate) fn is_base64(text: &str) -> bool {
    let padding = text.bytes().rev().take(2).take_while(|c| *c == b'=').count();
    let body = &text[..text.len() - padding];
    !text.is_empty() && text.len().is_multiple_of(4) && body.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        assert_eq!(duration("1 day"), Ok(86_400_000_000_000));
        assert_eq!(duration("2 weeks, 3hr"), Ok(1_220_400_000_000_000));
        assert_eq!(duration("5 micros 1µs"), Ok(6_000));
        assert_eq!(duration("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(duration("1 parsec"), Err("Invalid duration 1 parsec: unable to parse 1 parsec as duration".into()));
    }

    #[test]
    fn times() {
        assert_eq!(date_time("2024-01-01T00:00:00"), date_time("2024-01-01T00:00:00Z"));
        assert_eq!(date_time(""), date_time("1970-01-01T00:00:00Z"));
        assert_eq!(date("2024-13-01"), Err(r#"Invalid date formatted string 2024-13-01: parsing time "2024-13-01": month out of range"#.into()));
        assert_eq!(date("2024-02-30"), Err(r#"Invalid date formatted string 2024-02-30: parsing time "2024-02-30": day out of range"#.into()));
        assert_eq!(date("x"), Err(r#"Invalid date formatted string x: parsing time "x" as "2006-01-02": cannot parse "x" as "2006""#.into()));
        assert_eq!(date("2024-01-01T"), Err(r#"Invalid date formatted string 2024-01-01T: parsing time "2024-01-01T": extra text: "T""#.into()));
        assert!(is_date_time("2021-01-01t00:00:00z") && is_date_time("2021-01-01T00:00:00.5+99:99") && is_date_time("2021-01-01T00:00:00é5Z"));
        assert!(!is_date_time("2021-01-01T24:00:00Z") && !is_date_time("2021-01-01") && !is_date_time("2021-01-01T00:00:00") && !is_date_time("2021-02-30T00:00:00Z"));
    }

    #[test]
    fn base64s() {
        assert_eq!(bytes("-_8="), Ok(vec![0xfb, 0xff]));
        assert_eq!(bytes("+/8="), Err("Invalid byte formatted string +/8=: illegal base64 data at input byte 0".into()));
        assert!(is_base64("aGVsbG8=") && is_base64("QR==") && !is_base64("") && !is_base64("QQ=") && !is_base64("===="));
    }
}
