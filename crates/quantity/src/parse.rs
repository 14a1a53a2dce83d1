//! Text to quantity, with upstream's grammar and its three errors. Never panics; digits beyond what fits an `i128` are refused.

use std::str::FromStr;

use crate::arithmetic::{shift_down_away, shift_up};
use crate::{Format, Quantity};

/// Why a text is no quantity, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

// Differs: exponents past a thousand are refused; upstream would carry a number of that many digits.
const MOST_EXPONENT: i32 = 1000;
// Differs: numbers of more than 38 digits are refused; upstream carries them in full.
const MOST_MANTISSA: u128 = 10u128.pow(38);
const NANO: i32 = -9;
const MAX_BINARY: i128 = i64::MAX as i128;

struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

enum Suffix {
    Ten(i32),
    Two(u32),
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts = split(text)?;
        let (suffix, format) = interpret(parts.suffix).ok_or(ParseError::Suffix)?;
        assemble(&parts, suffix, format)
    }
}

/// The text upstream would store for `text`: canonical form, except where upstream keeps the writer's own spelling.
// Upstream: ParseQuantity keeps the input as the printed form on its fast path when it judges it canonical already, which
// lets spellings such as "1.500" and "+1" through unchanged.
pub fn canonical(text: &str) -> Result<String, ParseError> {
    let text = text.trim();
    let parts = split(text)?;
    let (suffix, format) = interpret(parts.suffix).ok_or(ParseError::Suffix)?;
    let quantity = assemble(&parts, suffix, format)?;
    if keeps_spelling(&parts, &suffix_scale(parts.suffix), quantity) {
        return Ok(text.to_owned());
    }
    Ok(quantity.to_string())
}

fn suffix_scale(suffix: &str) -> Suffix {
    interpret(suffix).map_or(Suffix::Ten(0), |(scale, _)| scale)
}

fn keeps_spelling(parts: &Parts, suffix: &Suffix, quantity: Quantity) -> bool {
    let digits = parts.whole.len().max(1) + parts.fraction.len();
    if quantity.is_zero() {
        return false;
    }
    match *suffix {
        Suffix::Ten(exponent) => {
            let scale = exponent - parts.fraction.len() as i32;
            let ends_in_thousand = parts.fraction.len() >= 3 && parts.fraction.ends_with("000")
                || format!("{}{}", parts.whole, parts.fraction).ends_with("000");
            digits <= 18 && scale >= NANO && scale % 3 == 0 && !ends_in_thousand && !parts.whole.is_empty()
        }
        Suffix::Two(power) => {
            let precision = 15 - digits as i32 - (power as f32 * 3.0 / 10.0) as i32 - 1;
            let last_bits = parts.whole.parse::<u64>().map_or(0, |n| n & 7);
            parts.fraction.is_empty() && precision >= 0 && last_bits != 0
        }
    }
}

fn split(text: &str) -> Result<Parts<'_>, ParseError> {
    if text.is_empty() {
        return Err(ParseError::Format);
    }
    let (negative, rest) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, rest) = take_digits(rest);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => take_digits(rest),
        None => ("", rest),
    };
    let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let digits = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseError::Format);
    }
    Ok(Parts { negative, whole: whole.trim_start_matches('0'), fraction, suffix })
}

fn take_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn interpret(suffix: &str) -> Option<(Suffix, Format)> {
    let ten = |exponent| Some((Suffix::Ten(exponent), Format::DecimalSi));
    let two = |exponent| Some((Suffix::Two(exponent), Format::BinarySi));
    match suffix {
        "n" => ten(-9),
        "u" => ten(-6),
        "m" => ten(-3),
        "" => ten(0),
        "k" => ten(3),
        "M" => ten(6),
        "G" => ten(9),
        "T" => ten(12),
        "P" => ten(15),
        "E" => ten(18),
        "Ki" => two(10),
        "Mi" => two(20),
        "Gi" => two(30),
        "Ti" => two(40),
        "Pi" => two(50),
        "Ei" => two(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
            (exponent.abs() <= MOST_EXPONENT).then_some((Suffix::Ten(exponent), Format::DecimalExponent))
        }
    }
}

fn assemble(parts: &Parts, suffix: Suffix, format: Format) -> Result<Quantity, ParseError> {
    let all = format!("{}{}", parts.whole, parts.fraction);
    // Zeros at the end are the exponent's: what was printed with them is read again.
    let digits = all.trim_end_matches('0');
    let mut mantissa: i128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| ParseError::Numeric)? };
    let mut exponent = i32::try_from(all.len() - digits.len()).map_err(|_| ParseError::Numeric)? - i32::try_from(parts.fraction.len()).map_err(|_| ParseError::Numeric)?;
    let mut format = format;
    match suffix {
        Suffix::Ten(power) => exponent += power,
        Suffix::Two(power) => mantissa = mantissa.checked_mul(1 << power).ok_or(ParseError::Numeric).or_else(|_| cap(&mut exponent))?,
    }
    if exponent < NANO {
        mantissa = shift_down_away(mantissa, NANO - exponent).0;
        exponent = NANO;
    }
    if format == Format::BinarySi {
        let whole = if exponent >= 0 { shift_up(mantissa, exponent) } else { shift_down_away(mantissa, -exponent).0 };
        if whole > MAX_BINARY {
            (mantissa, exponent) = (MAX_BINARY, 0);
        }
        if mantissa > 0 && whole <= 1 && exponent < 0 {
            format = Format::DecimalSi;
        }
    }
    let quantity = Quantity::new(if parts.negative { -mantissa } else { mantissa }, exponent, format);
    // What is printed must be read again.
    if quantity.exponent > MOST_EXPONENT {
        return Err(ParseError::Suffix);
    }
    if quantity.mantissa.unsigned_abs() < MOST_MANTISSA { Ok(quantity) } else { Err(ParseError::Numeric) }
}

fn cap(exponent: &mut i32) -> Result<i128, ParseError> {
    *exponent = 0;
    Ok(MAX_BINARY)
}
