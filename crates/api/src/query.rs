//! The query of a request, decoded once.

use std::num::{IntErrorKind, ParseIntError};
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::ApiError;

/// Pairs in the order given; the first value of a key counts, as in Go's `url.Values.Get`.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        // Upstream: `ParseQuery` in Go's src/net/url, whose errors nobody reads.
        let pairs = text.split('&').filter(|p| !p.is_empty() && !p.contains(';')).filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(key)?, unescape(value)?))
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

    /// Upstream: a key without a value is no number.
    pub fn number(&self, key: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.all(key).next() else { return Ok(None) };
        text.parse().map(Some).map_err(|error: ParseIntError| {
            let why = if matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) { "value out of range" } else { "invalid syntax" };
            ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: {why}"))
        })
    }
}

impl Query {
    /// The time that the client gives a request; none where it says nothing, or nothing that limits.
    // Upstream: apiserver `pkg/endpoints/filters/request_deadline.go`.
    pub fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        match self.get("timeout") {
            "" => Ok(None),
            text => match gotime::parse(text) {
                Ok(nanos) => Ok(u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)),
                Err(why) => Err(ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}"))),
            },
        }
    }
}

/// A path's text without its percent signs.
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The same for a part of a query, where a plus stands for a blank; none where Go would drop the part.
fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let sound = bytes.iter().enumerate().all(|(at, byte)| *byte != b'%' || (hex(at + 1) && hex(at + 2)));
    sound.then(|| decode(&text.replace('+', " ")))
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
        let query = super::Query::parse("a=b%2Cc&a=x&w=1&flag&c=%zz&d;e=1&blank=y+%2B");
        assert_eq!((query.get("a"), query.get("blank"), query.get("none")), ("b,c", "y +", ""));
        assert!(!query.has("c") && !query.has("d;e"), "what Go drops");
        assert!(query.flag("w") && query.flag("flag") && !query.flag("none"));
    }
}
