//! `'...'.format([...])`. Upstream: cel-go ext/formatting.go.

use crate::collection::{List, Map};
use crate::library::convert::double_text;
use crate::time;
use crate::value::{EvalError, Value as V};

/// A precision above this is refused: it bounds the text of one clause.
const MAX_PRECISION: usize = 1000;

fn err<T>(message: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError::new(message))
}

pub(crate) fn format(pattern: &str, args: &List<'_>) -> Result<String, EvalError> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut next = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let mut precision = None;
        if chars.peek() == Some(&'.') {
            chars.next();
            let mut digits = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                digits.push(d);
            }
            match digits.parse() {
                Ok(p) if p <= MAX_PRECISION => precision = Some(p),
                Ok(_) => return err("precision too large"),
                Err(_) => return err("unable to find end of precision specifier"),
            }
        }
        let Some(clause) = chars.next() else { return err("unexpected end of string") };
        let Some(arg) = args.get(next) else { return err(format!("index {next} out of range")) };
        next += 1;
        write(&mut out, clause, precision, &arg?)?;
    }
    Ok(out)
}

fn write(out: &mut String, clause: char, precision: Option<usize>, arg: &V<'_>) -> Result<(), EvalError> {
    let text = match clause {
        's' => string(arg)?,
        'd' => decimal(arg)?,
        'f' => fixed(arg, precision.unwrap_or(6))?,
        'e' => exponent(arg, precision.unwrap_or(6))?,
        'b' => binary(arg)?,
        'x' => hex(arg, false)?,
        'X' => hex(arg, true)?,
        'o' => octal(arg)?,
        other => return err(format!("could not parse formatting clause: unrecognized formatting clause \"{other}\"")),
    };
    out.push_str(&text);
    Ok(())
}

fn special(d: f64) -> Option<&'static str> {
    match d {
        d if d.is_nan() => Some("NaN"),
        d if d.is_infinite() => Some(if d > 0.0 { "Infinity" } else { "-Infinity" }),
        _ => None,
    }
}

fn string(arg: &V<'_>) -> Result<String, EvalError> {
    Ok(match arg {
        V::String(s) => s.to_string(),
        V::Bool(b) => b.to_string(),
        V::Int(i) => i.to_string(),
        V::Uint(u) => u.to_string(),
        V::Double(d) => special(*d).map_or_else(|| double_text(*d), str::to_owned),
        V::Bytes(b) => String::from_utf8_lossy(b).into_owned(),
        V::Null => "null".into(),
        V::Type(ty) => ty.name().to_owned(),
        V::Duration(d) => time::format_duration(*d),
        V::Timestamp(t) => time::format_timestamp(*t),
        V::List(list) => {
            let items = list.iter().map(|v| string(&v?)).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", items.join(", "))
        }
        V::Map(map) => format!("{{{}}}", entries(map)?.join(", ")),
        other => {
            return err(format!("error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given {}", other.ty().name()));
        }
    })
}

fn entries(map: &Map<'_>) -> Result<Vec<String>, EvalError> {
    let mut rows = map.iter().map(|(k, v)| Ok((k.text(), string(&v?)?))).collect::<Result<Vec<_>, EvalError>>()?;
    rows.sort();
    Ok(rows.into_iter().map(|(k, v)| format!("{k}: {v}")).collect())
}

fn decimal(arg: &V<'_>) -> Result<String, EvalError> {
    match arg {
        V::Int(i) => Ok(i.to_string()),
        V::Uint(u) => Ok(u.to_string()),
        V::Double(d) if special(*d).is_some() => Ok(special(*d).unwrap_or_default().to_owned()),
        other => err(format!("error during formatting: decimal clause can only be used on integers, was given {}", other.ty().name())),
    }
}

fn number(arg: &V<'_>, clause: &str) -> Result<f64, EvalError> {
    match arg {
        V::Double(d) => Ok(*d),
        V::Int(i) => Ok(*i as f64),
        V::Uint(u) => Ok(*u as f64),
        V::String(s) if matches!(&**s, "NaN" | "Infinity" | "-Infinity") => Ok(match &**s {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            _ => f64::NEG_INFINITY,
        }),
        other => err(format!("error during formatting: {clause} clause can only be used on doubles, was given {}", other.ty().name())),
    }
}

fn fixed(arg: &V<'_>, precision: usize) -> Result<String, EvalError> {
    let d = number(arg, "fixed-point")?;
    Ok(special(d).map_or_else(|| format!("{d:.precision$}"), str::to_owned))
}

fn exponent(arg: &V<'_>, precision: usize) -> Result<String, EvalError> {
    let d = number(arg, "scientific")?;
    if let Some(name) = special(d) {
        return Ok(name.to_owned());
    }
    let text = format!("{d:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    Ok(format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()))
}

fn signed(i: i64, digits: String) -> String {
    if i < 0 { format!("-{digits}") } else { digits }
}

fn binary(arg: &V<'_>) -> Result<String, EvalError> {
    match arg {
        V::Int(i) => Ok(signed(*i, format!("{:b}", i.unsigned_abs()))),
        V::Uint(u) => Ok(format!("{u:b}")),
        V::Bool(b) => Ok(u8::from(*b).to_string()),
        other => err(format!("error during formatting: only integers and bools can be formatted as binary, was given {}", other.ty().name())),
    }
}

fn octal(arg: &V<'_>) -> Result<String, EvalError> {
    match arg {
        V::Int(i) => Ok(signed(*i, format!("{:o}", i.unsigned_abs()))),
        V::Uint(u) => Ok(format!("{u:o}")),
        other => err(format!("error during formatting: octal clause can only be used on integers, was given {}", other.ty().name())),
    }
}

fn hex(arg: &V<'_>, upper: bool) -> Result<String, EvalError> {
    let text = match arg {
        V::Int(i) => signed(*i, format!("{:x}", i.unsigned_abs())),
        V::Uint(u) => format!("{u:x}"),
        V::String(s) => s.bytes().map(|b| format!("{b:02x}")).collect(),
        V::Bytes(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
        other => return err(format!("error during formatting: only integers, byte buffers, and strings can be formatted as hex, was given {}", other.ty().name())),
    };
    Ok(if upper { text.to_uppercase() } else { text })
}
