//! Arithmetic: whole numbers wrap as Go's int64, fractions are exact decimals where Sprig's are.

use gotemplate::{Functions, Outcome, Signature, Type, Value, fmt};

use crate::args::{any, float, int, text};
use crate::cast::{to_float64, to_int64};
use crate::decimal;
use crate::lists;

use Type::{Any, Float64, Int, String as Text};

const A: Signature = Signature::fixed(&[Any]);
const AA: Signature = Signature::fixed(&[Any, Any]);
const ANYS: Signature = Signature::variadic(&[Any]);
const A_MORE: Signature = Signature::variadic(&[Any, Any]);
const DIVIDE_BY_ZERO: &str = "runtime error: integer divide by zero";

pub fn register(f: &mut Functions) {
    f.add("atoi", Signature::fixed(&[Text]), |a| Ok(Value::int(atoi(&text(a, 0).text()))));
    f.add("int64", A, |a| Ok(Value::int64(to_int64(&a[0]))));
    f.add("int", A, |a| Ok(Value::int(to_int64(&a[0]))));
    f.add("float64", A, |a| Ok(Value::Float(to_float64(&a[0]))));
    f.add("toDecimal", A, |a| {
        let shown = fmt::verb(&a[0], 'v')?;
        Ok(Value::int64(i64::from_str_radix(&shown.text(), 8).unwrap_or(0)))
    });
    f.add("add1", A, |a| Ok(Value::int64(to_int64(&a[0]).wrapping_add(1))));
    f.add("add", ANYS, |a| Ok(Value::int64(a.iter().map(to_int64).fold(0, i64::wrapping_add))));
    f.add("sub", AA, |a| Ok(Value::int64(to_int64(&a[0]).wrapping_sub(to_int64(&a[1])))));
    f.add("div", AA, |a| divide(a, i64::wrapping_div));
    f.add("mod", AA, |a| divide(a, i64::wrapping_rem));
    f.add("mul", A_MORE, |a| Ok(Value::int64(a.iter().map(to_int64).fold(1, i64::wrapping_mul))));
    f.add("add1f", A, |a| decimal::fold(&a[0], &[Value::int(1)], decimal::add));
    f.add("addf", ANYS, |a| decimal::fold(&Value::Float(0.0), a, decimal::add));
    f.add("subf", A_MORE, |a| decimal::fold(&a[0], &a[1..], decimal::sub));
    f.add("divf", A_MORE, |a| decimal::fold(&a[0], &a[1..], decimal::div));
    f.add("mulf", A_MORE, |a| decimal::fold(&a[0], &a[1..], decimal::mul));
    for name in ["max", "biggest"] {
        f.add(name, A_MORE, |a| Ok(Value::int64(a.iter().map(to_int64).max().unwrap_or(0))));
    }
    f.add("min", A_MORE, |a| Ok(Value::int64(a.iter().map(to_int64).min().unwrap_or(0))));
    f.add("maxf", A_MORE, |a| Ok(Value::Float(a.iter().map(to_float64).reduce(float_max).unwrap_or(0.0))));
    f.add("minf", A_MORE, |a| Ok(Value::Float(a.iter().map(to_float64).reduce(float_min).unwrap_or(0.0))));
    f.add("ceil", A, |a| Ok(Value::Float(to_float64(&a[0]).ceil())));
    f.add("floor", A, |a| Ok(Value::Float(to_float64(&a[0]).floor())));
    f.add("round", Signature::variadic(&[Any, Int, Float64]), round);
    f.add("until", Signature::fixed(&[Int]), |a| lists::run(0, int(a, 0), if int(a, 0) < 0 { -1 } else { 1 }));
    f.add("untilStep", Signature::fixed(&[Int, Int, Int]), |a| lists::run(int(a, 0), int(a, 1), int(a, 2)));
    f.add("seq", Signature::variadic(&[Int]), seq);
}

fn atoi(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    // Upstream: strconv.Atoi gives the nearest int with its range error, which Sprig drops.
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

fn divide(args: &[Value], by: fn(i64, i64) -> i64) -> Outcome {
    match to_int64(&args[1]) {
        0 => Err(DIVIDE_BY_ZERO.into()),
        divisor => Ok(Value::int64(by(to_int64(&args[0]), divisor))),
    }
}

fn float_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn float_min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn round(args: &[Value]) -> Outcome {
    let threshold = if args.len() > 2 { float(args, 2) } else { 0.5 };
    let power = power_of_ten(int(args, 1));
    let scaled = power * to_float64(&any(args, 0));
    let rounded = if scaled.fract() >= threshold { scaled.ceil() } else { scaled.floor() };
    Ok(Value::Float(rounded / power))
}

/// Upstream: math.Pow, by squaring halves; its last digit differs from an exact power's for large exponents.
fn power_of_ten(exponent: i64) -> f64 {
    let (mut power, mut scale) = (1.0f64, 0i32);
    let (mut base, mut shift) = (0.625f64, 4i32);
    let mut left = exponent.unsigned_abs();
    while left != 0 {
        if shift > 1 << 12 {
            scale = scale.saturating_add(shift);
            break;
        }
        if left & 1 == 1 {
            power *= base;
            scale += shift;
        }
        base *= base;
        shift *= 2;
        if base < 0.5 {
            base += base;
            shift -= 1;
        }
        left >>= 1;
    }
    if exponent < 0 {
        power = 1.0 / power;
        scale = -scale;
    }
    // In two steps, so that what is subnormal or infinite becomes so only at the end.
    let half = scale.clamp(-2200, 2200) / 2;
    power * 2f64.powi(half) * 2f64.powi(scale.clamp(-2200, 2200) - half)
}

fn seq(args: &[Value]) -> Outcome {
    let (start, end, step) = match args.len() {
        1 => (1, int(args, 0), None),
        2 => (int(args, 0), int(args, 1), None),
        3 => (int(args, 0), int(args, 2), Some(int(args, 1))),
        _ => return Ok(Value::str("")),
    };
    let toward = if end < start { -1 } else { 1 };
    if end < start && step.is_some_and(|step| step > 0) {
        return Ok(Value::str(""));
    }
    let items = lists::run(start, end.saturating_add(toward), step.unwrap_or(toward))?;
    let shown: Vec<String> = items.elements().iter().flat_map(|items| items.iter().map(|item| to_int64(item).to_string()).collect::<Vec<_>>()).collect();
    Ok(Value::str(shown.join(" ")))
}
