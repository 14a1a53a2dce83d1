//! TOML to values, with the messages of Go's BurntSushi/toml.
//!
//! Integers become int64, dates moments, arrays of tables lists of maps. Nesting is bounded by the stack.
// Upstream: BurntSushi/toml lex.go, parse.go.

mod numbers;
mod strings;

use std::collections::{BTreeMap, HashSet};

use gotemplate::text::quote;
use gotemplate::{Elem, List, Map, MapType, Str, Value};

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
}
