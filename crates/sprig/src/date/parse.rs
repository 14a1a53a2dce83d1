//! Reading moments by a layout. Upstream: time.ParseInLocation, with its messages.

use gotime::calendar::days_of;
use gotime::quote;

use super::layout::{MONTHS, Offset, Piece, WEEKDAYS, next_piece};
use super::time::{Moment, Zone, is_leap};

#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: u32,
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i64>,
    zone_name: String,
}

/// What is wrong with a piece: that it does not fit, or is out of its range.
enum Fault {
    Bad,
    Range(&'static str),
}

type Piecewise<T> = Result<T, Fault>;

fn misfit(layout: &[u8], value: &[u8], piece: &[u8], left: &[u8]) -> String {
    format!("parsing time {} as {}: cannot parse {} as {}", quote(value), quote(layout), quote(left), quote(piece))
}

pub fn parse(layout: &[u8], value: &[u8], local: Zone) -> Result<Moment, String> {
    let mut fields = Fields::default();
    let mut rest_layout = layout;
    let mut rest = value;
    loop {
        let (prefix, piece, suffix) = next_piece(rest_layout);
        rest = skip(rest, prefix).map_err(|left| misfit(layout, value, prefix, left))?;
        let Some((piece, length)) = piece else {
            if !rest.is_empty() {
                return Err(format!("parsing time {}: extra text: {}", quote(value), quote(rest)));
            }
            break;
        };
        let shown = &rest_layout[prefix.len()..prefix.len() + length];
        rest_layout = suffix;
        let hold = rest;
        match fields.read(piece, &mut rest, suffix) {
            Ok(()) => {}
            Err(Fault::Range(what)) => return Err(format!("parsing time {}: {what} out of range", quote(value))),
            Err(Fault::Bad) => return Err(misfit(layout, value, shown, hold)),
        }
    }
    fields.finish(local).map_err(|what| format!("parsing time {}: {what}", quote(value)))
}

/// The value after the layout's own text, where any run of spaces fits any other; else where they part.
fn skip<'v>(mut value: &'v [u8], mut prefix: &[u8]) -> Result<&'v [u8], &'v [u8]> {
    let cut = |text: &[u8]| text.iter().take_while(|b| **b == b' ').count();
    while let Some(&byte) = prefix.first() {
        if byte == b' ' {
            if value.first().is_some_and(|b| *b != b' ') {
                return Err(value);
            }
            prefix = &prefix[cut(prefix)..];
            value = &value[cut(value)..];
            continue;
        }
        if value.first() != Some(&byte) {
            return Err(value);
        }
        prefix = &prefix[1..];
        value = &value[1..];
    }
    Ok(value)
}

fn digit(text: &[u8], at: usize) -> Option<i64> {
    text.get(at).filter(|b| b.is_ascii_digit()).map(|b| i64::from(b - b'0'))
}

/// One or two digits; two when fixed.
fn number(text: &mut &[u8], fixed: bool) -> Piecewise<i64> {
    let first = digit(text, 0).ok_or(Fault::Bad)?;
    let Some(second) = digit(text, 1) else {
        if fixed {
            return Err(Fault::Bad);
        }
        *text = &text[1..];
        return Ok(first);
    };
    *text = &text[2..];
    Ok(first * 10 + second)
}

/// Up to three digits; three when fixed.
fn number3(text: &mut &[u8], fixed: bool) -> Piecewise<i64> {
    let count = (0..3).take_while(|at| digit(text, *at).is_some()).count();
    if count == 0 || (fixed && count != 3) {
        return Err(Fault::Bad);
    }
    let value = (0..count).fold(0, |value, at| value * 10 + digit(text, at).unwrap_or(0));
    *text = &text[count..];
    Ok(value)
}

fn exactly(text: &mut &[u8], count: usize) -> Piecewise<i64> {
    if text.len() < count || (0..count).any(|at| digit(text, at).is_none()) {
        return Err(Fault::Bad);
    }
    let value = (0..count).fold(0, |value, at| value * 10 + digit(text, at).unwrap_or(0));
    *text = &text[count..];
    Ok(value)
}

fn name(text: &mut &[u8], names: &[&str], length: Option<usize>) -> Piecewise<i64> {
    for (at, name) in names.iter().enumerate() {
        let name = &name[..length.unwrap_or(name.len())];
        if text.len() >= name.len() && text[..name.len()].eq_ignore_ascii_case(name.as_bytes()) {
            *text = &text[name.len()..];
            return i64::try_from(at).map_err(|_| Fault::Bad);
        }
    }
    Err(Fault::Bad)
}

