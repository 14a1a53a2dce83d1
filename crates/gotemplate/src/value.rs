//! Go values as templates see them: each knows its Go type, since messages, comparison and printing depend on it.
//!
//! Lists never change; maps are references that `set` and its kin change in place. Neither is ever dropped recursively, so
//! values nested however deep do not overflow the stack.

use std::any::Any;
use std::borrow::Cow;
use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::function::Method;
use crate::text::Str;

/// `reflect.Kind`, as far as it is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Invalid,
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    String,
    Slice,
    Map,
    Struct,
    Pointer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntType {
    Int,
    Int32,
    Int64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UintType {
    Uint,
    Uint8,
    Uint32,
    Uint64,
}

/// What a list holds, by its Go element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// `interface {}`
    Any,
    String,
    Int,
    /// `[]interface {}`
    List,
    /// `map[string]interface {}`
    Map,
    /// `error`
    Error,
}

impl Elem {
    pub fn type_name(self) -> &'static str {
        match self {
            Elem::Any => "interface {}",
            Elem::String => "string",
            Elem::Int => "int",
            Elem::List => "[]interface {}",
            Elem::Map => "map[string]interface {}",
            Elem::Error => "error",
        }
    }
}

/// A Go map with string keys, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`
    Strings,
    /// A named map type of the host, with methods.
    Named(&'static NamedMap),
}

/// A named type whose underlying type is `map[string]interface {}`.
pub struct NamedMap {
    pub name: &'static str,
    pub method: fn(&Map, &str) -> Option<Method>,
}

impl PartialEq for NamedMap {
    fn eq(&self, other: &NamedMap) -> bool {
        self.name == other.name
    }
}

impl Eq for NamedMap {}

impl std::fmt::Debug for NamedMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl MapType {
    pub fn type_name(self) -> &'static str {
        match self {
            MapType::Any => "map[string]interface {}",
            MapType::Strings => "map[string]string",
            MapType::Named(named) => named.name,
        }
    }

    pub fn elem_name(self) -> &'static str {
        if self == MapType::Strings { "string" } else { "interface {}" }
    }
}

#[derive(Clone)]
pub enum Value {
    /// The untyped nil.
    Nil,
    Bool(bool),
    Int(IntType, i64),
    Uint(UintType, u64),
    Float(f64),
    Complex(f64, f64),
    Str(Str),
    /// `[]uint8`; none is the nil slice.
    Bytes(Option<Str>),
    List(List),
    Map(Map),
    Object(Rc<dyn Object>),
}

/// A struct, a pointer, or a named type with methods, given by the host.
pub trait Object {
    /// The type as `%T` prints it.
    fn type_name(&self) -> Cow<'static, str>;
    fn kind(&self) -> Kind;
    fn as_any(&self) -> &dyn Any;

    /// An exported field of the struct (or of the struct pointed to).
    fn field(&self, _name: &str) -> Option<Value> {
        None
    }
    fn method(&self, _name: &str) -> Option<Method> {
        None
    }
    /// All fields of the struct in order, for `%v`.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
    /// What a pointer points to.
    fn target(&self) -> Option<Value> {
        None
    }
    /// The elements of a slice, or the entries of a map.
    fn items(&self) -> Vec<(Value, Value)> {
        Vec::new()
    }
    /// The entry of a map; nothing when this is no map with string keys.
    fn entry(&self, _key: &[u8]) -> Option<Value> {
        None
    }
    /// What a map of this type gives for a key it lacks.
    fn missing_entry(&self) -> Value {
        Value::Nil
    }
    /// What `String` gives where only the pointer has it: an action prints it, since what it reaches is addressable.
    fn addressed_stringer(&self) -> Option<Str> {
        None
    }
    /// The same as a copy that cannot be addressed, where that differs: an argument of a function is one.
    fn unaddressed(&self) -> Option<Value> {
        None
    }
    /// What `Error` or `String` give, for printing.
    fn stringer(&self) -> Option<Str> {
        None
    }
    /// The plain value of a named basic type.
    fn basic(&self) -> Option<Value> {
        None
    }
    /// What `encoding/json` makes of it, where that is not plain from its fields: a value to encode instead.
    fn json(&self) -> Option<Value> {
        None
    }
    /// The fields of a struct that `encoding/json` writes, by the names it gives them.
    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }
    /// Whether what is held is the same, where both are of one comparable type.
    fn equals(&self, _other: &dyn Object) -> Option<bool> {
        None
    }
}

