//! Regular expressions with Go's syntax, messages and ways of finding and replacing.

mod translate;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use gotemplate::text::{can_backquote, decode_rune, is_digit, is_letter, quote};
use gotemplate::{Failure, Functions, Outcome, Signature, Str, Type, Value};
use regex::{Captures, Regex, RegexBuilder};

use crate::args::{MAX_BYTES, bounded, int, text};
use Type::{Int, String as Text};

const TT: Signature = Signature::fixed(&[Text, Text]);
const TTI: Signature = Signature::fixed(&[Text, Text, Int]);
const TTT: Signature = Signature::fixed(&[Text, Text, Text]);
/// How many compiled expressions a thread keeps.
const KEPT: usize = 256;

type Compiled = Result<Rc<Regex>, String>;

/// `regexp.Compile`, remembered.
pub fn compile(pattern: &[u8]) -> Compiled {
    thread_local! {
        static CACHE: RefCell<HashMap<Vec<u8>, Compiled>> = RefCell::new(HashMap::new());
    }
    CACHE.with_borrow_mut(|cache| {
        if let Some(known) = cache.get(pattern) {
            return known.clone();
        }
        let compiled = build(pattern).map(Rc::new);
        if cache.len() >= KEPT {
            cache.clear();
        }
        cache.insert(pattern.to_vec(), compiled.clone());
        compiled
    })
}

fn build(pattern: &[u8]) -> Result<Regex, String> {
    let translated = translate::translate(pattern)?;
    RegexBuilder::new(&translated)
        .nest_limit(2_000)
        .build()
        .map_err(|_| format!("error parsing regexp: expression too large: `{}`", String::from_utf8_lossy(pattern)))
}

/// What `regexp.MustCompile` panics with.
fn panicking(pattern: &[u8]) -> Result<Rc<Regex>, Failure> {
    compile(pattern).map_err(|error| {
        let shown = if can_backquote(pattern) { format!("`{}`", String::from_utf8_lossy(pattern)) } else { quote(pattern) };
        Failure::new(format!("regexp: Compile({shown}): {error}"))
    })
}

fn failing(pattern: &[u8]) -> Result<Rc<Regex>, Failure> {
    compile(pattern).map_err(Failure::from)
}

type Compile = fn(&[u8]) -> Result<Rc<Regex>, Failure>;

pub fn register(f: &mut Functions) {
    f.add("regexMatch", TT, |a| Ok(compile(&text(a, 0)).map_or(Value::Bool(false), |regex| matches(&regex, text(a, 1)))));
    f.add("mustRegexMatch", TT, |a| Ok(matches(&*failing(&text(a, 0))?, text(a, 1))));
    f.add("regexFind", TT, |a| find(a, panicking));
    f.add("mustRegexFind", TT, |a| find(a, failing));
    f.add("regexFindAll", TTI, |a| find_all(a, panicking));
    f.add("mustRegexFindAll", TTI, |a| find_all(a, failing));
    f.add("regexReplaceAll", TTT, |a| replace(a, panicking, true));
    f.add("mustRegexReplaceAll", TTT, |a| replace(a, failing, true));
    f.add("regexReplaceAllLiteral", TTT, |a| replace(a, panicking, false));
    f.add("mustRegexReplaceAllLiteral", TTT, |a| replace(a, failing, false));
    f.add("regexSplit", TTI, |a| split(a, panicking));
    f.add("mustRegexSplit", TTI, |a| split(a, failing));
    f.add("regexQuoteMeta", Signature::fixed(&[Text]), |a| Ok(Value::str(quote_meta(&text(a, 0)))));
}

/// What is searched. Each stray byte counts as a U+FFFD, as in Go, and is given back as it was.
struct Subject {
    original: Str,
    /// The text with the stray bytes replaced, and where each of its bytes was.
    replaced: Option<(String, Vec<usize>)>,
}

impl Subject {
    fn new(original: Str) -> Subject {
        if std::str::from_utf8(&original).is_ok() {
            return Subject { original, replaced: None };
        }
        let (mut text, mut places) = (String::new(), Vec::new());
        for (at, rune, width) in gotemplate::text::runes(&original) {
            places.extend((0..rune.len_utf8()).map(|i| at + if rune.len_utf8() == width { i } else { 0 }));
            text.push(rune);
        }
        places.push(original.len());
        Subject { original, replaced: Some((text, places)) }
    }

    fn text(&self) -> &str {
        match &self.replaced {
            Some((text, _)) => text,
            None => std::str::from_utf8(&self.original).unwrap_or_default(),
        }
    }

