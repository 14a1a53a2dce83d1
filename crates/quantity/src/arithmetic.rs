//! The value itself: comparison, sums, rounding to integers. Never prints or parses; overflow saturates, never wraps.

use std::cmp::Ordering;

use crate::Format;

/// An exact quantity and the format it remembers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    pub(crate) mantissa: i128,
    pub(crate) exponent: i32,
    pub(crate) format: Format,
}

impl Quantity {
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0, format: Format::DecimalSi };

    /// `mantissa * 10^exponent`, normalised.
    pub fn new(mantissa: i128, exponent: i32, format: Format) -> Self {
        let (mut mantissa, mut exponent) = (mantissa, exponent);
        if mantissa == 0 {
            exponent = 0;
        }
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            exponent = exponent.saturating_add(1);
        }
        Self { mantissa, exponent, format }
    }

    pub fn from_value(value: i64, format: Format) -> Self {
        Self::new(i128::from(value), 0, format)
    }

    pub fn from_milli(value: i64, format: Format) -> Self {
        Self::new(i128::from(value), -3, format)
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        self.mantissa.signum() as i32
    }

    /// The integer value, rounded away from zero, saturating at the ends of `i64`.
    pub fn value(&self) -> i64 {
        self.scaled_value(0)
    }

    /// Thousandths, rounded away from zero, saturating at the ends of `i64`.
    pub fn milli_value(&self) -> i64 {
        self.scaled_value(-3)
    }

    /// The count of `10^scale` units, rounded away from zero.
    pub fn scaled_value(&self, scale: i32) -> i64 {
        let shift = self.exponent.saturating_sub(scale);
        let exact = if shift >= 0 { shift_up(self.mantissa, shift) } else { shift_down_away(self.mantissa, -shift).0 };
        exact.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// True when nothing would be lost by `value()`.
    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// For metrics and shares only; never for decisions about fit.
    pub fn approximate(&self) -> f64 {
        self.mantissa as f64 * 10f64.powi(self.exponent)
    }

    /// The sum, in the format of `self` unless `self` is zero.
    // Upstream: Quantity.Add takes the other's format when the receiver is zero.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        let exponent = self.exponent.min(other.exponent);
        let left = shift_up(self.mantissa, self.exponent - exponent);
        let right = shift_up(other.mantissa, other.exponent - exponent);
        Self::new(left.saturating_add(right), exponent, format)
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(other.negated())
    }

    #[must_use]
    pub fn negated(self) -> Self {
        Self { mantissa: self.mantissa.saturating_neg(), ..self }
    }
}

/// `mantissa * 10^by`, saturating.
pub(crate) fn shift_up(mantissa: i128, by: i32) -> i128 {
    let mut out = mantissa;
    for _ in 0..by.min(40) {
        out = match out.checked_mul(10) {
            Some(next) => next,
            None => return if mantissa < 0 { i128::MIN } else { i128::MAX },
        };
    }
    out
}

/// `mantissa / 10^by` rounded away from zero, and whether the division was exact.
pub(crate) fn shift_down_away(mantissa: i128, by: i32) -> (i128, bool) {
    if by > 38 {
        return (mantissa.signum(), mantissa == 0);
    }
    let divisor = 10i128.pow(by.unsigned_abs());
    let (quotient, rest) = (mantissa / divisor, mantissa % divisor);
    if rest == 0 { (quotient, true) } else { (quotient + mantissa.signum(), false) }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.sign() != other.sign() || self.exponent == other.exponent {
            return self.mantissa.cmp(&other.mantissa);
        }
        let magnitude = |q: &Self| i64::from(q.mantissa.unsigned_abs().checked_ilog10().unwrap_or(0)) + i64::from(q.exponent);
        let by_size = match magnitude(self).cmp(&magnitude(other)) {
            // Same leading digit place, so the aligned mantissas have at most 39 digits and fit.
            Ordering::Equal => {
                let exponent = self.exponent.min(other.exponent);
                let aligned = |q: &Self| shift_up(q.mantissa, q.exponent - exponent).unsigned_abs();
                aligned(self).cmp(&aligned(other))
            }
            unequal => unequal,
        };
        if self.mantissa < 0 { by_size.reverse() } else { by_size }
    }
}
