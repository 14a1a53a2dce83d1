//! The columns that a definition asks for.
//!
//! Upstream: apiextensions-apiserver `pkg/registry/customresource/tableconvertor`.

use api::meta;
use jiff::Timestamp;
use serde_json::Value;

use super::jsonpath::JsonPath;
use crate::resource::Column;
use crate::{columns, walk};

const META_PACKAGE: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Columns after the name, each with the path of its cell.
#[derive(Debug, Default)]
pub struct Columns {
    paths: Vec<(String, JsonPath)>,
}

/// The columns of one version. One whose path nobody understands ends them, as upstream falls back.
pub fn of_version(version: &Value) -> (Vec<Column>, Columns) {
    let prose = schema::descriptions(META_PACKAGE);
    let about = |field: &str| prose.get("ObjectMeta", field).unwrap_or_default();
    let mut shown = vec![Column { name: "Name".into(), kind: "string".into(), format: "name".into(), description: about("name").into(), priority: 0 }];
    let mut paths = Vec::new();
    let asked = walk::list(version, "additionalPrinterColumns");
    if asked.is_empty() {
        shown.push(Column { name: "Age".into(), kind: "date".into(), format: "".into(), description: about("creationTimestamp").into(), priority: 0 });
        paths.push(("date".to_owned(), JsonPath::parse(".metadata.creationTimestamp").unwrap_or_default()));
    }
    for column in asked {
        let text = |key: &str| walk::text(column, key).to_owned();
        let Ok(path) = JsonPath::parse(&text("jsonPath")) else { break };
        let description = match text("description") {
            given if given.is_empty() => format!("Custom resource definition column (in JSONPath format): {}", text("jsonPath")),
            given => given,
        };
        let priority = i32::try_from(walk::int(column, "priority")).unwrap_or(i32::MAX);
        shown.push(Column { name: text("name").into(), kind: text("type").into(), format: text("format").into(), description: description.into(), priority });
        paths.push((text("type"), path));
    }
    (shown, Columns { paths })
}

impl Columns {
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let own = self.paths.iter().map(|(kind, path)| path.first(object).map_or(Value::Null, |found| cell(kind, found, now)));
        std::iter::once(Value::from(meta::name(object))).chain(own).collect()
    }
}

fn cell(kind: &str, value: &Value, now: Timestamp) -> Value {
    match (kind, value) {
        (_, Value::Null) => Value::Null,
        ("string", Value::String(_)) => value.clone(),
        ("string", other) => other.to_string().into(),
        ("integer", Value::Number(n)) => n.as_i64().or_else(|| n.as_f64().map(|f| f as i64)).map_or(Value::Null, Value::from),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) if api::time::parse(text).is_some() => columns::age_of(text, now).into(),
        ("date", Value::String(_)) => "<invalid>".into(),
        _ => Value::Null,
    }
}
