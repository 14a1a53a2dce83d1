//! What templates see beside plain values: capabilities, and the methods of values.

use std::any::Any;
use std::borrow::Cow;
use std::rc::Rc;

use gotemplate::{Elem, Failure, Kind, List, Map, MapType, Method, NamedMap, Object, Outcome, Signature, Str, Type, Value};

use super::functions::to_yaml;

const NONE: Signature = Signature::fixed(&[]);
const TEXT: Signature = Signature::fixed(&[Type::String]);

/// Helm's `common.Values`.
pub static VALUES: NamedMap = NamedMap { name: "common.Values", method: values_method };

pub fn values(map: &Map) -> Map {
    map.retyped(MapType::Named(&VALUES))
}

fn text(args: &[Value]) -> Str {
    args.first().and_then(Value::as_str).cloned().unwrap_or_else(|| Str::from(""))
}

// Upstream: helm pkg/chart/common/values.go.
fn values_method(map: &Map, name: &str) -> Option<Method> {
    let map = map.clone();
    Some(match name {
        "AsMap" => Method::new(NONE, move |_| Ok(Value::Map(map.retyped(MapType::Any)))),
        "YAML" => Method::new(NONE, move |_| to_yaml(&Value::Map(map.clone())).map(|yaml| Value::str(yaml))),
        "Table" => Method::new(TEXT, move |a| table(&map, &text(a).text()).map(|found| Value::Map(values(&found)))),
        "PathValue" => Method::new(TEXT, move |a| path_value(&map, &text(a).text())),
        _ => return None,
    })
}

fn quoted(text: &str) -> String {
    gotemplate::text::quote(text.as_bytes())
}

fn table(map: &Map, path: &str) -> Result<Map, Failure> {
    let mut table = map.clone();
    for key in path.split('.') {
        table = match table.get(key.as_bytes()) {
            Some(Value::Map(below)) if below.kind() != MapType::Strings => below,
            _ => return Err(Failure::new(format!("{} is not a table", quoted(key)))),
        };
    }
    Ok(table)
}

fn path_value(map: &Map, path: &str) -> Outcome {
    if path.is_empty() {
        return Err("YAML path cannot be empty".into());
    }
    let (parent, key) = path.rsplit_once('.').map_or((None, path), |(parent, key)| (Some(parent), key));
    let found = match parent {
        Some(parent) => table(map, parent).ok().and_then(|table| table.get(key.as_bytes())),
        None => map.get(key.as_bytes()),
    };
    match found {
        Some(value) if value.kind() != Kind::Map => Ok(value),
        _ => Err(Failure::new(format!("{} is not a value", quoted(key)))),
    }
}

/// The version of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    pub version: String,
    pub major: String,
    pub minor: String,
}

/// What `.Capabilities` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    pub kube_version: KubeVersion,
    /// Groups and versions, and kinds in them: `apps/v1`, `apps/v1/Deployment`.
    pub api_versions: Vec<String>,
    pub helm_version: String,
}

/// What Helm takes for served where it has no cluster to ask.
// Upstream: helm pkg/chart/common/capabilities.go, the scheme of client-go.
const KNOWN: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities {
            kube_version: KubeVersion { version: "v1.37.0".into(), major: "1".into(), minor: "37".into() },
            api_versions: KNOWN.iter().map(|version| (*version).to_owned()).collect(),
            helm_version: "v4.3.1".into(),
        }
    }
}

impl Capabilities {
    pub fn value(&self) -> Value {
        Value::Object(Rc::new(CapabilitiesObject(Rc::new(self.clone()))))
    }
}

struct CapabilitiesObject(Rc<Capabilities>);

impl CapabilitiesObject {
    fn all(&self) -> Vec<(&'static str, Value)> {
        let build = Record {
            name: "version.BuildInfo",
            fields: vec![
                ("Version", Value::str(self.0.helm_version.as_str())),
                ("GitCommit", Value::str("")),
                ("GitTreeState", Value::str("clean")),
                ("GoVersion", Value::str("go1.27.2")),
                ("KubeClientVersion", Value::str("v1.37")),
            ],
            methods: no_methods,
            shown: None,
            hidden: &[],
            json: &["version", "git_commit", "git_tree_state", "go_version", "kube_client_version"],
        };
        vec![
            ("KubeVersion", self.0.kube_version.value()),
            ("APIVersions", Value::Object(Rc::new(VersionSet(self.0.clone())))),
            ("HelmVersion", Value::Object(Rc::new(build))),
        ]
    }
}

