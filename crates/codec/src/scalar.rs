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
pub fn time(text: &str) -> Result<String, String> {
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
