//! Go's regular expressions to those of the `regex` crate, with Go's messages for what is none.
//!
//! Keeps true: what Go takes literally stays literal, `\d`, `\w`, `\s` and `\b` are ASCII. Upstream: regexp/syntax/parse.go.

use regex::Regex;

const MAX_REPEAT: u64 = 1000;
const MAX_HEIGHT: usize = 1000;

type Parsed<T> = Result<T, String>;

fn error<T>(code: &str, expression: &str) -> Parsed<T> {
    Err(format!("error parsing regexp: {code}: `{expression}`"))
}

/// What stands open: the text or a group.
#[derive(Default)]
struct Frame {
    /// The repetitions in the last item; none where an operator would have nothing to repeat.
    last: Option<u64>,
    most: u64,
}

struct Translator<'p> {
    whole: &'p str,
    rest: &'p str,
    out: String,
    frames: Vec<Frame>,
    names: Vec<&'p str>,
}

pub fn translate(pattern: &[u8]) -> Parsed<String> {
    let Ok(whole) = std::str::from_utf8(pattern) else {
        return error("invalid UTF-8", &gotemplate::text::lossy(pattern));
    };
    let mut translator = Translator { whole, rest: whole, out: String::new(), frames: vec![Frame::default()], names: Vec::new() };
    translator.run()?;
    Ok(translator.out)
}

fn literal(out: &mut String, rune: char) {
    if rune.is_alphanumeric() && rune.is_ascii() {
        out.push(rune);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", u32::from(rune)));
    }
}

fn perl_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\x0C\\r ]",
        'S' => "[^\\t\\n\\x0C\\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

fn is_unicode_class(name: &str) -> bool {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ' ' | '-'));
    let known = |property: &str| Regex::new(&format!("\\p{{{property}}}")).is_ok();
    plain && (known(&format!("gc={name}")) || known(&format!("sc={name}")) || matches!(name.to_ascii_lowercase().as_str(), "any" | "ascii" | "assigned" | "lc"))
}

fn is_posix_class(name: &str) -> bool {
    const NAMES: [&str; 14] =
        ["alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit"];
    let inner = name.trim_start_matches("[:").trim_end_matches(":]");
    NAMES.contains(&inner.strip_prefix('^').unwrap_or(inner))
}

