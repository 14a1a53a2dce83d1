//! The dialects of `--set`: `a.b[0]=x,c={1,2}` with types, as texts, from files, as JSON, and literally.
// Upstream: helm pkg/strvals/parser.go, literal_parser.go.

use serde_json::{Map, Value};

type Table = Map<String, Value>;

const MAX_INDEX: i64 = 65536;
const MAX_NESTING: usize = 30;

/// How the text behind `=` becomes a value.
pub enum Dialect<'a> {
    /// Numbers, booleans and null are told from texts.
    Typed,
    /// All are texts.
    Text,
    /// JSON values.
    Json,
    /// Texts that are taken as they stand, to the end: commas and backslashes mean nothing.
    Literal,
    /// The text names what holds the value, e.g. a file.
    Named(&'a dyn Fn(&str) -> Result<Value, String>),
}

/// Lays one argument of `--set` and its kin upon `values`.
pub fn parse_into(text: &str, dialect: &Dialect<'_>, values: &mut Table) -> Result<(), String> {
    let mut parser = Parser { text: text.chars().collect(), at: 0, dialect };
    loop {
        match parser.key(values, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Fault(text)) => return Err(text),
        }
    }
}

enum Stop {
    End,
    Fault(String),
}

fn fault<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fault(text.into()))
}

struct Parser<'a> {
    text: Vec<char>,
    at: usize,
    dialect: &'a Dialect<'a>,
}

fn set(table: &mut Table, key: &str, value: Value) {
    if !key.is_empty() {
        table.insert(key.to_string(), value);
    }
}

