//! Reads YAML into the JSON value that `sigs.k8s.io/yaml` makes of it: YAML 1.1's words, merge keys, keys of all scalar kinds as text.
//!
//! The first document of a stream counts. Depth and what aliases expand to are bounded.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use base64::Engine as _;
use libyaml_safer::{Encoding, ErrorKind, EventData, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use crate::guard::guarded;
use crate::number::float_g;
use crate::resolve::{Plain, resolve};

const MAX_DEPTH: usize = 250;
/// No document of ours has more nodes, aliases followed.
const MAX_NODES: usize = 4_000_000;

/// What is wrong with a text, and where; lines count as go-yaml counts them, columns from one, zero is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Error {
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// Several faults found at once, one a line.
    pub list: Vec<String>,
    /// Where the fault lies, in bytes from the beginning.
    index: usize,
    /// Found beyond go-yaml, whose name it then does not bear.
    beyond: bool,
}

impl Error {
    fn new(message: impl Into<String>) -> Self {
        Error { line: 0, column: 0, message: message.into(), list: Vec::new(), index: 0, beyond: false }
    }

    fn beyond(message: impl Into<String>) -> Self {
        Error { beyond: true, ..Error::new(message) }
    }

    // Upstream: go-yaml yaml.go TypeError and decode.go fail.
    fn text(&self) -> String {
        if !self.list.is_empty() {
            return format!("yaml: unmarshal errors:\n  {}", self.list.join("\n  "));
        }
        match self.line {
            _ if self.beyond => self.message.clone(),
            0 => format!("yaml: {}", self.message),
            line => format!("yaml: line {line}: {}", self.message),
        }
    }
}

/// Whether a key may stand twice in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strict {
    /// The last one counts.
    No,
    /// It is an error.
    Yes,
}

/// The first document's value; nothing is `null`.
pub fn from_yaml(text: &str) -> Result<Value, Error> {
    read(text, Strict::No)
}

/// Like [`from_yaml`], and a key that stands twice in a map is an error.
pub fn from_yaml_strict(text: &str) -> Result<Value, Error> {
    read(text, Strict::Yes)
}

fn read(text: &str, strict: Strict) -> Result<Value, Error> {
    let mut marked = crate::colon::Marked::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    loop {
        let unreadable = || Err(Error::new("found a tag right before a comma, or a text that ends within a token"));
        match guarded(|| read_marked(marked.text(), strict, marked.is_marked())).unwrap_or_else(unreadable) {
            Err(fault) if fault.message == crate::colon::FAULT && marked.mark(fault.index) => {}
            outcome => return outcome,
        }
    }
}

fn read_marked(text: &str, strict: Strict, marked: bool) -> Result<Value, Error> {
    // The scanner cannot end within a block scalar's line: it is given the end of the line, which `Composer` takes out again.
    let ended;
    let whole = text.is_empty() || text.ends_with(['\n', '\r']);
    let mut bytes = if whole {
        text.as_bytes()
    } else {
        ended = format!("{text}\n");
        ended.as_bytes()
    };
    let mut parser = Parser::new();
    // Told, or else it takes any first character of U+F000 and beyond for a broken byte order mark.
    parser.set_encoding(Encoding::Utf8);
    parser.set_input_string(&mut bytes);
    let unended = (!whole).then(|| Unended { line: text.matches('\n').count() as u64 + 1, blank: text.rsplit('\n').next().is_some_and(is_blank) });
    let mut composer = Composer { parser, anchors: HashMap::new(), open: HashSet::new(), unended, marked };
    let Some(root) = composer.document()? else { return Ok(Value::Null) };
    let mut builder = Builder { strict, nodes: 0, alias_nodes: 0, alias_depth: 0, errors: Vec::new() };
    let value = builder.value(&root)?;
    if builder.errors.is_empty() { Ok(value) } else { Err(Error { list: builder.errors, ..Error::new("") }) }
}

struct Node {
    line: usize,
    kind: Kind,
}

enum Kind {
    Scalar { text: String, plain: bool, tag: Option<String> },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
    Alias(Rc<Node>),
}