impl<'p> Translator<'p> {
    fn run(&mut self) -> Parsed<()> {
        // Where the last item was a repetition, what began with its operator.
        let mut last_repeat = "";
        while let Some(rune) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeat = "";
            match rune {
                '(' if before.starts_with("(?") => self.perl_group()?,
                '(' => {
                    self.rest = &before[1..];
                    self.open("(")?;
                }
                ')' => self.close()?,
                '|' => {
                    self.rest = &before[1..];
                    self.out.push('|');
                    self.top().last = None;
                }
                '^' | '$' | '.' => {
                    self.rest = &before[1..];
                    self.out.push(rune);
                    self.item(1);
                }
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.rest = &before[1..];
                    self.repeat(before, last_repeat, 1, false)?;
                    repeat = before;
                }
                '{' => match counts(before) {
                    Some((least, most, length)) => {
                        self.rest = &before[length..];
                        self.counted(before, last_repeat, least, most)?;
                        repeat = before;
                    }
                    None => self.rune(rune),
                },
                '\\' => self.escape()?,
                _ => self.rune(rune),
            }
            last_repeat = repeat;
        }
        if self.frames.len() > 1 {
            return error("missing closing )", self.whole);
        }
        Ok(())
    }

    fn top(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn item(&mut self, weight: u64) {
        let top = self.top();
        top.last = Some(weight);
        top.most = top.most.max(weight);
    }

    fn rune(&mut self, rune: char) {
        self.rest = &self.rest[rune.len_utf8()..];
        literal(&mut self.out, rune);
        self.item(1);
    }

    fn open(&mut self, text: &str) -> Parsed<()> {
        if self.frames.len() > MAX_HEIGHT {
            return error("expression nests too deeply", self.whole);
        }
        self.out.push_str(text);
        self.frames.push(Frame::default());
        Ok(())
    }

    fn close(&mut self) -> Parsed<()> {
        if self.frames.len() < 2 {
            return error("unexpected )", self.whole);
        }
        self.rest = &self.rest[1..];
        self.out.push(')');
        let weight = self.frames.pop().map_or(1, |frame| frame.most.max(1));
        self.item(weight);
        Ok(())
    }

    fn counted(&mut self, before: &str, last_repeat: &str, least: Option<u64>, most: Option<Option<u64>>) -> Parsed<()> {
        let after = self.rest;
        let bad = least.is_none_or(|n| n > MAX_REPEAT) || most.is_some_and(|n| n.is_none_or(|n| n > MAX_REPEAT || least.is_some_and(|least| least > n)));
        if bad {
            return error("invalid repeat count", &before[..before.len() - after.len()]);
        }
        let times = most.flatten().or(least).unwrap_or(1);
        let checked = least.unwrap_or(0) >= 2 || most.flatten().unwrap_or(0) >= 2;
        self.repeat(before, last_repeat, times, checked)
    }

    /// A repetition whose operator ends where the rest begins.
    fn repeat(&mut self, before: &str, last_repeat: &str, times: u64, checked: bool) -> Parsed<()> {
        if let Some(after) = self.rest.strip_prefix('?') {
            self.rest = after;
        }
        let operator = &before[..before.len() - self.rest.len()];
        if !last_repeat.is_empty() {
            return error("invalid nested repetition operator", &last_repeat[..last_repeat.len() - self.rest.len()]);
        }
        let Some(weight) = self.top().last else { return error("missing argument to repetition operator", operator) };
        let weight = if times == 0 { 1 } else { weight.saturating_mul(times) };
        if checked && weight > MAX_REPEAT {
            return error("invalid repeat count", operator);
        }
        self.out.push_str(operator);
        self.item(weight);
        Ok(())
    }

    /// `(?P<name>`, `(?<name>` or `(?flags)`, `(?flags:`.
    fn perl_group(&mut self) -> Parsed<()> {
        let group = self.rest;
        let name_at = if group.len() > 4 && group.starts_with("(?P<") {
            4
        } else if group.len() > 3 && group.starts_with("(?<") {
            3
        } else {
            return self.flags();
        };
        let Some(end) = group.find('>') else { return error("invalid named capture", group) };
        let name = group.get(name_at..end).unwrap_or_default();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return error("invalid named capture", &group[..=end]);
        }
        self.rest = &group[end + 1..];
        // A digit may begin a name in Go, and several groups may share one: the first of them is what it stands for.
        let taken = self.names.contains(&name);
        self.names.push(name);
        let safe = if taken || name.starts_with(|c: char| c.is_ascii_digit()) { "(".to_owned() } else { format!("(?P<{name}>") };
        self.open(&safe)
    }

    fn flags(&mut self) -> Parsed<()> {
        let group = self.rest;
        let (mut on, mut off) = (String::new(), String::new());
        let (mut negative, mut saw) = (false, false);
        let mut read = 2;
        for flag in group[2..].chars() {
            read += flag.len_utf8();
            match flag {
                'i' | 'm' | 's' | 'U' => {
                    let set = if negative { &mut off } else { &mut on };
                    if !set.contains(flag) {
                        set.push(flag);
                    }
                    saw = true;
                }
                '-' if !negative => {
                    negative = true;
                    saw = false;
                }
                ':' | ')' if !negative || saw => {
                    on.retain(|c| !off.contains(c));
                    self.rest = &group[read..];
                    let minus = if off.is_empty() { "" } else { "-" };
                    if flag == ':' {
                        return self.open(&format!("(?{on}{minus}{off}:"));
                    }
                    if !on.is_empty() || !off.is_empty() {
                        self.out.push_str(&format!("(?{on}{minus}{off})"));
                    }
                    return Ok(());
                }
                _ => return error("invalid or unsupported Perl syntax", &group[..read]),
            }
        }
        error("invalid or unsupported Perl syntax", group)
    }

    fn escape(&mut self) -> Parsed<()> {
        let text = self.rest;
        match text[1..].chars().next() {
            Some(anchor @ ('A' | 'z')) => self.verbatim(&format!("\\{anchor}")),
            Some(edge @ ('b' | 'B')) => self.verbatim(&format!("(?-u:\\{edge})")),
            Some('C') => return error("invalid escape sequence", &text[..2]),
            Some('Q') => {
                let body = &text[2..];
                let (quoted, after) = body.split_once("\\E").map_or((body, ""), |(quoted, after)| (quoted, after));
                for rune in quoted.chars() {
                    literal(&mut self.out, rune);
                    self.item(1);
                }
                self.rest = after;
            }
            Some('p' | 'P') => {
                let (class, length) = unicode_class(text)?;
                self.rest = &text[length..];
                self.out.push_str(&class);
                self.item(1);
            }
            Some(letter) if perl_class(letter).is_some() => self.verbatim(perl_class(letter).unwrap_or_default()),
            _ => {
                let (rune, length) = escaped(text)?;
                self.rest = &text[length..];
                literal(&mut self.out, rune);
                self.item(1);
            }
        }
        Ok(())
    }

    fn verbatim(&mut self, text: &str) {
        self.rest = &self.rest[2..];
        self.out.push_str(text);
        self.item(1);
    }

    fn class(&mut self) -> Parsed<()> {
        let whole = self.rest;
        let mut text = &whole[1..];
        let mut out = String::from("[");
        if let Some(after) = text.strip_prefix('^') {
            out.push('^');
            text = after;
        }
        let mut first = true;
        while first || !text.starts_with(']') {
            first = false;
            if text.starts_with("[:") && let Some(end) = text[2..].find(":]") {
                let name = &text[..end + 4];
                if !is_posix_class(name) {
                    return error("invalid character class range", name);
                }
                out.push_str(name);
                text = &text[name.len()..];
                continue;
            }
            if text.starts_with("\\p") || text.starts_with("\\P") {
                let (class, length) = unicode_class(text)?;
                out.push_str(&class);
                text = &text[length..];
                continue;
            }
            if let Some(class) = text.strip_prefix('\\').and_then(|t| t.chars().next()).and_then(perl_class) {
                out.push_str(class);
                text = &text[2..];
                continue;
            }
            let range = text;
            let (low, length) = class_rune(text, whole)?;
            text = &text[length..];
            let mut high = low;
            if text.len() >= 2 && text.starts_with('-') && !text.starts_with("-]") {
                let (rune, length) = class_rune(&text[1..], whole)?;
                text = &text[1 + length..];
                high = rune;
                if high < low {
                    return error("invalid character class range", &range[..range.len() - text.len()]);
                }
            }
            out.push_str(&format!("\\x{{{:X}}}-\\x{{{:X}}}", u32::from(low), u32::from(high)));
        }
        out.push(']');
        self.rest = &text[1..];
        self.out.push_str(&out);
        self.item(1);
        Ok(())
    }
}

