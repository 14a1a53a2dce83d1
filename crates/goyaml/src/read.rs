//! Reads YAML into the JSON value that `sigs.k8s.io/yaml` makes of it: YAML 1.1's words, merge keys, keys of all scalar kinds as text.
//!
//! The first document of a stream counts. Depth and what aliases expand to are bounded.

use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Number, Value};

use crate::number::float_g;
use crate::resolve::{Plain, resolve};

const MAX_DEPTH: usize = 250;
/// No document of ours has more nodes, aliases followed.
const MAX_NODES: usize = 4_000_000;

/// What is wrong with a text, and where; lines and columns count from one, zero is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Error {
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// Several faults found at once, one a line.
    pub list: Vec<String>,
}

impl Error {
    fn new(at: (usize, usize), message: impl Into<String>) -> Self {
        Error { line: at.0, column: at.1, message: message.into(), list: Vec::new() }
    }

    // Upstream: go-yaml yaml.go TypeError and decode.go fail: the line is left out on the first one.
    fn text(&self) -> String {
        if !self.list.is_empty() {
            return format!("yaml: unmarshal errors:\n  {}", self.list.join("\n  "));
        }
        match self.line {
            0 | 1 => format!("yaml: {}", self.message),
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
    let mut composer = Composer { parser: Parser::new_from_str(text), anchors: HashMap::new() };
    let Some(root) = composer.document()? else { return Ok(Value::Null) };
    let mut builder = Builder { strict, nodes: 0, alias_nodes: 0, alias_depth: 0, errors: Vec::new() };
    let value = builder.value(&root)?;
    if builder.errors.is_empty() { Ok(value) } else { Err(Error { list: builder.errors, ..Error::new((0, 0), "") }) }
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

struct Composer<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Rc<Node>>,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, usize)>, Error> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, span.start.line()))),
            Some(Err(e)) => Err(syntax(&e)),
        }
    }

    fn document(&mut self) -> Result<Option<Rc<Node>>, Error> {
        while let Some((event, line)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(None),
                event => {
                    let root = self.node(event, line, 0)?;
                    // What follows the document's end is not looked at, what precedes it must be whole.
                    self.next()?;
                    return Ok(root);
                }
            }
        }
        Ok(None)
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Option<Rc<Node>>, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new((line, 0), format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let (anchor, kind) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain, tag: tag.map(|t| tag_name(&t)) })
            }
            Event::SequenceStart(_, anchor, _) => (anchor, Kind::Sequence(self.items(depth)?)),
            Event::MappingStart(_, anchor, _) => {
                let items = self.items(depth)?;
                (anchor, Kind::Mapping(items.chunks_exact(2).map(|pair| (Rc::clone(&pair[0]), Rc::clone(&pair[1]))).collect()))
            }
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(target) => (0, Kind::Alias(Rc::clone(target))),
                None => return Err(Error::new((line, 0), "anchor value contains itself")),
            },
            _ => return Ok(None),
        };
        let node = Rc::new(Node { line, kind });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(Some(node))
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Rc<Node>>, Error> {
        let mut items = Vec::new();
        while let Some((event, line)) = self.next()? {
            if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
                return Ok(items);
            }
            items.extend(self.node(event, line, depth + 1)?);
        }
        Ok(items)
    }
}

fn syntax(e: &ScanError) -> Error {
    Error::new((e.marker().line(), e.marker().col() + 1), e.info())
}

fn tag_name(tag: &Tag) -> String {
    match tag.core_suffix() {
        Some(suffix) => format!("!!{suffix}"),
        None if tag.handle() == "tag:yaml.org,2002:" => format!("!!{}", tag.suffix()),
        None => format!("{}{}", tag.handle(), tag.suffix()),
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
            return Err(Error::new((0, 0), format!("document contains excessive aliasing (near line {line})")));
        }
        Ok(())
    }

    fn value(&mut self, node: &Node) -> Result<Value, Error> {
        self.count(node.line)?;
        match &node.kind {
            Kind::Scalar { text, plain, tag } => scalar(text, *plain, tag.as_deref(), node.line),
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
            let name = key_text(&self.value(key)?, key.line)?;
            if self.strict == Strict::Yes && !own.insert(name.clone()) {
                self.errors.push(format!("line {}: key {} already set in map", key.line, quoted(&name)));
            }
            let value = self.value(value)?;
            map.insert(name, value);
        }
        Ok(())
    }

    fn merge(&mut self, node: &Node, map: &mut Map<String, Value>) -> Result<(), Error> {
        self.count(node.line)?;
        let wrong = || Error::new((0, 0), "map merge requires map or sequence of maps as the value");
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
fn key_text(key: &Value, line: usize) -> Result<String, Error> {
    match key {
        Value::String(s) => Ok(s.clone()),
        Value::Bool(b) => Ok(b.to_string()),
        Value::Number(n) => Ok(n.as_f64().filter(|_| n.is_f64()).map_or_else(|| n.to_string(), float_g)),
        _ => Err(Error::new((line, 0), "unsupported map key: a key must be a text, a number or a boolean")),
    }
}

fn scalar(text: &str, plain: bool, tag: Option<&str>, line: usize) -> Result<Value, Error> {
    let fail = |wanted: &str| Error::new((0, 0), format!("cannot decode !!str {} as a {wanted}", short(text)));
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
            _ => Number::from_f64(f).map(Value::Number).ok_or_else(|| Error::new((line, 0), format!("json: unsupported value: {}", float_g(f)))),
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
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| Error::new((0, 0), "!!binary value contains invalid base64 data"))?;
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
