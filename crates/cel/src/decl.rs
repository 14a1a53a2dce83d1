//! Declarations of data: what a JSON value is to an expression. Filled by the users from their schemas.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/types.go (DeclType), common/schemas.go. A declaration types variables for the checker,
//! tells the evaluator how to read JSON (an integer, a timestamp, a list that is a set), and bounds sizes for the cost estimate.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::Type;

/// What a JSON value is, with the most items, entries or characters it may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Decl {
    pub kind: DeclKind,
    /// The schema's `maxLength`, `maxItems` or `maxProperties`. `None`: unbounded.
    pub max: Option<u64>,
    /// Null is a value, not an error.
    pub nullable: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DeclKind {
    /// Read as what the JSON is.
    Dyn,
    Null,
    Bool,
    Int,
    Double,
    String,
    /// A string of a closed set, the longest of which has so many bytes.
    Enum(u64),
    /// A base64 string.
    Bytes,
    /// `format: date` and `format: date-time` strings: timestamps.
    Date,
    DateTime,
    /// A `format: duration` string.
    Duration,
    /// `x-kubernetes-int-or-string`: dyn to the checker.
    IntOrString,
    List(ListDecl),
    /// A quantity's text.
    Quantity,
    /// String keys, the longest of which has so many bytes; values alike.
    Map(Arc<Decl>, u64),
    Object(Arc<ObjectDecl>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListDecl {
    pub items: Arc<Decl>,
    pub semantics: ListSemantics,
}

/// How lists compare and add: `x-kubernetes-list-type`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ListSemantics {
    #[default]
    Atomic,
    Set,
    /// By the values of these keys (JSON names).
    Map(Vec<String>),
}

/// An object type: a name no other type has (`Object.spec`, `selfType1.spec`), and its fields by the names expressions use.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectDecl {
    pub name: Arc<str>,
    pub fields: BTreeMap<String, FieldDecl>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldDecl {
    /// The name in JSON; the map's key is it escaped.
    pub json: String,
    pub decl: Decl,
    /// It must be there, and no default fills it in.
    pub required: bool,
}

impl Decl {
    pub const fn new(kind: DeclKind) -> Decl {
        Decl { kind, max: None, nullable: false }
    }

    /// Anything at all.
    pub const DYN: &'static Decl = &Decl { kind: DeclKind::Dyn, max: None, nullable: true };

    pub fn list(items: Decl) -> Decl {
        Decl::new(DeclKind::List(ListDecl { items: Arc::new(items), semantics: ListSemantics::Atomic }))
    }

    pub fn map(values: Decl) -> Decl {
        Decl::new(DeclKind::Map(Arc::new(values), 0))
    }

    /// An object whose fields are given by their JSON names; names no expression can say are left out.
    pub fn object(name: &str, fields: impl IntoIterator<Item = (String, Decl)>) -> Decl {
        let fields = fields.into_iter().filter_map(|(json, decl)| Some((escape(&json)?, FieldDecl { json, decl, required: false })));
        Decl::new(DeclKind::Object(Arc::new(ObjectDecl { name: name.into(), fields: fields.collect() })))
    }

    /// An object whose fields have the names they are given, `namespace` among them: types that Kubernetes declares and no schema.
    pub fn record(name: &str, fields: impl IntoIterator<Item = (String, Decl)>) -> Decl {
        let fields = fields.into_iter().map(|(json, decl)| (json.clone(), FieldDecl { json, decl, required: false }));
        Decl::new(DeclKind::Object(Arc::new(ObjectDecl { name: name.into(), fields: fields.collect() })))
    }

    #[must_use]
    pub fn at_most(mut self, max: u64) -> Decl {
        self.max = Some(max);
        self
    }

    /// A map's keys have at most so many bytes.
    #[must_use]
    pub fn keys_at_most(mut self, max: u64) -> Decl {
        if let DeclKind::Map(_, longest) = &mut self.kind {
            *longest = max;
        }
        self
    }

    /// The checker's type.
    pub fn ty(&self) -> Type {
        match &self.kind {
            DeclKind::Dyn | DeclKind::IntOrString => Type::Dyn,
            DeclKind::Null => Type::Null,
            DeclKind::Bool => Type::Bool,
            DeclKind::Int => Type::Int,
            DeclKind::Double => Type::Double,
            DeclKind::String | DeclKind::Enum(_) => Type::String,
            DeclKind::Bytes => Type::Bytes,
            DeclKind::Date | DeclKind::DateTime => Type::Timestamp,
            DeclKind::Duration => Type::Duration,
            DeclKind::List(list) => Type::list(list.items.ty()),
            DeclKind::Quantity => Type::object("kubernetes.Quantity"),
            DeclKind::Map(values, _) => Type::map(Type::String, values.ty()),
            DeclKind::Object(object) => Type::Object(object.name.clone()),
        }
    }

    /// The object types in here, each once.
    pub fn objects(&self, into: &mut BTreeMap<Arc<str>, Arc<ObjectDecl>>) {
        match &self.kind {
            DeclKind::List(list) => list.items.objects(into),
            DeclKind::Map(values, _) => values.objects(into),
            DeclKind::Object(object) if into.insert(object.name.clone(), object.clone()).is_none() => object.fields.values().for_each(|f| f.decl.objects(into)),
            _ => {}
        }
    }

    /// The declaration one step down a cost path: a field's name, `@items`, `@keys` or `@values`.
    pub(crate) fn step(&self, name: &str) -> Option<&Decl> {
        match (&self.kind, name) {
            (DeclKind::List(list), "@items") => Some(&list.items),
            (DeclKind::Map(values, _), "@values") => Some(values),
            // Values of any type, but of a known size, have it by any name.
            (DeclKind::Map(values, _), _) if values.kind == DeclKind::Dyn && values.max.is_some() => Some(values),
            (DeclKind::Object(object), field) => object.fields.get(field).map(|f| &f.decl),
            _ => None,
        }
    }
}

/// Words no expression can use as a field's name.
// Upstream: k8s.io/apiserver/pkg/cel/escaping.go.
const RESERVED: [&str; 21] = [
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
];

/// A JSON property's name as expressions say it (`a-b` is `a__dash__b`); `None` when it cannot be said.
pub fn escape(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let first = name.chars().next()?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')) || first.is_ascii_digit() {
        return None;
    }
    let escaped = name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__");
    Some(escaped)
}

/// The JSON name an escaped one stands for.
pub fn unescape(name: &str) -> Option<String> {
    if let Some(word) = name.strip_prefix("__").and_then(|n| n.strip_suffix("__"))
        && RESERVED.contains(&word)
    {
        return Some(word.to_owned());
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("__") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let forms = [("__underscores__", "__"), ("__dot__", "."), ("__dash__", "-"), ("__slash__", "/")];
        let (form, plain) = forms.into_iter().find(|(form, _)| rest.starts_with(form))?;
        out.push_str(plain);
        rest = &rest[form.len()..];
    }
    out.push_str(rest);
    Some(out)
}