fn class_rune(text: &str, whole: &str) -> Parsed<(char, usize)> {
    match text.chars().next() {
        None => error("missing closing ]", whole),
        Some('\\') => escaped(text),
        Some(rune) => Ok((rune, rune.len_utf8())),
    }
}

/// `{n}`, `{n,}`, `{n,m}`: least, most (none when open), length; a number too large is none.
#[expect(clippy::option_option, reason = "open, too large, or a number")]
fn counts(text: &str) -> Option<(Option<u64>, Option<Option<u64>>, usize)> {
    let (least, mut at) = count(text, 1)?;
    let most = if text[at..].starts_with(',') {
        at += 1;
        if text[at..].starts_with('}') {
            None
        } else {
            let (most, end) = count(text, at)?;
            at = end;
            Some(most)
        }
    } else {
        Some(least)
    };
    text[at..].starts_with('}').then_some((least, most, at + 1))
}

fn count(text: &str, from: usize) -> Option<(Option<u64>, usize)> {
    let digits: &str = &text[from..from + text[from..].bytes().take_while(u8::is_ascii_digit).count()];
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let number = if digits.len() > 8 { None } else { digits.parse().ok() };
    Some((number, from + digits.len()))
}

/// A `\p` class as the crate writes it, and its length.
fn unicode_class(text: &str) -> Parsed<(String, usize)> {
    let mut negative = text.starts_with("\\P");
    let Some(first) = text[2..].chars().next() else { return error("invalid character class range", text) };
    let (name, length) = if first == '{' {
        let Some(end) = text.find('}') else { return error("invalid character class range", text) };
        (&text[3..end], end + 1)
    } else {
        (&text[2..2 + first.len_utf8()], 2 + first.len_utf8())
    };
    let plain = match name.strip_prefix('^') {
        Some(plain) => {
            negative = !negative;
            plain
        }
        None => name,
    };
    if !is_unicode_class(plain) {
        return error("invalid character class range", &text[..length]);
    }
    Ok((format!("\\{}{{{plain}}}", if negative { 'P' } else { 'p' }), length))
}

/// An escaped rune and the length of its escape.
fn escaped(text: &str) -> Parsed<(char, usize)> {
    let Some(letter) = text[1..].chars().next() else { return error("trailing backslash at end of expression", "") };
    let mut length = 1 + letter.len_utf8();
    let bytes = text.as_bytes();
    let octal = |at: usize| bytes.get(at).filter(|b| (b'0'..=b'7').contains(b)).map(|b| u32::from(b - b'0'));
    let simple = match letter {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '0'..='7' if letter == '0' || octal(2).is_some() => {
            let mut code = letter.to_digit(8).unwrap_or(0);
            while length < 4
                && let Some(digit) = octal(length)
            {
                code = code * 8 + digit;
                length += 1;
            }
            char::from_u32(code).unwrap_or('\0')
        }
        'x' => return hexadecimal(text),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return error("invalid escape sequence", &text[..length]),
    };
    Ok((simple, length))
}

fn hexadecimal(text: &str) -> Parsed<(char, usize)> {
    let mut code = 0u32;
    let mut read = 2;
    let braced = text[2..].starts_with('{');
    read += usize::from(braced);
    let mut digits = 0;
    for rune in text[read..].chars() {
        read += rune.len_utf8();
        match rune.to_digit(16) {
            Some(digit) => code = code * 16 + digit,
            None if braced && rune == '}' && digits > 0 => {
                return match char::from_u32(code) {
                    Some(rune) => Ok((rune, read)),
                    None => Ok((char::REPLACEMENT_CHARACTER, read)),
                };
            }
            None => break,
        }
        digits += 1;
        if code > 0x0010_ffff {
            break;
        }
        if !braced && digits == 2 {
            return Ok((char::from_u32(code).unwrap_or('\0'), read));
        }
    }
    error("invalid escape sequence", &text[..read])
}
