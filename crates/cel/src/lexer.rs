//! Source text to tokens. Positions count code points, as in cel-go's messages.

use crate::source::Issue;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Ident(String),
    /// A name in backquotes: only a field's.
    Quoted(String),
    Int(String),
    Uint(String),
    Float(String),
    /// With quotes and prefix.
    String(String),
    Bytes(String),
    Punct(&'static str),
    End,
}

impl Token {
    /// As ANTLR names it in messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Token::Ident(s) | Token::Int(s) | Token::Uint(s) | Token::Float(s) | Token::String(s) | Token::Bytes(s) => format!("'{}'", s.replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")),
            Token::Quoted(s) => format!("'`{s}`'"),
            Token::Punct(p) => format!("'{p}'"),
            Token::End => "'<EOF>'".into(),
        }
    }
}

const PUNCTUATION: [&str; 26] = ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":", "+", "*", "/", "%", "=", "|"];

pub(crate) struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
    tokens: Vec<(Token, u32)>,
    issues: Vec<Issue>,
}

/// All tokens, the last of them `End`, and what could not be read.
pub(crate) fn tokens(chars: &[char]) -> (Vec<(Token, u32)>, Vec<Issue>) {
    let mut lexer = Lexer { chars, at: 0, tokens: Vec::new(), issues: Vec::new() };
    while lexer.step() {}
    lexer.tokens.push((Token::End, chars.len() as u32));
    (lexer.tokens, lexer.issues)
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn text(&self, from: usize) -> String {
        self.chars[from..self.at].iter().collect()
    }

    fn push(&mut self, token: Token, from: usize) -> bool {
        self.tokens.push((token, from as u32));
        true
    }

    fn step(&mut self) -> bool {
        let from = self.at;
        let Some(&c) = self.chars.get(from) else { return false };
        match c {
            ' ' | '\t' | '\r' | '\n' | '\u{c}' => {
                self.at += 1;
                true
            }
            '/' if self.peek(1) == '/' => {
                while self.at < self.chars.len() && self.peek(0) != '\n' {
                    self.at += 1;
                }
                true
            }
            '0'..='9' => self.number(),
            '.' if self.peek(1).is_ascii_digit() => self.number(),
            '"' | '\'' => self.string(0, false),
            '`' => self.quoted(),
            'a'..='z' | 'A'..='Z' | '_' => self.word(c),
            _ => self.punctuation(),
        }
    }

    fn word(&mut self, first: char) -> bool {
        let quote = |c: char| c == '"' || c == '\'';
        let (second, third) = (self.peek(1), self.peek(2));
        match first.to_ascii_lowercase() {
            'r' if quote(second) => return self.string(1, false),
            'b' if quote(second) => return self.string(1, true),
            'b' if second.eq_ignore_ascii_case(&'r') && quote(third) => return self.string(2, true),
            'r' if second.eq_ignore_ascii_case(&'b') && quote(third) => return self.string(2, true),
            _ => {}
        }
        let from = self.at;
        while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == '_' {
            self.at += 1;
        }
        let text = self.text(from);
        self.push(Token::Ident(text), from)
    }

    fn quoted(&mut self) -> bool {
        let from = self.at;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ');
        self.at += 1;
        while allowed(self.peek(0)) {
            self.at += 1;
        }
        if self.peek(0) != '`' || self.at == from + 1 {
            self.at = from;
            return self.unknown(1);
        }
        self.at += 1;
        let text = self.chars[from + 1..self.at - 1].iter().collect();
        self.push(Token::Quoted(text), from)
    }

    fn digits(&mut self) {
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
    }

    fn number(&mut self) -> bool {
        let from = self.at;
        let mut float = false;
        if self.peek(0) == '0' && self.peek(1) == 'x' && self.peek(2).is_ascii_hexdigit() {
            self.at += 2;
            while self.peek(0).is_ascii_hexdigit() {
                self.at += 1;
            }
        } else {
            self.digits();
            if self.peek(0) == '.' && self.peek(1).is_ascii_digit() {
                float = true;
                self.at += 1;
                self.digits();
            }
            let sign = usize::from(matches!(self.peek(1), '+' | '-'));
            if matches!(self.peek(0), 'e' | 'E') && self.peek(1 + sign).is_ascii_digit() {
                float = true;
                self.at += 1 + sign;
                self.digits();
            }
        }
        let text = self.text(from);
        if float {
            return self.push(Token::Float(text), from);
        }
        if matches!(self.peek(0), 'u' | 'U') {
            self.at += 1;
            return self.push(Token::Uint(text), from);
        }
        self.push(Token::Int(text), from)
    }

    fn string(&mut self, prefix: usize, bytes: bool) -> bool {
        let from = self.at;
        let raw = self.chars[from..from + prefix].iter().any(|c| c.eq_ignore_ascii_case(&'r'));
        let quote = self.chars[from + prefix];
        let triple = self.peek(prefix + 1) == quote && self.peek(prefix + 2) == quote;
        let width = if triple { 3 } else { 1 };
        let mut at = from + prefix + width;
        while let Some(&c) = self.chars.get(at) {
            if c == '\\' && !raw {
                at += 2;
            } else if c == quote && (!triple || (self.chars.get(at + 1) == Some(&quote) && self.chars.get(at + 2) == Some(&quote))) {
                self.at = at + width;
                let text = self.text(from);
                return self.push(if bytes { Token::Bytes(text) } else { Token::String(text) }, from);
            } else if !triple && matches!(c, '\n' | '\r') {
                break;
            } else {
                at += 1;
            }
        }
        // The line's end is part of what was not understood.
        let end = (at + 1).min(self.chars.len());
        self.unknown(end - from)
    }

    fn punctuation(&mut self) -> bool {
        let from = self.at;
        let found = PUNCTUATION.into_iter().find(|p| p.chars().enumerate().all(|(i, c)| self.peek(i) == c));
        match found {
            Some(p) if p != "=" && p != "|" => {
                self.at += p.len();
                self.push(Token::Punct(p), from)
            }
            Some(_) => self.unknown(if self.peek(1) == ' ' { 2 } else { 1 }),
            None => self.unknown(1),
        }
    }

    fn unknown(&mut self, length: usize) -> bool {
        let from = self.at;
        self.at += length.max(1);
        let text = self.text(from);
        self.issues.push(Issue { at: Some(from as u32), message: format!("Syntax error: token recognition error at: '{text}'") });
        true
    }
}
