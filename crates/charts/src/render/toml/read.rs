//! TOML to values, with the messages of Go's BurntSushi/toml.
//!
//! Integers become int64, dates moments, arrays of tables lists of maps. Nesting is bounded by the stack.
// Upstream: BurntSushi/toml lex.go, parse.go.

use std::collections::{BTreeMap, HashSet};

use gotemplate::number::{parse_float, parse_int};
use gotemplate::text::quote;
use gotemplate::{Elem, List, Map, MapType, Str, Value};
use sprig::date::Zone;

enum Node {
    Value(Value),
    Table(Table),
    Tables(Vec<Table>),
}

type Table = BTreeMap<String, Node>;
type Read<T> = Result<T, String>;

pub fn read(text: &str) -> Read<Map> {
    let mut reader = Reader { text, at: 0, line: 1, outer: Vec::new(), context: Vec::new(), key: String::new(), root: Table::new(), implicit: HashSet::new() };
    reader.whole()?;
    Ok(finish(reader.root))
}

fn finish(table: Table) -> Map {
    let entries = table.into_iter().map(|(key, node)| {
        let value = match node {
            Node::Value(value) => value,
            Node::Table(table) => Value::Map(finish(table)),
            Node::Tables(tables) => Value::List(List::new(Elem::Map, tables.into_iter().map(|t| Value::Map(finish(t))).collect())),
        };
        (Str::from(key), value)
    });
    Map::new(MapType::Any, entries.collect())
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    /// Where the inline table being read stands, for messages.
    outer: Vec<String>,
    /// The table that keys go to, and the key being read, for messages.
    context: Vec<String>,
    key: String,
    root: Table,
    /// Tables that stand only as part of a path.
    implicit: HashSet<Vec<String>>,
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn shown_key(path: &[String]) -> String {
    let part = |key: &String| if !key.is_empty() && key.chars().all(is_bare) { key.clone() } else { quote(key.as_bytes()) };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

/// How `%q` shows a character.
fn shown(c: Option<char>) -> String {
    match c {
        Some('\'') => "'\\''".into(),
        Some(c) => {
            let quoted = quote(c.to_string().as_bytes());
            format!("'{}'", quoted.get(1..quoted.len() - 1).unwrap_or_default().replace("\\\"", "\""))
        }
        None => "'\\x00'".into(),
    }
}

impl Reader<'_> {
    fn here(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.here()?;
        self.at += c.len_utf8();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.text[self.at..].starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Read<T> {
        self.error_at(self.line, message)
    }

    fn error_at<T>(&self, line: usize, message: impl std::fmt::Display) -> Read<T> {
        let path = self.full(&self.context);
        // Upstream: the last part stands as it is.
        let last = match (path.is_empty(), self.key.is_empty()) {
            (true, _) => self.key.clone(),
            (false, true) => shown_key(&path),
            (false, false) => format!("{}.{}", shown_key(&path), self.key),
        };
        if last.is_empty() {
            return Err(format!("toml: line {line}: {message}"));
        }
        Err(format!("toml: line {line} (last key {}): {message}", quote(last.as_bytes())))
    }

    fn full(&self, path: &[String]) -> Vec<String> {
        self.outer.iter().chain(path).cloned().collect()
    }

    /// Upstream: where the text ended too early the line before is named.
    fn error_end<T>(&self, message: impl std::fmt::Display) -> Read<T> {
        self.error_at(self.line.saturating_sub(1), message)
    }

    /// An error at what was found, which may be the end.
    fn error_found<T>(&self, found: Option<char>, message: impl std::fmt::Display) -> Read<T> {
        if found.is_none() { self.error_end(message) } else { self.error(message) }
    }

    fn spaces(&mut self) {
        while matches!(self.here(), Some(' ' | '\t')) {
            self.at += 1;
        }
    }

    fn blank(&mut self) {
        loop {
            while matches!(self.here(), Some(' ' | '\t' | '\r' | '\n')) {
                self.next();
            }
            if self.here() != Some('#') {
                return;
            }
            self.comment();
        }
    }

    fn comment(&mut self) {
        while !matches!(self.here(), None | Some('\n')) {
            self.next();
        }
    }

    fn whole(&mut self) -> Read<()> {
        loop {
            self.blank();
            match self.here() {
                None => return Ok(()),
                Some('[') => {
                    self.next();
                    let array = self.eat("[");
                    self.header(array)?;
                }
                Some(_) => {
                    let outer = self.context.clone();
                    self.pair()?;
                    self.context = outer;
                    self.key.clear();
                }
            }
            self.spaces();
            match self.here() {
                Some('#') => self.comment(),
                None | Some('\n') => {}
                Some('\r') if self.text[self.at..].starts_with("\r\n") => {}
                other => {
                    let message = format!("expected a top-level item to end with a newline, comment, or EOF, but got {} instead", shown(other));
                    return self.error(message);
                }
            }
        }
    }

    fn header(&mut self, array: bool) -> Read<()> {
        let mut path = Vec::new();
        loop {
            self.spaces();
            match self.here() {
                Some(']') | None => return self.error("unexpected end of table name (table names cannot be empty)"),
                Some('.') => return self.error("unexpected table separator (table names cannot be empty)"),
                _ => path.push(self.key_part()?),
            }
            self.spaces();
            match self.next() {
                Some('.') => {}
                Some(']') => break,
                other => return self.error_found(other, format!("expected '.' or ']' to end table name, but got {} instead", shown(other))),
            }
        }
        if array && !self.eat("]") {
            let other = self.here();
            return self.error(format!("expected end of table array name delimiter ']', but got {} instead", shown(other)));
        }
        self.key.clear();
        self.open(&path, array)
    }

    /// Makes the table of a header the one that keys go to.
    fn open(&mut self, path: &[String], array: bool) -> Read<()> {
        let Some((last, parents)) = path.split_last() else { return Ok(()) };
        self.context.clear();
        for depth in 1..=parents.len() {
            let parent = parents[..depth].to_vec();
            if self.find(&parent).is_none() {
                self.implicit.insert(parent.clone());
            }
            match self.table(&parent) {
                Some(_) => {}
                None => return self.error(format!("Key '{}' was already created as a hash.", shown_key(&parent))),
            }
        }
        self.context = parents.to_vec();
        let full = path.to_vec();
        if array {
            let parent = self.table(parents);
            let node = parent.map(|table| table.entry(last.clone()).or_insert_with(|| Node::Tables(Vec::new())));
            match node {
                Some(Node::Tables(tables)) => tables.push(Table::new()),
                _ => return self.error(format!("Key '{}' was already created and cannot be used as an array.", shown_key(&full))),
            }
        } else {
            self.put(last.clone(), Node::Table(Table::new()))?;
        }
        self.context = full;
        Ok(())
    }

    fn find(&mut self, path: &[String]) -> Option<&Node> {
        let (last, parents) = path.split_last()?;
        let mut table = &self.root;
        for part in parents {
            table = match table.get(part)? {
                Node::Table(below) => below,
                Node::Tables(tables) => tables.last()?,
                Node::Value(_) => return None,
            };
        }
        table.get(last)
    }

    /// The table at a path, made where it is missing; of an array of tables the last.
    fn table(&mut self, path: &[String]) -> Option<&mut Table> {
        let mut table = &mut self.root;
        for part in path {
            table = match table.entry(part.clone()).or_insert_with(|| Node::Table(Table::new())) {
                Node::Table(below) => below,
                Node::Tables(tables) => tables.last_mut()?,
                Node::Value(_) => return None,
            };
        }
        Some(table)
    }

    /// Puts a key into the current table.
    fn put(&mut self, key: String, node: Node) -> Read<()> {
        let context = self.context.clone();
        let mut full = context.clone();
        full.push(key.clone());
        let Some(table) = self.table(&context) else {
            return self.error(format!("Key '{}' has already been defined.", shown_key(&self.full(&context))));
        };
        if table.contains_key(&key) {
            if self.implicit.remove(&full) && matches!(node, Node::Table(_)) {
                return Ok(());
            }
            return self.error(format!("Key '{}' has already been defined.", shown_key(&self.full(&full))));
        }
        table.insert(key, node);
        Ok(())
    }

    /// `key = value`, also dotted.
    fn pair(&mut self) -> Read<()> {
        self.spaces();
        match self.here() {
            Some('=') | None => return self.error("unexpected '=': key name appears blank"),
            Some('.') => return self.error("unexpected '.': keys cannot start with a '.'"),
            _ => {}
        }
        let mut path = vec![self.key_part()?];
        loop {
            self.spaces();
            match self.next() {
                Some('=') => break,
                Some('.') => {
                    self.spaces();
                    match self.here() {
                        Some('=') | None => return self.error("unexpected '='"),
                        Some('.') => return self.error("unexpected '.'"),
                        _ => path.push(self.key_part()?),
                    }
                }
                None => return self.error_end("unexpected EOF; expected key separator '='"),
                other => return self.error_found(other, format!("expected '.' or '=', but got {} instead", shown(other))),
            }
        }
        let key = path.pop().unwrap_or_default();
        for part in path {
            let mut full = self.context.clone();
            full.push(part);
            if self.find(&full).is_none() {
                self.implicit.insert(full.clone());
            }
            if self.table(&full).is_none() {
                return self.error(format!("Key '{}' has already been defined.", shown_key(&self.full(&full))));
            }
            self.context = full;
        }
        self.key.clone_from(&key);
        self.spaces();
        let node = self.value()?;
        self.put(key, node)
    }

    fn key_part(&mut self) -> Read<String> {
        match self.here() {
            Some('"') => {
                self.next();
                self.basic_string()
            }
            Some('\'') => {
                self.next();
                self.raw_string()
            }
            _ => {
                let start = self.at;
                while self.here().is_some_and(is_bare) {
                    self.at += 1;
                }
                Ok(self.text[start..self.at].to_owned())
            }
        }
    }

    fn value(&mut self) -> Read<Node> {
        if gotemplate::stack::exhausted() {
            return self.error("values are nested too deeply");
        }
        let value = match self.here() {
            None => return self.error_end("unexpected EOF; expected value"),
            Some('[') => {
                self.next();
                self.array()?
            }
            Some('{') => {
                self.next();
                return self.inline_table();
            }
            Some('"') if self.eat("\"\"\"") => Value::str(self.multiline('"')?),
            Some('\'') if self.eat("'''") => Value::str(self.multiline('\'')?),
            Some('"') => {
                self.next();
                Value::str(self.basic_string()?)
            }
            Some('\'') => {
                self.next();
                Value::str(self.raw_string()?)
            }
            Some('.') => return self.error("floats must start with a digit, not '.'"),
            Some('0'..='9' | '+' | '-') => self.number()?,
            Some(c) if c.is_alphabetic() => self.word()?,
            other => {
                self.next();
                return self.error(format!("expected value but found {} instead", shown(other)));
            }
        };
        Ok(Node::Value(value))
    }

    fn word(&mut self) -> Read<Value> {
        let start = self.at;
        while self.here().is_some_and(char::is_alphabetic) {
            self.next();
        }
        match &self.text[start..self.at] {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "inf" => Ok(Value::Float(f64::INFINITY)),
            "nan" => Ok(Value::Float(f64::NAN)),
            other => {
                let message = format!("expected value but found {} instead", quote(other.as_bytes()));
                self.error(message)
            }
        }
    }

    fn array(&mut self) -> Read<Value> {
        let mut items = Vec::new();
        loop {
            self.blank();
            match self.here() {
                Some(']') => {
                    self.next();
                    break;
                }
                Some(',') => return self.error("unexpected comma"),
                _ => items.push(match self.value()? {
                    Node::Value(value) => value,
                    Node::Table(table) => Value::Map(finish(table)),
                    Node::Tables(_) => Value::Nil,
                }),
            }
            self.blank();
            match self.next() {
                Some(',') => {}
                Some(']') => break,
                other => {
                    let found = other.map_or("end of file".to_owned(), |c| format!("'{c}'"));
                    return self.error_found(other, format!("expected a comma (',') or array terminator (']'), but got {found}"));
                }
            }
        }
        Ok(Value::list(items))
    }

    /// An inline table is read with tables of its own, so that its keys meet no others.
    fn inline_table(&mut self) -> Read<Node> {
        let mut inner = Reader {
            text: self.text,
            at: self.at,
            line: self.line,
            outer: self.full(&self.context).into_iter().chain([self.key.clone()]).collect(),
            context: Vec::new(),
            key: String::new(),
            root: Table::new(),
            implicit: HashSet::new(),
        };
        let result = inner.inline_entries();
        (self.at, self.line) = (inner.at, inner.line);
        result?;
        Ok(Node::Table(inner.root))
    }

    fn inline_entries(&mut self) -> Read<()> {
        let newline = "newlines not allowed within inline tables";
        self.spaces();
        if self.eat("}") {
            return Ok(());
        }
        loop {
            self.spaces();
            match self.here() {
                Some('\n' | '\r') => return self.error(newline),
                Some(',') => return self.error("unexpected comma"),
                _ => {}
            }
            self.pair()?;
            self.context.clear();
            self.spaces();
            match self.next() {
                Some('}') => return Ok(()),
                Some(',') => {
                    self.spaces();
                    if self.here() == Some('}') {
                        return self.error("trailing comma not allowed in inline tables");
                    }
                }
                Some('\n' | '\r') => return self.error_at(self.line - 1, newline),
                other => {
                    let found = other.map_or("end of file".to_owned(), |c| format!("'{c}'"));
                    return self.error_found(other, format!("expected a comma or an inline table terminator '}}', but got {found} instead"));
                }
            }
        }
    }

    fn basic_string(&mut self) -> Read<String> {
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

    fn raw_string(&mut self) -> Read<String> {
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
    fn multiline(&mut self, mark: char) -> Read<String> {
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

    fn number(&mut self) -> Read<Value> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '.' | ':'))).unwrap_or(rest.len());
        let mut text = &rest[..length];
        let date_then_time = text.len() == 10 && text.as_bytes()[4] == b'-' && rest[length..].starts_with(' ');
        if date_then_time && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            let more = &rest[length + 1..];
            let end = more.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':'))).unwrap_or(more.len());
            text = &rest[..length + 1 + end];
        }
        self.at += text.len();
        let digits = text.trim_start_matches(['+', '-']);
        let begins_with_year = digits.len() > 4 && digits.as_bytes()[4] == b'-' && digits.as_bytes()[..4].iter().all(u8::is_ascii_digit);
        let is_date = digits.len() == text.len() && (begins_with_year || digits.contains(':'));
        if is_date {
            return self.date(text);
        }
        let based = ["0x", "0o", "0b"].iter().any(|base| digits.starts_with(base));
        if based && digits.len() < text.len() {
            return self.error(format!("cannot use sign with non-decimal numbers: '{}'", &text[..text.len().min(3)]));
        }
        if based && let Some(message) = bad_base(digits) {
            return self.error(message);
        }
        let float = !based && (digits == "inf" || digits == "nan" || digits.contains(['.', 'e', 'E']));
        if float { self.float(text) } else { self.integer(text) }
    }

    fn integer(&mut self, text: &str) -> Read<Value> {
        if !underscores_fit(text) {
            return self.error(format!("Invalid integer {}: underscores must be surrounded by digits", quote(text.as_bytes())));
        }
        if leading_zero(text) {
            return self.error(format!("Invalid integer {}: cannot have leading zeroes", quote(text.as_bytes())));
        }
        match parse_int(text) {
            Some(number) => Ok(Value::int64(number)),
            None if text.trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_hexdigit() || b == b'_' || b == b'x') => {
                self.error(format!("{text} is out of range for int64"))
            }
            None => {
                let at = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '_'))).unwrap_or(0);
                let found = text[at..].chars().next();
                self.error(format!("expected a top-level item to end with a newline, comment, or EOF, but got {} instead", shown(found)))
            }
        }
    }

    fn float(&mut self, text: &str) -> Read<Value> {
        match text {
            "nan" | "+nan" | "-nan" => return Ok(Value::Float(f64::NAN)),
            _ => {}
        }
        let mut parts = text.split(['.', 'e', 'E']).filter(|part| !part.is_empty());
        let infinite = matches!(text.trim_start_matches(['+', '-']), "inf");
        if !infinite && !parts.clone().all(underscores_fit) {
            return self.error(format!("Invalid float {}: underscores must be surrounded by digits", quote(text.as_bytes())));
        }
        if parts.next().is_some_and(leading_zero) {
            return self.error(format!("Invalid float {}: cannot have leading zeroes", quote(text.as_bytes())));
        }
        if text.split('.').skip(1).any(|after| !after.starts_with(|c: char| c.is_ascii_digit())) {
            return self.error(format!("Invalid float {}: '.' must be followed by one or more digits", quote(text.as_bytes())));
        }
        match parse_float(&text.replace('_', "")) {
            Some(number) => Ok(Value::Float(number)),
            None if text.parse::<f64>().is_ok() => self.error(format!("{text} is out of range for float64")),
            None => self.error(format!("Invalid float value: {}", quote(text.as_bytes()))),
        }
    }

    fn date(&mut self, text: &str) -> Read<Value> {
        let normal = text.replace('z', "Z").replace(['t', ' '], "T");
        // Upstream: what names no zone is told apart by a zone's name when it is written again.
        let local = |name: &str| Zone::Fixed { name: name.to_owned(), offset: 0 };
        let layouts = [
            ("2006-01-02T15:04:05.999999999Z07:00", Zone::local()),
            ("2006-01-02T15:04:05.999999999", local("datetime-local")),
            ("2006-01-02", local("date-local")),
            ("15:04:05.999999999", local("time-local")),
        ];
        for (layout, zone) in layouts {
            if let Ok(moment) = sprig::date::parse(layout.as_bytes(), normal.as_bytes(), zone) {
                return Ok(moment.value());
            }
        }
        self.error(format!("Invalid TOML Datetime: {}.", quote(text.as_bytes())))
    }
}

/// What is wrong right after `0x`, `0o` or `0b`.
fn bad_base(digits: &str) -> Option<String> {
    let next = digits.chars().nth(2);
    let (radix, name) = match digits.as_bytes()[1] {
        b'x' => (16, "a hexidecimal"),
        b'o' => (8, "an octal"),
        _ => (2, "a binary"),
    };
    match next {
        Some(c) if c.is_digit(radix) => None,
        next => Some(format!("not {name} number: '{}{}'", &digits[..2], next.unwrap_or('\0'))),
    }
}

fn leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && !matches!(digits.as_bytes()[1], b'b' | b'o' | b'x')
}

fn underscores_fit(text: &str) -> bool {
    let mut accept = false;
    for c in text.chars() {
        if c == '_' && !accept {
            return false;
        }
        accept = c.is_ascii_hexdigit();
    }
    accept
}
