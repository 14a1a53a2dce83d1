//! Go's durations and the calendar under Go's times: what every program around Kubernetes writes into flags, files and fields.
//!
//! Knows no Kubernetes, does no IO, asks no clock.

pub mod calendar;
pub mod duration;

pub use duration::{at_least_zero, parse, shown};

/// A text as Go's `time` package shows it in errors: all that is not printable ASCII as its bytes.
///
/// Upstream: `quote` in Go's src/time/format.go.
pub fn quote(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'~' | 0x7f => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}