fn set_index(mut list: Vec<Value>, index: i64, value: Value) -> Result<Vec<Value>, Stop> {
    if index < 0 {
        return fault(format!("negative {index} index not allowed"));
    }
    if index > MAX_INDEX {
        return fault(format!("index of {index} is greater than maximum supported index of {MAX_INDEX}"));
    }
    let index = index as usize;
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    list[index] = value;
    Ok(list)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

// Upstream: the text of the panic that a failed type assertion raises.
fn not_a(value: &Value, wanted: &str) -> Stop {
    Stop::Fault(format!("unable to parse key: interface conversion: interface {{}} is {}, not {wanted}", go_type(value)))
}

impl Parser<'_> {
    fn read(&mut self) -> Option<char> {
        let c = self.text.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    /// The characters up to one of `stops`, which is taken too; `None` at the end.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut out = String::new();
        while let Some(c) = self.read() {
            match c {
                c if stops.contains(&c) => return (out, Some(c)),
                '\\' if !self.is_literal() => match self.read() {
                    Some(next) => out.push(next),
                    None => return (out, None),
                },
                c => out.push(c),
            }
        }
        (out, None)
    }

    fn is_literal(&self) -> bool {
        matches!(self.dialect, Dialect::Literal)
    }

    fn key(&mut self, table: &mut Table, level: usize) -> Result<(), Stop> {
        let (key, stop) = if self.is_literal() { self.until(&['=', '[', '.']) } else { self.until(&['=', '[', ',', '.']) };
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => fault(format!("key {key:?} has no value")),
            Some('[') => self.key_of_list(table, key, level),
            Some('=') => self.key_of_value(table, &key),
            Some(',') => {
                set(table, &key, Value::String(String::new()));
                fault(format!("key {key:?} has no value (cannot end with ,)"))
            }
            Some(_) => self.key_of_table(table, key, level + 1),
        }
    }

    fn key_of_list(&mut self, table: &mut Table, key: String, level: usize) -> Result<(), Stop> {
        let index = self.index()?;
        let list = match table.get(&key) {
            None => Vec::new(),
            Some(Value::Array(list)) => list.clone(),
            Some(other) => return Err(not_a(other, "[]interface {}")),
        };
        let (list, result) = self.item(list, index, level);
        set(table, &key, Value::Array(list));
        result
    }

    fn key_of_value(&mut self, table: &mut Table, key: &str) -> Result<(), Stop> {
        if matches!(self.dialect, Dialect::Json) {
            let value = if self.nothing() { Value::Null } else { self.json()? };
            set(table, key, value);
            return Ok(());
        }
        if self.is_literal() {
            set(table, key, Value::String(self.until(&[]).0));
            return Ok(());
        }
        match self.list() {
            Ok(Some(list)) => set(table, key, list),
            Ok(None) => {
                let (text, _) = self.until(&[',']);
                let (value, result) = match self.value(&text) {
                    Ok(value) => (value, Ok(())),
                    Err(e) => (Value::Null, Err(e)),
                };
                set(table, key, value);
                return result;
            }
            Err(Stop::End) => {
                set(table, key, Value::String(String::new()));
                return Err(Stop::End);
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn key_of_table(&mut self, table: &mut Table, key: String, level: usize) -> Result<(), Stop> {
        if level > MAX_NESTING {
            return fault(format!("value name nested level is greater than maximum supported nested level of {MAX_NESTING}"));
        }
        let mut inner = match table.get(&key) {
            None => Table::new(),
            Some(Value::Object(inner)) => inner.clone(),
            Some(other) => return Err(not_a(other, "map[string]interface {}")),
        };
        let result = self.key(&mut inner, level);
        if result.is_ok() && inner.is_empty() {
            return fault(format!("key map {key:?} has no value"));
        }
        if !inner.is_empty() {
            set(table, &key, Value::Object(inner));
        }
        result
    }

    fn index(&mut self) -> Result<i64, Stop> {
        let (text, stop) = self.until(&[']']);
        // Upstream: the end of the text within an index ends all, and is no fault.
        if stop.is_none() {
            return Err(Stop::End);
        }
        text.parse().or_else(|_| fault(format!("error parsing index: strconv.Atoi: parsing {text:?}: invalid syntax")))
    }

    /// What follows `[i]`; the list comes back whatever happened.
    fn item(&mut self, list: Vec<Value>, index: i64, level: usize) -> (Vec<Value>, Result<(), Stop>) {
        let kept = list.clone();
        match self.changed_item(list, index, level) {
            Ok(list) => (list, Ok(())),
            Err(e) => (kept, Err(e)),
        }
    }

    fn changed_item(&mut self, list: Vec<Value>, index: i64, level: usize) -> Result<Vec<Value>, Stop> {
        if index < 0 {
            return fault(format!("negative {index} index not allowed"));
        }
        let (rest, stop) = self.until(&['[', '.', '=']);
        if !rest.is_empty() {
            return fault(format!("unexpected data at end of array index: {}", quoted_runes(&rest)));
        }
        let old = list.get(index as usize).cloned();
        match stop {
            None => Err(Stop::End),
            Some('=') if matches!(self.dialect, Dialect::Json) => {
                let value = if self.nothing() { Value::Null } else { self.json()? };
                set_index(list, index, value)
            }
            Some('=') if self.is_literal() => {
                let value = Value::String(self.until(&[]).0);
                set_index(list, index, value)
            }
            Some('=') => match self.list() {
                Ok(Some(value)) => set_index(list, index, value),
                Err(Stop::End) => set_index(list, index, Value::String(String::new())),
                Err(e) => Err(e),
                Ok(None) => {
                    let (text, _) = self.until(&[',']);
                    let value = self.value(&text)?;
                    set_index(list, index, value)
                }
            },
            Some('[') => {
                let next = self.index()?;
                let inner = match old {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(inner)) => inner,
                    Some(other) => return Err(not_a(&other, "[]interface {}")),
                };
                let inner = self.changed_item(inner, next, level)?;
                set_index(list, index, Value::Array(inner))
            }
            Some(_) => {
                let mut inner = match old {
                    Some(Value::Object(inner)) => inner,
                    _ => Table::new(),
                };
                // Upstream: at the end of the text the list stays as it was, e.g. for `a[0].b=`.
                self.key(&mut inner, level)?;
                set_index(list, index, Value::Object(inner))
            }
        }
    }

    /// Whether nothing stands before the next comma, which is taken with the spaces before it.
    fn nothing(&mut self) -> bool {
        while let Some(c) = self.read() {
            if c == ',' {
                return true;
            }
            if !c.is_whitespace() {
                self.at -= 1;
                return false;
            }
        }
        true
    }

    fn json(&mut self) -> Result<Value, Stop> {
        let rest: String = self.text[self.at..].iter().collect();
        let mut stream = serde_json::Deserializer::from_str(&rest).into_iter::<Value>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(e)) => return fault(json_fault(&e, &rest)),
            None => return fault("unexpected end of JSON input"),
        };
        self.at += rest[..stream.byte_offset()].chars().count();
        self.nothing();
        Ok(crate::values::as_floats(value))
    }

    /// `{a,b}`; `None` where no list begins.
    fn list(&mut self) -> Result<Option<Value>, Stop> {
        match self.read() {
            None => return Err(Stop::End),
            Some('{') => {}
            Some(_) => {
                self.at -= 1;
                return Ok(None);
            }
        }
        let mut out = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            match stop {
                None => return fault("list must terminate with '}'"),
                Some(stop) => {
                    out.push(self.value(&text)?);
                    if stop == '}' {
                        if self.text.get(self.at) == Some(&',') {
                            self.at += 1;
                        }
                        return Ok(Some(Value::Array(out)));
                    }
                }
            }
        }
    }

    fn value(&self, text: &str) -> Result<Value, Stop> {
        match self.dialect {
            Dialect::Typed => Ok(typed(text)),
            Dialect::Text | Dialect::Json | Dialect::Literal => Ok(Value::String(text.to_string())),
            Dialect::Named(read) => read(text).map_err(Stop::Fault),
        }
    }
}

