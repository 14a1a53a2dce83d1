//! The lexer of template texts: Go's tokens, trim markers and messages.
//!
//! Never fails: what cannot be a token is one of kind `Error` whose message the parser reports.

use crate::text::{decode_last_rune, decode_rune, is_digit, is_letter, is_print, quote, runes};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    fn is_keyword(self) -> bool {
        matches!(
            self,
            Kind::Block
                | Kind::Break
                | Kind::Continue
                | Kind::Dot
                | Kind::Define
                | Kind::Else
                | Kind::End
                | Kind::If
                | Kind::Nil
                | Kind::Range
                | Kind::Template
                | Kind::With
        )
    }
}

fn keyword(word: &[u8]) -> Option<Kind> {
    Some(match word {
        b"." => Kind::Dot,
        b"block" => Kind::Block,
        b"break" => Kind::Break,
        b"continue" => Kind::Continue,
        b"define" => Kind::Define,
        b"else" => Kind::Else,
        b"end" => Kind::End,
        b"if" => Kind::If,
        b"range" => Kind::Range,
        b"nil" => Kind::Nil,
        b"template" => Kind::Template,
        b"with" => Kind::With,
        _ => return None,
    })
}

#[derive(Clone, Debug)]
pub(crate) struct Item<'a> {
    pub kind: Kind,
    pub pos: usize,
    pub val: &'a [u8],
    pub line: usize,
    /// The message of an error.
    pub message: String,
}

impl Item<'_> {
    /// How messages show the token.
    pub fn shown(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".into(),
            Kind::Error => self.message.clone(),
            kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(self.val)),
            _ if self.val.len() > 10 => {
                let end = runes(self.val).nth(10).map_or(self.val.len(), |(at, _, _)| at);
                format!("{}...", quote(&self.val[..end]))
            }
            _ => quote(self.val),
        }
    }
}

/// `%#U`
fn unicode_point(rune: Option<char>) -> String {
    match rune {
        None => "U+FFFFFFFFFFFFFFFF".into(),
        Some(r) if is_print(r) => format!("U+{:04X} '{r}'", u32::from(r)),
        Some(r) => format!("U+{:04X}", u32::from(r)),
    }
}

fn is_space(rune: Option<char>) -> bool {
    matches!(rune, Some(' ' | '\t' | '\r' | '\n'))
}

fn is_alphanumeric(rune: Option<char>) -> bool {
    rune.is_some_and(|r| r == '_' || is_letter(r) || is_digit(r))
}

