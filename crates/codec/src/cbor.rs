//! CBOR to values and back, as Kubernetes uses it.
//!
//! Everything is bounded: nesting, items, pairs, and lengths by the bytes that are there. Never guesses: doubled keys, numbers that
//! JSON cannot hold, text that is no UTF-8 and bytes that follow are errors.
//!
//! Upstream: apimachinery `pkg/runtime/serializer/cbor`, `internal/modes`.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ciborium_ll::{Decoder, Encoder, Header, simple};
use schema::{Of, Type};
use serde_json::{Map, Number, Value};

use crate::error::DecodeError;

/// What all output begins with: tag 55799, "this is CBOR".
pub const CBOR_MAGIC: &[u8] = &[0xd9, 0xd9, 0xf7];
/// Upstream: `MaxNestedLevels`, `MaxArrayElements`, `MaxMapPairs`.
const MAX_DEPTH: usize = 64;
const MAX_ITEMS: usize = 1024;

/// Decodes one item. Byte strings are text, or base64 text where a tag says that they are data.
pub fn decode_cbor(bytes: &[u8]) -> Result<Value, DecodeError> {
    // What says that this is CBOR is no level of it.
    let bytes = bytes.strip_prefix(CBOR_MAGIC).unwrap_or(bytes);
    let mut reader = Reader { decoder: Decoder::from(bytes), size: bytes.len() };
    let value = reader.value(0, Bytes::Text)?;
    if reader.decoder.offset() != bytes.len() {
        return Err(fault("there are bytes after the item"));
    }
    Ok(value)
}

fn fault(why: impl std::fmt::Display) -> DecodeError {
    DecodeError::Syntax(format!("cbor: {why}"))
}

/// What a byte string stands for.
#[derive(Clone, Copy)]
enum Bytes {
    Text,
    Base64,
    Base64Url,
    Hex,
}

struct Reader<'a> {
    decoder: Decoder<&'a [u8]>,
    size: usize,
}

