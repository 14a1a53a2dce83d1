//! Values to JSON: keys sorted, fields of structs in order, floats as ECMAScript writes them.

use gotemplate::number::format_float;
use gotemplate::text::runes;
use gotemplate::{Failure, Kind, Object, Value};

use crate::encoding::base64_encode;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One line, `<`, `>` and `&` escaped.
    Plain,
    /// One line, nothing escaped that need not be.
    Raw,
    /// Two spaces a level.
    Pretty,
}

struct Encoder {
    out: Vec<u8>,
    style: Style,
    depth: usize,
}

pub fn encode(value: &Value, style: Style) -> Result<Vec<u8>, Failure> {
    let mut encoder = Encoder { out: Vec::new(), style, depth: 0 };
    encoder.value(value)?;
    Ok(encoder.out)
}

impl Encoder {
    fn value(&mut self, value: &Value) -> Result<(), Failure> {
        if gotemplate::stack::exhausted() {
            return Err(Failure::new(format!("json: unsupported value: encountered a cycle via {}", value.type_name())));
        }
        match value {
            Value::Nil | Value::Bytes(None) => self.raw(b"null"),
            Value::Bool(b) => self.raw(if *b { b"true" } else { b"false" }),
            Value::Int(_, number) => self.raw(number.to_string().as_bytes()),
            Value::Uint(_, number) => self.raw(number.to_string().as_bytes()),
            Value::Float(number) => self.float(*number)?,
            Value::Complex(..) => return Err("json: unsupported type: complex128".into()),
            Value::Str(text) => self.text(text),
            Value::Bytes(Some(bytes)) => {
                self.out.push(b'"');
                self.out.extend_from_slice(&base64_encode(bytes));
                self.out.push(b'"');
            }
            Value::List(list) if list.is_nil() => self.raw(b"null"),
            Value::List(list) => self.list(list.items().iter().cloned())?,
            Value::Map(map) if map.is_nil() => self.raw(b"null"),
            Value::Map(map) => {
                let entries: Vec<_> = map.borrow().iter().map(|(k, v)| (k.to_vec(), v.clone())).collect();
                self.entries(entries)?;
            }
            Value::Object(object) => self.object(object.as_ref())?,
        }
        Ok(())
    }

    fn raw(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    fn float(&mut self, number: f64) -> Result<(), Failure> {
        if !number.is_finite() {
            return Err(Failure::new(format!("json: unsupported value: {}", format_float(number, 'g', None))));
        }
        let magnitude = number.abs();
        if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
            let text = format_float(number, 'e', None);
            let text = match text.split_once("e-0") {
                Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
                None => text,
            };
            self.raw(text.as_bytes());
        } else {
            self.raw(format_float(number, 'f', None).as_bytes());
        }
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for (_, rune, width) in runes(text) {
            match rune {
                '"' => self.raw(b"\\\""),
                '\\' => self.raw(b"\\\\"),
                '\x08' => self.raw(b"\\b"),
                '\x0c' => self.raw(b"\\f"),
                '\n' => self.raw(b"\\n"),
                '\r' => self.raw(b"\\r"),
                '\t' => self.raw(b"\\t"),
                '<' | '>' | '&' if self.style != Style::Raw => self.escape(rune),
                '\u{2028}' | '\u{2029}' => self.escape(rune),
                r if r < ' ' => self.escape(r),
                char::REPLACEMENT_CHARACTER if width == 1 => self.raw("\u{fffd}".as_bytes()),
                r => self.raw(r.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.out.push(b'"');
    }

    fn escape(&mut self, rune: char) {
        self.raw(format!("\\u{:04x}", u32::from(rune)).as_bytes());
    }

    fn newline(&mut self) {
        if self.style == Style::Pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * self.depth, b' ');
        }
    }

    fn list(&mut self, items: impl ExactSizeIterator<Item = Value>) -> Result<(), Failure> {
        if items.len() == 0 {
            self.raw(b"[]");
            return Ok(());
        }
        self.out.push(b'[');
        self.depth += 1;
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.newline();
            self.value(&item)?;
        }
        self.depth -= 1;
        self.newline();
        self.out.push(b']');
        Ok(())
    }

    fn entries(&mut self, entries: Vec<(Vec<u8>, Value)>) -> Result<(), Failure> {
        if entries.is_empty() {
            self.raw(b"{}");
            return Ok(());
        }
        self.out.push(b'{');
        self.depth += 1;
        for (at, (key, value)) in entries.into_iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.newline();
            self.text(&key);
            self.raw(if self.style == Style::Pretty { b": " } else { b":" });
            self.value(&value)?;
        }
        self.depth -= 1;
        self.newline();
        self.out.push(b'}');
        Ok(())
    }

    fn object(&mut self, object: &dyn Object) -> Result<(), Failure> {
        if let Some(fields) = object.json_fields() {
            return self.entries(fields.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)).collect());
        }
        if let Some(value) = object.json().or_else(|| object.basic()) {
            return self.value(&value);
        }
        match object.kind() {
            Kind::Pointer => match object.target() {
                Some(target) => self.value(&target),
                None => {
                    self.raw(b"null");
                    Ok(())
                }
            },
            Kind::Slice => self.list(object.items().into_iter().map(|(_, item)| item).collect::<Vec<_>>().into_iter()),
            Kind::Map => {
                let entries = object.items().into_iter().map(|(key, value)| (key.as_str().map(|k| k.to_vec()).unwrap_or_default(), value));
                self.entries(entries.collect())
            }
            _ => self.entries(object.fields().into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)).collect()),
        }
    }
}
