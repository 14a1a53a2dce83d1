//! Exact decimal arithmetic. Upstream: shopspring/decimal, which divides to 16 places.

use gotemplate::{Failure, Outcome, Value};
use num_bigint::{BigInt, Sign};

use crate::cast::to_float64;

const DIVISION_PLACES: i64 = 16;

/// `digits * 10^exponent`
#[derive(Clone)]
pub struct Decimal {
    digits: BigInt,
    exponent: i64,
}

fn power(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent.max(0)).unwrap_or(u32::MAX).min(100_000))
}

impl Decimal {
    fn from_float(value: f64) -> Result<Decimal, Failure> {
        if !value.is_finite() {
            let name = if value.is_nan() { "NaN" } else if value > 0.0 { "+Inf" } else { "-Inf" };
            return Err(Failure::new(format!("Cannot create a Decimal from {name}")));
        }
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let places = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits = mantissa.replace('.', "").parse::<BigInt>().unwrap_or_default();
        Ok(Decimal { digits, exponent: exponent.parse::<i64>().unwrap_or(0) - i64::try_from(places).unwrap_or(0) })
    }

    fn to_float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(0.0)
    }

    /// Both with the smaller exponent.
    fn aligned(&self, other: &Decimal) -> (BigInt, BigInt, i64) {
        let exponent = self.exponent.min(other.exponent);
        let scaled = |d: &Decimal| &d.digits * power(d.exponent - exponent);
        (scaled(self), scaled(other), exponent)
    }
}

pub type Operation = fn(&Decimal, &Decimal) -> Result<Decimal, Failure>;

pub fn fold(first: &Value, others: &[Value], operation: Operation) -> Outcome {
    let mut result = Decimal::from_float(to_float64(first))?;
    for other in others {
        result = operation(&result, &Decimal::from_float(to_float64(other))?)?;
        if result.digits.bits() > 200_000 {
            return Err("number has too many digits".into());
        }
    }
    Ok(Value::Float(result.to_float()))
}

pub fn add(a: &Decimal, b: &Decimal) -> Result<Decimal, Failure> {
    let (x, y, exponent) = a.aligned(b);
    Ok(Decimal { digits: x + y, exponent })
}

pub fn sub(a: &Decimal, b: &Decimal) -> Result<Decimal, Failure> {
    let (x, y, exponent) = a.aligned(b);
    Ok(Decimal { digits: x - y, exponent })
}

pub fn mul(a: &Decimal, b: &Decimal) -> Result<Decimal, Failure> {
    Ok(Decimal { digits: &a.digits * &b.digits, exponent: a.exponent + b.exponent })
}

/// Rounded half away from zero at the last place.
pub fn div(a: &Decimal, b: &Decimal) -> Result<Decimal, Failure> {
    if b.digits.sign() == Sign::NoSign {
        return Err("decimal division by 0".into());
    }
    let shift = a.exponent - b.exponent + DIVISION_PLACES;
    let (top, bottom) = if shift >= 0 { (&a.digits * power(shift), b.digits.clone()) } else { (a.digits.clone(), &b.digits * power(-shift)) };
    let negative = (top.sign() == Sign::Minus) != (bottom.sign() == Sign::Minus);
    let (top, bottom) = (top.magnitude().clone(), bottom.magnitude().clone());
    let quotient = &top / &bottom;
    let rest = top - &quotient * &bottom;
    let rounded = if rest * 2u8 >= bottom { quotient + 1u8 } else { quotient };
    Ok(Decimal { digits: BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, rounded), exponent: -DIVISION_PLACES })
}
