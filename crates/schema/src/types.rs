//! The vocabulary of a schema: types, fields, and how their values merge.
//!
//! Never knows where a schema came from: built-in types come from the table, custom resources build the same values.
//! Invariant: `Type::fields` is sorted by JSON name, `Type::wire` by protobuf number.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

pub type Text = Cow<'static, str>;

/// One object type.
#[derive(Debug, Default)]
pub struct Type {
    /// OpenAPI definition name, such as `io.k8s.api.core.v1.Pod`; empty for the inner objects of custom resources.
    pub name: Text,
    pub fields: Vec<Field>,
    pub wire: Vec<WireField>,
    /// The whole object has one owner under server-side apply.
    pub atomic: bool,
    /// A JSON form of its own instead of the fields.
    pub special: Option<Special>,
    /// What becomes of fields that are not listed.
    pub unknown: Unknown,
    /// The fields' JSON names in the order of Go's struct, joined by commas; empty where that is the order of their protobuf numbers.
    pub go_order: Text,
}

/// What a decoder does with fields that the type does not name.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Unknown {
    #[default]
    Drop,
    Keep,
}

/// Objects whose JSON is not their fields (all of CustomResourceDefinition's schema language).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    SchemaOrArray,
    SchemaOrBool,
    SchemaOrStrings,
    /// One of the scalars that also has a definition, such as Quantity.
    Scalar,
}

#[derive(Debug)]
pub struct Field {
    pub name: Text,
    /// Protobuf field number, behind the numbers of the inlined messages that hold it; empty when it has none.
    pub number: Vec<u16>,
    pub of: Of,
    pub required: bool,
    /// Go holds a pointer: an explicit zero differs from absence.
    pub pointer: bool,
    /// Go prints the field even when it is zero.
    pub always: bool,
    /// An object or map that has one owner as a whole in this place.
    pub atomic: bool,
    pub nullable: bool,
    /// Strategic merge patch: `merge`, `replace`, `retainKeys`, or a comma list.
    pub patch_strategy: Option<Text>,
    pub merge_key: Option<Text>,
    pub default: Option<Value>,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Of {
    Bool,
    Int32,
    Int64,
    Float,
    Double,
    Str,
    Bytes,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    Duration,
    /// FieldsV1: a JSON object, bytes on the wire.
    Fields,
    /// RawExtension: any JSON object, bytes on the wire.
    Raw,
    /// Any JSON, in a message with the text in field 1 on the wire.
    JsonText,
    /// Any JSON; no protobuf form.
    Json,
    Object(TypeRef),
    List(Box<List>),
    Map(Box<Map>),
}

#[derive(Debug, Clone)]
pub struct List {
    pub item: Of,
    pub kind: ListKind,
    pub keys: Vec<Text>,
    /// On the wire the list sits in field 1 of a message of its own.
    pub wrapped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ListKind {
    #[default]
    Atomic,
    Set,
    Map,
}

#[derive(Debug, Clone)]
pub struct Map {
    pub value: Of,
    pub atomic: bool,
}

/// A type of the table by its place there, or one built at run time.
#[derive(Debug, Clone)]
pub enum TypeRef {
    Static(u16),
    Owned(Arc<Type>),
}

/// Where a protobuf number leads.
#[derive(Debug)]
pub struct WireField {
    pub number: u16,
    pub target: WireTarget,
}

#[derive(Debug)]
pub enum WireTarget {
    /// Index into `Type::fields`.
    Field(usize),
    /// A message whose fields are the object's own in JSON.
    Inline(Vec<WireField>),
}

impl TypeRef {
    pub fn get(&self) -> &Type {
        match self {
            Self::Static(id) => crate::table::at(*id),
            Self::Owned(of) => of,
        }
    }
}

impl Type {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.binary_search_by(|f| f.name.as_ref().cmp(name)).ok().map(|i| &self.fields[i])
    }

    /// `Pod` of `io.k8s.api.core.v1.Pod`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// `v1.Pod` of `io.k8s.api.core.v1.Pod`, as Go prints the type.
    pub fn go_name(&self) -> &str {
        let mut dots = self.name.rmatch_indices('.').map(|(i, _)| i);
        let (_, package) = (dots.next(), dots.next());
        package.map_or(&self.name, |at| &self.name[at + 1..])
    }

    /// The fields as Go writes them: `kind` and `apiVersion`, then in the order of the struct.
    pub fn in_go_order(&self) -> Vec<&Field> {
        let mut fields: Vec<&Field> = self.fields.iter().collect();
        if self.go_order.is_empty() {
            fields.sort_by_key(|f| (!f.number.is_empty(), f.number.is_empty() && f.name == "apiVersion", &f.number));
        } else {
            fields.sort_by_key(|f| self.go_order.split(',').position(|name| name == f.name).unwrap_or(usize::MAX));
        }
        fields
    }

    /// Sorts the fields and derives the wire tree; every builder of a type ends with it.
    pub fn sealed(mut self) -> Self {
        self.fields.sort_by(|a, b| a.name.cmp(&b.name));
        let mut wire = Vec::new();
        for (index, field) in self.fields.iter().enumerate() {
            insert(&mut wire, &field.number, index);
        }
        self.wire = wire;
        self
    }
}

fn insert(wire: &mut Vec<WireField>, path: &[u16], index: usize) {
    let Some((&number, rest)) = path.split_first() else { return };
    let at = match wire.binary_search_by_key(&number, |w| w.number) {
        Ok(at) => at,
        Err(at) => {
            let target = if rest.is_empty() { WireTarget::Field(index) } else { WireTarget::Inline(Vec::new()) };
            wire.insert(at, WireField { number, target });
            at
        }
    };
    if let WireTarget::Inline(inner) = &mut wire[at].target {
        insert(inner, rest, index);
    }
}

impl Field {
    pub fn new(name: impl Into<Text>, of: Of) -> Self {
        Self {
            name: name.into(),
            number: Vec::new(),
            of,
            required: false,
            pointer: false,
            always: false,
            atomic: false,
            nullable: false,
            patch_strategy: None,
            merge_key: None,
            default: None,
        }
    }

    pub fn has_strategy(&self, strategy: &str) -> bool {
        self.patch_strategy.as_deref().is_some_and(|s| s.split(',').any(|part| part == strategy))
    }
}
