//! Strings: basic and raw, of one line and of several, with their escapes.

use gotemplate::text::quote;

use super::{Read, Reader};

impl Reader<'_> {
    pub(super) fn basic_string(&mut self) -> Read<String> {
        let start = self.at;
        let mut out = String::new();
        loop {
            match self.next() {
                None => return self.error_end("unexpected EOF; expected '\"'"),
                Some('\n' | '\r') => return self.error_at(self.line - 1, "strings cannot contain newlines"),
                Some('"') => return Ok(out),
                Some('\\') => self.escape(&mut out, start)?,
                Some(c) => self.push(&mut out, c)?,
            }
        }
    }

    fn push(&self, out: &mut String, c: char) -> Read<()> {
        if c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r') {
            return self.error(format!("TOML files cannot contain control characters: '0x{:02x}'", u32::from(c)));
        }
        out.push(c);
        Ok(())
    }

    pub(super) fn raw_string(&mut self) -> Read<String> {
        let mut out = String::new();
        loop {
            match self.next() {
                None => return self.error_end("unexpected EOF; expected \"'\""),
                Some('\n' | '\r') => return self.error_at(self.line - 1, "strings cannot contain newlines"),
                Some('\'') => return Ok(out),
                Some(c) => self.push(&mut out, c)?,
            }
        }
    }

    /// A text over lines after its opening marks; up to two marks may stand before the closing ones.
    pub(super) fn multiline(&mut self, mark: char) -> Read<String> {
        let start = self.at;
        let mut out = String::new();
        if !self.eat_newline() && self.here().is_none() {
            return self.error_end(format!("unexpected EOF; expected '{}'", mark.to_string().repeat(3)));
        }
        let closing = mark.to_string().repeat(3);
        loop {
            if self.eat(&closing) {
                for _ in 0..2 {
                    if self.here() == Some(mark) {
                        self.next();
                        out.push(mark);
                    }
                }
                return Ok(out);
            }
            match self.next() {
                None if mark == '"' => return self.error_end("unexpected EOF; expected '\"\"\"'"),
                None => return self.error_end("unexpected EOF; expected \"'''\""),
                Some('\\') if mark == '"' => self.multiline_escape(&mut out, start)?,
                Some('\r') if self.here() == Some('\n') => {}
                Some(c) => self.push(&mut out, c)?,
            }
        }
    }

    fn eat_newline(&mut self) -> bool {
        if self.text[self.at..].starts_with("\r\n") {
            self.next();
        }
        if self.here() == Some('\n') {
            self.next();
            return true;
        }
        false
    }

    /// A backslash at the end of a line takes the line break and all space after it away.
    fn multiline_escape(&mut self, out: &mut String, start: usize) -> Read<()> {
        let rest = &self.text[self.at..];
        let line = rest.split('\n').next().unwrap_or_default();
        if rest.len() > line.len() && line.trim_matches([' ', '\t', '\r']).is_empty() {
            while matches!(self.here(), Some(' ' | '\t' | '\r' | '\n')) {
                self.next();
            }
            return Ok(());
        }
        self.escape(out, start)
    }

    fn escape(&mut self, out: &mut String, start: usize) -> Read<()> {
        let c = self.next();
        out.push(match c {
            Some('b') => '\x08',
            Some('t') => '\t',
            Some('n') => '\n',
            Some('f') => '\x0c',
            Some('r') => '\r',
            Some('"') => '"',
            Some('\\') => '\\',
            Some('u') => self.unicode(start, 4, "four", 'u')?,
            Some('U') => self.unicode(start, 8, "eight", 'U')?,
            other => return self.error(format!("invalid escape in string '\\{}'", other.unwrap_or('\0'))),
        });
        Ok(())
    }

    /// The digits of an escape in the text that began at `string`.
    fn unicode(&mut self, string: usize, digits: usize, word: &str, letter: char) -> Read<char> {
        let start = self.at;
        for _ in 0..digits {
            if !self.next().is_some_and(|c| c.is_ascii_hexdigit()) {
                let found = quote(&self.text.as_bytes()[string..self.at]);
                return self.error(format!("expected {word} hexadecimal digits after '\\{letter}', but got {found} instead"));
            }
        }
        let text = &self.text[start..self.at];
        match u32::from_str_radix(text, 16).ok().and_then(char::from_u32) {
            Some(c) => Ok(c),
            None => self.error(format!("Escaped character '\\u{text}' is not valid UTF-8.")),
        }
    }
}
