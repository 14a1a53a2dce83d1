//! Types as OpenAPI schemas, in either dialect, and the set of definitions that a document needs.
//!
//! A definition is rendered when it is taken; rendering asks for those it refers to. Invariant: each is given once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Described, Dialect, Resource, custom};
use crate::describe::{Descriptions, descriptions};
use crate::types::{Field, ListKind, Of, Special, Type};

pub(super) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

pub(super) struct Definitions {
    dialect: Dialect,
    wanted: BTreeSet<String>,
    given: BTreeSet<String>,
    prose: HashMap<String, Descriptions>,
    /// Definition -> the kinds it is.
    kinds: HashMap<&'static str, Vec<Value>>,
    /// Definition -> schema of a custom resource.
    custom: BTreeMap<String, (Arc<Described>, bool)>,
    everywhere: Vec<(String, String)>,
}

impl Definitions {
    pub fn new(dialect: Dialect, resources: &[Arc<Described>]) -> Self {
        let mut kinds: HashMap<&'static str, Vec<Value>> = HashMap::new();
        for kind in crate::table::kinds() {
            kinds.entry(&*kind.of().name).or_default().push(gvk(kind.group, kind.version, kind.kind));
        }
        let mut own = BTreeMap::new();
        for resource in resources.iter().filter(|r| r.custom.is_some()) {
            own.insert(custom::name(resource, false), (resource.clone(), false));
            own.insert(custom::name(resource, true), (resource.clone(), true));
        }
        // Upstream: definitions do not add to what is built in.
        let everywhere: BTreeSet<_> = resources.iter().filter(|r| r.custom.is_none()).map(|r| (r.group.clone(), r.version.clone())).collect();
        Self { dialect, wanted: BTreeSet::new(), given: BTreeSet::new(), prose: HashMap::new(), kinds, custom: own, everywhere: everywhere.into_iter().collect() }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// A reference to the definition, which from now on is wanted.
    pub fn reference(&mut self, name: &str) -> Value {
        if !self.given.contains(name) {
            self.wanted.insert(name.to_owned());
        }
        let place = if self.dialect == Dialect::V2 { "definitions" } else { "components/schemas" };
        json!({ "$ref": format!("#/{place}/{name}") })
    }

    /// The definition name of a resource's kind, or of its list.
    pub fn name_of(resource: &Resource, list: bool) -> Option<String> {
        if resource.custom.is_some() {
            return Some(custom::name(resource, list));
        }
        let kind = if list { format!("{}List", resource.kind) } else { resource.kind.clone() };
        crate::table::by_kind(&resource.group, &resource.version, &kind).map(|of| of.name.to_string())
    }

    /// Renders the next wanted definition.
    pub fn take_next(&mut self) -> Option<(String, Value)> {
        let name = self.wanted.pop_first()?;
        self.given.insert(name.clone());
        let schema = match self.custom.get(&name) {
            Some((resource, list)) => {
                let (resource, list) = (resource.clone(), *list);
                self.of_custom(&resource, list)
            }
            None => crate::table::by_name(&name).map_or_else(|| json!({ "type": "object" }), |of| self.of_type(of)),
        };
        Some((name, schema))
    }

    pub(super) fn describe(&mut self, of: &Type, field: &str) -> Option<String> {
        let (package, short) = of.name.rsplit_once('.')?;
        if !self.prose.contains_key(package) {
            self.prose.insert(package.to_owned(), descriptions(package));
        }
        self.prose.get(package)?.get(short, field)
    }

    fn of_type(&mut self, of: &Type) -> Value {
        let mut out = Map::new();
        if let Some(text) = self.describe(of, "") {
            out.insert("description".into(), text.into());
        }
        if self.special(of, &mut out) {
            return Value::Object(out);
        }
        out.insert("type".into(), "object".into());
        let mut properties = Map::new();
        for field in &of.fields {
            let text = self.describe(of, &field.name);
            properties.insert(field.name.to_string(), self.property(field, text));
        }
        if !properties.is_empty() {
            out.insert("properties".into(), Value::Object(properties));
        }
        let required: Vec<&str> = of.fields.iter().filter(|f| f.required).map(|f| f.name.as_ref()).collect();
        if !required.is_empty() {
            out.insert("required".into(), json!(required));
        }
        if of.atomic {
            out.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        let kinds = self.kinds_of(of);
        if !kinds.is_empty() {
            out.insert("x-kubernetes-group-version-kind".into(), Value::Array(kinds));
        }
        Value::Object(out)
    }

    /// Options and watch events are kinds of every group version.
    fn kinds_of(&self, of: &Type) -> Vec<Value> {
        if let Some(kind) = of.name.strip_prefix("io.k8s.apimachinery.pkg.apis.meta.v1.").filter(|k| matches!(*k, "DeleteOptions" | "WatchEvent")) {
            return self.everywhere.iter().map(|(group, version)| gvk(group, version, kind)).collect();
        }
        self.kinds.get(&*of.name).cloned().unwrap_or_default()
    }

    /// Types whose JSON is no object of fields.
    fn special(&self, of: &Type, out: &mut Map<String, Value>) -> bool {
        let v3 = self.dialect == Dialect::V3;
        let mut put = |schema: Value| out.extend(schema.as_object().cloned().into_iter().flatten());
        match (of.special, of.short_name()) {
            (None, _) => return false,
            (_, "Quantity") if v3 => put(json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] })),
            (_, "Quantity" | "Duration") => put(json!({ "type": "string" })),
            (_, "IntOrString") if v3 => put(json!({ "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] })),
            (_, "IntOrString") => put(json!({ "type": "string", "format": "int-or-string" })),
            (_, "Time" | "MicroTime") => put(json!({ "type": "string", "format": "date-time" })),
            (_, "FieldsV1" | "RawExtension" | "Patch") => put(json!({ "type": "object" })),
            (Some(Special::Scalar | Special::SchemaOrArray | Special::SchemaOrBool | Special::SchemaOrStrings), _) => {}
        }
        true
    }

    fn property(&mut self, field: &Field, text: Option<String>) -> Value {
        let mut schema = self.value(&field.of);
        let default = field.default.clone().or_else(|| self.zero_default(field));
        if self.dialect == Dialect::V3
            && schema.get("$ref").is_some()
            && (text.is_some() || default.is_some())
        {
            schema = json!({ "allOf": [schema] });
        }
        let Some(out) = schema.as_object_mut() else { return schema };
        if let Some(text) = text {
            out.insert("description".into(), text.into());
        }
        if let Some(default) = default {
            out.insert("default".into(), default);
        }
        if let Of::List(list) = &field.of {
            let kind = match list.kind {
                ListKind::Atomic => "atomic",
                ListKind::Set => "set",
                ListKind::Map => "map",
            };
            out.insert("x-kubernetes-list-type".into(), kind.into());
            if list.kind == ListKind::Map {
                out.insert("x-kubernetes-list-map-keys".into(), json!(list.keys));
            }
        } else if field.atomic {
            out.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        if let Some(strategy) = &field.patch_strategy {
            out.insert("x-kubernetes-patch-strategy".into(), strategy.as_ref().into());
        }
        if let Some(key) = &field.merge_key {
            out.insert("x-kubernetes-patch-merge-key".into(), key.as_ref().into());
        }
        schema
    }

    /// Version 3 says what Go's zero value is where Go always has one.
    fn zero_default(&self, field: &Field) -> Option<Value> {
        if field.always { self.zero(&field.of) } else { None }
    }

    fn zero(&self, of: &Of) -> Option<Value> {
        if self.dialect == Dialect::V2 {
            return None;
        }
        match of {
            Of::Str => Some("".into()),
            Of::Int32 | Of::Int64 => Some(0.into()),
            Of::Bool => Some(false.into()),
            Of::Object(of) if of.get().special.is_none() => Some(json!({})),
            _ => None,
        }
    }

    fn value(&mut self, of: &Of) -> Value {
        match of {
            Of::Bool => json!({ "type": "boolean" }),
            Of::Int32 => json!({ "type": "integer", "format": "int32" }),
            Of::Int64 => json!({ "type": "integer", "format": "int64" }),
            Of::Float => json!({ "type": "number", "format": "float" }),
            Of::Double => json!({ "type": "number", "format": "double" }),
            Of::Str => json!({ "type": "string" }),
            Of::Bytes => json!({ "type": "string", "format": "byte" }),
            Of::Quantity => self.reference("io.k8s.apimachinery.pkg.api.resource.Quantity"),
            Of::IntOrString => self.reference("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
            Of::Time => self.reference(&format!("{META}.Time")),
            Of::MicroTime => self.reference(&format!("{META}.MicroTime")),
            Of::Duration => self.reference(&format!("{META}.Duration")),
            Of::Fields => self.reference(&format!("{META}.FieldsV1")),
            Of::Raw => self.reference("io.k8s.apimachinery.pkg.runtime.RawExtension"),
            Of::JsonText | Of::Json => json!({}),
            Of::Object(of) => {
                let name = of.get().name.to_string();
                self.reference(&name)
            }
            Of::List(list) => json!({ "type": "array", "items": self.element(&list.item) }),
            Of::Map(map) => json!({ "type": "object", "additionalProperties": self.element(&map.value) }),
        }
    }

    /// A value of a list or a map, with what Go's zero value is in version 3.
    fn element(&mut self, of: &Of) -> Value {
        let schema = self.value(of);
        let Some(default) = self.zero(of) else { return schema };
        let mut schema = if schema.get("$ref").is_some() { json!({ "allOf": [schema] }) } else { schema };
        schema["default"] = default;
        schema
    }
}

pub(super) fn gvk(group: &str, version: &str, kind: &str) -> Value {
    json!({ "group": group, "version": version, "kind": kind })
}
