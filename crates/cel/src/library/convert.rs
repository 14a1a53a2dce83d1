//! `int()`, `string()` and kin. Upstream: cel-go common/types/{int,uint,double,string,bool,bytes}.go ConvertToType.

use crate::functions::{Run, Table, fail, mismatch};
use crate::time;
use crate::types::Type;
use crate::value::{Evaluated, Value as V};

fn cannot<'a>(value: &V<'_>, to: &Type) -> Evaluated<'a> {
    fail(format!("type conversion error from '{}' to '{}'", value.ty().name(), to.name()))
}

fn to_int<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let overflow = || fail("integer overflow");
    match &a[0] {
        V::Int(i) => Ok(V::Int(*i)),
        V::Uint(u) => i64::try_from(*u).map_or_else(|_| overflow(), |i| Ok(V::Int(i))),
        V::Double(d) if d.is_nan() || *d <= -9_223_372_036_854_775_808.0 || *d >= 9_223_372_036_854_775_807.0 => overflow(),
        V::Double(d) => Ok(V::Int(*d as i64)),
        V::String(s) => s.parse().map_or_else(|_| cannot(&a[0], &Type::Int), |i| Ok(V::Int(i))),
        V::Timestamp(t) => Ok(V::Int(t.seconds)),
        V::Duration(d) => Ok(V::Int(*d)),
        _ => mismatch(),
    }
}

fn to_uint<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let overflow = || fail("unsigned integer overflow");
    match &a[0] {
        V::Uint(u) => Ok(V::Uint(*u)),
        V::Int(i) => u64::try_from(*i).map_or_else(|_| overflow(), |u| Ok(V::Uint(u))),
        V::Double(d) if d.is_nan() || *d < 0.0 || *d >= 18_446_744_073_709_551_615.0 => overflow(),
        V::Double(d) => Ok(V::Uint(*d as u64)),
        V::String(s) => s.parse().map_or_else(|_| cannot(&a[0], &Type::Uint), |u| Ok(V::Uint(u))),
        _ => mismatch(),
    }
}

fn to_double<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::Double(d) => Ok(V::Double(*d)),
        V::Int(i) => Ok(V::Double(*i as f64)),
        V::Uint(u) => Ok(V::Double(*u as f64)),
        V::String(s) => s.parse().map_or_else(|_| cannot(&a[0], &Type::Double), |d| Ok(V::Double(d))),
        _ => mismatch(),
    }
}

/// Go's `%g`: the shortest digits that read back, with an exponent when it is below -4 or above 5.
pub(crate) fn double_text(d: f64) -> String {
    if d.is_nan() {
        return "NaN".into();
    }
    if d.is_infinite() {
        return if d > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{d:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Upstream: strconv.FormatFloat(d, 'g', -1, 64).
    if d != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{d}")
}

fn to_string<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    Ok(V::string(match &a[0] {
        V::String(_) => return Ok(a[0].clone()),
        V::Bool(b) => b.to_string(),
        V::Int(i) => i.to_string(),
        V::Uint(u) => u.to_string(),
        V::Double(d) => double_text(*d),
        V::Bytes(b) => match std::str::from_utf8(b) {
            Ok(s) => s.to_owned(),
            Err(_) => return fail("invalid UTF-8 in bytes, cannot convert to string"),
        },
        V::Duration(d) => time::format_duration(*d),
        V::Timestamp(t) => time::format_timestamp(*t),
        V::Ip(ip) => ip.to_string(),
        V::Cidr(cidr) => cidr.to_string(),
        V::Type(ty) => ty.name().to_owned(),
        _ => return mismatch(),
    }))
}

fn to_bytes<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::Bytes(_) => Ok(a[0].clone()),
        V::String(s) => Ok(V::Bytes(s.as_bytes().into())),
        _ => mismatch(),
    }
}

fn to_bool<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::Bool(_) => Ok(a[0].clone()),
        // Upstream: Go's strconv.ParseBool.
        V::String(s) => match &**s {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(V::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(V::Bool(false)),
            _ => cannot(&a[0], &Type::Bool),
        },
        _ => mismatch(),
    }
}

fn to_duration<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::Duration(_) => Ok(a[0].clone()),
        V::Int(i) => Ok(V::Duration(*i)),
        V::String(s) => gotime::parse(s).map_or_else(|_| cannot(&a[0], &Type::Duration), |d| Ok(V::Duration(d))),
        _ => mismatch(),
    }
}

fn to_timestamp<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::Timestamp(_) => Ok(a[0].clone()),
        V::Int(i) => time::at(*i, 0).map(V::Timestamp),
        V::String(s) => time::timestamp(s).map_or_else(|| cannot(&a[0], &Type::Timestamp), |t| Ok(V::Timestamp(t))),
        _ => mismatch(),
    }
}

type Rows = &'static [(&'static str, &'static str)];

pub(crate) fn add(table: &mut Table) {
    let conversions: [(&'static str, &'static str, Run, Rows); 8] = [
        ("bool", "bool", to_bool, &[("bool_to_bool", "bool"), ("string_to_bool", "string")]),
        ("bytes", "bytes", to_bytes, &[("bytes_to_bytes", "bytes"), ("string_to_bytes", "string")]),
        ("double", "double", to_double, &[("double_to_double", "double"), ("int64_to_double", "int"), ("string_to_double", "string"), ("uint64_to_double", "uint")]),
        ("duration", "duration", to_duration, &[("duration_to_duration", "duration"), ("int64_to_duration", "int"), ("string_to_duration", "string")]),
        (
            "int",
            "int",
            to_int,
            &[("int64_to_int64", "int"), ("double_to_int64", "double"), ("duration_to_int64", "duration"), ("string_to_int64", "string"), ("timestamp_to_int64", "timestamp"), ("uint64_to_int64", "uint")],
        ),
        (
            "string",
            "string",
            to_string,
            &[
                ("string_to_string", "string"),
                ("bool_to_string", "bool"),
                ("bytes_to_string", "bytes"),
                ("double_to_string", "double"),
                ("duration_to_string", "duration"),
                ("int64_to_string", "int"),
                ("timestamp_to_string", "timestamp"),
                ("uint64_to_string", "uint"),
                ("ip_to_string", "net.IP"),
                ("cidr_to_string", "net.CIDR"),
            ],
        ),
        ("timestamp", "timestamp", to_timestamp, &[("timestamp_to_timestamp", "timestamp"), ("int64_to_timestamp", "int"), ("string_to_timestamp", "string")]),
        ("uint", "uint", to_uint, &[("uint64_to_uint64", "uint"), ("double_to_uint64", "double"), ("int64_to_uint64", "int"), ("string_to_uint64", "string")]),
    ];
    for (function, to, run, rows) in conversions {
        for (id, from) in rows {
            table.add(function, id, &format!("({from}) -> {to}"), run);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn doubles_print_as_go_prints_them() {
        for (value, text) in [(123.456, "123.456"), (6.02214e23, "6.02214e+23"), (1e6, "1e+06"), (-4.5e-3, "-0.0045"), (2.0, "2"), (1_234_567.0, "1.234567e+06")] {
            assert_eq!(super::double_text(value), text);
        }
    }
}
