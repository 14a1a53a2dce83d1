//! Dates: Go's layouts, moments and durations.
//!
//! Reads the clock and the machine's zone where Sprig does (`now`, `date`); all else follows from its arguments.

mod layout;
mod parse;
mod time;

use gotemplate::{Functions, Outcome, Signature, Type, Value};

use crate::args::text;
use crate::cast::to_int64;

pub use parse::parse;
pub use time::{Moment, Zone};

use Type::{Any, String as Text};

const TIME: Type = Type::Named("time.Time");
const A: Signature = Signature::fixed(&[Any]);
const TA: Signature = Signature::fixed(&[Text, Any]);
const TT: Signature = Signature::fixed(&[Text, Text]);

pub fn register(f: &mut Functions) {
    f.add("now", Signature::fixed(&[]), |_| Ok(Moment::now().value()));
    f.add("date", TA, |a| Ok(in_zone(&text(a, 0), &a[1], "Local")));
    f.add("htmlDate", A, |a| Ok(in_zone(b"2006-01-02", &a[0], "Local")));
    f.add("htmlDateInZone", Signature::fixed(&[Any, Text]), |a| Ok(in_zone(b"2006-01-02", &a[0], &text(a, 1).text())));
    for name in ["dateInZone", "date_in_zone"] {
        f.add(name, Signature::fixed(&[Text, Any, Text]), |a| Ok(in_zone(&text(a, 0), &a[1], &text(a, 2).text())));
    }
    for name in ["dateModify", "date_modify"] {
        f.add(name, Signature::fixed(&[Text, TIME]), |a| Ok(modified(a).unwrap_or_else(|_| a[1].clone())));
    }
    for name in ["mustDateModify", "must_date_modify"] {
        f.add(name, Signature::fixed(&[Text, TIME]), |a| modified(a).map_err(Into::into));
    }
    f.add("toDate", TT, |a| Ok(parse(&text(a, 0), &text(a, 1), Zone::local()).unwrap_or_else(|_| Moment::zero()).value()));
    f.add("mustToDate", TT, |a| Ok(parse(&text(a, 0), &text(a, 1), Zone::local())?.value()));
    f.add("unixEpoch", Signature::fixed(&[TIME]), |a| Ok(Value::str(time::moment(&a[0]).map_or(0, |m| m.unix).to_string())));
    f.add("ago", A, ago);
    f.add("duration", A, |a| {
        let seconds = match &a[0] {
            Value::Str(text) => text.text().parse().unwrap_or(0),
            Value::Int(gotemplate::IntType::Int64, seconds) => *seconds,
            _ => 0,
        };
        Ok(Value::str(gotime::shown(seconds.wrapping_mul(1_000_000_000))))
    });
    f.add("durationRound", A, |a| Ok(Value::str(rounded(nanos_of(&a[0])))));
}

/// The moment a value stands for; what is none stands for now.
fn moment_of(value: &Value) -> Moment {
    match value {
        Value::Int(..) => Moment::from_unix(to_int64(value)),
        other => time::moment(other).unwrap_or_else(Moment::now),
    }
}

fn in_zone(layout: &[u8], value: &Value, zone: &str) -> Value {
    let zone = Zone::load(zone).unwrap_or(Zone::Utc);
    Value::str(moment_of(value).in_zone(zone).format(layout))
}

fn modified(args: &[Value]) -> Result<Value, String> {
    let nanos = gotime::parse(&text(args, 0).text())?;
    Ok(time::moment(&args[1]).unwrap_or_else(Moment::zero).add(nanos).value())
}

fn ago(args: &[Value]) -> Outcome {
    let nanos = Moment::now().since(&moment_of(&args[0]));
    let second = 1_000_000_000;
    let rounded = (nanos.abs().saturating_add(second / 2) / second).saturating_mul(second);
    Ok(Value::str(gotime::shown(if nanos < 0 { -rounded } else { rounded })))
}

fn nanos_of(value: &Value) -> i64 {
    match value {
        Value::Str(text) => gotime::parse(&text.text()).unwrap_or(0),
        Value::Int(gotemplate::IntType::Int64, nanos) => *nanos,
        other => time::moment(other).map_or(0, |moment| Moment::now().since(&moment)),
    }
}

fn rounded(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    let second = 1_000_000_000;
    let units = [(second * 86_400 * 365, "y"), (second * 86_400 * 30, "mo"), (second * 86_400, "d"), (second * 3600, "h"), (second * 60, "m"), (second, "s")];
    for (size, unit) in units {
        if magnitude > size {
            return format!("{}{unit}", magnitude / size);
        }
    }
    "0s".into()
}
