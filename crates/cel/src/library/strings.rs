//! Strings: the language's own tests and the extended library, version 2. Upstream: cel-go ext/strings.go.

use crate::functions::{Table, fail, mismatch};
use crate::library::text_format;
use crate::value::{EvalError, Evaluated, Value as V};

fn text<'s>(value: &'s V<'_>) -> Result<&'s str, EvalError> {
    value.as_str().ok_or_else(|| EvalError::new("no such overload"))
}

fn whole(value: &V<'_>) -> Result<i64, EvalError> {
    match value {
        V::Int(i) => Ok(*i),
        _ => Err(EvalError::new("no such overload")),
    }
}

fn test<'a>(a: &[V<'a>], test: fn(&str, &str) -> bool) -> Evaluated<'a> {
    match a {
        [V::String(s), V::String(part)] => Ok(V::Bool(test(s, part))),
        _ => mismatch(),
    }
}

fn char_at<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let (s, at) = (text(&a[0])?, whole(&a[1])?);
    let length = s.chars().count() as i64;
    if at < 0 || at > length {
        return fail(format!("index out of range: {at}"));
    }
    Ok(V::string(s.chars().nth(at as usize).map(String::from).unwrap_or_default()))
}

/// Searches by code points, as positions count them.
fn find(s: &str, part: &str, from: Option<i64>, last: bool) -> Result<i64, EvalError> {
    let (chars, part): (Vec<char>, Vec<char>) = (s.chars().collect(), part.chars().collect());
    let length = chars.len() as i64;
    if let Some(from) = from
        && (from < 0 || from > length)
    {
        return Err(EvalError::new(format!("index out of range: {from}")));
    }
    if part.is_empty() {
        return Ok(from.unwrap_or(if last { length } else { 0 }));
    }
    if part.len() > chars.len() {
        return Ok(-1);
    }
    let end = chars.len() - part.len();
    let matches = |i: &usize| chars[*i..*i + part.len()] == part[..];
    let found = if last {
        let from = from.map_or(end, |f| (f as usize).min(end));
        (0..=from).rev().find(matches)
    } else {
        (from.unwrap_or(0) as usize..=end).find(matches)
    };
    Ok(found.map_or(-1, |i| i as i64))
}

fn position<'a>(a: &[V<'a>], last: bool) -> Evaluated<'a> {
    let from = a.get(2).map(whole).transpose()?;
    find(text(&a[0])?, text(&a[1])?, from, last).map(V::Int)
}

fn substring<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let s = text(&a[0])?;
    let length = s.chars().count() as i64;
    let from = whole(&a[1])?;
    let to = a.get(2).map(whole).transpose()?;
    if from < 0 || from > length {
        return fail(format!("index out of range: {from}"));
    }
    let to = match to {
        Some(to) if to < 0 || to > length => return fail(format!("index out of range: {to}")),
        Some(to) if from > to => return fail(format!("invalid substring range. start: {from}, end: {to}")),
        Some(to) => to,
        None => length,
    };
    Ok(V::string(s.chars().skip(from as usize).take((to - from) as usize).collect::<String>()))
}

fn join<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let V::List(list) = &a[0] else { return mismatch() };
    let separator = a.get(1).map(text).transpose()?.unwrap_or("");
    let mut out = String::new();
    for (i, value) in list.iter().enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(text(&value?)?);
    }
    Ok(V::string(out))
}

/// The most a replacement may make of a string: results beyond it are refused before they are built.
const MAX_RESULT: usize = 64 << 20;

fn replace<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let (s, old, new) = (text(&a[0])?, text(&a[1])?, text(&a[2])?);
    let limit = a.get(3).map(whole).transpose()?.unwrap_or(-1);
    let count = usize::try_from(limit).unwrap_or(usize::MAX).min(s.len() + 1);
    if new.len().saturating_mul(count.min(if old.is_empty() { s.len() + 1 } else { s.len() / old.len().max(1) })) > MAX_RESULT {
        return fail("string replacement too large");
    }
    Ok(V::string(if limit < 0 { s.replace(old, new) } else { s.replacen(old, new, count) }))
}

fn split<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let (s, separator) = (text(&a[0])?, text(&a[1])?);
    let limit = a.get(2).map(whole).transpose()?.unwrap_or(-1);
    if limit == 0 {
        return Ok(V::list(Vec::new()));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parts: Vec<String> = if separator.is_empty() {
        let mut chars = s.chars();
        let mut parts: Vec<String> = chars.by_ref().take(limit.saturating_sub(1)).map(String::from).collect();
        let rest = chars.as_str();
        if !rest.is_empty() {
            parts.push(rest.to_owned());
        }
        parts
    } else {
        s.splitn(limit, separator).map(str::to_owned).collect()
    };
    Ok(V::list(parts.into_iter().map(V::string).collect()))
}

fn quote(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(crate) fn add(table: &mut Table) {
    table.add("contains", "contains_string", "string.(string) -> bool", |a| test(a, |s, p| s.contains(p)));
    table.add("endsWith", "ends_with_string", "string.(string) -> bool", |a| test(a, |s, p| s.ends_with(p)));
    table.add("startsWith", "starts_with_string", "string.(string) -> bool", |a| test(a, |s, p| s.starts_with(p)));
    table.add("charAt", "string_char_at_int", "string.(int) -> string", char_at);
    table.add("indexOf", "string_index_of_string", "string.(string) -> int", |a| position(a, false));
    table.add("indexOf", "string_index_of_string_int", "string.(string, int) -> int", |a| position(a, false));
    table.add("lastIndexOf", "string_last_index_of_string", "string.(string) -> int", |a| position(a, true));
    table.add("lastIndexOf", "string_last_index_of_string_int", "string.(string, int) -> int", |a| position(a, true));
    table.add("lowerAscii", "string_lower_ascii", "string.() -> string", |a| Ok(V::string(text(&a[0])?.to_ascii_lowercase())));
    table.add("upperAscii", "string_upper_ascii", "string.() -> string", |a| Ok(V::string(text(&a[0])?.to_ascii_uppercase())));
    table.add("replace", "string_replace_string_string", "string.(string, string) -> string", replace);
    table.add("replace", "string_replace_string_string_int", "string.(string, string, int) -> string", replace);
    table.add("split", "string_split_string", "string.(string) -> list(string)", split);
    table.add("split", "string_split_string_int", "string.(string, int) -> list(string)", split);
    table.add("substring", "string_substring_int", "string.(int) -> string", substring);
    table.add("substring", "string_substring_int_int", "string.(int, int) -> string", substring);
    table.add("trim", "string_trim", "string.() -> string", |a| Ok(V::string(text(&a[0])?.trim())));
    table.add("join", "list_join", "list(string).() -> string", join);
    table.add("join", "list_join_string", "list(string).(string) -> string", join);
    table.add("strings.quote", "strings_quote", "(string) -> string", |a| Ok(V::string(quote(text(&a[0])?))));
    table.add("format", "string_format", "string.(list(dyn)) -> string", |a| match a {
        [V::String(pattern), V::List(args)] => text_format::format(pattern, args).map(V::string),
        _ => mismatch(),
    });
}
