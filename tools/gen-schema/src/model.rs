//! The merged picture: definitions, fields, kinds. Never decides; the sources and the overlay fill it.

use std::collections::BTreeMap;

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub enum Ty {
    /// One letter: b i l f d s y(bytes) J(any JSON).
    Scalar(char),
    Ref(String),
    List(Box<Ty>),
    Map(Box<Ty>),
    /// A list in JSON, a message with the list in field 1 on the wire.
    Wrap(Box<Ty>),
}

#[derive(Clone, Debug, Default)]
pub struct Fld {
    pub path: Vec<u32>,
    pub ty: Option<Ty>,
    pub required: bool,
    pub pointer: bool,
    pub always: bool,
    pub list: Option<String>,
    pub keys: Vec<String>,
    pub atomic: bool,
    pub patch: Option<String>,
    pub merge_key: Option<String>,
    pub default: Option<String>,
    pub desc: String,
    pub go_known: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Def {
    pub desc: String,
    pub atomic: bool,
    pub special: Option<char>,
    pub fields: BTreeMap<String, Fld>,
    /// The order of Go's struct where it is not that of the protobuf numbers.
    pub go_order: Vec<String>,
}

#[derive(Default)]
pub struct Model {
    pub defs: BTreeMap<String, Def>,
    /// (group, version, kind) -> definition
    pub kinds: BTreeMap<(String, String, String), String>,
    /// package (`io.k8s.api.rbac`) -> group
    pub groups: BTreeMap<String, String>,
}

/// Definitions with a wire and JSON form of their own.
pub const SPECIAL: [(&str, char); 16] = [
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", 'Q'),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", 'I'),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", 'T'),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", 'M'),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Duration", 'D'),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", 'V'),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", 'R'),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", 'j'),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1.JSON", 'j'),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray", 'a'),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool", 'o'),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray", 'g'),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1.JSONSchemaPropsOrArray", 'A'),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1.JSONSchemaPropsOrBool", 'O'),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1.JSONSchemaPropsOrStringArray", 'G'),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Patch", 'J'),
];

pub fn special(name: &str) -> Option<char> {
    SPECIAL.iter().find(|(n, _)| *n == name).map(|(_, c)| *c)
}

/// Case, underscores and hyphens do not count when names of different sources meet.
pub fn norm(name: &str) -> String {
    name.chars().filter(|c| *c != '_' && *c != '-' && *c != '$').flat_map(char::to_lowercase).collect()
}

pub fn package(def: &str) -> &str {
    def.rsplit_once('.').map_or("", |(p, _)| p)
}

pub fn short(def: &str) -> &str {
    def.rsplit_once('.').map_or(def, |(_, s)| s)
}

impl Model {
    /// One JSON schema (already without `$ref` paths of Rust) becomes a definition.
    pub fn add_schema(&mut self, name: &str, schema: &Value) {
        let mut def = Def { desc: text(&schema["description"]), special: special(name), ..Def::default() };
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (json, property) in schema["properties"].as_object().into_iter().flatten() {
            if def.special.is_some() {
                break;
            }
            let required = required.contains(&json.as_str());
            let fld = Fld { ty: Some(ty_of(property)), required, desc: text(&property["description"]), ..Fld::default() };
            def.fields.insert(json.clone(), fld);
        }
        self.defs.insert(name.to_owned(), def);
    }

    /// `definition <tab> field,field,...`: the order of Go's structs.
    pub fn add_orders(&mut self, table: &str) {
        for line in table.lines() {
            if let Some((name, order)) = line.split_once('\t')
                && let Some(def) = self.defs.get_mut(name)
            {
                def.go_order = order.split(',').map(str::to_owned).collect();
            }
        }
    }

    /// `{"definitions": {...}, "kinds": [[group, version, kind, definition]]}` for what no source holds.
    pub fn add_hand_written(&mut self, text: &str) {
        let extra: Value = serde_json::from_str(text).expect("facts/extra.json");
        for (name, schema) in extra["definitions"].as_object().into_iter().flatten() {
            self.add_schema(name, schema);
            let def = self.defs.get_mut(name).expect("just added");
            for (json, property) in schema["properties"].as_object().into_iter().flatten() {
                if let (Some(number), Some(fld)) = (property["proto"].as_u64(), def.fields.get_mut(json)) {
                    fld.path = vec![number as u32];
                }
            }
        }
        for kind in extra["kinds"].as_array().into_iter().flatten() {
            let part = |i: usize| kind[i].as_str().unwrap_or_default().to_owned();
            self.kinds.insert((part(0), part(1), part(2)), part(3));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn ty_of(schema: &Value) -> Ty {
    if let Some(target) = schema["$ref"].as_str() {
        return Ty::Ref(target.to_owned());
    }
    match (schema["type"].as_str().unwrap_or(""), schema["format"].as_str().unwrap_or("")) {
        ("boolean", _) => Ty::Scalar('b'),
        ("integer", "int32") => Ty::Scalar('i'),
        ("integer", _) => Ty::Scalar('l'),
        ("number", "float") => Ty::Scalar('f'),
        ("number", _) => Ty::Scalar('d'),
        ("string", "byte") => Ty::Scalar('y'),
        ("string", _) => Ty::Scalar('s'),
        ("array", _) => Ty::List(Box::new(ty_of(&schema["items"]))),
        ("object", _) if schema["additionalProperties"].is_object() => Ty::Map(Box::new(ty_of(&schema["additionalProperties"]))),
        _ => Ty::Scalar('J'),
    }
}