impl Object for CapabilitiesObject {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed("*common.Capabilities")
    }

    fn kind(&self) -> Kind {
        Kind::Pointer
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.all().into_iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    fn target(&self) -> Option<Value> {
        Some(Value::Object(Rc::new(Record {
            name: "common.Capabilities",
            fields: self.all(),
            methods: no_methods,
            shown: None,
            hidden: &[],
            json: &["KubeVersion", "APIVersions", "HelmVersion"],
        })))
    }
}

impl KubeVersion {
    fn value(&self) -> Value {
        let version = Value::str(self.version.as_str());
        let fields = vec![
            ("Version", version.clone()),
            ("normalizedVersion", version),
            ("Major", Value::str(self.major.as_str())),
            ("Minor", Value::str(self.minor.as_str())),
        ];
        let shown = Some(Str::from(self.version.as_str()));
        Value::Object(Rc::new(Record {
            name: "common.KubeVersion",
            fields,
            methods: kube_version_method,
            shown,
            hidden: &["normalizedVersion"],
            json: &["Version", "", "Major", "Minor"],
        }))
    }
}

fn no_methods(_: &Record, _: &str) -> Option<Method> {
    None
}

fn kube_version_method(record: &Record, name: &str) -> Option<Method> {
    let version = record.fields.first().map(|(_, value)| value.clone())?;
    matches!(name, "String" | "GitVersion").then(|| Method::new(NONE, move |_| Ok(version.clone())))
}

/// A struct.
struct Record {
    name: &'static str,
    fields: Vec<(&'static str, Value)>,
    methods: fn(&Record, &str) -> Option<Method>,
    /// What its pointer's `String` gives.
    shown: Option<Str>,
    hidden: &'static [&'static str],
    /// The names in JSON, field by field; none for a field that is not written.
    json: &'static [&'static str],
}

impl Object for Record {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.name)
    }

    fn kind(&self) -> Kind {
        Kind::Struct
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn field(&self, name: &str) -> Option<Value> {
        if self.hidden.contains(&name) {
            return None;
        }
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone())
    }

    fn method(&self, name: &str) -> Option<Method> {
        (self.methods)(self, name)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        self.fields.clone()
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let named = self.json.iter().zip(&self.fields).filter(|(name, _)| !name.is_empty());
        Some(named.map(|(name, (_, value))| (*name, value.clone())).collect())
    }

    fn addressed_stringer(&self) -> Option<Str> {
        self.shown.clone()
    }

    fn unaddressed(&self) -> Option<Value> {
        self.shown.as_ref()?;
        Some(Value::Object(Rc::new(Record { fields: self.fields.clone(), methods: no_methods, shown: None, ..*self })))
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any().downcast_ref::<Record>()?;
        let same = |(a, b): (&(&str, Value), &(&str, Value))| match (&a.1, &b.1) {
            (Value::Str(a), Value::Str(b)) => a == b,
            _ => false,
        };
        Some(self.fields.len() == other.fields.len() && self.fields.iter().zip(&other.fields).all(same))
    }
}

/// The API versions: a list of texts with a method.
struct VersionSet(Rc<Capabilities>);

impl Object for VersionSet {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed("common.VersionSet")
    }

    fn kind(&self) -> Kind {
        Kind::Slice
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn items(&self) -> Vec<(Value, Value)> {
        let all = self.0.api_versions.iter().map(|version| Value::str(version.as_str()));
        (0..).map(Value::int).zip(all).collect()
    }

    fn basic(&self) -> Option<Value> {
        Some(Value::List(List::new(Elem::String, self.items().into_iter().map(|(_, item)| item).collect())))
    }

    fn method(&self, name: &str) -> Option<Method> {
        let known = self.0.clone();
        let has = move |args: &[Value]| {
            let wanted = text(args);
            Ok(Value::Bool(known.api_versions.iter().any(|version| version.as_bytes() == wanted.as_bytes())))
        };
        (name == "Has").then(|| Method::new(TEXT, has))
    }
}