impl Reader<'_> {
    fn header(&mut self) -> Result<Header, DecodeError> {
        self.decoder.pull().map_err(|_| fault("the item ends before it is whole, or is malformed"))
    }

    fn value(&mut self, depth: usize, bytes: Bytes) -> Result<Value, DecodeError> {
        if depth > MAX_DEPTH {
            return Err(fault(format!("exceeded max nested level {MAX_DEPTH}")));
        }
        match self.header()? {
            Header::Positive(number) => i64::try_from(number).map(Value::from).map_err(|_| fault(format!("{number} is out of range for an integer"))),
            Header::Negative(number) => i64::try_from(number).map(|n| Value::from(!n)).map_err(|_| fault("a negative number is out of range for an integer")),
            Header::Float(number) => Number::from_f64(number).map(Value::Number).ok_or_else(|| fault("a number is not finite")),
            Header::Simple(simple::NULL | simple::UNDEFINED) => Ok(Value::Null),
            Header::Simple(simple::TRUE) => Ok(Value::Bool(true)),
            Header::Simple(simple::FALSE) => Ok(Value::Bool(false)),
            Header::Simple(other) => Err(fault(format!("simple value {other} has no meaning"))),
            Header::Bytes(length) => Ok(Value::String(told(self.bytes(length, false)?, bytes)?)),
            Header::Text(length) => Ok(Value::String(told(self.bytes(length, true)?, Bytes::Text)?)),
            Header::Array(length) => self.array(length, depth),
            Header::Map(length) => self.map(length, depth),
            Header::Tag(tag) => self.value(depth + 1, match tag {
                21 => Bytes::Base64Url,
                22 => Bytes::Base64,
                23 => Bytes::Hex,
                _ => bytes,
            }),
            Header::Break => Err(fault("a break without a beginning")),
        }
    }

    /// A string of either kind, whole or in pieces.
    fn bytes(&mut self, length: Option<usize>, is_text: bool) -> Result<Vec<u8>, DecodeError> {
        let Some(length) = length else {
            let mut all = Vec::new();
            loop {
                match self.header()? {
                    Header::Break => return Ok(all),
                    Header::Bytes(Some(length)) if !is_text => all.extend(self.exactly(length, is_text)?),
                    Header::Text(Some(length)) if is_text => all.extend(self.exactly(length, is_text)?),
                    _ => return Err(fault("a piece of a string is no such string")),
                }
            }
        };
        self.exactly(length, is_text)
    }

    fn exactly(&mut self, length: usize, is_text: bool) -> Result<Vec<u8>, DecodeError> {
        if length > self.size - self.decoder.offset().min(self.size) {
            return Err(fault("a string promises more than there is"));
        }
        let short = || fault("a string is not whole");
        let mut all = vec![0; length];
        let mut at = 0;
        if is_text {
            let mut segments = self.decoder.text(Some(length));
            while let Some(mut segment) = segments.pull().map_err(|_| short())? {
                while let Some(part) = segment.pull(&mut all[at..]).map_err(|_| fault("a text is not UTF-8"))?.map(str::len) {
                    at += part;
                }
            }
        } else {
            let mut segments = self.decoder.bytes(Some(length));
            while let Some(mut segment) = segments.pull().map_err(|_| short())? {
                while let Some(part) = segment.pull(&mut all[at..]).map_err(|_| short())?.map(<[u8]>::len) {
                    at += part;
                }
            }
        }
        if at == length { Ok(all) } else { Err(short()) }
    }

    /// Whether another member follows.
    fn goes_on(&mut self, length: Option<usize>, count: usize) -> Result<bool, DecodeError> {
        if let Some(length) = length {
            return Ok(count < length);
        }
        match self.header()? {
            Header::Break => Ok(false),
            header => {
                self.decoder.push(header);
                Ok(true)
            }
        }
    }

    fn array(&mut self, length: Option<usize>, depth: usize) -> Result<Value, DecodeError> {
        let mut items = Vec::new();
        let many = || fault(format!("exceeded max number of elements {MAX_ITEMS} for CBOR array"));
        if length.is_some_and(|length| length > MAX_ITEMS) {
            return Err(many());
        }
        while self.goes_on(length, items.len())? {
            if items.len() >= MAX_ITEMS {
                return Err(many());
            }
            items.push(self.value(depth + 1, Bytes::Text)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, length: Option<usize>, depth: usize) -> Result<Value, DecodeError> {
        let mut map = Map::new();
        let many = || fault(format!("exceeded max number of key-value pairs {MAX_ITEMS} for CBOR map"));
        if length.is_some_and(|length| length > MAX_ITEMS) {
            return Err(many());
        }
        while self.goes_on(length, map.len())? {
            if map.len() >= MAX_ITEMS {
                return Err(many());
            }
            let key = match self.header()? {
                Header::Bytes(length) => self.bytes(length, false)?,
                Header::Text(length) => self.bytes(length, true)?,
                _ => return Err(fault("a key is no string")),
            };
            let key = told(key, Bytes::Text)?;
            let value = self.value(depth + 1, Bytes::Text)?;
            if map.contains_key(&key) {
                return Err(fault(format!("found duplicate map key {key:?}")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

fn told(bytes: Vec<u8>, as_what: Bytes) -> Result<String, DecodeError> {
    match as_what {
        Bytes::Text => String::from_utf8(bytes).map_err(|_| fault("a string is not UTF-8")),
        Bytes::Base64 => Ok(BASE64_STANDARD.encode(bytes)),
        Bytes::Base64Url => Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes)),
        Bytes::Hex => Ok(bytes.iter().map(|b| format!("{b:02X}")).collect()),
    }
}

/// Encodes a value; where its type is known, data goes out as data.
pub fn encode_cbor(value: &Value, of: Option<&Type>) -> Vec<u8> {
    let mut out = CBOR_MAGIC.to_vec();
    Writer(Encoder::from(&mut out)).object(value, of);
    out
}

/// A watch event around an encoded object.
pub fn cbor_event(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = CBOR_MAGIC.to_vec();
    let mut writer = Writer(Encoder::from(&mut out));
    writer.push(Header::Map(Some(2)));
    writer.text("type");
    writer.text(kind);
    writer.text("object");
    out.extend_from_slice(object);
    out
}

struct Writer<'a>(Encoder<&'a mut Vec<u8>>);

impl Writer<'_> {
    /// Writing to memory does not fail.
    fn push(&mut self, header: Header) {
        let _ = self.0.push(header);
    }

    /// Upstream: text goes out as byte strings, for which nobody has to look at it.
    fn text(&mut self, text: &str) {
        let _ = self.0.bytes(text.as_bytes(), None);
    }

    fn object(&mut self, value: &Value, of: Option<&Type>) {
        let (Value::Object(map), Some(of)) = (value, of.filter(|of| of.special.is_none())) else { return self.value(value, None) };
        self.members(map, |key| of.fields.iter().find(|f| f.name == key).map(|f| &f.of));
    }

    fn members<'a>(&mut self, map: &Map<String, Value>, of: impl Fn(&str) -> Option<&'a Of>) {
        let mut pairs: Vec<_> = map.iter().collect();
        // Upstream: by their encoded bytes, so that one value has one form.
        pairs.sort_by(|(a, _), (b, _)| (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes())));
        self.push(Header::Map(Some(pairs.len())));
        for (key, value) in pairs {
            self.text(key);
            self.value(value, of(key));
        }
    }

    fn value(&mut self, value: &Value, of: Option<&Of>) {
        match (value, of) {
            (Value::Null, _) => self.push(Header::Simple(simple::NULL)),
            (Value::Bool(b), _) => self.push(Header::Simple(if *b { simple::TRUE } else { simple::FALSE })),
            (Value::Number(number), _) => self.number(number),
            (Value::String(text), Some(Of::Bytes)) => match BASE64_STANDARD.decode(text) {
                Ok(bytes) => {
                    self.push(Header::Tag(22));
                    let _ = self.0.bytes(&bytes, None);
                }
                Err(_) => self.text(text),
            },
            (Value::String(text), _) => self.text(text),
            (Value::Array(items), of) => {
                let item = match of {
                    Some(Of::List(list)) => Some(&list.item),
                    _ => None,
                };
                self.push(Header::Array(Some(items.len())));
                items.iter().for_each(|i| self.value(i, item));
            }
            (Value::Object(_), Some(Of::Object(of))) => self.object(value, Some(of.get())),
            (Value::Object(map), Some(Of::Map(of))) => self.members(map, |_| Some(&of.value)),
            (Value::Object(map), _) => self.members(map, |_| None),
        }
    }

    fn number(&mut self, number: &Number) {
        match (number.as_i64(), number.as_u64()) {
            (Some(n), _) if n < 0 => self.push(Header::Negative(!n as u64)),
            (_, Some(n)) => self.push(Header::Positive(n)),
            _ => self.push(Header::Float(number.as_f64().unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decoded(hex: &str) -> Result<Value, String> {
        let bytes: Vec<u8> = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        decode_cbor(&bytes).map_err(|e| e.to_string())
    }

    #[test]
    fn values_survive() {
        let value = json!({"kind": "A", "n": -17, "big": i64::MIN, "f": 1.5, "whole": 2.0, "list": [true, null, {"a": "\u{e9}"}], "empty": {}, "": ""});
        let bytes = encode_cbor(&value, None);
        assert!(bytes.starts_with(CBOR_MAGIC));
        assert_eq!(decode_cbor(&bytes).unwrap(), value);
        // Shorter keys first, then by their bytes; text as byte strings, floats as short as they can be.
        assert_eq!(encode_cbor(&json!({"b": 1, "a": 1.5, "aa": 0}), None), [CBOR_MAGIC, &[0xa3, 0x41, b'a', 0xf9, 0x3e, 0x00, 0x41, b'b', 1, 0x42, b'a', b'a', 0]].concat());
    }

    #[test]
    fn data_goes_out_as_data() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "AQID"}, "type": "AQID"});
        let bytes = encode_cbor(&secret, schema::by_kind("", "v1", "Secret"));
        assert!(bytes.windows(5).any(|w| w == [0xd6, 0x43, 1, 2, 3]));
        assert_eq!(decode_cbor(&bytes).unwrap(), secret);
        let event = cbor_event("ADDED", &encode_cbor(&json!({"a": 1}), None));
        assert_eq!(decode_cbor(&event).unwrap(), json!({"type": "ADDED", "object": {"a": 1}}));
    }

    #[test]
    fn other_writers_are_understood() {
        for (hex, value) in [
            ("a1616101", json!({"a": 1})),
            ("bf616180ff", json!({"a": []})),
            ("5f4161416aff", json!("aj")),
            ("7f61616162ff", json!("ab")),
            ("9f01ff", json!([1])),
            ("d7420aff", json!("0AFF")),
            ("d5423fff", json!("P_8")),
            ("c074323030312d30392d30395430313a34363a34305a", json!("2001-09-09T01:46:40Z")),
            ("f97e00", Value::Null),
            ("f7", Value::Null),
        ] {
            match decoded(hex) {
                Ok(found) => assert_eq!(found, value, "{hex}"),
                Err(why) => assert!(hex == "f97e00" && why.contains("not finite"), "{hex}: {why}"),
            }
        }
    }

    #[test]
    fn hostile_input_is_refused() {
        let nested = format!("{}01", "81".repeat(100));
        let tags = format!("{}01", "c6".repeat(100_000));
        for (hex, why) in [
            ("", "whole"),
            ("a1", "whole"),
            ("a161610161610102", "bytes after"),
            ("a2616101616102", "duplicate map key \"a\""),
            ("a10102", "a key is no string"),
            ("5b7fffffffffffffff00", "promises more"),
            ("7bffffffffffffffff00", "promises more"),
            ("9b7fffffffffffffff", "exceeded max number of elements 1024"),
            ("bb7fffffffffffffff", "exceeded max number of key-value pairs 1024"),
            ("9a00000401", "exceeded max number of elements"),
            ("61ff", "UTF-8"),
            ("41ff", "UTF-8"),
            ("1bffffffffffffffff", "out of range"),
            ("3bffffffffffffffff", "out of range"),
            ("fb7ff0000000000000", "not finite"),
            ("f820", "no meaning"),
            ("ff", "break"),
            ("5f6161ff", "no such string"),
            ("1c", "malformed"),
            (nested.as_str(), "exceeded max nested level 64"),
            (tags.as_str(), "exceeded max nested level 64"),
        ] {
            let told = decoded(hex).expect_err(hex);
            assert!(told.contains(why), "{hex:.40}: {told}");
        }
    }
}
