//! Device selection: expressions that say whether a device will do.
//!
//! Upstream: k8s.io/dynamic-resource-allocation/cel/compile.go, with the feature gates' defaults of 1.37 (attributes are no lists).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value as Json;

use crate::collection::{Built, Key, Map};
use crate::decl::{Decl, DeclKind};
use crate::env::Env;
use crate::library::quantity;
use crate::library::semver::Semver;
use crate::program::Program;
use crate::types::Type;
use crate::value::{Text, Value};

/// What a selector may cost, as estimated and at run time.
pub const SELECTOR_MAX_COST: u64 = 1_000_000;

/// Attributes and capacities of one device.
const MOST: u64 = 32;
const LONGEST_DOMAIN: u64 = 63;
const LONGEST_ID: u64 = 32;
const LONGEST_VALUE: u64 = 64;

static SELECTION: LazyLock<Env> = LazyLock::new(|| {
    let by_domain = |value: Decl| Decl::map(Decl::map(value).keys_at_most(LONGEST_ID).at_most(MOST)).keys_at_most(LONGEST_DOMAIN).at_most(MOST);
    let fields = [
        ("driver", Decl::new(DeclKind::Enum(LONGEST_DOMAIN))),
        ("allowMultipleAllocations", Decl::new(DeclKind::Bool).at_most(1)),
        ("attributes", by_domain(Decl::new(DeclKind::Dyn).at_most(LONGEST_VALUE))),
        ("capacity", by_domain(Decl::new(DeclKind::Quantity))),
    ];
    let device = Decl::object("kubernetes.DRADevice", fields.map(|(name, decl)| (name.to_owned(), decl)));
    Env::kubernetes().with_bindings().declare("device", Arc::new(device))
});

/// Compiles a selector: over the variable `device`, with a bool or a device's attribute as its result.
pub fn compile_selector(expression: &str) -> Result<Program, String> {
    let program = SELECTION.compile(expression).map_err(|e| format!("compilation failed: {e}"))?;
    match program.result_type() {
        Type::Bool | Type::Dyn => Ok(program),
        other => Err(format!("must evaluate to bool or the unknown type, not {other}")),
    }
}

/// The value of `device`: a device of a ResourceSlice and its driver.
pub fn device<'a>(driver: &'a str, device: &'a Json) -> Result<Value<'a>, String> {
    let attributes = by_domain(driver, device.get("attributes"), |name, value| attribute(value).map_err(|e| format!("attribute {name}: {e}")))?;
    let capacity = by_domain(driver, device.get("capacity"), |name, value| amount(value).map_err(|e| format!("capacity {name}: {e}")))?;
    let shared = device.get("allowMultipleAllocations").and_then(Json::as_bool).unwrap_or(false);
    let fields = [("driver", Value::borrowed(driver)), ("allowMultipleAllocations", Value::Bool(shared)), ("attributes", attributes), ("capacity", capacity)];
    Ok(Value::map(fields.map(|(name, value)| (Key::String(Text::Borrowed(name)), value))))
}

/// Names without a domain are in the driver's.
fn by_domain<'a>(driver: &'a str, entries: Option<&'a Json>, read: impl Fn(&str, &'a Json) -> Result<Value<'a>, String>) -> Result<Value<'a>, String> {
    let mut domains: BTreeMap<&'a str, Built<'a>> = BTreeMap::new();
    for (name, value) in entries.and_then(Json::as_object).into_iter().flatten() {
        let (domain, id) = name.split_once('/').unwrap_or((driver, name));
        domains.entry(domain).or_default().insert(Key::String(Text::Borrowed(id)), read(name, value)?);
    }
    let nested = domains.into_iter().map(|(domain, of)| (Key::String(Text::Borrowed(domain)), Value::Map(Map::of(of))));
    Ok(Value::Map(Map::Nested(Arc::new(nested.collect()))))
}

fn attribute(value: &Json) -> Result<Value<'_>, String> {
    if let Some(int) = value.get("int").and_then(Json::as_i64) {
        return Ok(Value::Int(int));
    }
    if let Some(bool) = value.get("bool").and_then(Json::as_bool) {
        return Ok(Value::Bool(bool));
    }
    if let Some(string) = value.get("string").and_then(Json::as_str) {
        return Ok(Value::borrowed(string));
    }
    let version = value.get("version").and_then(Json::as_str).ok_or("unsupported attribute value")?;
    let version = Semver::parse(version).map_err(|e| format!("parse semantic version: {e}"))?;
    Ok(Value::Semver(Arc::new(version)))
}

fn amount(value: &Json) -> Result<Value<'_>, String> {
    let text = value.get("value").and_then(Json::as_str).unwrap_or("0");
    quantity::parse_text(text).map(|q| Value::Quantity(Arc::new(q)))
}