struct Composer<'r, 'b> {
    parser: Parser<&'r mut &'b [u8]>,
    anchors: HashMap<String, Rc<Node>>,
    /// Anchors of nodes that are not at their end.
    open: HashSet<String>,
    unended: Option<Unended>,
    /// Whether stand-ins for colons are in the text.
    marked: bool,
}

/// The last line of a text, where the text lacks its end.
struct Unended {
    /// The line after it: a block scalar that ends there has the end of a line that is not in the text.
    line: u64,
    blank: bool,
}

fn is_blank(line: &str) -> bool {
    line.bytes().all(|b| b == b' ')
}

impl Unended {
    /// Takes out of a block scalar what the text does not have. A blank line counts where it is indented deeper than the scalar.
    fn trim(&self, value: &mut String) {
        let Some(kept) = value.strip_suffix('\n') else { return };
        if !self.blank || kept.rsplit('\n').next().is_some_and(|line| !line.is_empty() && is_blank(line)) {
            value.pop();
        }
    }
}

impl Composer<'_, '_> {
    fn next(&mut self) -> Result<(EventData, usize), Error> {
        let last_line = self.unended.as_ref().map_or(u64::MAX, |unended| unended.line - 1);
        let mut event = self.parser.parse().map_err(|fault| syntax(&fault, last_line))?;
        if let EventData::Scalar { value, style: ScalarStyle::Literal | ScalarStyle::Folded, .. } = &mut event.data
            && let Some(unended) = &self.unended
            && event.end_mark.line >= unended.line
        {
            unended.trim(value);
        }
        Ok((event.data, usize::try_from(event.start_mark.line).unwrap_or(0) + 1))
    }

    fn document(&mut self) -> Result<Option<Rc<Node>>, Error> {
        loop {
            match self.next()? {
                (EventData::StreamStart { .. } | EventData::DocumentStart { .. }, _) => {}
                (EventData::StreamEnd | EventData::DocumentEnd { .. }, _) => return Ok(None),
                (event, line) => {
                    let root = self.node(event, line, 0)?;
                    // What follows the document's end is not looked at, what precedes it must be whole.
                    self.next()?;
                    return Ok(root);
                }
            }
        }
    }

    fn node(&mut self, event: EventData, line: usize, depth: usize) -> Result<Option<Rc<Node>>, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let (anchor, kind) = match event {
            EventData::Scalar { anchor, tag, value, style, .. } => {
                let plain = style == ScalarStyle::Plain;
                (anchor, Kind::Scalar { text: if plain && self.marked { crate::colon::restore(value) } else { value }, plain, tag: tag.map(tag_name) })
            }
            EventData::SequenceStart { anchor, .. } => {
                let items = self.items(anchor.as_ref(), depth)?;
                (anchor, Kind::Sequence(items))
            }
            EventData::MappingStart { anchor, .. } => {
                let items = self.items(anchor.as_ref(), depth)?;
                (anchor, Kind::Mapping(items.chunks_exact(2).map(|pair| (Rc::clone(&pair[0]), Rc::clone(&pair[1]))).collect()))
            }
            EventData::Alias { anchor } => match self.anchors.get(&anchor) {
                _ if self.open.contains(&anchor) => return Err(Error::new(format!("anchor '{anchor}' value contains itself"))),
                Some(target) => (None, Kind::Alias(Rc::clone(target))),
                None => return Err(Error::new(format!("unknown anchor '{anchor}' referenced"))),
            },
            _ => return Ok(None),
        };
        let node = Rc::new(Node { line, kind });
        if let Some(anchor) = anchor {
            self.open.remove(&anchor);
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(Some(node))
    }

    fn items(&mut self, anchor: Option<&String>, depth: usize) -> Result<Vec<Rc<Node>>, Error> {
        self.open.extend(anchor.cloned());
        let mut items = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if matches!(event, EventData::SequenceEnd | EventData::MappingEnd | EventData::StreamEnd) {
                return Ok(items);
            }
            items.extend(self.node(event, line, depth + 1)?);
        }
    }
}

