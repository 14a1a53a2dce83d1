//! Parts of timestamps and durations. Upstream: cel-go common/stdlib/standard.go, common/types/timestamp.go.

use crate::functions::{Run, Table, mismatch};
use crate::time;
use crate::value::{Evaluated, Value as V};

fn part<'a>(a: &[V<'a>], function: &str) -> Evaluated<'a> {
    match a {
        [V::Timestamp(t)] => time::part(*t, "", function).map(V::Int),
        [V::Timestamp(t), V::String(tz)] => time::part(*t, tz, function).map(V::Int),
        [V::Duration(d)] => Ok(V::Int(time::duration_part(*d, function))),
        _ => mismatch(),
    }
}

const PARTS: [(&str, [&str; 3], Run); 10] = [
    ("getFullYear", ["timestamp_to_year", "timestamp_to_year_with_tz", ""], |a| part(a, "getFullYear")),
    ("getMonth", ["timestamp_to_month", "timestamp_to_month_with_tz", ""], |a| part(a, "getMonth")),
    ("getDayOfYear", ["timestamp_to_day_of_year", "timestamp_to_day_of_year_with_tz", ""], |a| part(a, "getDayOfYear")),
    ("getDayOfMonth", ["timestamp_to_day_of_month", "timestamp_to_day_of_month_with_tz", ""], |a| part(a, "getDayOfMonth")),
    ("getDate", ["timestamp_to_day_of_month_1_based", "timestamp_to_day_of_month_1_based_with_tz", ""], |a| part(a, "getDate")),
    ("getDayOfWeek", ["timestamp_to_day_of_week", "timestamp_to_day_of_week_with_tz", ""], |a| part(a, "getDayOfWeek")),
    ("getHours", ["timestamp_to_hours", "timestamp_to_hours_with_tz", "duration_to_hours"], |a| part(a, "getHours")),
    ("getMinutes", ["timestamp_to_minutes", "timestamp_to_minutes_with_tz", "duration_to_minutes"], |a| part(a, "getMinutes")),
    ("getSeconds", ["timestamp_to_seconds", "timestamp_to_seconds_tz", "duration_to_seconds"], |a| part(a, "getSeconds")),
    ("getMilliseconds", ["timestamp_to_milliseconds", "timestamp_to_milliseconds_with_tz", "duration_to_milliseconds"], |a| part(a, "getMilliseconds")),
];

pub(crate) fn add(table: &mut Table) {
    for (function, [plain, zoned, duration], run) in PARTS {
        table.add(function, plain, "timestamp.() -> int", run);
        table.add(function, zoned, "timestamp.(string) -> int", run);
        if !duration.is_empty() {
            table.add(function, duration, "duration.() -> int", run);
        }
    }
}
