//! JSON text to values, with duplicate keys told and nesting bounded (128 levels, serde_json's limit).
//!
//! Never trusts the text: numbers keep their integer or float nature, the last duplicate wins as it does in Go.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use schema::Type;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::conform::{Decoded, MAX_STRICT_ERRORS, Strictness, conform};
use crate::error::DecodeError;
use crate::path::Path;

/// Decodes JSON and makes it fit `of`.
pub fn decode_json(bytes: &[u8], of: &Type, strictness: Strictness) -> Result<Decoded, DecodeError> {
    let raw = decode_untyped(bytes, strictness)?;
    let mut decoded = conform(raw.value, of, strictness)?;
    let mut strict_errors = raw.strict_errors;
    strict_errors.append(&mut decoded.strict_errors);
    if strict_errors.len() > 1 {
        in_order_of_text(&mut strict_errors, bytes);
    }
    strict_errors.truncate(MAX_STRICT_ERRORS);
    Ok(Decoded { value: decoded.value, strict_errors })
}

/// Go tells unknown and repeated fields as it meets them.
fn in_order_of_text(errors: &mut [String], bytes: &[u8]) {
    let state = RefCell::new((Path::default(), Vec::new()));
    let keys = Watched { state: &state, text: Text::Keys };
    if keys.deserialize(&mut serde_json::Deserializer::from_slice(bytes)).is_err() {
        return;
    }
    let mut places: HashMap<String, (usize, usize)> = errors.iter().map(|e| (path_of(e).to_owned(), (usize::MAX, usize::MAX))).collect();
    for (place, path) in state.into_inner().1.iter().enumerate() {
        match places.get_mut(path) {
            Some((first, _)) if *first == usize::MAX => *first = place,
            Some((_, second)) if *second == usize::MAX => *second = place,
            _ => {}
        }
    }
    errors.sort_by_key(|error| {
        let (first, second) = places.get(path_of(error)).copied().unwrap_or_default();
        if error.starts_with("duplicate") { second } else { first }
    });
}

fn path_of(error: &str) -> &str {
    error.split_once('"').and_then(|(_, rest)| rest.strip_suffix('"')).unwrap_or(error)
}

/// Decodes JSON as it stands: custom resources, patches, apply configurations.
pub fn decode_untyped(bytes: &[u8], strictness: Strictness) -> Result<Decoded, DecodeError> {
    if strictness == Strictness::Ignore {
        let value = serde_json::from_slice(bytes).map_err(syntax)?;
        return Ok(Decoded { value, strict_errors: Vec::new() });
    }
    let state = RefCell::new((Path::default(), Vec::new()));
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Watched { state: &state, text: Text::Json }.deserialize(&mut deserializer).map_err(syntax)?;
    deserializer.end().map_err(syntax)?;
    Ok(Decoded { value, strict_errors: state.into_inner().1 })
}

fn syntax(error: serde_json::Error) -> DecodeError {
    DecodeError::Syntax(error.to_string())
}

/// Builds a value from any deserializer, telling duplicate keys and where they are.
#[derive(Clone, Copy)]
pub(crate) struct Watched<'s> {
    pub state: &'s RefCell<(Path, Vec<String>)>,
    pub text: Text,
}

/// How duplicate keys are told: by their path in JSON, by their line in YAML, as upstream's parsers do.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Text {
    Json,
    Yaml,
    /// Every key is told, by its path.
    Keys,
}

/// A key and the line it stands on, where lines count.
impl<'de> DeserializeSeed<'de> for Text {
    type Value = (Value, u64);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self == Self::Yaml {
            return serde_saphyr::Spanned::<Value>::deserialize(deserializer).map(|key| (key.value, key.referenced.line()));
        }
        Value::deserialize(deserializer).map(|key| (key, 0))
    }
}

impl<'de> DeserializeSeed<'de> for Watched<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Watched<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("number is not finite"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        loop {
            self.state.borrow_mut().0.push_index(out.len());
            let next = access.next_element_seed(self)?;
            self.state.borrow_mut().0.pop();
            match next {
                Some(item) => out.push(item),
                None => return Ok(Value::Array(out)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some((key, line)) = access.next_key_seed(self.text)? {
            let Some(key) = key_text(key) else { return Err(A::Error::custom("a key is a list or a map")) };
            {
                let mut state = self.state.borrow_mut();
                if self.text == Text::Keys {
                    let path = state.0.strict(&key);
                    state.1.push(path);
                } else if out.contains_key(&key) && state.1.len() < MAX_STRICT_ERRORS {
                    let told = match self.text {
                        Text::Json | Text::Keys => format!("duplicate field \"{}\"", state.0.strict(&key)),
                        Text::Yaml => format!("line {line}: key {key:?} already set in map"),
                    };
                    if !state.1.contains(&told) {
                        state.1.push(told);
                    }
                }
                state.0.push_name(&key);
            }
            let value = access.next_value_seed(self)?;
            self.state.borrow_mut().0.pop();
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

/// YAML allows scalars other than strings as keys; JSON made of it spells them out.
fn key_text(key: Value) -> Option<String> {
    match key {
        Value::String(text) => Some(text),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null => Some("null".into()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