// Upstream: go-yaml decode.go fail: the scanner's lines count from one, the parser's from zero, and line zero is not told.
// A quoted scalar that does not end is found at the end of the text itself, before the end of a line that the scanner was given;
// all other faults at the end lie on the line after it, which go-yaml begins by itself.
fn syntax(fault: &libyaml_safer::Error, last_line: u64) -> Error {
    let last_line = if fault.problem() == "found unexpected end of stream" { last_line } else { u64::MAX };
    let line_of = |mark: Option<libyaml_safer::Mark>| mark.map_or(0, |mark| usize::try_from(mark.line.min(last_line)).unwrap_or(0));
    let line = match line_of(fault.problem_mark()) {
        0 => line_of(fault.context_mark()),
        line if fault.kind() == ErrorKind::Scanner => line + 1,
        line => line,
    };
    let column = fault.problem_mark().map_or(0, |mark| usize::try_from(mark.column).unwrap_or(0) + 1);
    let index = fault.problem_mark().map_or(0, |mark| usize::try_from(mark.index).unwrap_or(0));
    Error { line, column, index, ..Error::new(fault.problem()) }
}

fn tag_name(tag: String) -> String {
    match tag.strip_prefix("tag:yaml.org,2002:") {
        Some(suffix) => format!("!!{suffix}"),
        None => tag,
    }
}

struct Builder {
    strict: Strict,
    nodes: usize,
    alias_nodes: usize,
    alias_depth: usize,
    errors: Vec<String>,
}

impl Builder {
    // Upstream: go-yaml v2 decode.go unmarshal and allowedAliasRatio.
    fn count(&mut self, line: usize) -> Result<(), Error> {
        self.nodes += 1;
        self.alias_nodes += usize::from(self.alias_depth > 0);
        let ratio = match self.nodes {
            0..=400_000 => 0.99,
            n if n >= 4_000_000 => 0.1,
            n => 0.99 - 0.89 * (n - 400_000) as f64 / 3_600_000.0,
        };
        let aliased = self.alias_nodes > 100 && self.nodes > 1000 && self.alias_nodes as f64 / self.nodes as f64 > ratio;
        if aliased || self.nodes > MAX_NODES || self.alias_depth > MAX_DEPTH {
            return Err(Error::new(format!("document contains excessive aliasing (near line {line})")));
        }
        Ok(())
    }

    fn value(&mut self, node: &Node) -> Result<Value, Error> {
        self.count(node.line)?;
        match &node.kind {
            Kind::Scalar { text, plain, tag } => scalar(text, *plain, tag.as_deref()),
            Kind::Sequence(items) => Ok(Value::Array(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)),
            Kind::Mapping(pairs) => {
                let mut map = Map::new();
                self.fill(pairs, &mut map)?;
                Ok(Value::Object(map))
            }
            Kind::Alias(target) => self.followed(target, |this, node| this.value(node)),
        }
    }

    fn followed<T>(&mut self, target: &Node, then: impl FnOnce(&mut Self, &Node) -> Result<T, Error>) -> Result<T, Error> {
        self.alias_depth += 1;
        let out = then(self, target);
        self.alias_depth -= 1;
        out
    }

    fn fill(&mut self, pairs: &[(Rc<Node>, Rc<Node>)], map: &mut Map<String, Value>) -> Result<(), Error> {
        let mut own = std::collections::HashSet::new();
        for (key, value) in pairs {
            if is_merge(key) {
                self.merge(value, map)?;
                continue;
            }
            let key_value = self.value(key)?;
            if matches!(key_value, Value::Array(_) | Value::Object(_)) {
                return Err(Error::new(format!("invalid map key: {}", go_syntax(&key_value))));
            }
            let value = self.value(value)?;
            let Some(name) = key_text(&key_value) else {
                let shown = go_syntax(&value);
                return Err(Error::beyond(format!("unsupported map key of type: %!s(<nil>), key: <nil>, value: {shown}")));
            };
            if self.strict == Strict::Yes && !own.insert(name.clone()) {
                self.errors.push(format!("line {}: key {} already set in map", key.line, quoted(&name)));
            }
            map.insert(name, value);
        }
        Ok(())
    }