fn is_space_byte(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn has_left_trim(text: &[u8]) -> bool {
    matches!(text, [b'-', space, ..] if is_space_byte(*space))
}

fn has_right_trim(text: &[u8]) -> bool {
    matches!(text, [space, b'-', ..] if is_space_byte(*space))
}

fn find(text: &[u8], needle: &[u8; 2]) -> Option<usize> {
    let mut at = 0;
    while let Some(hit) = text[at..].iter().position(|b| *b == needle[0]) {
        at += hit;
        if text.get(at + 1) == Some(&needle[1]) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn newlines(text: &[u8]) -> usize {
    text.iter().filter(|b| **b == b'\n').count()
}

/// Length of the trim marker with its space.
const TRIM: usize = 2;

pub(crate) struct Lexer<'a> {
    input: &'a [u8],
    pos: usize,
    start: usize,
    at_eof: bool,
    parens: usize,
    line: usize,
    start_line: usize,
    inside_action: bool,
    pub break_ok: bool,
    pub continue_ok: bool,
}

impl<'a> Lexer<'a> {
    pub fn new(input: &'a [u8]) -> Lexer<'a> {
        Lexer { input, pos: 0, start: 0, at_eof: false, parens: 0, line: 1, start_line: 1, inside_action: false, break_ok: true, continue_ok: true }
    }

    pub fn next_item(&mut self) -> Item<'a> {
        if self.inside_action { self.inside() } else { self.text() }
    }

    fn next(&mut self) -> Option<char> {
        let (rune, width) = decode_rune(&self.input[self.pos..]);
        if width == 0 {
            self.at_eof = true;
            return None;
        }
        self.pos += width;
        if rune == '\n' {
            self.line += 1;
        }
        Some(rune)
    }

    fn peek(&self) -> Option<char> {
        let (rune, width) = decode_rune(&self.input[self.pos..]);
        (width > 0).then_some(rune)
    }

    fn backup(&mut self) {
        if !self.at_eof && self.pos > 0 {
            let (rune, width) = decode_last_rune(&self.input[..self.pos]);
            self.pos -= width;
            if rune == '\n' {
                self.line -= 1;
            }
        }
    }

    fn item(&mut self, kind: Kind) -> Item<'a> {
        let item = Item { kind, pos: self.start, val: &self.input[self.start..self.pos], line: self.start_line, message: String::new() };
        self.start = self.pos;
        self.start_line = self.line;
        item
    }

    fn ignore(&mut self) {
        self.line += newlines(&self.input[self.start..self.pos]);
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn accept(&mut self, valid: &str) -> bool {
        if self.peek().is_some_and(|r| valid.contains(r)) {
            self.next();
            return true;
        }
        false
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn error(&mut self, message: String) -> Item<'a> {
        let item = Item { kind: Kind::Error, pos: self.start, val: b"", line: self.start_line, message };
        self.start = 0;
        self.pos = 0;
        self.input = b"";
        item
    }

    /// Text up to the next `{{`.
    fn text(&mut self) -> Item<'a> {
        loop {
            let Some(hit) = find(&self.input[self.pos..], b"{{") else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    self.line += newlines(&self.input[self.start..self.pos]);
                    return self.item(Kind::Text);
                }
                return self.item(Kind::Eof);
            };
            if hit > 0 {
                self.pos += hit;
                let mut trim = 0;
                if has_left_trim(&self.input[self.pos + 2..]) {
                    let piece = &self.input[self.start..self.pos];
                    trim = piece.len() - piece.iter().rposition(|b| !is_space_byte(*b)).map_or(0, |at| at + 1);
                }
                self.pos -= trim;
                self.line += newlines(&self.input[self.start..self.pos]);
                let item = self.item(Kind::Text);
                self.pos += trim;
                self.ignore();
                if !item.val.is_empty() {
                    return item;
                }
            }
            if let Some(item) = self.left_delim() {
                return item;
            }
        }
    }

    /// The `{{` that is there; nothing when it began a comment that is done with.
    fn left_delim(&mut self) -> Option<Item<'a>> {
        self.pos += 2;
        let after = if has_left_trim(&self.input[self.pos..]) { TRIM } else { 0 };
        if self.input[self.pos + after..].starts_with(b"/*") {
            self.pos += after;
            self.ignore();
            return self.comment();
        }
        let item = self.item(Kind::LeftDelim);
        self.inside_action = true;
        self.pos += after;
        self.ignore();
        self.parens = 0;
        Some(item)
    }

    fn comment(&mut self) -> Option<Item<'a>> {
        self.pos += 2;
        let Some(hit) = find(&self.input[self.pos..], b"*/") else {
            return Some(self.error("unclosed comment".into()));
        };
        self.pos += hit + 2;
        let Some(trim) = self.right_delim_here() else {
            return Some(self.error("comment ends before closing delimiter".into()));
        };
        self.line += newlines(&self.input[self.start..self.pos]);
        self.start = self.pos;
        self.start_line = self.line;
        if trim {
            self.pos += TRIM;
        }
        self.pos += 2;
        if trim {
            self.pos += self.spaces_ahead();
        }
        self.ignore();
        None
    }

    /// Whether a `}}` is here, and whether it trims.
    fn right_delim_here(&self) -> Option<bool> {
        let rest = &self.input[self.pos..];
        if has_right_trim(rest) && rest[TRIM..].starts_with(b"}}") {
            return Some(true);
        }
        rest.starts_with(b"}}").then_some(false)
    }

    fn spaces_ahead(&self) -> usize {
        self.input[self.pos..].iter().take_while(|b| is_space_byte(**b)).count()
    }

    fn right_delim(&mut self) -> Item<'a> {
        let trim = self.right_delim_here() == Some(true);
        if trim {
            self.pos += TRIM;
            self.ignore();
        }
        self.pos += 2;
        let item = self.item(Kind::RightDelim);
        if trim {
            self.pos += self.spaces_ahead();
            self.ignore();
        }
        self.inside_action = false;
        item
    }

    fn inside(&mut self) -> Item<'a> {
        if self.right_delim_here().is_some() {
            return if self.parens == 0 { self.right_delim() } else { self.error("unclosed left paren".into()) };
        }
        let Some(rune) = self.next() else { return self.error("unclosed action".into()) };
        match rune {
            ' ' | '\t' | '\r' | '\n' => {
                self.backup();
                self.space()
            }
            '=' => self.item(Kind::Assign),
            ':' if self.next() == Some('=') => self.item(Kind::Declare),
            ':' => self.error("expected :=".into()),
            '|' => self.item(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '`' => self.raw_string(),
            '$' if self.at_terminator() => self.item(Kind::Variable),
            '$' => self.field_or_variable(Kind::Variable),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '.' if self.input.get(self.pos).is_some_and(|b| !b.is_ascii_digit()) => self.field_or_variable(Kind::Field),
            '.' | '+' | '-' | '0'..='9' => {
                self.backup();
                self.number()
            }
            r if is_alphanumeric(Some(r)) => {
                self.backup();
                self.identifier()
            }
            '(' => {
                self.parens += 1;
                self.item(Kind::LeftParen)
            }
            ')' => match self.parens.checked_sub(1) {
                Some(parens) => {
                    self.parens = parens;
                    self.item(Kind::RightParen)
                }
                None => self.error("unexpected right paren".into()),
            },
            r if r.is_ascii() && is_print(r) => self.item(Kind::Char),
            r => self.error(format!("unrecognized character in action: {}", unicode_point(Some(r)))),
        }
    }

    fn space(&mut self) -> Item<'a> {
        let mut count = 0;
        while is_space(self.peek()) {
            self.next();
            count += 1;
        }
        // A space may belong to a trimming right delimiter.
        if has_right_trim(&self.input[self.pos - 1..]) && self.input[self.pos - 1 + TRIM..].starts_with(b"}}") {
            self.backup();
            if count == 1 {
                return self.right_delim();
            }
        }
        self.item(Kind::Space)
    }

    fn identifier(&mut self) -> Item<'a> {
        while is_alphanumeric(self.peek()) {
            self.next();
        }
        let next = self.peek();
        if !self.at_terminator() {
            return self.error(format!("bad character {}", unicode_point(next)));
        }
        let word = &self.input[self.start..self.pos];
        match keyword(word) {
            Some(Kind::Break) if !self.break_ok => self.item(Kind::Identifier),
            Some(Kind::Continue) if !self.continue_ok => self.item(Kind::Identifier),
            Some(kind) => self.item(kind),
            None if word == b"true" || word == b"false" => self.item(Kind::Bool),
            None => self.item(Kind::Identifier),
        }
    }

    fn field_or_variable(&mut self, kind: Kind) -> Item<'a> {
        if self.at_terminator() {
            return self.item(if kind == Kind::Variable { Kind::Variable } else { Kind::Dot });
        }
        while is_alphanumeric(self.peek()) {
            self.next();
        }
        let next = self.peek();
        if !self.at_terminator() {
            return self.error(format!("bad character {}", unicode_point(next)));
        }
        self.item(kind)
    }

    fn at_terminator(&self) -> bool {
        let next = self.peek();
        is_space(next) || matches!(next, None | Some('.' | ',' | '|' | ':' | ')' | '(')) || self.input[self.pos..].starts_with(b"}}")
    }

    fn quoted(&mut self, mark: char, kind: Kind, unterminated: &str) -> Item<'a> {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.next(), None | Some('\n')) => {}
                Some('\\' | '\n') | None => return self.error(unterminated.into()),
                Some(rune) if rune == mark => return self.item(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Item<'a> {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string".into()),
                Some('`') => return self.item(Kind::RawString),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Item<'a> {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || self.input[self.pos - 1] != b'i' {
                return self.bad_number();
            }
            return self.item(Kind::Complex);
        }
        self.item(Kind::Number)
    }

    fn bad_number(&mut self) -> Item<'a> {
        let message = format!("bad number syntax: {}", quote(&self.input[self.start..self.pos]));
        self.error(message)
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if !exponent.is_empty() && self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if is_alphanumeric(self.peek()) {
            self.next();
            return false;
        }
        true
    }
}
