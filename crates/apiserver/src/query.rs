//! The query of a request, decoded once.

use std::num::{IntErrorKind, ParseIntError};
use std::time::Duration;

use api::ApiError;

/// Pairs in the order given; the first value of a key counts, as in Go's `url.Values.Get`.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|p| !p.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        });
        Self(pairs.collect())
    }

    pub fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).unwrap_or_default()
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| k == key)
    }

    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Upstream: anything but `false` and `0` counts as true once the key is there.
    pub fn flag(&self, key: &str) -> bool {
        self.has(key) && !matches!(self.get(key).to_ascii_lowercase().as_str(), "false" | "0")
    }

    pub fn number(&self, key: &str) -> Result<Option<i64>, ApiError> {
        match self.get(key) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|error: ParseIntError| {
                let why = if matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) { "value out of range" } else { "invalid syntax" };
                ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: {why}"))
            }),
        }
    }
}

impl Query {
    /// The time that the client gives a request; none where it says nothing, or nothing that limits.
    // Upstream: apiserver `pkg/endpoints/filters/request_deadline.go`.
    pub fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        match self.get("timeout") {
            "" => Ok(None),
            text => match seconds(text) {
                Ok(seconds) => Ok(Duration::try_from_secs_f64(seconds).ok().filter(|d| !d.is_zero())),
                Err(why) => Err(ApiError::bad_request(format!("invalid timeout specified in the request URL - time: {why} {text:?}"))),
            },
        }
    }
}

/// Seconds of a duration as Go writes it (`1h2m3.5s`), or what is wrong with it.
fn seconds(text: &str) -> Result<f64, String> {
    const INVALID: &str = "invalid duration";
    let (sign, mut rest) = match text.as_bytes() {
        [b'-', ..] => (-1.0, &text[1..]),
        [b'+', ..] => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if rest == "0" {
        return Ok(0.0);
    }
    let mut sum = 0.0;
    if rest.is_empty() {
        return Err(INVALID.into());
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(unit_at);
        let number: f64 = number.parse().map_err(|_| INVALID.to_owned())?;
        let next = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(next);
        let scale = match unit {
            "" => return Err("missing unit in duration".into()),
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            unit => return Err(format!("unknown unit {unit:?} in duration")),
        };
        sum += number * scale;
        rest = tail;
    }
    // Upstream: nanoseconds in 63 bits.
    if sum > i64::MAX as f64 / 1e9 { Err(INVALID.into()) } else { Ok(sign * sum) }
}

/// Percent-decoding; a plus stands for a blank in queries only.
pub fn decode(text: &str, plus: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok())).flatten();
        match hex {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(if plus && byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_read_as_go_does() {
        let of = |text: &str| super::Query::parse(&format!("timeout={text}")).timeout().map_err(|e| e.message);
        let seconds = |s: f64| Ok(Some(std::time::Duration::from_secs_f64(s)));
        assert_eq!((of("1m1.5s"), of("300ms"), of("0"), of("-3s"), of("")), (seconds(61.5), seconds(0.3), Ok(None), Ok(None), Ok(None)));
        let wrong = |why: &str| Err(format!("invalid timeout specified in the request URL - time: {why}"));
        assert_eq!((of("abc"), of("3"), of("3x")), (wrong("invalid duration \"abc\""), wrong("missing unit in duration \"3\""), wrong("unknown unit \"x\" in duration \"3x\"")));
        assert_eq!((of("-"), of("99999999h")), (wrong("invalid duration \"-\""), wrong("invalid duration \"99999999h\"")));
    }

    #[test]
    fn decodes_and_keeps_the_first() {
        let query = super::Query::parse("a=b%2Cc&a=x&w=1&flag&bad=%zz+y");
        assert_eq!((query.get("a"), query.get("bad"), query.get("none")), ("b,c", "%zz y", ""));
        assert!(query.flag("w") && query.flag("flag") && !query.flag("none"));
    }
}
