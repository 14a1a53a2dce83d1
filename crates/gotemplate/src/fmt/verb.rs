//! Values by verb.

use super::TOO_DEEP;
use super::format::Printer;
use crate::number::format_float;
use crate::stack;
use crate::text::{Plain, Str, can_backquote, is_print, quote, quote_ascii, quote_rune, runes};
use crate::value::{Elem, Kind, List, Map, Object, UintType, Value};

impl Printer {
    /// A top-level argument.
    pub fn arg(&mut self, value: &Value, verb: char) {
        match verb {
            'T' if value.is_nil() => self.pad(b"<nil>"),
            'T' => {
                let name = value.type_name();
                self.string(name.as_bytes());
            }
            'w' => self.bad_verb(value, verb),
            'p' => self.pointer(value, verb),
            _ => self.value(value, verb, 0),
        }
    }

    /// A value, at the top or inside another, where each is known by its own type.
    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if stack::exhausted() {
            self.fault = Some(TOO_DEEP);
        }
        if self.fault.is_some() {
            return;
        }
        match value {
            Value::Nil if depth > 0 => {
                self.out.extend_from_slice(if self.flags.sharp_v { b"interface {}(nil)" } else { b"<nil>" });
            }
            Value::Nil => match verb {
                'v' => self.pad(b"<nil>"),
                _ => self.bad_verb(value, verb),
            },
            Value::Bool(b) => match verb {
                't' | 'v' => self.pad(if *b { b"true" } else { b"false" }),
                _ => self.bad_verb(value, verb),
            },
            Value::Int(_, number) => self.integer(value, number.unsigned_abs(), *number < 0, true, verb),
            Value::Uint(_, number) => self.integer(value, *number, false, false, verb),
            Value::Float(number) => self.float(value, *number, verb),
            Value::Complex(re, im) => self.complex(value, *re, *im, verb),
            Value::Str(text) => self.text(value, text, verb),
            Value::Bytes(bytes) => self.bytes(value, bytes.as_ref(), verb),
            Value::List(list) => self.list(value, list, verb, depth),
            Value::Map(map) => self.map(map, verb, depth),
            Value::Object(object) => self.object(value, object.as_ref(), verb, depth),
        }
    }

    /// `%!verb(type=value)`
    fn bad_verb(&mut self, value: &Value, verb: char) {
        let erroring = std::mem::replace(&mut self.erroring, true);
        self.out.extend_from_slice(format!("%!{verb}(").as_bytes());
        if value.is_nil() {
            self.out.extend_from_slice(b"<nil>");
        } else {
            self.out.extend_from_slice(value.type_name().as_bytes());
            self.out.push(b'=');
            self.value(value, 'v', 0);
        }
        self.out.push(b')');
        self.erroring = erroring;
    }

    fn integer(&mut self, value: &Value, magnitude: u64, negative: bool, signed: bool, verb: char) {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(magnitude, negative, 16, 'v');
                self.flags.sharp = sharp;
            }
            'v' | 'd' => self.digits(magnitude, negative, 10, verb),
            'b' => self.digits(magnitude, negative, 2, verb),
            'o' | 'O' => self.digits(magnitude, negative, 8, verb),
            'x' | 'X' => self.digits(magnitude, negative, 16, verb),
            'c' | 'q' | 'U' => {
                let code = if negative { None } else { u32::try_from(magnitude).ok() };
                let rune = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                match verb {
                    'c' => self.pad(rune.encode_utf8(&mut [0; 4]).as_bytes()),
                    'q' => self.pad(quote_rune(rune, if self.flags.plus { Plain::Ascii } else { Plain::Printable }).as_bytes()),
                    _ => self.unicode(if negative { magnitude.wrapping_neg() } else { magnitude }),
                }
            }
            _ => self.bad_verb(value, verb),
        }
    }

    /// `U+0078`, and with `#` the character too.
    fn unicode(&mut self, code: u64) {
        let digits = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{code:0digits$X}");
        if self.flags.sharp
            && let Some(rune) = u32::try_from(code).ok().and_then(char::from_u32).filter(|r| is_print(*r))
        {
            text.push_str(&format!(" '{rune}'"));
        }
        self.pad_spaces(text.as_bytes());
    }

    fn digits(&mut self, magnitude: u64, negative: bool, base: u32, verb: char) {
        let flags = self.flags;
        let mut least = 0;
        if let Some(precision) = flags.precision {
            least = precision;
            if precision == 0 && magnitude == 0 {
                let zero = std::mem::take(&mut self.flags.zero);
                self.padding(flags.width.unwrap_or(0));
                self.flags.zero = zero;
                return;
            }
        } else if let (true, false, Some(width)) = (flags.zero, flags.minus, flags.width) {
            least = width.saturating_sub(usize::from(negative || flags.plus || flags.space));
        }
        let digits = match (base, verb) {
            (2, _) => format!("{magnitude:0least$b}"),
            (8, _) => format!("{magnitude:0least$o}"),
            (16, 'X') => format!("{magnitude:0least$X}"),
            (16, _) => format!("{magnitude:0least$x}"),
            _ => format!("{magnitude:0least$}"),
        };
        let prefix = match (flags.sharp, base, verb) {
            (_, _, 'O') => "0o",
            (true, 2, _) => "0b",
            (true, 8, _) if !digits.starts_with('0') => "0",
            (true, 16, 'X') => "0X",
            (true, 16, _) => "0x",
            _ => "",
        };
        let sign = match (negative, flags.plus, flags.space) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        self.pad_spaces(format!("{sign}{prefix}{digits}").as_bytes());
    }

    fn float(&mut self, value: &Value, number: f64, verb: char) {
        let precision = self.flags.precision;
        match verb {
            'v' => self.float_text(number, 'g', precision),
            'b' | 'g' | 'G' | 'x' | 'X' => self.float_text(number, verb, precision),
            'f' | 'e' | 'E' => self.float_text(number, verb, precision.or(Some(6))),
            'F' => self.float_text(number, 'f', precision.or(Some(6))),
            _ => self.bad_verb(value, verb),
        }
    }

    fn float_text(&mut self, number: f64, format: char, precision: Option<usize>) {
        let text = format_float(number, format, precision);
        let (mut sign, mut body) = match text.strip_prefix(['-', '+']) {
            Some(body) => (text.as_bytes()[0], body.to_owned()),
            None => (b'+', text.clone()),
        };
        if self.flags.space && sign == b'+' && !self.flags.plus {
            sign = b' ';
        }
        if !number.is_finite() {
            let shown = if number.is_nan() && !self.flags.space && !self.flags.plus {
                body
            } else {
                format!("{}{body}", char::from(sign))
            };
            return self.pad_spaces(shown.as_bytes());
        }
        if self.flags.sharp && format != 'b' {
            body = with_point(&body, format, precision);
        }
        if !self.flags.plus && sign == b'+' {
            return self.pad(body.as_bytes());
        }
        let width = self.flags.width.unwrap_or(0);
        if self.flags.zero && !self.flags.minus && width > body.len() + 1 {
            self.out.push(sign);
            self.padding(width - body.len() - 1);
            self.out.extend_from_slice(body.as_bytes());
            return;
        }
        self.pad(format!("{}{body}", char::from(sign)).as_bytes());
    }

    fn complex(&mut self, value: &Value, re: f64, im: f64, verb: char) {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return self.bad_verb(value, verb);
        }
        let plus = self.flags.plus;
        self.out.push(b'(');
        self.float(value, re, verb);
        self.flags.plus = true;
        self.float(value, im, verb);
        self.out.extend_from_slice(b"i)");
        self.flags.plus = plus;
    }

    fn truncated<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        match self.flags.precision {
            Some(precision) => &bytes[..runes(bytes).nth(precision).map_or(bytes.len(), |(at, _, _)| at)],
            None => bytes,
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        let piece = self.truncated(bytes).to_vec();
        self.pad(&piece);
    }

    fn text(&mut self, value: &Value, text: &[u8], verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.string(text),
            'x' | 'X' => self.hex(text, verb),
            'q' => self.quoted(text),
            _ => self.bad_verb(value, verb),
        }
    }

    fn quoted(&mut self, bytes: &[u8]) {
        let piece = self.truncated(bytes);
        let shown = if self.flags.sharp && can_backquote(piece) {
            format!("`{}`", String::from_utf8_lossy(piece))
        } else if self.flags.plus {
            quote_ascii(piece)
        } else {
            quote(piece)
        };
        self.pad(shown.as_bytes());
    }

    fn hex(&mut self, bytes: &[u8], verb: char) {
        let bytes = &bytes[..self.flags.precision.map_or(bytes.len(), |p| p.min(bytes.len()))];
        let prefix = match (self.flags.sharp, verb) {
            (true, 'X') => "0X",
            (true, _) => "0x",
            _ => "",
        };
        let mut shown = String::new();
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 && self.flags.space {
                shown.push(' ');
            }
            if at == 0 || self.flags.space {
                shown.push_str(prefix);
            }
            shown.push_str(&if verb == 'X' { format!("{byte:02X}") } else { format!("{byte:02x}") });
        }
        self.pad(shown.as_bytes());
    }

    fn bytes(&mut self, value: &Value, bytes: Option<&Str>, verb: char) {
        let content: &[u8] = bytes.map_or(b"", |b| b);
        match verb {
            's' => self.string(content),
            'x' | 'X' => self.hex(content, verb),
            'q' => self.quoted(content),
            'v' if self.flags.sharp_v && bytes.is_none() => self.out.extend_from_slice(b"[]byte(nil)"),
            'v' if self.flags.sharp_v => {
                let shown: Vec<String> = content.iter().map(|b| format!("{b:#x}")).collect();
                self.out.extend_from_slice(format!("[]byte{{{}}}", shown.join(", ")).as_bytes());
            }
            _ => {
                let _ = value;
                self.sequence(content.iter().map(|b| Value::Uint(UintType::Uint8, u64::from(*b))), verb, 0);
            }
        }
    }

    fn sequence(&mut self, items: impl Iterator<Item = Value>, verb: char, depth: usize) {
        self.out.push(b'[');
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.out.push(b' ');
            }
            self.value(&item, verb, depth + 1);
        }
        self.out.push(b']');
    }

    fn list(&mut self, value: &Value, list: &List, verb: char, depth: usize) {
        if !self.flags.sharp_v {
            return self.sequence(list.items().iter().cloned(), verb, depth);
        }
        self.out.extend_from_slice(value.type_name().as_bytes());
        if list.is_nil() {
            self.out.extend_from_slice(b"(nil)");
            return;
        }
        self.out.push(b'{');
        for (at, item) in list.items().iter().enumerate() {
            if at > 0 {
                self.out.extend_from_slice(b", ");
            }
            match (item, list.elem()) {
                (Value::Nil, Elem::Error) => self.out.extend_from_slice(b"error(nil)"),
                _ => self.value(item, verb, depth + 1),
            }
        }
        self.out.push(b'}');
    }

    fn map(&mut self, map: &Map, verb: char, depth: usize) {
        let entries: Vec<(Value, Value)> = map.borrow().iter().map(|(k, v)| (Value::Str(k.clone()), v.clone())).collect();
        self.entries(map.kind().type_name(), map.is_nil(), entries, verb, depth);
    }

    fn entries(&mut self, name: &str, nil: bool, entries: Vec<(Value, Value)>, verb: char, depth: usize) {
        let go = self.flags.sharp_v;
        if go {
            self.out.extend_from_slice(name.as_bytes());
            if nil {
                self.out.extend_from_slice(b"(nil)");
                return;
            }
        }
        self.out.extend_from_slice(if go { b"{" } else { b"map[" });
        for (at, (key, value)) in entries.into_iter().enumerate() {
            if at > 0 {
                self.out.extend_from_slice(if go { b", " } else { b" " });
            }
            self.value(&key, verb, depth + 1);
            self.out.push(b':');
            self.value(&value, verb, depth + 1);
        }
        self.out.push(if go { b'}' } else { b']' });
    }

    fn object(&mut self, value: &Value, object: &dyn Object, verb: char, depth: usize) {
        if !self.erroring
            && !self.flags.sharp_v
            && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
            && let Some(text) = object.stringer()
        {
            return self.text(value, &text, verb);
        }
        match object.kind() {
            Kind::Struct => self.fields(object, verb, depth),
            Kind::Pointer => match object.target() {
                Some(target) if depth == 0 => {
                    self.out.push(b'&');
                    self.value(&target, verb, depth + 1);
                }
                _ => self.pointer(value, verb),
            },
            Kind::Map => self.entries(&object.type_name(), false, object.items(), verb, depth),
            Kind::Slice => {
                let items: Vec<Value> = object.items().into_iter().map(|(_, item)| item).collect();
                if self.flags.sharp_v {
                    self.out.extend_from_slice(object.type_name().as_bytes());
                }
                self.sequence(items.into_iter(), verb, depth);
            }
            _ => match object.basic() {
                Some(basic) if self.basic_takes(&basic, verb) => self.value(&basic, verb, depth),
                _ => self.bad_verb(value, verb),
            },
        }
    }

    fn basic_takes(&self, basic: &Value, verb: char) -> bool {
        match basic.kind() {
            Kind::Int | Kind::Uint => matches!(verb, 'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U'),
            Kind::String => matches!(verb, 'v' | 's' | 'x' | 'X' | 'q'),
            _ => true,
        }
    }

    fn fields(&mut self, object: &dyn Object, verb: char, depth: usize) {
        if self.flags.sharp_v {
            self.out.extend_from_slice(object.type_name().as_bytes());
        }
        self.out.push(b'{');
        for (at, (name, field)) in object.fields().into_iter().enumerate() {
            if at > 0 {
                self.out.extend_from_slice(if self.flags.sharp_v { b", " } else { b" " });
            }
            if self.flags.plus_v || self.flags.sharp_v {
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b':');
            }
            self.value(&field, verb, depth + 1);
        }
        self.out.push(b'}');
    }

    /// Addresses: of no meaning, but the same for the same value.
    fn pointer(&mut self, value: &Value, verb: char) {
        let address = match value {
            Value::List(list) => list.identity(),
            Value::Map(map) => map.identity(),
            Value::Object(object) if matches!(object.kind(), Kind::Pointer | Kind::Map | Kind::Slice) => std::ptr::from_ref(object.as_ref()).addr(),
            _ => return self.bad_verb(value, verb),
        };
        self.pad(format!("0x{address:x}").as_bytes());
    }
}

/// `#`: a decimal point always, and the zeros that `%g` drops. Upstream: fmt/format.go fmtFloat.
fn with_point(body: &str, format: char, precision: Option<usize>) -> String {
    let hexadecimal = matches!(format, 'x' | 'X');
    let tail_at = body.find(['p', 'P']).or_else(|| if hexadecimal { None } else { body.find(['e', 'E']) }).unwrap_or(body.len());
    let (number, tail) = body.split_at(tail_at);
    let mut missing = if matches!(format, 'g' | 'G' | 'x') { precision.unwrap_or(6) } else { 0 };
    let significant = number.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    missing = missing.saturating_sub(significant);
    let mut number = number.to_owned();
    if !number.contains('.') {
        if number == "0" {
            missing = missing.saturating_sub(1);
        }
        number.push('.');
    }
    format!("{number}{}{tail}", "0".repeat(missing))
}
