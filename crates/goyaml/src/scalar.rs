//! Facts about the text of a scalar: what it looks like, and which characters it has.

/// Whether Go reads the text as one of YAML's timestamps.
// Upstream: go-yaml v2 resolve.go parseTimestamp, allowedTimestampFormats.
pub(crate) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 6 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let mut at = Cursor { bytes, at: 5 };
    let year = bytes[..4].iter().fold(0u32, |n, b| n * 10 + u32::from(b - b'0'));
    let Some(month) = at.one_or_two() else { return false };
    if !at.eat(b'-') {
        return false;
    }
    let Some(day) = at.one_or_two() else { return false };
    if !(1..=12).contains(&month) || day < 1 || day > days_in(month, year) {
        return false;
    }
    if at.done() {
        return true;
    }
    let zoned = at.eat(b'T') || at.eat(b't');
    if !zoned && !at.eat(b' ') {
        return false;
    }
    time(&mut at).is_some() && (if zoned { zone(&mut at).is_some() } else { true }) && at.done()
}

fn time(at: &mut Cursor) -> Option<()> {
    let hour = at.one_or_two()?;
    at.eat(b':').then_some(())?;
    let minute = at.one_or_two()?;
    at.eat(b':').then_some(())?;
    let second = at.one_or_two()?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if at.eat(b'.') || at.eat(b',') {
        at.digit()?;
        while at.digit().is_some() {}
    }
    Some(())
}

fn zone(at: &mut Cursor) -> Option<()> {
    if at.eat(b'Z') {
        return Some(());
    }
    (at.eat(b'+') || at.eat(b'-')).then_some(())?;
    let hour = at.digit()? * 10 + at.digit()?;
    at.eat(b':').then_some(())?;
    let minute = at.digit()? * 10 + at.digit()?;
    (hour <= 24 && minute < 60).then_some(())
}

fn days_in(month: u32, year: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn done(&self) -> bool {
        self.at == self.bytes.len()
    }
    fn eat(&mut self, byte: u8) -> bool {
        let here = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(here);
        here
    }
    fn digit(&mut self) -> Option<u32> {
        let d = self.bytes.get(self.at).filter(|b| b.is_ascii_digit())?;
        self.at += 1;
        Some(u32::from(d - b'0'))
    }
    fn one_or_two(&mut self) -> Option<u32> {
        let first = self.digit()?;
        Some(self.digit().map_or(first, |second| first * 10 + second))
    }
}

/// Whether the text is a number to the base of sixty to older readers (`1:30`).
// Upstream: go-yaml v2 encode.go base60float.
pub(crate) fn is_base60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let mut parts = unsigned.split(':');
    let Some(head) = parts.next() else { return false };
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let sixty = |s: &str| match s.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let last_good = match last.split_once('.') {
        Some((whole, fraction)) => sixty(whole) && digits(fraction),
        None => sixty(last),
    };
    digits(head) && middle.iter().all(|s| sixty(s)) && last_good
}

/// Whether a character may stand in a scalar unescaped.
// Upstream: go-yaml v2 yamlprivateh.go is_printable: nothing beyond the basic plane.
pub(crate) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// Whether a character ends a line.
pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What an emitter must know of a scalar to choose how to write it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Analysis {
    pub multiline: bool,
    pub plain: bool,
    pub single_quoted: bool,
    pub block: bool,
}

/// Looks at a scalar. `tabs_in_blocks`: version 3 lets tabs stand in literal blocks, version 2 escapes them always.
// Upstream: go-yaml emitterc.go yaml_emitter_analyze_scalar.
pub(crate) fn analyze(text: &str, tabs_in_blocks: bool) -> Analysis {
    if text.is_empty() {
        return Analysis { multiline: false, plain: true, single_quoted: true, block: false };
    }
    let mut seen = Seen { indicators: text.starts_with("---") || text.starts_with("..."), ..Seen::default() };
    let chars: Vec<char> = text.chars().collect();
    let mut preceded_by_blank = true;
    for (i, &c) in chars.iter().enumerate() {
        // Upstream: a line break counts as blank only before a character.
        let followed = chars.get(i + 1).is_none_or(|n| matches!(n, ' ' | '\t'));
        seen.indicator(c, i == 0, preceded_by_blank, followed);
        seen.whitespace(c, i == 0, i + 1 == chars.len());
        if c == '\t' && tabs_in_blocks {
            seen.tabs = true;
        } else if !is_printable(c) {
            seen.special = true;
        }
        preceded_by_blank = matches!(c, ' ' | '\t' | '\0') || is_break(c);
    }
    seen.verdict()
}

#[derive(Default)]
struct Seen {
    indicators: bool,
    special: bool,
    tabs: bool,
    breaks: bool,
    edge_space: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
    previous_space: bool,
    previous_break: bool,
}

impl Seen {
    fn indicator(&mut self, c: char, first: bool, preceded_by_blank: bool, followed_by_blank: bool) {
        let found = match c {
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => first,
            '#' => first || preceded_by_blank,
            '?' | '-' => first && followed_by_blank,
            ':' => followed_by_blank,
            _ => false,
        };
        self.indicators |= found;
    }

    fn whitespace(&mut self, c: char, first: bool, last: bool) {
        let (space, line_break) = (c == ' ', is_break(c));
        self.edge_space |= (space || line_break) && (first || last);
        self.trailing_space |= space && last;
        self.break_space |= space && self.previous_break;
        self.space_break |= line_break && self.previous_space;
        self.breaks |= line_break;
        self.previous_space = space;
        self.previous_break = line_break;
    }

    fn verdict(&self) -> Analysis {
        let escaped = self.space_break || self.special;
        Analysis {
            multiline: self.breaks,
            plain: !(self.edge_space || self.break_space || escaped || self.tabs || self.breaks || self.indicators),
            single_quoted: !(self.break_space || escaped || self.tabs),
            block: !(self.trailing_space || escaped),
        }
    }
}
