//! Go strings: bytes that are mostly UTF-8, with Go's runes, quoting and unquoting.
//!
//! Never refuses bytes that are no UTF-8: as in Go, each stray byte is one U+FFFD when runes are asked for, and itself otherwise.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::LazyLock;

use regex::Regex;

/// A Go string, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Rc<[u8]>);

impl Str {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text with each byte that is no UTF-8 shown as U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        lossy(&self.0)
    }
}

impl Deref for Str {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.0))
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        Str(text.as_bytes().into())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Str {
        Str(text.into_bytes().into())
    }
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Str {
        Str(bytes.into())
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Str {
        Str(bytes.into())
    }
}

/// The bytes as text; unlike the standard library's, every stray byte becomes a U+FFFD of its own, as in Go.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(runes(bytes).map(|(_, r, _)| r).collect()),
    }
}

/// The first rune and its width; a stray byte is U+FFFD of width 1, the end is width 0.
pub fn decode_rune(bytes: &[u8]) -> (char, usize) {
    let Some(&first) = bytes.first() else { return (char::REPLACEMENT_CHARACTER, 0) };
    if first < 0x80 {
        return (char::from(first), 1);
    }
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(rune) => (rune, rune.len_utf8()),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// The last rune and its width.
pub fn decode_last_rune(bytes: &[u8]) -> (char, usize) {
    for width in 1..=bytes.len().min(4) {
        let tail = &bytes[bytes.len() - width..];
        let (rune, decoded) = decode_rune(tail);
        if decoded == width && (width > 1 || tail[0] < 0x80) {
            return (rune, width);
        }
    }
    (char::REPLACEMENT_CHARACTER, bytes.len().min(1))
}

/// Offset, rune and width of each rune, as a `range` over a Go string gives them.
pub fn runes(bytes: &[u8]) -> impl Iterator<Item = (usize, char, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (rune, width) = decode_rune(&bytes[at..]);
        (width > 0).then(|| {
            at += width;
            (at - width, rune, width)
        })
    })
}

pub fn rune_count(bytes: &[u8]) -> usize {
    if bytes.is_ascii() { bytes.len() } else { runes(bytes).count() }
}

fn class(pattern: &str, rune: char) -> bool {
    static LETTER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{L}$").ok());
    static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Nd}$").ok());
    static GRAPHIC: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$").ok());
    let regex = match pattern {
        "letter" => &*LETTER,
        "digit" => &*DIGIT,
        _ => &*GRAPHIC,
    };
    let mut buffer = [0; 4];
    regex.as_ref().is_some_and(|r| r.is_match(rune.encode_utf8(&mut buffer)))
}

pub fn is_letter(rune: char) -> bool {
    if rune.is_ascii() { rune.is_ascii_alphabetic() } else { class("letter", rune) }
}

pub fn is_digit(rune: char) -> bool {
    if rune.is_ascii() { rune.is_ascii_digit() } else { class("digit", rune) }
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn is_print(rune: char) -> bool {
    if rune.is_ascii() { (' '..='~').contains(&rune) } else { class("graphic", rune) }
}

/// Unicode white space as Go has it.
pub fn is_space(rune: char) -> bool {
    rune.is_whitespace()
}

/// How far a quoted text may keep what it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Printable,
    Ascii,
}

/// `strconv.Quote`.
pub fn quote(bytes: &[u8]) -> String {
    quote_with(bytes, '"', Plain::Printable)
}

/// `strconv.QuoteToASCII`.
pub fn quote_ascii(bytes: &[u8]) -> String {
    quote_with(bytes, '"', Plain::Ascii)
}

/// `strconv.QuoteRune`.
pub fn quote_rune(rune: char, plain: Plain) -> String {
    let mut out = String::from("'");
    escape_rune(&mut out, rune, '\'', plain);
    out.push('\'');
    out
}