    fn merge(&mut self, node: &Node, map: &mut Map<String, Value>) -> Result<(), Error> {
        self.count(node.line)?;
        let wrong = || Error::new("map merge requires map or sequence of maps as the value");
        match &node.kind {
            Kind::Mapping(pairs) => self.fill(pairs, map),
            Kind::Alias(target) if matches!(target.kind, Kind::Mapping(_)) => self.followed(target, |this, node| this.merge(node, map)),
            // Earlier maps of a sequence win over later ones.
            Kind::Sequence(items) => items.iter().rev().try_for_each(|item| match &item.kind {
                Kind::Mapping(_) => self.merge(item, map),
                Kind::Alias(target) if matches!(target.kind, Kind::Mapping(_)) => self.merge(item, map),
                _ => Err(wrong()),
            }),
            _ => Err(wrong()),
        }
    }
}

fn is_merge(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar { text, plain, tag } if text == "<<" && (tag.as_deref() == Some("!!merge") || *plain && tag.is_none()))
}

// Upstream: sigs.k8s.io/yaml yaml.go convertToJSONableObject.
fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::String(s) => Some(s.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.as_f64().filter(|_| n.is_f64()).map_or_else(|| n.to_string(), float_g)),
        _ => None,
    }
}

/// `%#v`
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.as_f64().filter(|_| n.is_f64()).map_or_else(|| n.to_string(), float_g),
        Value::String(s) => quoted(s),
        Value::Array(items) => format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<String> = map.iter().map(|(k, v)| format!("{}:{}", quoted(k), go_syntax(v))).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

fn scalar(text: &str, plain: bool, tag: Option<&str>) -> Result<Value, Error> {
    let fail = |wanted: &str| Error::new(format!("cannot decode !!str {} as a {wanted}", short(text)));
    let meaning = match tag {
        None if plain => resolve(text),
        None | Some("!!str" | "!") => Plain::Str,
        Some("!!binary") => return binary(text),
        Some(tag @ ("!!int" | "!!float" | "!!bool" | "!!null")) => match (tag, resolve(text)) {
            ("!!float", Plain::Int(n)) => Plain::Float(n as f64),
            ("!!float", Plain::Uint(n)) => Plain::Float(n as f64),
            (_, meaning) if agrees(tag, meaning) => meaning,
            _ => return Err(fail(tag)),
        },
        Some(_) => Plain::Str,
    };
    match meaning {
        Plain::Null => Ok(Value::Null),
        Plain::Bool(b) => Ok(Value::Bool(b)),
        Plain::Int(n) => Ok(Value::Number(n.into())),
        Plain::Uint(n) => Ok(Value::Number(n.into())),
        // Upstream: the value goes through JSON, which has no other name for whole numbers than that of integers.
        Plain::Float(f) => match resolve(&crate::number::float_json(f)) {
            Plain::Int(n) if f != 0.0 || f.is_sign_positive() => Ok(Value::Number(n.into())),
            Plain::Uint(n) => Ok(Value::Number(n.into())),
            _ => Number::from_f64(f).map(Value::Number).ok_or_else(|| Error::beyond(format!("json: unsupported value: {}", float_g(f)))),
        },
        Plain::Timestamp | Plain::Str => Ok(Value::String(text.to_string())),
    }
}

fn agrees(tag: &str, meaning: Plain) -> bool {
    matches!(
        (tag, meaning),
        ("!!int", Plain::Int(_) | Plain::Uint(_)) | ("!!float", Plain::Float(_)) | ("!!bool", Plain::Bool(_)) | ("!!null", Plain::Null)
    )
}

fn binary(text: &str) -> Result<Value, Error> {
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| Error::new("!!binary value contains invalid base64 data"))?;
    Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    crate::json::write_json_string(text, false, &mut out);
    out
}

fn short(text: &str) -> String {
    if text.len() <= 10 { format!("`{text}`") } else { format!("`{}...`", text.chars().take(7).collect::<String>()) }
}
