//! Go's layouts, written as one reference moment: what each piece stands for, and formatting by them.

use super::time::Moment;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    Offset(Offset),
    /// Digits, all of them or but to the last that counts, and the mark before them.
    Fraction { digits: usize, exact: bool, mark: u8 },
}

/// How an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// `Z` for UTC.
    pub iso: bool,
    pub colons: bool,
    /// Hours; hours and minutes; and seconds.
    pub parts: usize,
}

pub const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
pub const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const OFFSETS: [(&str, bool, usize); 5] = [("070000", false, 3), ("07:00:00", true, 3), ("0700", false, 2), ("07:00", true, 2), ("07", false, 1)];

fn lower_follows(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_lowercase)
}

fn piece_at(layout: &[u8], at: usize) -> Option<(Piece, usize)> {
    let text = &layout[at..];
    let starts = |prefix: &str| text.starts_with(prefix.as_bytes());
    Some(match text[0] {
        b'J' if starts("January") => (Piece::LongMonth, 7),
        b'J' if starts("Jan") && !lower_follows(&text[3..]) => (Piece::Month, 3),
        b'M' if starts("Monday") => (Piece::LongWeekday, 6),
        b'M' if starts("Mon") && !lower_follows(&text[3..]) => (Piece::Weekday, 3),
        b'M' if starts("MST") => (Piece::ZoneName, 3),
        b'0' => match text.get(1) {
            Some(b'1') => (Piece::ZeroMonth, 2),
            Some(b'2') => (Piece::ZeroDay, 2),
            Some(b'3') => (Piece::ZeroHour12, 2),
            Some(b'4') => (Piece::ZeroMinute, 2),
            Some(b'5') => (Piece::ZeroSecond, 2),
            Some(b'6') => (Piece::Year, 2),
            _ if starts("002") => (Piece::ZeroYearDay, 3),
            _ => return None,
        },
        b'1' if starts("15") => (Piece::Hour, 2),
        b'1' => (Piece::NumMonth, 1),
        b'2' if starts("2006") => (Piece::LongYear, 4),
        b'2' => (Piece::Day, 1),
        b'_' if starts("_2") && !starts("_2006") => (Piece::UnderDay, 2),
        b'_' if starts("__2") => (Piece::UnderYearDay, 3),
        b'3' => (Piece::Hour12, 1),
        b'4' => (Piece::Minute, 1),
        b'5' => (Piece::Second, 1),
        b'P' if starts("PM") => (Piece::UpperPm, 2),
        b'p' if starts("pm") => (Piece::LowerPm, 2),
        mark @ (b'-' | b'Z') => {
            let (form, colons, parts) = OFFSETS.iter().find(|(form, ..)| text[1..].starts_with(form.as_bytes()))?;
            (Piece::Offset(Offset { iso: mark == b'Z', colons: *colons, parts: *parts }), form.len() + 1)
        }
        mark @ (b'.' | b',') => {
            let digit = *text.get(1).filter(|b| matches!(b, b'0' | b'9'))?;
            let digits = text[1..].iter().take_while(|b| **b == digit).count();
            if text.get(1 + digits).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            (Piece::Fraction { digits, exact: digit == b'0', mark }, 1 + digits)
        }
        _ => return None,
    })
}

/// The text before the first piece, the piece, its length, and the layout after it.
pub fn next_piece(layout: &[u8]) -> (&[u8], Option<(Piece, usize)>, &[u8]) {
    for at in 0..layout.len() {
        if let Some((piece, length)) = piece_at(layout, at) {
            return (&layout[..at], Some((piece, length)), &layout[at + length..]);
        }
    }
    (layout, None, b"")
}

pub fn format(moment: &Moment, layout: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(layout.len() + 10);
    let mut rest = layout;
    loop {
        let (text, piece, after) = next_piece(rest);
        out.extend_from_slice(text);
        let Some((piece, _)) = piece else { return out };
        out.extend_from_slice(written(moment, piece).as_bytes());
        rest = after;
    }
}

fn written(m: &Moment, piece: Piece) -> String {
    let c = m.civil();
    let hour12 = if c.hour % 12 == 0 { 12 } else { c.hour % 12 };
    match piece {
        Piece::LongMonth => MONTHS[c.month - 1].into(),
        Piece::Month => MONTHS[c.month - 1][..3].into(),
        Piece::NumMonth => c.month.to_string(),
        Piece::ZeroMonth => format!("{:02}", c.month),
        Piece::LongWeekday => WEEKDAYS[m.weekday()].into(),
        Piece::Weekday => WEEKDAYS[m.weekday()][..3].into(),
        Piece::Day => c.day.to_string(),
        Piece::UnderDay => format!("{:2}", c.day),
        Piece::ZeroDay => format!("{:02}", c.day),
        Piece::UnderYearDay => format!("{:3}", m.year_day()),
        Piece::ZeroYearDay => format!("{:03}", m.year_day()),
        Piece::Hour => format!("{:02}", c.hour),
        Piece::Hour12 => hour12.to_string(),
        Piece::ZeroHour12 => format!("{hour12:02}"),
        Piece::Minute => c.minute.to_string(),
        Piece::ZeroMinute => format!("{:02}", c.minute),
        Piece::Second => c.second.to_string(),
        Piece::ZeroSecond => format!("{:02}", c.second),
        Piece::LongYear if c.year < 0 => format!("-{:04}", -c.year),
        Piece::LongYear => format!("{:04}", c.year),
        Piece::Year => format!("{:02}", c.year.rem_euclid(100)),
        Piece::UpperPm => if c.hour >= 12 { "PM" } else { "AM" }.into(),
        Piece::LowerPm => if c.hour >= 12 { "pm" } else { "am" }.into(),
        Piece::ZoneName => zone_name(m),
        Piece::Offset(form) => offset(m.offset(), form),
        Piece::Fraction { digits, exact, mark } => fraction(m.nanos, digits, exact, mark),
    }
}

fn zone_name(m: &Moment) -> String {
    let name = m.zone_name();
    if !name.is_empty() {
        return name;
    }
    let minutes = m.offset() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

fn offset(seconds: i64, form: Offset) -> String {
    if form.iso && seconds == 0 {
        return "Z".into();
    }
    let sign = if seconds / 60 < 0 { '-' } else { '+' };
    let total = seconds.abs();
    let colon = if form.colons { ":" } else { "" };
    let mut out = format!("{sign}{:02}", total / 3600);
    if form.parts > 1 {
        out.push_str(&format!("{colon}{:02}", total / 60 % 60));
    }
    if form.parts > 2 {
        out.push_str(&format!("{colon}{:02}", total % 60));
    }
    out
}

fn fraction(nanos: u32, digits: usize, exact: bool, mark: u8) -> String {
    let all = format!("{nanos:09}");
    let mut shown = all[..digits.min(9)].to_owned();
    if exact {
        shown.push_str(&"0".repeat(digits.saturating_sub(9)));
    } else {
        shown.truncate(shown.trim_end_matches('0').len());
        if shown.is_empty() {
            return shown;
        }
    }
    format!("{}{shown}", char::from(mark))
}