fn quote_with(bytes: &[u8], mark: char, plain: Plain) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(mark);
    for (at, rune, width) in runes(bytes) {
        if width == 1 && rune == char::REPLACEMENT_CHARACTER {
            out.push_str(&format!("\\x{:02x}", bytes[at]));
        } else {
            escape_rune(&mut out, rune, mark, plain);
        }
    }
    out.push(mark);
    out
}

fn escape_rune(out: &mut String, rune: char, mark: char, plain: Plain) {
    if rune == mark || rune == '\\' {
        out.push('\\');
        out.push(rune);
        return;
    }
    if is_print(rune) && (plain == Plain::Printable || rune.is_ascii()) {
        out.push(rune);
        return;
    }
    match rune {
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        r if r < ' ' || r == '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(r))),
        r if u32::from(r) < 0x10000 => out.push_str(&format!("\\u{:04x}", u32::from(r))),
        r => out.push_str(&format!("\\U{:08x}", u32::from(r))),
    }
}

/// `strconv.CanBackquote`: could stand unchanged between back quotes.
pub fn can_backquote(bytes: &[u8]) -> bool {
    runes(bytes).all(|(_, r, width)| match r {
        '\u{feff}' => false,
        char::REPLACEMENT_CHARACTER => width > 1,
        '\t' => true,
        '`' | '\x7f' => false,
        r => r >= ' ',
    })
}

/// `strconv.Unquote` of a text with its quotes; nothing when its syntax is invalid.
pub fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let (&mark, rest) = quoted.split_first()?;
    let inner = rest.strip_suffix(&[mark])?;
    match mark {
        b'`' => (!inner.contains(&b'`')).then(|| inner.iter().copied().filter(|b| *b != b'\r').collect()),
        b'"' => {
            let mut out = Vec::with_capacity(inner.len());
            let mut left = inner;
            while !left.is_empty() {
                if left[0] == b'\n' {
                    return None;
                }
                let (unit, width) = unquote_char(left, b'"')?;
                unit.push_to(&mut out);
                left = &left[width..];
            }
            Some(out)
        }
        _ => None,
    }
}

/// One decoded unit of a literal: a rune, or a byte written as `\x` or octal.
pub enum Unit {
    Rune(char),
    Byte(u8),
}

impl Unit {
    fn push_to(&self, out: &mut Vec<u8>) {
        match self {
            Unit::Rune(rune) => out.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes()),
            Unit::Byte(byte) => out.push(*byte),
        }
    }
}

/// `strconv.UnquoteChar`: the first unit of a literal's inside, and how long it was.
pub fn unquote_char(text: &[u8], mark: u8) -> Option<(Unit, usize)> {
    let first = *text.first()?;
    if first == mark && (mark == b'\'' || mark == b'"') {
        return None;
    }
    if first != b'\\' {
        let (rune, width) = decode_rune(text);
        if width == 1 && rune == char::REPLACEMENT_CHARACTER {
            return Some((Unit::Byte(first), 1));
        }
        return Some((Unit::Rune(rune), width));
    }
    let simple = |rune| Some((Unit::Rune(rune), 2));
    match *text.get(1)? {
        b'a' => simple('\x07'),
        b'b' => simple('\x08'),
        b'f' => simple('\x0c'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\x0b'),
        b'\\' => simple('\\'),
        b'x' => Some((Unit::Byte(u8::try_from(digits(text.get(2..4)?, 16)?).ok()?), 4)),
        b'u' => Some((Unit::Rune(char::from_u32(digits(text.get(2..6)?, 16)?)?), 6)),
        b'U' => Some((Unit::Rune(char::from_u32(digits(text.get(2..10)?, 16)?)?), 10)),
        b'0'..=b'7' => Some((Unit::Byte(u8::try_from(digits(text.get(1..4)?, 8)?).ok()?), 4)),
        quote @ (b'\'' | b'"') if quote == mark => simple(char::from(quote)),
        _ => None,
    }
}

fn digits(text: &[u8], radix: u32) -> Option<u32> {
    text.iter().try_fold(0u32, |value, b| Some(value * radix + char::from(*b).to_digit(radix)?))
}
