//! Values of templates to and from those of JSON.

use gotemplate::{Elem, Failure, Kind, List, Map, MapType, Str, Value};
use serde_json::{Number, Value as Json};

/// As deep as Go's decoders go.
const MAX_DEPTH: usize = 10_000;

/// Numbers become float64, as Go reads JSON into `interface{}`.
pub fn from_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(0.0)),
        Json::String(text) => Value::str(text.as_str()),
        Json::Array(items) => Value::list(items.iter().map(from_json).collect()),
        Json::Object(entries) => Value::Map(from_table(entries)),
    }
}

pub fn from_table(entries: &serde_json::Map<String, Json>) -> Map {
    Map::new(MapType::Any, entries.iter().map(|(key, value)| (Str::from(key.as_str()), from_json(value))).collect())
}

/// The value as `encoding/json` writes it and reads it back for YAML: what JSON cannot hold is an error.
pub fn to_json(value: &Value) -> Result<Json, Failure> {
    Converter { yaml_reads: true }.value(value, 0)
}

/// The value itself, for go-yaml's own encoder.
pub fn to_plain(value: &Value) -> Result<Json, Failure> {
    Converter { yaml_reads: false }.value(value, 0)
}

struct Converter {
    /// The text goes through go-yaml's reader: whole floats come back as integers, some characters not at all.
    yaml_reads: bool,
}

impl Converter {
    fn value(&self, value: &Value, depth: usize) -> Result<Json, Failure> {
        if depth > MAX_DEPTH || gotemplate::stack::exhausted() {
            return Err(Failure::new(format!("json: unsupported value: encountered a cycle via {}", value.type_name())));
        }
        Ok(match value {
            Value::Nil | Value::Bytes(None) => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(_, number) => Json::Number((*number).into()),
            Value::Uint(_, number) => Json::Number((*number).into()),
            Value::Float(number) => self.float(*number)?,
            Value::Complex(..) => return Err("json: unsupported type: complex128".into()),
            Value::Str(text) => Json::String(self.text(text)?),
            Value::Bytes(Some(bytes)) if self.yaml_reads => Json::String(String::from_utf8_lossy(&sprig::base64_encode(bytes)).into_owned()),
            Value::List(list) if list.is_nil() && self.yaml_reads => Json::Null,
            Value::Map(map) if map.is_nil() && self.yaml_reads => Json::Null,
            Value::Map(map) => self.entries(map.borrow().iter().map(|(k, v)| (k.clone(), v.clone())), depth)?,
            Value::Object(object) => {
                if let Some(fields) = object.json_fields() {
                    return self.entries(fields.into_iter().map(|(name, value)| (Str::from(name), value)), depth);
                }
                if let Some(inner) = object.json().or_else(|| object.basic()) {
                    return self.value(&inner, depth + 1);
                }
                match object.kind() {
                    Kind::Pointer => return self.value(&object.target().unwrap_or(Value::Nil), depth + 1),
                    Kind::Map => self.entries(object.items().into_iter().map(|(k, v)| (k.as_str().cloned().unwrap_or_else(|| Str::from("")), v)), depth)?,
                    Kind::Slice => self.items(object.items().into_iter().map(|(_, item)| item), depth)?,
                    _ => self.entries(object.fields().into_iter().map(|(name, value)| (Str::from(name), value)), depth)?,
                }
            }
            list => self.items(list.elements().map(|items| items.into_owned()).unwrap_or_default().into_iter(), depth)?,
        })
    }

    fn items(&self, items: impl Iterator<Item = Value>, depth: usize) -> Result<Json, Failure> {
        items.map(|item| self.value(&item, depth + 1)).collect::<Result<Vec<_>, _>>().map(Json::Array)
    }

    fn entries(&self, entries: impl Iterator<Item = (Str, Value)>, depth: usize) -> Result<Json, Failure> {
        let mut map = serde_json::Map::new();
        for (key, value) in entries {
            if self.yaml_reads && find_next_line(&key) {
                // A key of JSON must stand on one line for go-yaml.
                return Err("yaml: did not find expected ',' or '}'".into());
            }
            map.insert(self.text(&key)?, self.value(&value, depth + 1)?);
        }
        Ok(Json::Object(map))
    }

    fn float(&self, number: f64) -> Result<Json, Failure> {
        if self.yaml_reads && number.fract() == 0.0 && number.abs() < 1e21 {
            // Upstream: whole numbers are written without exponent, and read back as integers where they fit.
            let digits = format!("{number}");
            if let Ok(whole) = digits.parse::<i64>() {
                return Ok(Json::Number(whole.into()));
            }
            if let Ok(whole) = digits.parse::<u64>() {
                return Ok(Json::Number(whole.into()));
            }
        }
        match Number::from_f64(number) {
            Some(number) => Ok(Json::Number(number)),
            None => {
                let shown = gotemplate::number::format_float(number, 'g', None);
                Err(Failure::new(format!("json: unsupported value: {shown}")))
            }
        }
    }

    fn text(&self, bytes: &[u8]) -> Result<String, Failure> {
        let text = gotemplate::text::lossy(bytes).into_owned();
        if !self.yaml_reads || text.bytes().all(|b| b < 0x7f) {
            return Ok(text);
        }
        let refused = |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
        if text.chars().any(refused) {
            return Err("yaml: control characters are not allowed".into());
        }
        Ok(if text.contains('\u{85}') { folded(&text) } else { text })
    }
}

fn find_next_line(key: &[u8]) -> bool {
    key.windows(2).any(|pair| pair == [0xc2, 0x85])
}

/// A next-line character stands unescaped in JSON, where go-yaml takes it for a line break and folds it.
fn folded(text: &str) -> String {
    let lines: Vec<&str> = text.split('\u{85}').collect();
    let mut out = String::new();
    let mut breaks = 0;
    for (at, line) in lines.iter().enumerate() {
        let (first, last) = (at == 0, at + 1 == lines.len());
        let mut line = *line;
        if !first {
            line = line.trim_start_matches([' ', '\t']);
        }
        if !last {
            line = line.trim_end_matches([' ', '\t']);
        }
        if !first {
            breaks += 1;
        }
        if line.is_empty() && !first && !last {
            continue;
        }
        match breaks {
            0 => {}
            1 => out.push(' '),
            more => out.push_str(&"\n".repeat(more - 1)),
        }
        breaks = 0;
        out.push_str(line);
    }
    out
}

/// A list of an element type, or the nil one.
pub fn texts(items: &[String]) -> Value {
    Value::List(List::new(Elem::Any, items.iter().map(|item| Value::str(item.as_str())).collect()))
}
