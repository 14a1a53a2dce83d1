//! Number literals: which of Go's kinds of number a literal can stand for.

use crate::ast::Number;
use crate::lex::Kind;
use crate::number::{parse_float, parse_int, parse_uint};
use crate::text::{Unit, quote, unquote_char};

pub(crate) fn number(literal: &[u8], kind: Kind) -> Result<Number, String> {
    let text = String::from_utf8_lossy(literal).into_owned();
    match kind {
        Kind::CharConstant => char_constant(literal, text),
        Kind::Complex => {
            let complex = complex(&text).ok_or_else(|| illegal(&text))?;
            Ok(simplified(complex, text))
        }
        _ => {
            if let Some(imaginary) = text.strip_suffix('i').and_then(parse_float) {
                return Ok(simplified((0.0, imaginary), text));
            }
            plain(text)
        }
    }
}

fn illegal(text: &str) -> String {
    format!("illegal number syntax: {}", quote(text.as_bytes()))
}

fn char_constant(literal: &[u8], text: String) -> Result<Number, String> {
    let (unit, width) = unquote_char(&literal[1..], b'\'').ok_or("invalid syntax")?;
    if &literal[1 + width..] != b"'" {
        return Err(format!("malformed character constant: {text}"));
    }
    let value = match unit {
        Unit::Rune(rune) => u32::from(rune),
        Unit::Byte(byte) => u32::from(byte),
    };
    Ok(Number { text, int: Some(value.into()), uint: Some(value.into()), float: Some(value.into()), complex: None })
}

/// `1+2i`
fn complex(text: &str) -> Option<(f64, f64)> {
    let body = text.strip_suffix('i')?;
    let split = body.rmatch_indices(['+', '-']).map(|(at, _)| at).find(|at| *at > 0 && !matches!(body.as_bytes()[at - 1], b'e' | b'E' | b'p' | b'P'))?;
    Some((parse_float(&body[..split])?, parse_float(&body[split..])?))
}

fn simplified(complex: (f64, f64), text: String) -> Number {
    let mut number = Number { text, complex: Some(complex), ..Number::default() };
    if complex.1 == 0.0 {
        number.float = Some(complex.0);
        number.int = whole_int(complex.0);
        number.uint = whole_uint(complex.0);
    }
    number
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the way back is compared")]
fn whole_int(value: f64) -> Option<i64> {
    let int = value as i64;
    (int as f64 == value && value < 9.3e18).then_some(int)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "the way back is compared")]
fn whole_uint(value: f64) -> Option<u64> {
    let uint = value as u64;
    (uint as f64 == value).then_some(uint)
}

#[expect(clippy::cast_precision_loss, reason = "as in Go")]
fn plain(text: String) -> Result<Number, String> {
    let mut number = Number { uint: parse_uint(&text), int: parse_int(&text), ..Number::default() };
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    if let Some(int) = number.int {
        number.float = Some(int as f64);
    } else if let Some(uint) = number.uint {
        number.float = Some(uint as f64);
    } else if let Some(float) = parse_float(&text) {
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quote(text.as_bytes())));
        }
        number.float = Some(float);
        number.int = whole_int(float);
        number.uint = whole_uint(float);
    }
    if number.int.is_none() && number.uint.is_none() && number.float.is_none() {
        return Err(illegal(&text));
    }
    number.text = text;
    Ok(number)
}
