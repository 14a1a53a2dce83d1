//! Quantity to canonical text: no fraction, the largest suffix that loses nothing. Never loses precision to keep a suffix.

use std::fmt;

use crate::arithmetic::shift_up;
use crate::{Format, Quantity};

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        match self.format {
            Format::BinarySi if self.is_integer() && !self.below_one_ki() => self.print_binary(f),
            Format::DecimalExponent => self.print_decimal(f, true),
            _ => self.print_decimal(f, false),
        }
    }
}

impl Quantity {
    fn below_one_ki(&self) -> bool {
        self.exponent <= 3 && shift_up(self.mantissa, self.exponent).unsigned_abs() < 1024
    }

    fn print_binary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = shift_up(self.mantissa, self.exponent);
        let mut power = 0;
        while amount % 1024 == 0 && power + 1 < BINARY.len() {
            amount /= 1024;
            power += 1;
        }
        write!(f, "{amount}{}", BINARY[power])
    }

    fn print_decimal(&self, f: &mut fmt::Formatter<'_>, with_exponent: bool) -> fmt::Result {
        let spare = self.exponent.rem_euclid(3);
        let exponent = self.exponent - spare;
        // As text: the digits may fill the number's type.
        let amount = format!("{}{}", self.mantissa, &"00"[..usize::try_from(spare).unwrap_or_default()]);
        match DECIMAL.get(usize::try_from(exponent / 3 + 3).unwrap_or(usize::MAX)) {
            Some(suffix) if !with_exponent => write!(f, "{amount}{suffix}"),
            _ if exponent == 0 => write!(f, "{amount}"),
            _ => write!(f, "{amount}e{exponent}"),
        }
    }
}
