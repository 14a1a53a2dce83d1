//! JSON to values, with the messages of Go's scanner.
//!
//! Never nests beyond Go's 10,000 levels or the stack; numbers are float64, the last of equal keys wins.

use gotemplate::text::{lossy, quote};
use gotemplate::{Kind, List, Map, MapType, Str, Value};

const MAX_DEPTH: usize = 10_000;

/// What was read, and what was wrong: a number too large leaves a nil in an otherwise whole value.
pub struct Decoded {
    pub value: Value,
    pub error: Option<String>,
}

/// `json.Unmarshal` into an `interface{}`.
pub fn decode(text: &[u8]) -> Decoded {
    let mut reader = Reader { text, at: 0, depth: 0, fault: None };
    match reader.whole() {
        Ok(value) => Decoded { value, error: reader.fault },
        Err(error) => Decoded { value: Value::Nil, error: Some(error) },
    }
}

/// `json.Unmarshal` into a map or a list; null gives a nil one.
pub fn decode_as(text: &[u8], wanted: Kind) -> Decoded {
    let decoded = decode(text);
    let (nil, name) = match wanted {
        Kind::Map => (Value::Map(Map::nil(MapType::Any)), "map[string]interface {}"),
        _ => (Value::List(List::nil(gotemplate::Elem::Any)), "[]interface {}"),
    };
    let found = match &decoded.value {
        Value::Nil if decoded.error.is_none() => return Decoded { value: nil, error: None },
        Value::Nil => return Decoded { value: empty(wanted), error: decoded.error },
        value if value.kind() == wanted => return decoded,
        Value::Bool(_) => "bool",
        Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        _ => "object",
    };
    Decoded { value: empty(wanted), error: Some(format!("json: cannot unmarshal {found} into Go value of type {name}")) }
}

fn empty(wanted: Kind) -> Value {
    if wanted == Kind::Map { Value::Map(Map::empty()) } else { Value::list(Vec::new()) }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
    fault: Option<String>,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    fn here(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.here(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The error at the current byte.
    fn invalid<T>(&self, context: &str) -> Read<T> {
        let Some(byte) = self.here() else { return Err("unexpected end of JSON input".into()) };
        let shown = match byte {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            byte => {
                let quoted = quote(char::from(byte).to_string().as_bytes());
                format!("'{}'", &quoted[1..quoted.len() - 1])
            }
        };
        Err(format!("invalid character {shown} {context}"))
    }

    fn whole(&mut self) -> Read<Value> {
        self.space();
        let value = self.value()?;
        self.space();
        if self.at < self.text.len() {
            return self.invalid("after top-level value");
        }
        Ok(value)
    }

    fn value(&mut self) -> Read<Value> {
        match self.here() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Value::str(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Nil),
            _ => self.invalid("looking for beginning of value"),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Read<Value>) -> Read<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH || gotemplate::stack::exhausted() {
            return Err("exceeded max depth".into());
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Read<Value> {
        let map = Map::empty();
        self.space();
        if self.here() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(map));
        }
        loop {
            self.space();
            if self.here() != Some(b'"') {
                return self.invalid("looking for beginning of object key string");
            }
            let key = self.string()?;
            self.space();
            if self.here() != Some(b':') {
                return self.invalid("after object key");
            }
            self.at += 1;
            self.space();
            let value = self.value()?;
            map.set(Str::from(key), value);
            self.space();
            match self.here() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Map(map));
                }
                _ => return self.invalid("after object key:value pair"),
            }
        }
    }

    fn array(&mut self) -> Read<Value> {
        let mut items = Vec::new();
        self.space();
        if self.here() == Some(b']') {
            self.at += 1;
            return Ok(Value::list(items));
        }
        loop {
            self.space();
            items.push(self.value()?);
            self.space();
            match self.here() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::list(items));
                }
                _ => return self.invalid("after array element"),
            }
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Read<Value> {
        for wanted in word.bytes() {
            if self.here() != Some(wanted) {
                return self.invalid(&format!("in literal {word} (expecting '{}')", char::from(wanted)));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn digits(&mut self) {
        while self.here().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Read<Value> {
        let start = self.at;
        if self.here() == Some(b'-') {
            self.at += 1;
        }
        match self.here() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.invalid("in numeric literal"),
        }
        if self.here() == Some(b'.') {
            self.at += 1;
            if !self.here().is_some_and(|b| b.is_ascii_digit()) {
                return self.invalid("after decimal point in numeric literal");
            }
            self.digits();
        }
        if matches!(self.here(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.here(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !self.here().is_some_and(|b| b.is_ascii_digit()) {
                return self.invalid("in exponent of numeric literal");
            }
            self.digits();
        }
        let text = lossy(&self.text[start..self.at]);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => {
                self.fault.get_or_insert(format!("json: cannot unmarshal number {text} into Go value of type float64"));
                Ok(Value::Nil)
            }
        }
    }

    fn string(&mut self) -> Read<Vec<u8>> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let Some(byte) = self.here() else { return self.invalid("") };
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(lossy(&out).into_owned().into_bytes());
                }
                b'\\' => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                0..0x20 => return self.invalid("in string"),
                byte => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Read<()> {
        let plain = match self.here() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let first = self.unicode()?;
                let rune = self.surrogate(first)?;
                out.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return self.invalid("in string escape code"),
        };
        out.push(plain);
        self.at += 1;
        Ok(())
    }

    /// The four digits after a `u`.
    fn unicode(&mut self) -> Read<u32> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            match self.here().and_then(|b| char::from(b).to_digit(16)) {
                Some(digit) => code = code * 16 + digit,
                None => return self.invalid("in \\u hexadecimal character escape"),
            }
            self.at += 1;
        }
        Ok(code)
    }

    /// Joins a pair of surrogates; a lone one is U+FFFD.
    fn surrogate(&mut self, first: u32) -> Read<char> {
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 1;
            let second = self.unicode()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}