/// A Go slice.
#[derive(Clone)]
pub struct List(Rc<ListData>);

struct ListData {
    elem: Elem,
    nil: bool,
    items: Vec<Value>,
}

impl List {
    pub fn new(elem: Elem, items: Vec<Value>) -> List {
        List(Rc::new(ListData { elem, nil: false, items }))
    }

    pub fn nil(elem: Elem) -> List {
        List(Rc::new(ListData { elem, nil: true, items: Vec::new() }))
    }

    pub fn elem(&self) -> Elem {
        self.0.elem
    }

    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    pub fn same(&self, other: &List) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub fn identity(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }
}

impl Drop for ListData {
    fn drop(&mut self) {
        drop_flat(&mut self.items);
    }
}

/// A Go map with string keys: a reference, as in Go.
#[derive(Clone)]
pub struct Map {
    kind: MapType,
    data: Rc<MapData>,
}

struct MapData {
    nil: bool,
    entries: RefCell<BTreeMap<Str, Value>>,
}

impl Map {
    pub fn new(kind: MapType, entries: BTreeMap<Str, Value>) -> Map {
        Map { kind, data: Rc::new(MapData { nil: false, entries: RefCell::new(entries) }) }
    }

    pub fn empty() -> Map {
        Map::new(MapType::Any, BTreeMap::new())
    }

    pub fn nil(kind: MapType) -> Map {
        Map { kind, data: Rc::new(MapData { nil: true, entries: RefCell::default() }) }
    }

    pub fn kind(&self) -> MapType {
        self.kind
    }

    /// The same map under another type, as a conversion in Go.
    pub fn retyped(&self, kind: MapType) -> Map {
        Map { kind, data: self.data.clone() }
    }

    pub fn is_nil(&self) -> bool {
        self.data.nil
    }

    pub fn borrow(&self) -> Ref<'_, BTreeMap<Str, Value>> {
        self.data.entries.borrow()
    }

    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.data.entries.borrow().get(key).cloned()
    }

    pub fn len(&self) -> usize {
        self.data.entries.borrow().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn set(&self, key: Str, value: Value) {
        self.data.entries.borrow_mut().insert(key, value);
    }

    pub fn remove(&self, key: &[u8]) -> Option<Value> {
        self.data.entries.borrow_mut().remove(key)
    }

    pub fn same(&self, other: &Map) -> bool {
        Rc::ptr_eq(&self.data, &other.data)
    }

    pub fn identity(&self) -> usize {
        Rc::as_ptr(&self.data).addr()
    }
}

impl Drop for MapData {
    fn drop(&mut self) {
        let entries = std::mem::take(self.entries.get_mut());
        drop_flat(&mut entries.into_values().collect());
    }
}

/// Takes apart what would be dropped in turn, so that depth costs heap, not stack.
fn drop_flat(values: &mut Vec<Value>) {
    while let Some(value) = values.pop() {
        match value {
            Value::List(List(data)) => {
                if let Ok(mut data) = Rc::try_unwrap(data) {
                    values.append(&mut data.items);
                }
            }
            Value::Map(Map { data, .. }) => {
                if let Ok(mut data) = Rc::try_unwrap(data) {
                    values.extend(std::mem::take(data.entries.get_mut()).into_values());
                }
            }
            _ => {}
        }
    }
}

impl Value {
    pub fn int(value: i64) -> Value {
        Value::Int(IntType::Int, value)
    }

    pub fn int64(value: i64) -> Value {
        Value::Int(IntType::Int64, value)
    }

    pub fn str(text: impl Into<Str>) -> Value {
        Value::Str(text.into())
    }

