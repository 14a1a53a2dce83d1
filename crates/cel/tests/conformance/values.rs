//! Values and types of the cases to ours.

use cel::{Key, Text, Type, Value};

use crate::textproto::Node;

pub fn ty(node: &Node) -> Type {
    let Some((kind, of)) = node.first() else { return Type::Dyn };
    match kind {
        "primitive" => match of.text().as_str() {
            "BOOL" => Type::Bool,
            "INT64" => Type::Int,
            "UINT64" => Type::Uint,
            "DOUBLE" => Type::Double,
            "STRING" => Type::String,
            _ => Type::Bytes,
        },
        "well_known" => match of.text().as_str() {
            "TIMESTAMP" => Type::Timestamp,
            "DURATION" => Type::Duration,
            _ => Type::Dyn,
        },
        "list_type" => Type::list(of.get("elem_type").map_or(Type::Dyn, ty)),
        "map_type" => Type::map(of.get("key_type").map_or(Type::Dyn, ty), of.get("value_type").map_or(Type::Dyn, ty)),
        "null" => Type::Null,
        "abstract_type" => {
            let name = of.get("name").map(Node::text).unwrap_or_default();
            Type::Opaque(name.as_str().into(), of.all("parameter_types").map(ty).collect())
        }
        "message_type" => match of.text().as_str() {
            "google.protobuf.Duration" => Type::Duration,
            "google.protobuf.Timestamp" => Type::Timestamp,
            name => Type::object(name),
        },
        "type" => Type::Type(Some(std::sync::Arc::new(ty(of)))),
        _ => Type::Dyn,
    }
}

fn number(node: &Node) -> f64 {
    match node.text().as_str() {
        "inf" | "infinity" | "Infinity" => f64::INFINITY,
        "-inf" | "-infinity" | "-Infinity" => f64::NEG_INFINITY,
        "nan" | "NaN" => f64::NAN,
        text => text.parse().expect("a number"),
    }
}

fn well_known(node: &Node) -> Value<'static> {
    let Some((url, of)) = node.first() else { return Value::Null };
    let part = |name: &str| of.get(name).map_or(0, |n| n.text().parse::<i64>().expect("a number"));
    match url.contains("Duration") {
        true => Value::Duration(part("seconds") * 1_000_000_000 + part("nanos")),
        false => Value::Timestamp(cel::Moment { seconds: part("seconds"), nanos: part("nanos") as u32 }),
    }
}

pub fn value(node: &Node) -> Value<'static> {
    let Some((kind, of)) = node.first() else { return Value::Null };
    match kind {
        "bool_value" => Value::Bool(of.is_true()),
        "int64_value" => Value::Int(of.text().parse().expect("an int")),
        "uint64_value" => Value::Uint(of.text().parse().expect("a uint")),
        "double_value" => Value::Double(number(of)),
        "string_value" => Value::string(of.text()),
        "bytes_value" => match of {
            Node::Text(bytes) => Value::Bytes(bytes.clone().into()),
            _ => Value::Bytes([].into()),
        },
        "list_value" => Value::list(of.all("values").map(value).collect()),
        "map_value" => Value::map(of.all("entries").map(|e| (e.get("key").map(key).expect("a key"), e.get("value").map(value).expect("a value")))),
        "type_value" => Value::Type(named(&of.text())),
        "object_value" => well_known(of),
        _ => Value::Null,
    }
}

fn named(name: &str) -> Type {
    match name {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "null_type" => Type::Null,
        "type" => Type::Type(None),
        "google.protobuf.Timestamp" => Type::Timestamp,
        "google.protobuf.Duration" => Type::Duration,
        "optional_type" => Type::optional(Type::Dyn),
        "net.IP" | "net.CIDR" => Type::opaque(name),
        other => Type::object(other),
    }
}

fn key(node: &Node) -> Key<'static> {
    match value(node) {
        Value::Bool(b) => Key::Bool(b),
        Value::Int(i) => Key::Int(i),
        Value::Uint(u) => Key::Uint(u),
        Value::String(s) => Key::String(Text::Shared((&*s).into())),
        other => panic!("no key: {other:?}"),
    }
}

/// Equal and of equal types all the way down.
pub fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a == b || a.is_nan() && b.is_nan(),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| matches!((a, b), (Ok(a), Ok(b)) if same(&a, &b))),
        (Value::Map(a), Value::Map(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|((ka, a), (kb, b))| ka == kb && matches!((a, b), (Ok(a), Ok(b)) if same(&a, &b))),
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b) && a == b,
    }
}