fn json_fault(e: &serde_json::Error, rest: &str) -> String {
    match rest.chars().nth(e.column().saturating_sub(1)) {
        Some(c) if !e.is_eof() => format!("invalid character '{c}' looking for beginning of value"),
        _ => "unexpected EOF".into(),
    }
}

fn typed(text: &str) -> Value {
    match text.to_lowercase().as_str() {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        "null" => return Value::Null,
        "0" => return Value::Number(0.into()),
        _ => {}
    }
    let whole = if text.starts_with('0') { None } else { text.parse::<i64>().ok() };
    whole.map_or_else(|| Value::String(text.to_string()), |n| Value::Number(n.into()))
}

/// Characters as Go's `%q` prints a list of them.
fn quoted_runes(text: &str) -> String {
    let one = |c: char| match c {
        '\'' => "'\\''".to_string(),
        '"' => "'\"'".to_string(),
        c => format!("'{}'", c.escape_debug()),
    };
    format!("[{}]", text.chars().map(one).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Value, String> {
        let mut out = Table::new();
        parse_into(text, &Dialect::Typed, &mut out).map(|()| Value::Object(out))
    }

    #[test]
    fn paths_lists_and_types() {
        for (text, json) in [
            ("a=1,b=true,c=null,d=01,e=1.5,f=", r#"{"a":1,"b":true,"c":null,"d":"01","e":"1.5","f":""}"#),
            ("a.b.c=x,a.b.d=y", r#"{"a":{"b":{"c":"x","d":"y"}}}"#),
            ("a={1,x,},b=2", r#"{"a":[1,"x",""],"b":2}"#),
            ("a[0].b=1,a[2].b=3", r#"{"a":[{"b":1},null,{"b":3}]}"#),
            ("a[1][0]=x", r#"{"a":[null,["x"]]}"#),
            (r"a\.b=x\,y,c=\\", r#"{"a.b":"x,y","c":"\\"}"#),
            ("a[0]={1,2}", r#"{"a":[[1,2]]}"#),
            ("a={}", r#"{"a":[""]}"#),
            ("a.b={x},c=", r#"{"a":{"b":["x"]},"c":""}"#),
            ("", "{}"),
        ] {
            assert_eq!(goyaml::to_json(&set(text).expect(text)), json, "{text}");
        }
    }

    #[test]
    fn faults_are_told() {
        for (text, error) in [
            ("a", "key \"a\" has no value"),
            ("a,b=1", "key \"a\" has no value (cannot end with ,)"),
            ("a={1", "list must terminate with '}'"),
            ("a[-1]=x", "negative -1 index not allowed"),
            ("a[99999999]=x", "index of 99999999 is greater than maximum supported index of 65536"),
            ("a[x]=1", "error parsing index: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("a[0]x=1", "unexpected data at end of array index: ['x']"),
            ("a=1,a.b=2", "unable to parse key: interface conversion: interface {} is int64, not map[string]interface {}"),
        ] {
            assert_eq!(set(text).expect_err(text), error);
        }
        assert!(set(&format!("{}x=1", "a.".repeat(40))).expect_err("deep").contains("nested level"));
    }

    #[test]
    fn other_dialects() {
        let mut out = Table::new();
        parse_into("a=1,b={true}", &Dialect::Text, &mut out).expect("text");
        parse_into("j={\"x\":[1,2]}, k = ,l[1]=\"s\"", &Dialect::Json, &mut out).expect("json");
        parse_into("f=p", &Dialect::Named(&|p| Ok(Value::String(format!("<{p}>")))), &mut out).expect("file");
        parse_into(r"m.n[1]=a,b\{=}", &Dialect::Literal, &mut out).expect("literal");
        assert_eq!(goyaml::to_json(&Value::Object(out)), r#"{" k ":null,"a":"1","b":["true"],"f":"\u003cp\u003e","j":{"x":[1,2]},"l":[null,"s"],"m":{"n":[null,"a,b\\{=}"]}}"#);
    }
}