    fn place(&self, at: usize) -> usize {
        self.replaced.as_ref().map_or(at, |(_, places)| places.get(at).copied().unwrap_or(self.original.len()))
    }

    fn slice(&self, from: usize, to: usize) -> &[u8] {
        &self.original[self.place(from)..self.place(to)]
    }

    fn group(&self, found: regex::Match<'_>) -> &[u8] {
        self.slice(found.start(), found.end())
    }
}

fn matches(regex: &Regex, subject: Str) -> Value {
    Value::Bool(regex.is_match(Subject::new(subject).text()))
}

fn find(args: &[Value], compile: Compile) -> Outcome {
    let (regex, subject) = (compile(&text(args, 0))?, Subject::new(text(args, 1)));
    Ok(Value::str(regex.find(subject.text()).map_or(&b""[..], |found| subject.group(found))))
}

fn limit(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn find_all(args: &[Value], compile: Compile) -> Outcome {
    let (regex, subject) = (compile(&text(args, 0))?, Subject::new(text(args, 1)));
    let found: Vec<Str> = regex.find_iter(subject.text()).take(limit(int(args, 2))).map(|m| Str::from(subject.group(m))).collect();
    if found.is_empty() {
        return Ok(Value::List(gotemplate::List::nil(gotemplate::Elem::String)));
    }
    Ok(Value::strings(found))
}

fn replace(args: &[Value], compile: Compile, expands: bool) -> Outcome {
    let (regex, subject, with) = (compile(&text(args, 0))?, Subject::new(text(args, 1)), text(args, 2));
    let mut out = Vec::with_capacity(subject.original.len());
    let mut at = 0;
    for captures in regex.captures_iter(subject.text()) {
        let Some(whole) = captures.get(0) else { continue };
        out.extend_from_slice(subject.slice(at, whole.start()));
        if expands {
            expand(&mut out, &with, &captures, &subject);
        } else {
            out.extend_from_slice(&with);
        }
        bounded(out.len(), MAX_BYTES, "text after replacing")?;
        at = whole.end();
    }
    out.extend_from_slice(subject.slice(at, subject.text().len()));
    Ok(Value::str(out))
}

/// `$1`, `${name}`, `$$`; what names no group is empty, a `$` that begins no name stands.
fn expand(out: &mut Vec<u8>, template: &[u8], captures: &Captures<'_>, subject: &Subject) {
    let mut rest = template;
    while let Some(dollar) = rest.iter().position(|b| *b == b'$') {
        out.extend_from_slice(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let [b'$', after @ ..] = rest {
            out.push(b'$');
            rest = after;
            continue;
        }
        let Some((name, length)) = reference(rest) else {
            out.push(b'$');
            continue;
        };
        rest = &rest[length..];
        let number = if name.len() > 1 && name.starts_with('0') { None } else { name.parse::<usize>().ok() };
        let group = match number {
            Some(number) => captures.get(number),
            None => captures.name(&name),
        };
        out.extend_from_slice(group.map_or(&b""[..], |group| subject.group(group)));
    }
    out.extend_from_slice(rest);
}

/// The name after a `$`, and how much of the text it took.
fn reference(text: &[u8]) -> Option<(String, usize)> {
    let braced = text.starts_with(b"{");
    let body = &text[usize::from(braced)..];
    let mut end = 0;
    loop {
        let (rune, width) = decode_rune(&body[end..]);
        if width == 0 || !(is_letter(rune) || is_digit(rune) || rune == '_') {
            break;
        }
        end += width;
    }
    if end == 0 || (braced && body.get(end) != Some(&b'}')) {
        return None;
    }
    let name = String::from_utf8_lossy(&body[..end]).into_owned();
    Some((name, end + 2 * usize::from(braced)))
}

/// `Regexp.Split`
fn split(args: &[Value], compile: Compile) -> Outcome {
    let (pattern, subject, count) = (text(args, 0), Subject::new(text(args, 1)), int(args, 2));
    let regex = compile(&pattern)?;
    if count == 0 {
        return Ok(Value::List(gotemplate::List::nil(gotemplate::Elem::String)));
    }
    if !pattern.is_empty() && subject.original.is_empty() {
        return Ok(Value::strings([""]));
    }
    let mut parts: Vec<Str> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(subject.text()).take(limit(count)) {
        if count > 0 && parts.len() + 1 >= limit(count) {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(Str::from(subject.slice(begin, end)));
        }
        begin = found.end();
    }
    if end != subject.text().len() {
        parts.push(Str::from(subject.slice(begin, subject.text().len())));
    }
    Ok(Value::strings(parts))
}

fn quote_meta(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if b"\\.+*?()|[]{}^$".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}