    /// `[]interface {}`
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(List::new(Elem::Any, items))
    }

    /// `[]string`
    pub fn strings<T: Into<Str>>(items: impl IntoIterator<Item = T>) -> Value {
        Value::List(List::new(Elem::String, items.into_iter().map(Value::str).collect()))
    }

    /// `map[string]interface {}`
    pub fn map(entries: impl IntoIterator<Item = (Str, Value)>) -> Value {
        Value::Map(Map::new(MapType::Any, entries.into_iter().collect()))
    }

    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// Nil of any type: what Go's `IsNil` says of pointers, maps and slices, and untyped nil.
    pub fn is_any_nil(&self) -> bool {
        match self {
            Value::Nil | Value::Bytes(None) => true,
            Value::List(list) => list.is_nil(),
            Value::Map(map) => map.is_nil(),
            _ => false,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Value::Nil => Kind::Invalid,
            Value::Bool(_) => Kind::Bool,
            Value::Int(..) => Kind::Int,
            Value::Uint(..) => Kind::Uint,
            Value::Float(_) => Kind::Float,
            Value::Complex(..) => Kind::Complex,
            Value::Str(_) => Kind::String,
            Value::Bytes(_) | Value::List(_) => Kind::Slice,
            Value::Map(_) => Kind::Map,
            Value::Object(object) => object.kind(),
        }
    }

    /// `reflect.Kind.String`.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Nil => "invalid",
            Value::Bool(_) => "bool",
            Value::Int(kind, _) => int_name(*kind),
            Value::Uint(kind, _) => uint_name(*kind),
            Value::Float(_) => "float64",
            Value::Complex(..) => "complex128",
            Value::Str(_) => "string",
            Value::Bytes(_) | Value::List(_) => "slice",
            Value::Map(_) => "map",
            Value::Object(object) => match object.kind() {
                Kind::Pointer => "ptr",
                Kind::Struct => "struct",
                Kind::Slice => "slice",
                Kind::Map => "map",
                _ => object.basic().map_or("invalid", |basic| basic.kind_name()),
            },
        }
    }

    /// The type as `%T` prints it.
    pub fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(kind, _) => int_name(*kind),
            Value::Uint(kind, _) => uint_name(*kind),
            Value::Float(_) => "float64",
            Value::Complex(..) => "complex128",
            Value::Str(_) => "string",
            Value::Bytes(_) => "[]uint8",
            Value::List(list) => return Cow::Owned(format!("[]{}", list.elem().type_name())),
            Value::Map(map) => map.kind().type_name(),
            Value::Object(object) => return object.type_name(),
        })
    }

    /// `isTrue` of text/template: neither the zero of its type nor empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(_, value) => *value != 0,
            Value::Uint(_, value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::Bytes(bytes) => bytes.as_ref().is_some_and(|b| !b.is_empty()),
            Value::List(list) => !list.items().is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Object(object) => match object.kind() {
                Kind::Slice | Kind::Map => !object.items().is_empty(),
                Kind::Struct | Kind::Pointer => true,
                _ => object.basic().is_some_and(|basic| basic.is_true()),
            },
        }
    }

    pub fn as_str(&self) -> Option<&Str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&List> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The elements of any slice.
    pub fn elements(&self) -> Option<Cow<'_, [Value]>> {
        match self {
            Value::List(list) => Some(Cow::Borrowed(list.items())),
            Value::Bytes(bytes) => Some(Cow::Owned(bytes.iter().flat_map(|b| b.iter()).map(|b| Value::Uint(UintType::Uint8, u64::from(*b))).collect())),
            Value::Object(object) if object.kind() == Kind::Slice => Some(Cow::Owned(object.items().into_iter().map(|(_, v)| v).collect())),
            _ => None,
        }
    }
}

fn int_name(kind: IntType) -> &'static str {
    match kind {
        IntType::Int => "int",
        IntType::Int32 => "int32",
        IntType::Int64 => "int64",
    }
}

fn uint_name(kind: UintType) -> &'static str {
    match kind {
        UintType::Uint => "uint",
        UintType::Uint8 => "uint8",
        UintType::Uint32 => "uint32",
        UintType::Uint64 => "uint64",
    }
}