fn within(value: i64, range: std::ops::RangeInclusive<i64>, what: &'static str) -> Piecewise<i64> {
    if range.contains(&value) { Ok(value) } else { Err(Fault::Range(what)) }
}

/// A mark and digits as nanoseconds; digits beyond the ninth do not count.
fn fraction(text: &[u8]) -> u32 {
    let digits: String = text[1..].iter().take(9).map(|b| char::from(*b)).collect();
    format!("{digits:0<9}").parse().unwrap_or(0)
}

fn is_mark(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'.' | b','))
}

impl Fields {
    fn read(&mut self, piece: Piece, text: &mut &[u8], after: &[u8]) -> Piecewise<()> {
        match piece {
            Piece::Year => {
                let year = exactly(text, 2)?;
                self.year = if year >= 69 { year + 1900 } else { year + 2000 };
            }
            Piece::LongYear => self.year = exactly(text, 4)?,
            Piece::Month => self.month = Some(name(text, &MONTHS, Some(3))? + 1),
            Piece::LongMonth => self.month = Some(name(text, &MONTHS, None)? + 1),
            Piece::NumMonth | Piece::ZeroMonth => self.month = Some(within(number(text, piece == Piece::ZeroMonth)?, 1..=12, "month")?),
            Piece::Weekday => drop(name(text, &WEEKDAYS, Some(3))?),
            Piece::LongWeekday => drop(name(text, &WEEKDAYS, None)?),
            Piece::Day | Piece::UnderDay | Piece::ZeroDay => {
                if piece == Piece::UnderDay && text.first() == Some(&b' ') {
                    *text = &text[1..];
                }
                self.day = Some(number(text, piece == Piece::ZeroDay)?);
            }
            Piece::UnderYearDay | Piece::ZeroYearDay => {
                for _ in 0..2 {
                    if piece == Piece::UnderYearDay && text.first() == Some(&b' ') {
                        *text = &text[1..];
                    }
                }
                self.year_day = Some(number3(text, piece == Piece::ZeroYearDay)?);
            }
            Piece::Hour => self.hour = within(number(text, false)?, 0..=23, "hour")?,
            Piece::Hour12 | Piece::ZeroHour12 => self.hour = within(number(text, piece == Piece::ZeroHour12)?, 0..=12, "hour")?,
            Piece::Minute | Piece::ZeroMinute => self.minute = within(number(text, piece == Piece::ZeroMinute)?, 0..=59, "minute")?,
            Piece::Second | Piece::ZeroSecond => {
                self.second = within(number(text, piece == Piece::ZeroSecond)?, 0..=59, "second")?;
                self.unasked_fraction(text, after);
            }
            Piece::UpperPm => self.half(text, [b"AM", b"PM"])?,
            Piece::LowerPm => self.half(text, [b"am", b"pm"])?,
            Piece::Offset(form) => self.offset(text, form)?,
            Piece::ZoneName => self.zone(text)?,
            Piece::Fraction { digits, exact: true, .. } => {
                let length = digits + 1;
                if text.len() < length || !is_mark(text) || (1..length).any(|at| digit(text, at).is_none()) {
                    return Err(Fault::Bad);
                }
                self.nanos = fraction(&text[..length]);
                *text = &text[length..];
            }
            Piece::Fraction { .. } => self.take_fraction(text),
        }
        Ok(())
    }

    /// A fraction of the second is read even where the layout has none.
    fn unasked_fraction(&mut self, text: &mut &[u8], after: &[u8]) {
        if !matches!(next_piece(after).1, Some((Piece::Fraction { .. }, _))) {
            self.take_fraction(text);
        }
    }

    fn take_fraction(&mut self, text: &mut &[u8]) {
        if is_mark(text) && digit(text, 1).is_some() {
            let length = 1 + text[1..].iter().take_while(|b| b.is_ascii_digit()).count();
            self.nanos = fraction(&text[..length]);
            *text = &text[length..];
        }
    }

    fn half(&mut self, text: &mut &[u8], names: [&[u8; 2]; 2]) -> Piecewise<()> {
        let at = names.iter().position(|name| text.starts_with(*name)).ok_or(Fault::Bad)?;
        self.afternoon = Some(at == 1);
        *text = &text[2..];
        Ok(())
    }

