//! Writes values as go-yaml does: version 2 behind `sigs.k8s.io/yaml` (sequences flush with their key, long lines folded), version 3 with an indent of two.

use serde_json::{Map, Number, Value};

use crate::number::{float_g, float_json};
use crate::order::sort_entries;
use crate::resolve::{Plain, resolve};
use crate::scalar::{Analysis, analyze, is_base60, is_break, is_printable};

/// The text that `sigs.k8s.io/yaml` marshals: the value as Go's JSON reads it back, then go-yaml version 2.
pub fn to_yaml(value: &Value) -> String {
    Emitter::document(value, false)
}

/// The text of go-yaml version 3 with an indent of two: sequences are indented, lines never folded, floats keep their exponent.
pub fn to_yaml_pretty(value: &Value) -> String {
    Emitter::document(value, true)
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Item,
    SimpleKey,
    Value,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

struct Emitter {
    out: String,
    column: usize,
    indent: isize,
    whitespace: bool,
    indention: bool,
    pretty: bool,
    width: usize,
}

impl Emitter {
    fn document(value: &Value, pretty: bool) -> String {
        let width = if pretty { usize::MAX } else { 80 };
        let mut e = Emitter { out: String::new(), column: 0, indent: -1, whitespace: true, indention: true, pretty, width };
        e.node(value, Place::Root);
        e.write_indent();
        e.out
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Null => self.scalar("null", Style::Plain, place),
            Value::Bool(b) => self.scalar(if *b { "true" } else { "false" }, Style::Plain, place),
            Value::Number(n) => self.scalar(&self.number(n), Style::Plain, place),
            Value::String(s) => self.scalar(s, self.style_of(s), place),
            Value::Array(items) if items.is_empty() => {
                self.indicator("[", true, true, false);
                self.indicator("]", false, false, false);
            }
            Value::Object(map) if map.is_empty() => {
                self.indicator("{", true, true, false);
                self.indicator("}", false, false, false);
            }
            Value::Array(items) => self.sequence(items, place),
            Value::Object(map) => self.mapping(map),
        }
    }

    fn number(&self, number: &Number) -> String {
        let Some(f) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
        if !self.pretty {
            match resolve(&float_json(f)) {
                Plain::Int(n) => return n.to_string(),
                Plain::Uint(n) => return n.to_string(),
                _ => {}
            }
        }
        match float_g(f).as_str() {
            "+Inf" => ".inf".into(),
            "-Inf" => "-.inf".into(),
            "NaN" => ".nan".into(),
            text => text.into(),
        }
    }

    // Upstream: go-yaml encode.go stringv. Version 3 quotes the words of YAML 1.1 as version 2 does.
    fn style_of(&self, text: &str) -> Style {
        if text.contains('\n') {
            Style::Literal
        } else if resolve(text) == Plain::Str && !is_base60(text) {
            Style::Plain
        } else {
            Style::DoubleQuoted
        }
    }

    fn sequence(&mut self, items: &[Value], place: Place) {
        let outer = self.indent;
        let flush = !self.pretty && place == Place::Value && !self.indention;
        self.deepen(false, flush);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Place::Item);
        }
        self.indent = outer;
    }

    fn mapping(&mut self, map: &Map<String, Value>) {
        let outer = self.indent;
        self.deepen(false, false);
        let mut entries: Vec<(&str, &Value)> = map.iter().map(|(key, value)| (key.as_str(), value)).collect();
        sort_entries(&mut entries, self.pretty);
        for (key, value) in entries {
            self.write_indent();
            if is_simple_key(key) {
                self.scalar(key, self.style_of(key), Place::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.scalar(key, self.style_of(key), Place::Value);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(value, Place::Value);
        }
        self.indent = outer;
    }

    fn deepen(&mut self, flow: bool, flush: bool) {
        if self.indent < 0 {
            self.indent = if flow { 2 } else { 0 };
        } else if !flush {
            self.indent += 2;
        }
    }

    fn scalar(&mut self, text: &str, asked: Style, place: Place) {
        let outer = self.indent;
        let analysis = analyze(text, self.pretty);
        let style = choose(text, asked, analysis, place);
        self.deepen(true, false);
        let breaks = place != Place::SimpleKey;
        match style {
            Style::Plain => self.plain(text, breaks),
            Style::SingleQuoted => self.single_quoted(text, breaks),
            Style::DoubleQuoted => self.double_quoted(text, breaks),
            Style::Literal => self.literal(text),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str, fold: bool) {
        if !self.whitespace && !(self.pretty && text.is_empty()) {
            self.put(' ');
        }
        let (mut spaces, mut chars) = (false, text.chars().peekable());
        while let Some(c) = chars.next() {
            if c == ' ' {
                if fold && !spaces && self.column > self.width && chars.peek() != Some(&' ') {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                self.indention = false;
                spaces = false;
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, fold: bool) {
        self.indicator("'", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let (mut spaces, mut breaks) = (false, false);
        for (i, &c) in chars.iter().enumerate() {
            if c == ' ' {
                if fold && !spaces && self.column > self.width && i > 0 && chars.get(i + 1).is_some_and(|n| *n != ' ') {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                spaces = true;
                continue;
            }
            spaces = false;
            if is_break(c) {
                if !breaks && c == '\n' {
                    self.put('\n');
                }
                self.put(c);
                self.indention = true;
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            if c == '\'' {
                self.put(c);
            }
            self.put(c);
            self.indention = false;
            breaks = false;
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double_quoted(&mut self, text: &str, fold: bool) {
        self.indicator("\"", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let mut spaces = false;
        // Upstream: go-yaml yamlprivateh.go is_bom looks at the first bytes whatever the place: then all is escaped.
        let marked = chars.first() == Some(&'\u{feff}');
        for (i, &c) in chars.iter().enumerate() {
            if marked || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                spaces = false;
            } else if c == ' ' {
                if fold && !spaces && self.column > self.width && i > 0 && i + 1 < chars.len() {
                    self.write_indent();
                    if chars[i + 1] == ' ' {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => "0",
            '\u{7}' => "a",
            '\u{8}' => "b",
            '\t' => "t",
            '\n' => "n",
            '\u{b}' => "v",
            '\u{c}' => "f",
            '\r' => "r",
            '\u{1b}' => "e",
            '"' => "\"",
            '\\' => "\\",
            '\u{85}' => "N",
            '\u{a0}' => "_",
            '\u{2028}' => "L",
            '\u{2029}' => "P",
            _ => "",
        };
        let code = u32::from(c);
        let text = match (short, code) {
            ("", 0..=0xff) => format!("\\x{code:02X}"),
            ("", 0x100..=0xffff) => format!("\\u{code:04X}"),
            ("", _) => format!("\\U{code:08X}"),
            (short, _) => format!("\\{short}"),
        };
        text.chars().for_each(|c| self.put(c));
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false, false);
        }
        let mut ends = text.chars().rev();
        match (ends.next(), ends.next()) {
            (Some(last), _) if !is_break(last) => self.indicator("-", false, false, false),
            (Some(_), before) if before.is_none_or(is_break) => self.indicator("+", false, false, false),
            _ => {}
        }
        self.put('\n');
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.put(c);
                self.indention = true;
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            self.put(c);
            self.indention = false;
            breaks = false;
        }
    }

    fn indicator(&mut self, text: &str, need_space: bool, is_space: bool, is_indention: bool) {
        if need_space && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = is_space;
        self.indention = self.indention && is_indention;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.max(0) as usize;
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column = if is_break(c) { 0 } else { self.column + 1 };
    }
}

// Upstream: emitterc.go yaml_emitter_check_simple_key; the length is in bytes.
fn is_simple_key(key: &str) -> bool {
    key.len() <= 128 && !key.chars().any(is_break)
}

// Upstream: emitterc.go yaml_emitter_select_scalar_style.
fn choose(text: &str, asked: Style, analysis: Analysis, place: Place) -> Style {
    let key = place == Place::SimpleKey;
    let mut style = if key && analysis.multiline { Style::DoubleQuoted } else { asked };
    if style == Style::Plain && (!analysis.plain || (text.is_empty() && key)) {
        style = Style::SingleQuoted;
    }
    if style == Style::SingleQuoted && !analysis.single_quoted || style == Style::Literal && (!analysis.block || key) {
        style = Style::DoubleQuoted;
    }
    style
}
