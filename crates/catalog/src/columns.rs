//! Columns of tables, and the cells that many kinds share.
//!
//! Upstream: `pkg/printers/internalversion/printers.go` decides names, order and texts.

use api::meta;
use jiff::Timestamp;
use serde_json::Value;

use crate::resource::Column;
use crate::walk;

fn column(name: &'static str, kind: &'static str, priority: i32) -> Column {
    let format = if name == "Name" { "name" } else { "" };
    Column { name: name.into(), kind: kind.into(), format: format.into(), description: "".into(), priority }
}

/// Columns by a short notation: `Name` is text, `Name#` a number, a leading `+` shows it only in wide tables.
pub fn columns(names: &[&'static str]) -> Vec<Column> {
    names
        .iter()
        .map(|name| {
            let (name, priority) = name.strip_prefix('+').map_or((*name, 0), |name| (name, 1));
            match name.strip_suffix('#') {
                Some(name) => column(name, "integer", priority),
                None => column(name, "string", priority),
            }
        })
        .collect()
}

pub fn name_and_age() -> Vec<Column> {
    // Upstream: the fallback table of kinds without columns names the second one so.
    let mut columns = columns(&["Name", "Created At"]);
    columns[1].kind = "date".into();
    columns
}

pub fn name_and_age_cells(object: &Value, _: Timestamp) -> Vec<Value> {
    vec![name(object), meta::text(object, "creationTimestamp").into()]
}

pub fn name(object: &Value) -> Value {
    meta::name(object).into()
}

/// How long ago a timestamp was.
pub fn age_of(timestamp: &str, now: Timestamp) -> String {
    match api::time::parse(timestamp) {
        Some(at) => api::time::human_duration(now.as_second() - at.as_second()),
        None => "<unknown>".into(),
    }
}

pub fn age(object: &Value, now: Timestamp) -> Value {
    age_of(meta::text(object, "creationTimestamp"), now).into()
}

/// `<none>` for nothing.
pub fn or_none(text: impl Into<String>) -> Value {
    let text = text.into();
    if text.is_empty() { "<none>".into() } else { text.into() }
}

/// `a=b,c=d`, or `<none>`.
pub fn labels(value: &Value) -> Value {
    let pairs: Vec<_> = value.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    or_none(pairs.join(","))
}

/// A selector object as `kubectl` shows it. Upstream: `metav1.FormatLabelSelector`.
pub fn selector(value: &Value) -> Value {
    let mut terms: Vec<_> = walk::map(value, "matchLabels").into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    for expression in walk::list(value, "matchExpressions") {
        let values: Vec<_> = walk::list(expression, "values").iter().filter_map(Value::as_str).collect();
        let key = walk::text(expression, "key");
        terms.push(match walk::text(expression, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    or_none(terms.join(","))
}

/// Names and images of the containers of a pod template, as two cells.
pub fn containers(spec: &Value) -> [Value; 2] {
    let joined = |key| walk::list(spec, "containers").iter().map(|c| walk::text(c, key)).collect::<Vec<_>>().join(",");
    [joined("name").into(), joined("image").into()]
}