    fn offset(&mut self, text: &mut &[u8], form: Offset) -> Piecewise<()> {
        if form.iso && text.first() == Some(&b'Z') {
            *text = &text[1..];
            self.utc = true;
            return Ok(());
        }
        let sign = match text.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(Fault::Bad),
        };
        let mut left = &text[1..];
        let mut parts = [0; 3];
        for (at, part) in parts.iter_mut().enumerate().take(form.parts) {
            if at > 0 && form.colons {
                left = left.strip_prefix(b":").ok_or(Fault::Bad)?;
            }
            *part = exactly(&mut left, 2)?;
        }
        within(parts[0], 0..=24, "time zone offset hour")?;
        within(parts[1], 0..=60, "time zone offset minute")?;
        within(parts[2], 0..=60, "time zone offset second")?;
        self.offset = Some(sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]));
        *text = left;
        Ok(())
    }

    fn zone(&mut self, text: &mut &[u8]) -> Piecewise<()> {
        if text.starts_with(b"UTC") {
            *text = &text[3..];
            self.utc = true;
            return Ok(());
        }
        let length = zone_length(text).ok_or(Fault::Bad)?;
        self.zone_name = String::from_utf8_lossy(&text[..length]).into_owned();
        *text = &text[length..];
        Ok(())
    }

    fn finish(mut self, local: Zone) -> Result<Moment, String> {
        match self.afternoon {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        let (month, day) = self.date()?;
        let civil = [self.year, month, day, self.hour, self.minute, self.second];
        if self.utc {
            return Ok(Moment::of(civil, self.nanos, Zone::Utc));
        }
        let Some(offset) = self.offset else {
            if !self.zone_name.is_empty() {
                return Ok(named(civil, self.nanos, &self.zone_name, local));
            }
            return Ok(Moment::of(civil, self.nanos, local));
        };
        let mut moment = Moment::of(civil, self.nanos, Zone::Utc);
        moment.unix -= offset;
        let here = moment.in_zone(local);
        if here.offset() == offset && (self.zone_name.is_empty() || here.zone_name() == self.zone_name) {
            return Ok(here);
        }
        Ok(moment.in_zone(Zone::Fixed { name: self.zone_name, offset }))
    }

    /// Month and day, also from the day of the year.
    fn date(&self) -> Result<(i64, i64), String> {
        let (mut month, mut day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if let Some(year_day) = self.year_day {
            if !(1..=if is_leap(self.year) { 366 } else { 365 }).contains(&year_day) {
                return Err("day-of-year out of range".into());
            }
            let start = Moment { unix: (days_of(self.year, 1, 1) + year_day - 1) * 86_400, nanos: 0, zone: Zone::Utc }.civil();
            (month, day) = (i64::try_from(start.month).unwrap_or(1), start.day);
            if self.month.is_some_and(|given| given != month) {
                return Err("day-of-year does not match month".into());
            }
            if self.day.is_some_and(|given| given != day) {
                return Err("day-of-year does not match day".into());
            }
        }
        let days = days_of(self.year, month + 1, 1) - days_of(self.year, month, 1);
        if !(1..=days).contains(&day) {
            return Err("day out of range".into());
        }
        Ok((month, day))
    }
}

/// A moment in a zone of which only the abbreviation is known: the local one, or one of offset 0 but for `GMT+3`.
fn named(civil: [i64; 6], nanos: u32, name: &str, local: Zone) -> Moment {
    let here = Moment::of(civil, nanos, local);
    if here.zone_name() == name {
        return here;
    }
    let hours: i64 = name.strip_prefix("GMT").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut moment = Moment::of(civil, nanos, Zone::Utc);
    moment.unix -= hours * 3600;
    moment.in_zone(Zone::Fixed { name: name.to_owned(), offset: hours * 3600 })
}

/// Upstream: parseTimeZone: three or four capitals, `ChST`, `MeST`, `GMT+3`, `+03`.
fn zone_length(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if text.starts_with(b"GMT") {
        return Some(3 + signed_length(&text[3..]));
    }
    if matches!(text[0], b'+' | b'-') {
        let length = signed_length(text);
        return (length > 0).then_some(length);
    }
    match text.iter().take(6).take_while(|b| b.is_ascii_uppercase()).count() {
        5 if text[4] == b'T' => Some(5),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

fn signed_length(text: &[u8]) -> usize {
    if !matches!(text.first(), Some(b'+' | b'-')) {
        return 0;
    }
    let digits = text[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    let hours: i64 = String::from_utf8_lossy(&text[1..=digits]).parse().unwrap_or(99);
    if digits == 0 || hours > 23 { 0 } else { digits + 1 }
}
