//! Functions on texts. Where Go counts bytes these do, even amid a rune.

use gotemplate::text::{is_letter, is_space, quote, runes};
use gotemplate::{Failure, Functions, Map, MapType, Outcome, Signature, Str, Type, Value, fmt};

use crate::args::{MAX_BYTES, any, bounded, int, text};
use crate::cast::{strslice, strval};
use crate::names;
use crate::wrapping;

use Type::{Any, Int, String as Text};

const NONE: Signature = Signature::fixed(&[]);
const T: Signature = Signature::fixed(&[Text]);
const TT: Signature = Signature::fixed(&[Text, Text]);
const TTT: Signature = Signature::fixed(&[Text, Text, Text]);
const IT: Signature = Signature::fixed(&[Int, Text]);
const ANYS: Signature = Signature::variadic(&[Any]);

pub fn register(f: &mut Functions) {
    f.add("hello", NONE, |_| Ok(Value::str("Hello!")));
    f.add("abbrev", IT, |a| Ok(Value::Str(wrapping::abbrev(int(a, 0), &text(a, 1)))));
    f.add("abbrevboth", Signature::fixed(&[Int, Int, Text]), |a| Ok(Value::Str(wrapping::abbrev_both(int(a, 0), int(a, 1), &text(a, 2)))));
    f.add("wrap", IT, |a| wrapping::wrap(int(a, 0), b"", &text(a, 1), false).map(Value::Str));
    f.add("wrapWith", Signature::fixed(&[Int, Text, Text]), |a| wrapping::wrap(int(a, 0), &text(a, 1), &text(a, 2), true).map(Value::Str));
    f.add("trunc", IT, |a| Ok(Value::str(trunc(int(a, 0), &text(a, 1)))));
    f.add("trim", T, |a| Ok(Value::str(trim_matching(&text(a, 0), is_space))));
    f.add("upper", T, |a| Ok(Value::str(map_runes(&text(a, 0), upper))));
    f.add("lower", T, |a| Ok(Value::str(map_runes(&text(a, 0), lower))));
    f.add("title", T, |a| Ok(Value::str(title(&text(a, 0)))));
    f.add("untitle", T, |a| Ok(Value::str(untitle(&text(a, 0)))));
    f.add("swapcase", T, |a| Ok(Value::str(swap_case(&text(a, 0)))));
    f.add("substr", Signature::fixed(&[Int, Int, Text]), |a| substring(int(a, 0), int(a, 1), &text(a, 2)));
    f.add("repeat", IT, |a| repeat(int(a, 0), &text(a, 1)));
    for name in ["trimall", "trimAll"] {
        f.add(name, TT, |a| {
            let set: Vec<char> = runes(&text(a, 0)).map(|(_, r, _)| r).collect();
            Ok(Value::str(trim_matching(&text(a, 1), |r| set.contains(&r))))
        });
    }
    f.add("trimSuffix", TT, |a| Ok(Value::str(text(a, 1).strip_suffix(&*text(a, 0)).unwrap_or(&text(a, 1)))));
    f.add("trimPrefix", TT, |a| Ok(Value::str(text(a, 1).strip_prefix(&*text(a, 0)).unwrap_or(&text(a, 1)))));
    f.add("nospace", T, |a| Ok(Value::str(no_space(&text(a, 0)))));
    f.add("initials", T, |a| Ok(Value::str(initials(&text(a, 0)))));
    f.add("snakecase", T, |a| Ok(Value::str(names::lower_joined(&text(a, 0), '_'))));
    f.add("kebabcase", T, |a| Ok(Value::str(names::lower_joined(&text(a, 0), '-'))));
    f.add("camelcase", T, |a| Ok(Value::str(names::camel(&text(a, 0)))));
    f.add("contains", TT, |a| Ok(Value::Bool(find(&text(a, 1), &text(a, 0)).is_some())));
    f.add("hasPrefix", TT, |a| Ok(Value::Bool(text(a, 1).starts_with(&text(a, 0)))));
    f.add("hasSuffix", TT, |a| Ok(Value::Bool(text(a, 1).ends_with(&text(a, 0)))));
    f.add("quote", ANYS, |a| quoted(a, |value| Ok(quote(&strval(value)?).into_bytes())));
    f.add("squote", ANYS, |a| quoted(a, |value| Ok([b"'", &*fmt::verb(value, 'v')?, b"'"].concat())));
    f.add("cat", ANYS, cat);
    f.add("indent", IT, |a| indent(int(a, 0), &text(a, 1), b""));
    f.add("nindent", IT, |a| indent(int(a, 0), &text(a, 1), b"\n"));
    f.add("replace", TTT, |a| replace(&text(a, 2), &text(a, 0), &text(a, 1)).map(Value::str));
    f.add("plural", Signature::fixed(&[Text, Text, Int]), |a| Ok(Value::Str(text(a, usize::from(int(a, 2) != 1)))));
    f.add("toString", Signature::fixed(&[Any]), |a| Ok(Value::Str(strval(&any(a, 0))?)));
    f.add("split", TT, |a| Ok(numbered(split(&text(a, 1), &text(a, 0), -1))));
    f.add("splitList", TT, |a| Ok(Value::strings(split(&text(a, 1), &text(a, 0), -1))));
    f.add("splitn", Signature::fixed(&[Text, Int, Text]), |a| Ok(numbered(split(&text(a, 2), &text(a, 0), int(a, 1)))));
    f.add("toStrings", Signature::fixed(&[Any]), |a| Ok(Value::strings(strslice(&any(a, 0))?)));
    f.add("join", Signature::fixed(&[Text, Any]), |a| join(&text(a, 0), &any(a, 1)));
    f.add("sortAlpha", Signature::fixed(&[Any]), sort_alpha);
}

pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    let mut at = 0;
    while at + needle.len() <= text.len() {
        at += text[at..].iter().position(|b| *b == needle[0])?;
        if text[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn trunc(count: i64, text: &[u8]) -> &[u8] {
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    match usize::try_from(count) {
        Ok(count) => &text[..count.min(text.len())],
        Err(_) if length.saturating_add(count) > 0 => &text[usize::try_from(length + count).unwrap_or(0)..],
        Err(_) => text,
    }
}

pub fn trim_matching(text: &[u8], matches: impl Fn(char) -> bool) -> &[u8] {
    let start = runes(text).find(|(_, r, _)| !matches(*r)).map_or(text.len(), |(at, _, _)| at);
    let mut end = text.len();
    while end > start {
        let (rune, width) = gotemplate::text::decode_last_rune(&text[..end]);
        if !matches(rune) {
            break;
        }
        end -= width;
    }
    &text[start..end]
}

/// Maps each rune; stray bytes become U+FFFD where any rune changes, as in `strings.Map`.
pub fn map_runes(text: &[u8], map: impl Fn(char) -> char) -> Vec<u8> {
    if runes(text).all(|(_, r, width)| map(r) == r && (r != char::REPLACEMENT_CHARACTER || width > 1)) {
        return text.to_vec();
    }
    runes(text).map(|(_, r, _)| map(r)).collect::<String>().into_bytes()
}

/// The one rune that is its upper case; those whose upper case is more than one stay.
pub fn upper(rune: char) -> char {
    let mut mapped = rune.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => rune,
    }
}

pub fn lower(rune: char) -> char {
    let mut mapped = rune.to_lowercase();
    match (rune, mapped.next(), mapped.next()) {
        ('İ', ..) => 'i',
        (_, Some(lower), None) => lower,
        _ => rune,
    }
}

/// What `strings.Title` takes for the end of a word.
fn is_separator(rune: char) -> bool {
    if rune.is_ascii() {
        return !(rune.is_ascii_alphanumeric() || rune == '_');
    }
    if is_letter(rune) || gotemplate::text::is_digit(rune) { false } else { is_space(rune) }
}

fn title(text: &[u8]) -> Vec<u8> {
    let mut before = ' ';
    let mut out = String::with_capacity(text.len());
    for (_, rune, _) in runes(text) {
        out.push(if is_separator(before) { title_case(rune) } else { rune });
        before = rune;
    }
    out.into_bytes()
}

/// Title case differs from upper case for the few digraphs that are one letter.
fn title_case(rune: char) -> char {
    match rune {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        r => upper(r),
    }
}

fn untitle(text: &[u8]) -> Vec<u8> {
    let mut first = true;
    let changed = runes(text).map(|(_, rune, _)| {
        if is_space(rune) {
            first = true;
            rune
        } else if std::mem::take(&mut first) {
            lower(rune)
        } else {
            rune
        }
    });
    changed.collect::<String>().into_bytes()
}

/// Upstream: goutils.SwapCase, which makes a lower letter after space a title letter.
fn swap_case(text: &[u8]) -> Vec<u8> {
    let mut after_space = true;
    let changed = runes(text).map(|(_, rune, _)| {
        if rune.is_uppercase() || matches!(rune, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ') {
            after_space = false;
            lower(rune)
        } else if rune.is_lowercase() {
            if std::mem::take(&mut after_space) { title_case(rune) } else { upper(rune) }
        } else {
            after_space = is_space(rune);
            rune
        }
    });
    changed.collect::<String>().into_bytes()
}

fn substring(start: i64, end: i64, text: &[u8]) -> Outcome {
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let bounds = |message: String| Err(Failure::new(format!("runtime error: slice bounds out of range {message}")));
    let (from, to) = if start < 0 {
        if end < 0 || end > length {
            return bounds(if end < 0 { format!("[:{end}]") } else { format!("[:{end}] with length {length}") });
        }
        (0, end)
    } else if end < 0 || end > length {
        if start > length {
            return bounds(format!("[{start}:{length}]"));
        }
        (start, length)
    } else if start > end {
        return bounds(format!("[{start}:{end}]"));
    } else {
        (start, end)
    };
    Ok(Value::str(&text[usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0)]))
}

