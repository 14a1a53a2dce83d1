//! Go's `strconv` of numbers: what counts as a number, and how floats are written.
//!
//! Never rounds otherwise than Go: shortest digits that read back the same, or exactly the asked-for count.

/// `strconv.ParseUint(text, 0, 64)`.
pub fn parse_uint(text: &str) -> Option<u64> {
    let (radix, digits) = base_prefix(text);
    if digits.is_empty() || !underscores_fit(text) {
        return None;
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if plain.is_empty() || !plain.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(&plain, radix).ok()
}

/// `strconv.ParseInt(text, 0, 64)`.
pub fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_uint(digits)?;
    match negative {
        true => 0i64.checked_sub_unsigned(magnitude),
        false => i64::try_from(magnitude).ok(),
    }
}

fn base_prefix(text: &str) -> (u32, &str) {
    let lower: Vec<u8> = text.bytes().take(2).map(|b| b.to_ascii_lowercase()).collect();
    match (lower.as_slice(), text.len()) {
        (b"0x", 3..) => (16, &text[2..]),
        (b"0b", 3..) => (2, &text[2..]),
        (b"0o", 3..) => (8, &text[2..]),
        ([b'0', ..], 2..) => (8, &text[1..]),
        _ => (10, text),
    }
}

/// Underscores stand only between digits, or between the base prefix and a digit.
fn underscores_fit(text: &str) -> bool {
    let mut bytes = text.as_bytes();
    if let [b'+' | b'-', rest @ ..] = bytes {
        bytes = rest;
    }
    let mut before = b'^';
    let mut hex = false;
    if let [b'0', mark, rest @ ..] = bytes
        && matches!(mark.to_ascii_lowercase(), b'b' | b'o' | b'x')
    {
        before = b'0';
        hex = mark.eq_ignore_ascii_case(&b'x');
        bytes = rest;
    }
    for &byte in bytes {
        if byte.is_ascii_digit() || (hex && byte.is_ascii_hexdigit()) {
            before = b'0';
        } else if byte == b'_' {
            if before != b'0' {
                return false;
            }
            before = b'_';
        } else if before == b'_' {
            return false;
        } else {
            before = b'!';
        }
    }
    before != b'_'
}

/// `strconv.ParseFloat(text, 64)`; a value too large for a float64 is none.
pub fn parse_float(text: &str) -> Option<f64> {
    if !underscores_fit(text) {
        return None;
    }
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = body.to_ascii_lowercase();
    let value = match lower.as_str() {
        "inf" | "infinity" => return Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        "nan" if body.len() == text.len() => return Some(f64::NAN),
        _ if lower.starts_with("0x") => parse_hex_float(&lower[2..])?,
        _ => {
            let lower = lower.replace('_', "");
            if !lower.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-')) || !lower.bytes().any(|b| b.is_ascii_digit()) {
                return None;
            }
            lower.parse::<f64>().ok()?
        }
    };
    if value.is_infinite() {
        return None;
    }
    Some(if negative { -value } else { value })
}

fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent: i32 = exponent.replace('_', "").parse().ok()?;
    let mut value = 0f64;
    let mut scale = 0i32;
    let mut point = false;
    let mut any = false;
    for c in mantissa.chars() {
        match c {
            '_' => {}
            '.' if !point => point = true,
            c => {
                value = value * 16.0 + f64::from(c.to_digit(16)?);
                scale -= if point { 4 } else { 0 };
                any = true;
            }
        }
    }
    any.then(|| value * 2f64.powi(exponent.saturating_add(scale)))
}

/// Decimal digits without point, and where the point stands: 0.digits * 10^point.
fn shortest(value: f64) -> (String, i32) {
    split_scientific(&format!("{value:e}"))
}

fn split_scientific(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    (digits, exponent + 1)
}

/// `strconv.FormatFloat(value, format, precision, 64)` for `e`, `E`, `f`, `g`, `G`; a precision of none is the shortest.
pub fn format_float(value: f64, format: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let magnitude = value.abs();
    let body = match format {
        'e' | 'E' => scientific(magnitude, format, precision),
        'f' | 'F' => match precision {
            Some(p) => format!("{magnitude:.p$}"),
            None => fixed_shortest(magnitude),
        },
        'x' | 'X' => hexadecimal(magnitude, format, precision),
        'b' => binary_exponent(magnitude),
        _ => general(magnitude, format, precision),
    };
    format!("{sign}{body}")
}

