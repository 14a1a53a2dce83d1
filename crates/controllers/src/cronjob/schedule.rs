//! Schedules of five fields, their nicknames and `@every`, with time zones. Pure.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Searching ends after five years: such a schedule never comes.
const HORIZON_DAYS: i32 = 5 * 366;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    Fields(Box<Fields>),
    Every(Duration),
}

/// One bit per value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

pub(crate) fn parse(text: &str) -> Result<Schedule, String> {
    let text = text.trim();
    let plain = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => other,
    };
    if let Some(every) = plain.strip_prefix("@every ") {
        // Whole seconds, at least one. Upstream: `Every` in robfig/cron constantdelay.go.
        let nanos = gotime::parse(every).map_err(|error| format!("failed to parse duration {text}: {error}"))?;
        return Ok(Schedule::Every(Duration::from_secs(u64::try_from(nanos / 1_000_000_000).unwrap_or_default().max(1))));
    }
    let parts: Vec<&str> = plain.split_whitespace().collect();
    let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
        return Err(format!("expected exactly 5 fields, found {}: [{text}]", parts.len()));
    };
    let mut weekday_bits = field(weekdays, 0, 7, &WEEKDAYS, 0)?;
    // Both 0 and 7 are Sunday.
    weekday_bits = (weekday_bits | (weekday_bits >> 7)) & 0x7f;
    Ok(Schedule::Fields(Box::new(Fields {
        minutes: field(minutes, 0, 59, &[], 0)?,
        hours: field(hours, 0, 23, &[], 0)?,
        days: field(days, 1, 31, &[], 0)?,
        months: field(months, 1, 12, &MONTHS, 1)?,
        weekdays: weekday_bits,
        any_day: days.starts_with('*') || *days == "?",
        any_weekday: weekdays.starts_with('*') || *weekdays == "?",
    })))
}

fn field(text: &str, least: u32, most: u32, names: &[&str], first_name: u32) -> Result<u64, String> {
    let value = |part: &str| {
        let named = names.iter().position(|n| part.eq_ignore_ascii_case(n)).and_then(|at| u32::try_from(at).ok()).map(|at| at + first_name);
        named.or_else(|| part.parse().ok()).filter(|n| (least..=most).contains(n)).ok_or_else(|| format!("failed to parse int from {part} in {text}"))
    };
    let mut bits = 0u64;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(r, s)| (r, Some(s)));
        let step: u32 = step.map_or(Ok(1), |s| s.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("step of range should be a positive number: {part}")))?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (least, most),
            Some((from, to)) => (value(from)?, value(to)?),
            None if part.contains('/') => (value(range)?, most),
            None => (value(range)?, value(range)?),
        };
        if from > to {
            return Err(format!("beginning of range ({from}) beyond end of range ({to}): {part}"));
        }
        for n in (from..=to).step_by(usize::try_from(step).unwrap_or(1)) {
            bits |= 1 << n;
        }
    }
    Ok(bits)
}

impl Schedule {
    /// The first time after `after`.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(every) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                whole.checked_add(SignedDuration::try_from(*every).ok()?).ok()
            }
            Self::Fields(fields) => fields.next(after, zone),
        }
    }
}

impl Fields {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = after.to_zoned(zone.clone()).datetime();
        let has = |bits: u64, n: i8| bits & (1 << n) != 0;
        let mut date = local.date();
        for _ in 0..HORIZON_DAYS {
            let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
            let day = has(self.days, date.day());
            // Both given: either is enough.
            let fits = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
            if has(self.months, date.month()) && fits {
                for minute in 0..24 * 60i16 {
                    let (hour, minute) = ((minute / 60) as i8, (minute % 60) as i8);
                    if !has(self.hours, hour) || !has(self.minutes, minute) {
                        continue;
                    }
                    let at = date.at(hour, minute, 0, 0);
                    // An hour that a change of clocks leaves out has no such time.
                    if at > local
                        && let Ok(time) = zone.to_ambiguous_zoned(at).later()
                        && time.datetime() == at
                        && time.timestamp() > after
                    {
                        return Some(time.timestamp());
                    }
                }
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_times() {
        let after: Timestamp = "2026-11-24T00:10:30Z".parse().unwrap();
        let next = |text: &str| parse(text).map(|s| s.next(after, &TimeZone::UTC).map_or("never".into(), |t| t.to_string()));
        assert_eq!(next("*/15 * * * *").unwrap(), "2026-11-24T00:15:00Z");
        assert_eq!(next("0 9-17 * * mon-fri").unwrap(), "2026-11-24T09:00:00Z");
        assert_eq!(next("0 0 1,15 * 0").unwrap(), "2026-11-29T00:00:00Z");
        assert_eq!(next("5 4 29 feb *").unwrap(), "2028-02-29T04:05:00Z");
        assert_eq!(next("0 0 31 2 *").unwrap(), "never");
        assert_eq!(next("@every 1h30m").unwrap(), "2026-11-24T01:40:30Z");
        assert_eq!(next("@weekly").unwrap(), "2026-11-29T00:00:00Z");
        for bad in ["", "* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *", "x * * * *", "@every x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
