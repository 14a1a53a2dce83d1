//! Paths that name a field of a schema: of rules in CEL, and of fields that selectors may name.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/cel/validation.go` (`ValidFieldPath`).

use api::field::Path;
use serde_json::Value;

/// The path as faults print it, and the schema it leads to; upstream's words where it leads nowhere. `['name']` is known only
/// where `brackets` are.
pub fn follow<'a>(text: &str, mut schema: &'a Value, brackets: bool) -> Result<(Path, &'a Value), String> {
    const END: &str = "unexpected end of JSON path";
    let mut path = Path::default();
    let mut tokens = Tokens(text);
    while let Some(token) = tokens.next() {
        let name = match token {
            "[" if !brackets => return Err("array notation is not allowed".into()),
            "[" => {
                let token = tokens.next().ok_or(END)?;
                let quoted = token.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
                unescape(quoted.ok_or_else(|| format!("expected single quoted string but got {token}"))?)?
            }
            "." => tokens.next().ok_or(END)?.to_owned(),
            other => return Err(format!("expected [ or . but got: {other}")),
        };
        const NOTHING: &str = "does not refer to a valid field";
        let named = schema.get("properties").and_then(Value::as_object).filter(|p| !p.is_empty());
        (path, schema) = match (named, schema.get("additionalProperties").filter(|a| !a.is_null())) {
            (Some(properties), _) => (path.child(&name), properties.get(&name).ok_or(NOTHING)?),
            (None, Some(values)) => (path.key(&name), values),
            (None, None) => return Err(NOTHING.into()),
        };
        if token == "[" {
            match tokens.next().ok_or(END)? {
                "]" => {}
                other => return Err(format!("expected ] but got {other}")),
            }
        }
    }
    Ok((path, schema))
}

/// Delimiters one by one, and what stands between them; quotes hold delimiters.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.0.as_bytes();
        let first = *bytes.first()?;
        let end = if first == b'\'' {
            (1..bytes.len()).find(|i| bytes[*i] == b'\'' && bytes[i - 1] != b'\\').map(|i| i + 1)
        } else {
            bytes.iter().position(|b| matches!(b, b'.' | b'[' | b']')).map(|i| i.max(1))
        };
        let (token, rest) = self.0.split_at(end.unwrap_or(bytes.len()));
        self.0 = rest;
        Some(token)
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        out.push(match escaped {
            None => c,
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(c @ ('\'' | '\\')) => c,
            Some(other) => return Err(format!("invalid string literal: invalid escape char \\{other}")),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_fields() {
        let schema = json!({"properties": {"a": {"properties": {"b.c": {"type": "string"}}}, "m": {"additionalProperties": {"properties": {"x": {"type": "integer"}}}}, "s": {"type": "string"}}});
        let told = |text: &str| follow(text, &schema, true).map(|(path, of)| format!("{path} {}", of["type"].as_str().unwrap_or_default()));
        assert_eq!(told(".a['b.c']").as_deref(), Ok("a.b.c string"));
        assert_eq!(told(".m['k\\'s'].x").as_deref(), Ok("m[k's].x integer"));
        assert_eq!(told(".m.k.x").as_deref(), Ok("m[k].x integer"));
        for (text, why) in [
            ("a", "expected [ or . but got: a"),
            (".", "unexpected end of JSON path"),
            (".b", "does not refer to a valid field"),
            (".s.x", "does not refer to a valid field"),
            (".a[0]", "expected single quoted string but got 0"),
            (".a['b.c'", "unexpected end of JSON path"),
            (".a['\\q']", "invalid string literal: invalid escape char \\q"),
            (".s]", "expected [ or . but got: ]"),
        ] {
            assert_eq!(told(text).unwrap_err(), why, "{text}");
        }
        assert_eq!(follow(".a['b.c']", &schema, false).unwrap_err(), "array notation is not allowed");
    }
}