fn fixed_shortest(value: f64) -> String {
    format!("{value}")
}

fn scientific(value: f64, format: char, precision: Option<usize>) -> String {
    let (digits, point) = match precision {
        Some(p) => split_scientific(&format!("{value:.p$e}")),
        None => shortest(value),
    };
    write_scientific(&digits, point, value == 0.0, if format == 'E' || format == 'G' { 'E' } else { 'e' })
}

fn write_scientific(digits: &str, point: i32, zero: bool, mark: char) -> String {
    let mut out = digits[..1].to_owned();
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    let exponent = if zero { 0 } else { point - 1 };
    out.push(mark);
    out.push(if exponent < 0 { '-' } else { '+' });
    out.push_str(&format!("{:02}", exponent.abs()));
    out
}

fn general(value: f64, format: char, precision: Option<usize>) -> String {
    let (mut digits, point) = match precision {
        Some(p) => split_scientific(&format!("{value:.*e}", p.max(1) - 1)),
        None => shortest(value),
    };
    let trimmed = digits.trim_end_matches('0').len().max(1);
    digits.truncate(trimmed);
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    // Upstream: strconv's formatDigits; the shortest form counts as precision 6 in this decision.
    let limit = match precision {
        None => 6,
        Some(p) => {
            let p = i32::try_from(p.max(1)).unwrap_or(i32::MAX);
            if p > count && count >= point { count } else { p }
        }
    };
    let exponent = if value == 0.0 { 0 } else { point - 1 };
    if exponent < -4 || exponent >= limit {
        return write_scientific(&digits, point, value == 0.0, if format == 'G' { 'E' } else { 'e' });
    }
    plain_digits(&digits, if value == 0.0 { 1 } else { point })
}

fn plain_digits(digits: &str, point: i32) -> String {
    match usize::try_from(point) {
        Ok(point) if point >= digits.len() => format!("{digits}{}", "0".repeat(point - digits.len())),
        Ok(point) if point > 0 => format!("{}.{}", &digits[..point], &digits[point..]),
        _ => format!("0.{}{digits}", "0".repeat(usize::try_from(-point).unwrap_or(0))),
    }
}

/// `0x1.8p+00`.
fn hexadecimal(value: f64, format: char, precision: Option<usize>) -> String {
    let bits = value.to_bits();
    let mut exponent = i64::try_from((bits >> 52) & 0x7ff).unwrap_or(0) - 1023;
    let mut mantissa = bits & ((1 << 52) - 1);
    if value == 0.0 {
        exponent = 0;
    } else if exponent == -1023 {
        let shift = mantissa.leading_zeros() - 11;
        mantissa = (mantissa << shift) & ((1 << 52) - 1);
        exponent = -1022 - i64::from(shift);
    } 
    let mut lead = u64::from(value != 0.0);
    let mut hex = format!("{mantissa:013x}");
    match precision {
        None => hex = hex.trim_end_matches('0').to_owned(),
        Some(p) if p < 13 => {
            let drop = u32::try_from((13 - p) * 4).unwrap_or(0);
            let full = (lead << 52) | mantissa;
            let half = 1u64 << (drop - 1);
            let mut kept = full >> drop;
            let rest = full & ((1u64 << drop) - 1);
            if rest > half || (rest == half && kept & 1 == 1) {
                kept += 1;
            }
            let width = u32::try_from(p * 4).unwrap_or(0);
            lead = kept >> width;
            if lead == 2 {
                lead = 1;
                exponent += 1;
                kept = 1 << width;
            }
            hex = if p == 0 { String::new() } else { format!("{:0p$x}", kept & ((1u64 << width) - 1)) };
        }
        Some(p) => hex.push_str(&"0".repeat(p - 13)),
    }
    let dot = if hex.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let text = format!("0x{lead}{dot}{hex}p{sign}{:02}", exponent.abs());
    if format == 'X' { text.to_uppercase() } else { text }
}

fn binary_exponent(value: f64) -> String {
    let bits = value.to_bits();
    let biased = i64::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased - 1075) };
    format!("{mantissa}p{exponent:+}")
}
