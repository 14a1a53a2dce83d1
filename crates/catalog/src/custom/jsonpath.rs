//! The part of JSONPath that definitions use for columns, scales and selectable fields.
//!
//! Upstream: client-go `util/jsonpath`. Knows names, indexes, wildcards, slices and filters; never loops, never evaluates code.

use serde_json::Value;

/// A parsed path. What it does not understand it finds nowhere.
#[derive(Debug, Clone, Default)]
pub struct JsonPath(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Name(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    All,
    /// Everything below, at any depth.
    Descend,
    Filter(JsonPath, Option<(String, Value)>),
}

impl JsonPath {
    /// Parses `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        rest = rest.strip_prefix('$').unwrap_or(rest);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("..") {
                steps.push(Step::Descend);
                rest = if after.starts_with('[') { after } else { name(after, &mut steps)? };
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = if after.is_empty() || after.starts_with('[') { after } else { name(after, &mut steps)? };
            } else if let Some(after) = rest.strip_prefix('[') {
                let (inside, after) = bracket(after).ok_or("unterminated array")?;
                steps.push(subscript(inside)?);
                rest = after;
            } else {
                rest = name(rest, &mut steps)?;
            }
        }
        Ok(Self(steps))
    }

    /// All values that the path leads to.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        self.0.iter().fold(vec![value], |found, step| found.into_iter().flat_map(|value| step.apply(value)).collect())
    }

    pub fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.find(value).into_iter().next()
    }
}

fn name<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    let (mut name, mut escaped) = (String::new(), false);
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                name.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '.' | '[' => {
                end = at;
                break;
            }
            _ => name.push(c),
        }
    }
    if name.is_empty() {
        return Err("a name is missing".into());
    }
    steps.push(if name == "*" { Step::All } else { Step::Name(name) });
    Ok(&text[end..])
}

/// What stands before the closing bracket, quotes and nesting minded, and what follows it.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(c),
            ('[' | '(', None) => depth += 1,
            (')', None) => depth -= 1,
            (']', None) if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            (']', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

fn subscript(text: &str) -> Result<Step, String> {
    let text = text.trim();
    if text == "*" {
        return Ok(Step::All);
    }
    if let Some(filter) = text.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
        return filtered(filter);
    }
    if let Some(name) = quoted(text) {
        return Ok(Step::Name(name));
    }
    let number = |t: &str| if t.is_empty() { Ok(None) } else { t.parse().map(Some).map_err(|_| format!("invalid array index {text}")) };
    match text.split_once(':') {
        Some((from, to)) => Ok(Step::Slice(number(from)?, number(to)?)),
        None => number(text)?.map(Step::Index).ok_or_else(|| "an index is missing".to_owned()),
    }
}

fn quoted(text: &str) -> Option<String> {
    ['\'', '"'].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q)).map(str::to_owned)
}

fn filtered(text: &str) -> Result<Step, String> {
    for operator in ["==", "!=", ">=", "<=", ">", "<"] {
        if let Some((left, right)) = text.split_once(operator) {
            let right = right.trim();
            let value = quoted(right).map(Value::String).or_else(|| serde_json::from_str(right).ok()).ok_or_else(|| format!("unrecognized filter value {right}"))?;
            return Ok(Step::Filter(JsonPath::parse(left.trim().trim_start_matches('@'))?, Some((operator.to_owned(), value))));
        }
    }
    Ok(Step::Filter(JsonPath::parse(text.trim().trim_start_matches('@'))?, None))
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Name(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Self::Index(at), Value::Array(items)) => place(*at, items.len()).and_then(|at| items.get(at)).into_iter().collect(),
            (Self::Slice(from, to), Value::Array(items)) => {
                let end = |at: Option<i64>, default: usize| at.map_or(default, |at| place(at, items.len()).unwrap_or(items.len()).min(items.len()));
                items.get(end(*from, 0)..end(*to, items.len())).unwrap_or_default().iter().collect()
            }
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(map)) => map.values().collect(),
            (Self::Filter(path, test), Value::Array(items)) => items.iter().filter(|item| passes(path, test.as_ref(), item)).collect(),
            (Self::Descend, value) => descend(value),
            _ => Vec::new(),
        }
    }
}

fn place(at: i64, length: usize) -> Option<usize> {
    if at < 0 { length.checked_sub(usize::try_from(-at).ok()?) } else { usize::try_from(at).ok() }
}

fn descend(value: &Value) -> Vec<&Value> {
    let mut all = vec![value];
    match value {
        Value::Array(items) => items.iter().for_each(|v| all.extend(descend(v))),
        Value::Object(map) => map.values().for_each(|v| all.extend(descend(v))),
        _ => {}
    }
    all
}

fn passes(path: &JsonPath, test: Option<&(String, Value)>, item: &Value) -> bool {
    let Some(found) = path.first(item) else { return false };
    let Some((operator, wanted)) = test else { return true };
    let order = match (found, wanted) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(std::cmp::Ordering::Equal),
    };
    match operator.as_str() {
        "==" => order.is_some_and(|o| o.is_eq()),
        "!=" => order.is_none_or(|o| o.is_ne()),
        ">=" => order.is_some_and(|o| o.is_ge()),
        "<=" => order.is_some_and(|o| o.is_le()),
        ">" => order.is_some_and(|o| o.is_gt()),
        _ => order.is_some_and(|o| o.is_lt()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_what_columns_ask_for() {
        let object = json!({"spec": {"a.b": 1, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let first = |path: &str| JsonPath::parse(path).ok().and_then(|p| p.first(&object).cloned());
        assert_eq!(first(".status.conditions[?(@.type==\"Ready\")].status"), Some(json!("True")));
        assert_eq!(first(".status.conditions[?(@.type=='Other')].status"), None);
        assert_eq!(first(".spec.list[1].n"), Some(json!("y")));
        assert_eq!(first(".spec.list[-1].v"), Some(json!(2)));
        assert_eq!(first(".spec.list[*].v"), Some(json!(1)));
        assert_eq!(first(".spec['a.b']"), Some(json!(1)));
        assert_eq!(first(".spec.a\\.b"), Some(json!(1)));
        assert_eq!(first(".spec.list[?(@.v>1)].n"), Some(json!("y")));
        assert!(JsonPath::parse(".spec.list[").is_err());
    }
}