fn repeat(count: i64, text: &[u8]) -> Outcome {
    let count = usize::try_from(count).map_err(|_| Failure::new("strings: negative Repeat count"))?;
    bounded(text.len().saturating_mul(count), MAX_BYTES, "repeated text")?;
    Ok(Value::str(text.repeat(count)))
}

/// Upstream: goutils.DeleteWhiteSpace takes each byte for a rune; a text without space is given as it is.
fn no_space(text: &[u8]) -> Vec<u8> {
    let space = |b: &u8| matches!(b, b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ' | 0x85 | 0xa0);
    if !text.iter().any(space) {
        return text.to_vec();
    }
    text.iter().filter(|b| !space(b)).map(|b| char::from(*b)).collect::<String>().into_bytes()
}

/// Upstream: goutils.Initials, which takes the first byte of each word for a rune.
fn initials(text: &[u8]) -> Vec<u8> {
    let mut last_space = true;
    let mut out = String::new();
    for &byte in text {
        let rune = char::from(byte);
        if matches!(rune, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}') {
            last_space = true;
        } else if std::mem::take(&mut last_space) {
            out.push(rune);
        }
    }
    out.into_bytes()
}

fn quoted(args: &[Value], one: impl Fn(&Value) -> Result<Vec<u8>, Failure>) -> Outcome {
    let parts: Result<Vec<_>, _> = args.iter().filter(|arg| !arg.is_nil()).map(one).collect();
    Ok(Value::str(parts?.join(&b' ')))
}

fn cat(args: &[Value]) -> Outcome {
    let parts: Result<Vec<Str>, Failure> = args.iter().filter(|arg| !arg.is_nil()).map(|arg| fmt::verb(arg, 'v')).collect();
    Ok(Value::str(parts?.iter().map(|part| part.as_bytes()).collect::<Vec<_>>().join(&b' ')))
}

fn indent(spaces: i64, text: &[u8], before: &[u8]) -> Outcome {
    let spaces = usize::try_from(spaces).map_err(|_| Failure::new("strings: negative Repeat count"))?;
    let lines = text.iter().filter(|b| **b == b'\n').count() + 1;
    bounded(spaces.saturating_mul(lines), MAX_BYTES, "indented text")?;
    let mut out = Vec::with_capacity(text.len() + spaces * lines + 1);
    out.extend_from_slice(before);
    out.resize(out.len() + spaces, b' ');
    for &byte in text {
        out.push(byte);
        if byte == b'\n' {
            out.resize(out.len() + spaces, b' ');
        }
    }
    Ok(Value::str(out))
}

fn replace(text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::with_capacity(text.len());
    if old.is_empty() {
        bounded(new.len().saturating_mul(text.len() + 1), MAX_BYTES, "text after replacing")?;
        for (at, _, width) in runes(text) {
            out.extend_from_slice(new);
            out.extend_from_slice(&text[at..at + width]);
        }
        out.extend_from_slice(new);
        return Ok(out);
    }
    let mut rest = text;
    while let Some(at) = find(rest, old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        bounded(out.len(), MAX_BYTES, "text after replacing")?;
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    Ok(out)
}

/// `strings.SplitN`; a negative count is all.
pub fn split<'t>(text: &'t [u8], separator: &[u8], count: i64) -> Vec<&'t [u8]> {
    if count == 0 {
        return Vec::new();
    }
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = text;
    if separator.is_empty() {
        while !rest.is_empty() {
            if parts.len() + 1 == limit {
                parts.push(rest);
                return parts;
            }
            let (_, width) = gotemplate::text::decode_rune(rest);
            parts.push(&rest[..width]);
            rest = &rest[width..];
        }
        return parts;
    }
    while parts.len() + 1 < limit
        && let Some(at) = find(rest, separator)
    {
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    parts
}

/// `map[string]string` with keys `_0`, `_1`, ...
fn numbered(parts: Vec<&[u8]>) -> Value {
    let entries = parts.into_iter().enumerate().map(|(at, part)| (Str::from(format!("_{at}")), Value::str(part)));
    Value::Map(Map::new(MapType::Strings, entries.collect()))
}

fn join(separator: &[u8], value: &Value) -> Outcome {
    let parts = strslice(value)?;
    bounded(parts.iter().map(|p| p.len() + separator.len()).sum(), MAX_BYTES, "joined text")?;
    Ok(Value::str(parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>().join(separator)))
}

fn sort_alpha(args: &[Value]) -> Outcome {
    let mut parts = if args[0].is_nil() { vec![strval(&args[0])?] } else { strslice(&args[0])? };
    parts.sort();
    Ok(Value::strings(parts))
}

