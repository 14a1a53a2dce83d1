//! Functions and methods that templates call: their Go signatures, what they are given, and how they fail.
//!
//! A function never panics on account of a template: where Go would, it fails with the text of Go's panic.

use std::collections::HashMap;
use std::rc::Rc;

use crate::exec::Scope;
use crate::value::Value;

/// A parameter's Go type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`
    Any,
    /// `reflect.Value`: sees untyped nil and interfaces as they are.
    Reflect,
    Bool,
    Int,
    Int64,
    Uint32,
    Float64,
    String,
    /// `[]interface {}`
    List,
    /// `[]string`
    Strings,
    /// `[]uint8`
    Bytes,
    /// `map[string]interface {}`
    Map,
    /// `map[string]string`
    StringMap,
    /// A map type of the host by name: its own values and plain `map[string]interface {}` fit.
    NamedMap(&'static str),
    /// A type of the host by name.
    Named(&'static str),
    /// A pointer type of the host by name: nil fits too.
    NamedPointer(&'static str),
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Type::Any => "interface {}",
            Type::Reflect => "reflect.Value",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Int64 => "int64",
            Type::Uint32 => "uint32",
            Type::Float64 => "float64",
            Type::String => "string",
            Type::List => "[]interface {}",
            Type::Strings => "[]string",
            Type::Bytes => "[]uint8",
            Type::Map => "map[string]interface {}",
            Type::StringMap => "map[string]string",
            Type::NamedMap(name) | Type::Named(name) | Type::NamedPointer(name) => name,
        }
    }
}

/// The parameters of a function; when variadic, the last is the type of each further argument.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    pub params: &'static [Type],
    pub variadic: bool,
}

impl Signature {
    pub const fn fixed(params: &'static [Type]) -> Signature {
        Signature { params, variadic: false }
    }

    pub const fn variadic(params: &'static [Type]) -> Signature {
        Signature { params, variadic: true }
    }
}

/// A value and whether its static type is `interface {}`; nil that is boxed is a nil interface, unboxed it is no value at all.
#[derive(Clone)]
pub struct Reflected {
    pub value: Value,
    pub boxed: bool,
}

impl Reflected {
    pub fn bare(value: Value) -> Reflected {
        Reflected { value, boxed: false }
    }

    pub fn boxed(value: Value) -> Reflected {
        Reflected { value, boxed: true }
    }

    /// The zero `reflect.Value`.
    pub fn is_invalid(&self) -> bool {
        !self.boxed && self.value.is_nil()
    }

    pub fn is_nil_interface(&self) -> bool {
        self.boxed && self.value.is_nil()
    }
}

/// Why a function failed: an error of Go, with the error it wraps (`%w`) where it wraps one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub text: String,
    pub source: Option<Box<Failure>>,
    /// Made by executing a template (`template.ExecError`).
    pub exec: bool,
}

impl Failure {
    pub fn new(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), source: None, exec: false }
    }

    /// `fmt.Errorf("{context}: %w", source)`.
    pub fn wrap(context: &str, source: Failure) -> Failure {
        Failure { text: format!("{context}: {}", source.text), source: Some(Box::new(source)), exec: false }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::new(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Failure {
        Failure::new(text)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

pub type Outcome = Result<Value, Failure>;

pub(crate) type ReflectFn = fn(&mut Scope<'_>, &[Reflected]) -> Result<Reflected, Failure>;

#[derive(Clone)]
pub(crate) enum Body {
    Plain(fn(&[Value]) -> Outcome),
    Host(Rc<HostFn>),
    Reflect(ReflectFn),
}

type HostFn = dyn Fn(&mut Scope<'_>, &[Value]) -> Outcome;

#[derive(Clone)]
pub struct Function {
    pub(crate) signature: Signature,
    pub(crate) body: Body,
    pub(crate) builtin: bool,
}

/// A method bound to its receiver.
#[derive(Clone)]
pub struct Method {
    pub(crate) signature: Signature,
    pub(crate) body: Rc<dyn Fn(&[Value]) -> Outcome>,
}

impl Method {
    pub fn new(signature: Signature, body: impl Fn(&[Value]) -> Outcome + 'static) -> Method {
        Method { signature, body: Rc::new(body) }
    }
}

/// The functions that templates may call, by name.
#[derive(Clone, Default)]
pub struct Functions(HashMap<&'static str, Function>);

impl Functions {
    /// Those that text/template itself has.
    pub fn builtin() -> Functions {
        let mut functions = Functions::default();
        crate::builtins::register(&mut functions);
        functions
    }

    /// Adds or replaces a function that only looks at its arguments.
    pub fn add(&mut self, name: &'static str, signature: Signature, body: fn(&[Value]) -> Outcome) {
        self.0.insert(name, Function { signature, body: Body::Plain(body), builtin: false });
    }

    /// Adds or replaces a function of the host that may execute templates.
    pub fn add_host(&mut self, name: &'static str, signature: Signature, body: impl Fn(&mut Scope<'_>, &[Value]) -> Outcome + 'static) {
        self.0.insert(name, Function { signature, body: Body::Host(Rc::new(body)), builtin: false });
    }

    pub(crate) fn add_builtin(&mut self, name: &'static str, signature: Signature, body: ReflectFn) {
        self.0.insert(name, Function { signature, body: Body::Reflect(body), builtin: true });
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }
}
