//! Format strings: flags, widths, precisions, argument indexes.

use crate::text::{decode_rune, rune_count};
use crate::value::Value;

/// The largest width, precision or argument index that Go takes.
const TOO_LARGE: i64 = 1_000_000;
/// What one formatting may produce.
pub(super) const MAX_OUTPUT: usize = 64 << 20;

#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub sharp: bool,
    pub zero: bool,
    pub plus: bool,
    pub minus: bool,
    pub space: bool,
    pub plus_v: bool,
    pub sharp_v: bool,
    pub width: Option<usize>,
    pub precision: Option<usize>,
}

#[derive(Default)]
pub(super) struct Printer {
    pub out: Vec<u8>,
    pub flags: Flags,
    /// Inside a `%!verb(...)`: methods are not called again.
    pub erroring: bool,
    pub fault: Option<&'static str>,
}

/// Where the reading of a format stands.
struct Cursor<'f> {
    format: &'f [u8],
    at: usize,
    arg: usize,
    reordered: bool,
    good_index: bool,
    after_index: bool,
}

impl Cursor<'_> {
    fn here(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    /// An explicit `[n]`.
    fn index(&mut self, count: usize) {
        self.after_index = false;
        if self.here() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let (index, width, ok) = bracket(&self.format[self.at..]);
        self.at += width;
        match index {
            Some(index) if ok && index < count => {
                self.arg = index;
                self.after_index = true;
            }
            _ => {
                self.good_index = false;
                self.after_index = ok;
            }
        }
    }

    fn number(&mut self) -> Option<usize> {
        let (number, end) = parse_number(self.format, self.at);
        self.at = end;
        number
    }

    /// A `*`: the next argument as an int.
    fn star(&mut self, args: &[Value]) -> Option<i64> {
        self.at += 1;
        let value = args.get(self.arg)?;
        self.arg += 1;
        let number = match value {
            Value::Int(_, number) => *number,
            Value::Uint(_, number) => i64::try_from(*number).ok()?,
            _ => return None,
        };
        (number.abs() <= TOO_LARGE).then_some(number)
    }
}

fn parse_number(format: &[u8], from: usize) -> (Option<usize>, usize) {
    let mut at = from;
    let mut number = 0i64;
    while let Some(digit) = format.get(at).filter(|b| b.is_ascii_digit()) {
        if number > TOO_LARGE {
            return (None, format.len());
        }
        number = number * 10 + i64::from(digit - b'0');
        at += 1;
    }
    (if at > from { usize::try_from(number).ok() } else { None }, at)
}

/// Index from 0, length, and whether it was well formed; `[0]` has no index.
fn bracket(text: &[u8]) -> (Option<usize>, usize, bool) {
    if text.len() < 3 {
        return (None, 1, false);
    }
    match text.iter().position(|b| *b == b']') {
        None => (None, 1, false),
        Some(close) => match parse_number(&text[..close], 1) {
            (Some(number), end) if end == close => (number.checked_sub(1), close + 1, true),
            _ => (None, close + 1, false),
        },
    }
}

impl Printer {
    pub fn format(&mut self, format: &[u8], args: &[Value]) {
        let mut cursor = Cursor { format, at: 0, arg: 0, reordered: false, good_index: true, after_index: false };
        while cursor.at < format.len() && self.fault.is_none() {
            cursor.good_index = true;
            let rest = &format[cursor.at..];
            let text = rest.iter().position(|b| *b == b'%').unwrap_or(rest.len());
            self.out.extend_from_slice(&rest[..text]);
            cursor.at += text;
            if cursor.at >= format.len() {
                break;
            }
            cursor.at += 1;
            self.directive(&mut cursor, args);
        }
        if !cursor.reordered && cursor.arg < args.len() {
            self.extra(&args[cursor.arg..]);
        }
    }

    fn directive(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) {
        self.flags = Flags::default();
        while let Some(byte) = cursor.here() {
            match byte {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                _ => break,
            }
            cursor.at += 1;
        }
        cursor.index(args.len());
        self.width(cursor, args);
        if cursor.here() == Some(b'.') {
            self.precision(cursor, args);
        }
        if !cursor.after_index {
            cursor.index(args.len());
        }
        if cursor.at >= cursor.format.len() {
            self.out.extend_from_slice(b"%!(NOVERB)");
            return;
        }
        let (verb, size) = decode_rune(&cursor.format[cursor.at..]);
        cursor.at += size;
        if verb == '%' {
            self.out.push(b'%');
        } else if !cursor.good_index {
            self.complain(verb, "(BADINDEX)");
        } else if let Some(arg) = args.get(cursor.arg) {
            if matches!(verb, 'v' | 'w') {
                self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
                self.flags.plus_v = std::mem::take(&mut self.flags.plus);
            }
            self.arg(arg, verb);
            cursor.arg += 1;
        } else {
            self.complain(verb, "(MISSING)");
        }
        if self.out.len() > MAX_OUTPUT {
            self.fault = Some("formatted text is too long");
        }
    }

    fn width(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) {
        if cursor.here() == Some(b'*') {
            match cursor.star(args) {
                None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
                Some(width) => {
                    if width < 0 {
                        self.flags.minus = true;
                        self.flags.zero = false;
                    }
                    self.flags.width = usize::try_from(width.abs()).ok();
                }
            }
            cursor.after_index = false;
            return;
        }
        self.flags.width = cursor.number();
        if cursor.after_index && self.flags.width.is_some() {
            cursor.good_index = false;
        }
    }

    fn precision(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) {
        cursor.at += 1;
        if cursor.after_index {
            cursor.good_index = false;
        }
        cursor.index(args.len());
        if cursor.here() == Some(b'*') {
            match cursor.star(args).and_then(|p| usize::try_from(p).ok()) {
                Some(precision) => self.flags.precision = Some(precision),
                None => self.out.extend_from_slice(b"%!(BADPREC)"),
            }
            cursor.after_index = false;
            return;
        }
        self.flags.precision = Some(cursor.number().unwrap_or(0));
    }

    fn complain(&mut self, verb: char, what: &str) {
        self.out.extend_from_slice(format!("%!{verb}{what}").as_bytes());
    }

    fn extra(&mut self, args: &[Value]) {
        self.flags = Flags::default();
        self.out.extend_from_slice(b"%!(EXTRA ");
        for (at, arg) in args.iter().enumerate() {
            if at > 0 {
                self.out.extend_from_slice(b", ");
            }
            if arg.is_nil() {
                self.out.extend_from_slice(b"<nil>");
            } else {
                self.out.extend_from_slice(arg.type_name().as_bytes());
                self.out.push(b'=');
                self.arg(arg, 'v');
            }
        }
        self.out.push(b')');
    }

    pub fn padding(&mut self, count: usize) {
        let byte = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        self.out.resize(self.out.len() + count, byte);
    }

    /// Writes a piece padded to the width, which counts runes.
    pub fn pad(&mut self, piece: &[u8]) {
        let missing = self.flags.width.unwrap_or(0).saturating_sub(rune_count(piece));
        if self.flags.minus {
            self.out.extend_from_slice(piece);
            self.padding(missing);
        } else {
            self.padding(missing);
            self.out.extend_from_slice(piece);
        }
    }

    /// As `pad`, but never with zeros.
    pub fn pad_spaces(&mut self, piece: &[u8]) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(piece);
        self.flags.zero = zero;
    }
}
