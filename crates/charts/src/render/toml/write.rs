//! Values to TOML: plain keys first, then tables, each sorted. What TOML cannot hold gives its error as the text.
// Upstream: BurntSushi/toml encode.go.

use gotemplate::number::format_float;
use gotemplate::{Failure, Kind, Str, Value};
use sprig::date::Moment;

const NIL_ELEMENT: &str = "toml: cannot encode array with nil element";

/// Each table repeats the whole path to it.
const MAX_DEPTH: usize = 1000;

/// An error that becomes the text, or one that ends the template as upstream's panic does.
enum Fault {
    Text(String),
    Panic(String),
}

type Written = Result<(), Fault>;

/// What cannot be written gives its error as the text; upstream's panics fail.
pub fn write(value: &Value) -> Result<Vec<u8>, Failure> {
    encoded(value, |fault| Ok(fault.into_bytes()))
}

/// Like [`write`], but what cannot be written fails.
pub fn write_or_fail(value: &Value) -> Result<Vec<u8>, Failure> {
    encoded(value, |fault| Err(fault.into()))
}

fn encoded(value: &Value, on_fault: impl Fn(String) -> Result<Vec<u8>, Failure>) -> Result<Vec<u8>, Failure> {
    if value.is_nil() {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    let mut encoder = Encoder { out: Vec::new() };
    match encoder.encode(&[], value) {
        Ok(()) => Ok(encoder.out),
        Err(Fault::Text(text)) => on_fault(text),
        Err(Fault::Panic(text)) => Err(text.into()),
    }
}

struct Encoder {
    out: Vec<u8>,
}

/// Entries of what is a table.
fn entries(value: &Value) -> Option<Vec<(Str, Value)>> {
    match value {
        Value::Map(map) if !map.is_nil() => Some(map.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect()),
        Value::Object(object) if object.kind() == Kind::Map => {
            Some(object.items().into_iter().filter_map(|(k, v)| k.as_str().cloned().map(|k| (k, v))).collect())
        }
        Value::Object(object) if object.stringer().is_none() && object.basic().is_none() => match object.target() {
            Some(target) => entries(&target),
            None => Some(object.fields().into_iter().filter(|(k, _)| object.field(k).is_some()).map(|(k, v)| (Str::from(k), v)).collect()),
        },
        _ => None,
    }
}

/// Elements that all are tables, at least one.
fn is_array_of_tables(value: &Value) -> Result<bool, Fault> {
    let Some(items) = value.elements() else { return Ok(false) };
    if items.iter().any(Value::is_any_nil) {
        return Err(Fault::Text(NIL_ELEMENT.into()));
    }
    Ok(!items.is_empty() && items.iter().all(|item| entries(item).is_some()))
}

fn is_table(value: &Value) -> Result<bool, Fault> {
    Ok(entries(value).is_some() || is_array_of_tables(value)?)
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..0x20 | 0x7f => out.extend_from_slice(format!("\\u00{byte:02x}").as_bytes()),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

fn key_text(key: &[u8]) -> Vec<u8> {
    let bare = !key.is_empty() && key.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { key.to_vec() } else { quoted(key) }
}

impl Encoder {
    fn text(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
    }

    fn newline(&mut self) {
        if !self.out.is_empty() {
            self.out.push(b'\n');
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.resize(self.out.len() + 2 * depth.saturating_sub(1), b' ');
    }

    fn path(&mut self, key: &[Str]) {
        let parts: Vec<Vec<u8>> = key.iter().map(|part| key_text(part)).collect();
        self.text(parts.join(&b'.'));
    }

    fn encode(&mut self, key: &[Str], value: &Value) -> Written {
        if key.len() > MAX_DEPTH || gotemplate::stack::exhausted() {
            return Err(Fault::Panic("value is nested too deeply for TOML: it may hold itself".into()));
        }
        if let Some(entries) = entries(value) {
            if key.len() == 1 {
                self.newline();
            }
            if !key.is_empty() {
                self.indent(key.len());
                self.text("[");
                self.path(key);
                self.text("]");
                self.newline();
            }
            return self.table(key, entries);
        }
        if is_array_of_tables(value)? {
            return self.array_of_tables(key, value);
        }
        if value.is_any_nil() {
            return Ok(());
        }
        self.key_value(key, value, false)
    }

    fn array_of_tables(&mut self, key: &[Str], value: &Value) -> Written {
        if key.is_empty() {
            return Err(Fault::Text("toml: top-level values must be Go maps or structs".into()));
        }
        for item in value.elements().unwrap_or_default().iter() {
            self.newline();
            self.indent(key.len());
            self.text("[[");
            self.path(key);
            self.text("]]");
            self.newline();
            self.table(key, entries(item).unwrap_or_default())?;
        }
        Ok(())
    }

    fn table(&mut self, key: &[Str], entries: Vec<(Str, Value)>) -> Written {
        let (plain, tables) = split(entries)?;
        for (name, value) in plain.into_iter().chain(tables) {
            if value.is_any_nil() {
                continue;
            }
            let path: Vec<Str> = key.iter().cloned().chain([name]).collect();
            self.encode(&path, &value)?;
        }
        Ok(())
    }

    fn key_value(&mut self, key: &[Str], value: &Value, inline: bool) -> Written {
        let Some(last) = key.last() else { return self.element(value) };
        self.indent(key.len());
        self.text(key_text(last));
        self.text(" = ");
        self.element(value)?;
        if !inline {
            self.newline();
        }
        Ok(())
    }

    fn element(&mut self, value: &Value) -> Written {
        if gotemplate::stack::exhausted() {
            return Err(Fault::Panic("value is nested too deeply for TOML: it may hold itself".into()));
        }
        if let Some(entries) = entries(value) {
            return self.inline_table(entries);
        }
        match value {
            Value::Nil => return Err(Fault::Panic("reflect: call of reflect.Value.Interface on zero Value".into())),
            Value::Bool(b) => self.text(b.to_string()),
            Value::Int(_, number) => self.text(number.to_string()),
            Value::Uint(_, number) => self.text(number.to_string()),
            Value::Float(number) => self.text(float(*number)),
            Value::Complex(..) => return Err(Fault::Text("unexpected type: complex128".into())),
            Value::Str(text) => self.text(quoted(text)),
            Value::Object(object) if object.kind() == Kind::Slice => self.array(value)?,
            Value::Object(object) => match (object.as_any().downcast_ref::<Moment>(), object.stringer(), object.basic()) {
                (Some(moment), ..) => self.text(date(moment)),
                (_, Some(text), _) => self.text(quoted(&text)),
                (_, _, Some(basic)) => self.element(&basic)?,
                _ => {}
            },
            _ => self.array(value)?,
        }
        Ok(())
    }

    fn array(&mut self, value: &Value) -> Written {
        self.text("[");
        for (at, item) in value.elements().unwrap_or_default().iter().enumerate() {
            if at > 0 {
                self.text(", ");
            }
            self.element(item)?;
        }
        self.text("]");
        Ok(())
    }

    fn inline_table(&mut self, entries: Vec<(Str, Value)>) -> Written {
        self.text("{");
        let (plain, tables) = split(entries)?;
        let (plains, more) = (plain.len(), !tables.is_empty());
        for (at, (name, value)) in plain.into_iter().enumerate() {
            if !value.is_any_nil() {
                self.key_value(&[name], &value, true)?;
                if more || at + 1 < plains {
                    self.text(", ");
                }
            }
        }
        let count = tables.len();
        for (at, (name, value)) in tables.into_iter().enumerate() {
            self.key_value(&[name], &value, true)?;
            if at + 1 < count {
                self.text(", ");
            }
        }
        self.text("}");
        Ok(())
    }
}

type Entries = Vec<(Str, Value)>;

/// Plain values and tables.
fn split(entries: Entries) -> Result<(Entries, Entries), Fault> {
    let (mut plain, mut tables) = (Vec::new(), Vec::new());
    for (name, value) in entries {
        if is_table(&value)? { tables.push((name, value)) } else { plain.push((name, value)) }
    }
    Ok((plain, tables))
}

fn date(moment: &Moment) -> Vec<u8> {
    moment.format(match moment.zone_name().as_str() {
        "datetime-local" => b"2006-01-02T15:04:05.999999999",
        "date-local" => b"2006-01-02",
        "time-local" => b"15:04:05.999999999",
        _ => b"2006-01-02T15:04:05.999999999Z07:00",
    })
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+inf".into() } else { "-inf".into() };
    }
    let text = format_float(number, 'g', None);
    if text.contains(['e', '.']) { text } else { format!("{text}.0") }
}
