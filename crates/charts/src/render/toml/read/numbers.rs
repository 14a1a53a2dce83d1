//! Numbers, and the dates that begin like them.

use gotemplate::Value;
use gotemplate::number::{parse_float, parse_int};
use gotemplate::text::quote;
use sprig::date::Zone;

use super::{Read, Reader, shown};

impl Reader<'_> {
    pub(super) fn number(&mut self) -> Read<Value> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '.' | ':'))).unwrap_or(rest.len());
        let mut text = &rest[..length];
        let date_then_time = text.len() == 10 && text.as_bytes()[4] == b'-' && rest[length..].starts_with(' ');
        if date_then_time && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            let more = &rest[length + 1..];
            let end = more.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':'))).unwrap_or(more.len());
            text = &rest[..length + 1 + end];
        }
        self.at += text.len();
        let digits = text.trim_start_matches(['+', '-']);
        let begins_with_year = digits.len() > 4 && digits.as_bytes()[4] == b'-' && digits.as_bytes()[..4].iter().all(u8::is_ascii_digit);
        let is_date = digits.len() == text.len() && (begins_with_year || digits.contains(':'));
        if is_date {
            return self.date(text);
        }
        let based = ["0x", "0o", "0b"].iter().any(|base| digits.starts_with(base));
        if based && digits.len() < text.len() {
            return self.error(format!("cannot use sign with non-decimal numbers: '{}'", &text[..text.len().min(3)]));
        }
        if based && let Some(message) = bad_base(digits) {
            return self.error(message);
        }
        let float = !based && (digits == "inf" || digits == "nan" || digits.contains(['.', 'e', 'E']));
        if float { self.float(text) } else { self.integer(text) }
    }

    fn integer(&mut self, text: &str) -> Read<Value> {
        if !underscores_fit(text) {
            return self.error(format!("Invalid integer {}: underscores must be surrounded by digits", quote(text.as_bytes())));
        }
        if leading_zero(text) {
            return self.error(format!("Invalid integer {}: cannot have leading zeroes", quote(text.as_bytes())));
        }
        match parse_int(text) {
            Some(number) => Ok(Value::int64(number)),
            None if text.trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_hexdigit() || b == b'_' || b == b'x') => {
                self.error(format!("{text} is out of range for int64"))
            }
            None => {
                let at = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '_'))).unwrap_or(0);
                let found = text[at..].chars().next();
                self.error(format!("expected a top-level item to end with a newline, comment, or EOF, but got {} instead", shown(found)))
            }
        }
    }

    fn float(&mut self, text: &str) -> Read<Value> {
        match text {
            "nan" | "+nan" | "-nan" => return Ok(Value::Float(f64::NAN)),
            _ => {}
        }
        let mut parts = text.split(['.', 'e', 'E']).filter(|part| !part.is_empty());
        let infinite = matches!(text.trim_start_matches(['+', '-']), "inf");
        if !infinite && !parts.clone().all(underscores_fit) {
            return self.error(format!("Invalid float {}: underscores must be surrounded by digits", quote(text.as_bytes())));
        }
        if parts.next().is_some_and(leading_zero) {
            return self.error(format!("Invalid float {}: cannot have leading zeroes", quote(text.as_bytes())));
        }
        if text.split('.').skip(1).any(|after| !after.starts_with(|c: char| c.is_ascii_digit())) {
            return self.error(format!("Invalid float {}: '.' must be followed by one or more digits", quote(text.as_bytes())));
        }
        match parse_float(&text.replace('_', "")) {
            Some(number) => Ok(Value::Float(number)),
            None if text.parse::<f64>().is_ok() => self.error(format!("{text} is out of range for float64")),
            None => self.error(format!("Invalid float value: {}", quote(text.as_bytes()))),
        }
    }

    fn date(&mut self, text: &str) -> Read<Value> {
        let normal = text.replace('z', "Z").replace(['t', ' '], "T");
        // Upstream: what names no zone is told apart by a zone's name when it is written again.
        let local = |name: &str| Zone::Fixed { name: name.to_owned(), offset: 0 };
        let layouts = [
            ("2006-01-02T15:04:05.999999999Z07:00", Zone::local()),
            ("2006-01-02T15:04:05.999999999", local("datetime-local")),
            ("2006-01-02", local("date-local")),
            ("15:04:05.999999999", local("time-local")),
        ];
        for (layout, zone) in layouts {
            if let Ok(moment) = sprig::date::parse(layout.as_bytes(), normal.as_bytes(), zone) {
                return Ok(moment.value());
            }
        }
        self.error(format!("Invalid TOML Datetime: {}.", quote(text.as_bytes())))
    }
}

/// What is wrong right after `0x`, `0o` or `0b`.
fn bad_base(digits: &str) -> Option<String> {
    let next = digits.chars().nth(2);
    let (radix, name) = match digits.as_bytes()[1] {
        b'x' => (16, "a hexidecimal"),
        b'o' => (8, "an octal"),
        _ => (2, "a binary"),
    };
    match next {
        Some(c) if c.is_digit(radix) => None,
        next => Some(format!("not {name} number: '{}{}'", &digits[..2], next.unwrap_or('\0'))),
    }
}

fn leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && !matches!(digits.as_bytes()[1], b'b' | b'o' | b'x')
}

fn underscores_fit(text: &str) -> bool {
    let mut accept = false;
    for c in text.chars() {
        if c == '_' && !accept {
            return false;
        }
        accept = c.is_ascii_hexdigit();
    }
    accept
}
