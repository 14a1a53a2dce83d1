//! Environments: which variables, types and functions expressions may name.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/environment/base.go. `Env::kubernetes()` is the base environment of 1.37; users add their
//! variables and declare the types of their data.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checker::check;
use crate::decl::{Decl, ObjectDecl};
use crate::functions::{Overload, TABLE};
use crate::parser::{Syntax, parse};
use crate::program::Program;
use crate::source::CompileError;
use crate::types::Type;
use crate::validate;

/// What a name stands for.
pub(crate) enum Name {
    Variable(String, Type),
    Type(Type),
}

#[derive(Clone)]
pub(crate) struct Variable {
    pub ty: Type,
    pub decl: Option<Arc<Decl>>,
}

/// Where names are looked up. Cheap to clone before the variables are added.
#[derive(Clone)]
pub struct Env {
    pub(crate) variables: BTreeMap<String, Variable>,
    pub(crate) objects: BTreeMap<Arc<str>, Arc<ObjectDecl>>,
    pub(crate) container: String,
    pub(crate) syntax: Syntax,
    /// Lists and maps of unlike members: an error in Kubernetes.
    pub(crate) mixed_literals: bool,
    /// `jsonpatch.escapeKey`.
    json_patch: bool,
    /// Types named `Object` and `Object.…`, with any fields.
    open_objects: bool,
    unchecked: bool,
}

impl Default for Env {
    fn default() -> Env {
        Env::kubernetes()
    }
}

impl Env {
    /// The base environment.
    pub fn kubernetes() -> Env {
        Env {
            variables: BTreeMap::new(),
            objects: BTreeMap::new(),
            container: String::new(),
            syntax: Syntax { bindings: false, quoted_fields: false, macros: true },
            mixed_literals: false,
            json_patch: false,
            open_objects: false,
            unchecked: false,
        }
    }

    /// The language without Kubernetes' restrictions: unlike members in literals, `cel.bind`, quoted field names.
    pub fn relaxed() -> Env {
        let mut env = Env::kubernetes();
        env.mixed_literals = true;
        env.syntax = Syntax { bindings: true, quoted_fields: true, macros: true };
        env
    }

    /// Declares a variable of a type.
    #[must_use]
    pub fn variable(mut self, name: &str, ty: Type) -> Env {
        self.variables.insert(name.to_owned(), Variable { ty, decl: None });
        self
    }

    /// Declares a variable by what its JSON is; object types inside become known, sizes bound the cost estimate.
    #[must_use]
    pub fn declare(mut self, name: &str, decl: Arc<Decl>) -> Env {
        decl.objects(&mut self.objects);
        self.variables.insert(name.to_owned(), Variable { ty: decl.ty(), decl: Some(decl) });
        self
    }

    /// Makes an object type known without a variable of it.
    #[must_use]
    pub fn object(mut self, decl: Arc<ObjectDecl>) -> Env {
        self.objects.insert(decl.name.clone(), decl);
        self
    }

    /// `cel.bind`.
    #[must_use]
    pub fn with_bindings(mut self) -> Env {
        self.syntax.bindings = true;
        self
    }

    /// What mutations add: `Object{...}` of any fields, `JSONPatch{...}`, `jsonpatch.escapeKey`.
    #[must_use]
    pub fn with_mutations(mut self) -> Env {
        self.json_patch = true;
        self.open_objects = true;
        self
    }

    #[must_use]
    pub fn container(mut self, name: &str) -> Env {
        self.container = name.to_owned();
        self
    }

    /// Names and types are resolved when evaluating, as far as they are.
    #[must_use]
    pub fn without_checks(mut self) -> Env {
        self.unchecked = true;
        self
    }

    #[must_use]
    pub fn without_macros(mut self) -> Env {
        self.syntax.macros = false;
        self
    }

    /// Parses, checks and plans an expression.
    pub fn compile(&self, source: &str) -> Result<Program, CompileError> {
        let ast = parse(source, self.syntax)?;
        let checked = if self.unchecked {
            None
        } else {
            let checked = check(&ast, self).map_err(|issues| CompileError::new(source, issues))?;
            let issues = validate::literals(&ast, &checked, self.mixed_literals);
            if !issues.is_empty() {
                return Err(CompileError::new(source, issues));
            }
            Some(checked)
        };
        Ok(Program::new(source, ast, checked, self))
    }

    /// Whether an expression reads `field` of the variable `operand` anywhere, also as `operand.?field`.
    pub fn selects(&self, source: &str, operand: &str, field: &str) -> bool {
        parse(source, self.syntax).is_ok_and(|ast| ast.root.selects(operand, field))
    }

    /// A name and, within a container, what it may be short for; the longest first.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(global) = name.strip_prefix('.') {
            return vec![global.to_owned()];
        }
        let mut names = Vec::new();
        let mut prefix = self.container.as_str();
        while !prefix.is_empty() {
            names.push(format!("{prefix}.{name}"));
            prefix = prefix.rsplit_once('.').map_or("", |(head, _)| head);
        }
        names.push(name.to_owned());
        names
    }

    pub(crate) fn resolve(&self, name: &str) -> Option<Name> {
        self.candidates(name).into_iter().find_map(|full| {
            if let Some(variable) = self.variables.get(&full) {
                return Some(Name::Variable(full, variable.ty.clone()));
            }
            self.type_named(&full).map(Name::Type)
        })
    }

    pub(crate) fn type_named(&self, name: &str) -> Option<Type> {
        Some(match name {
            "bool" => Type::Bool,
            "bytes" => Type::Bytes,
            "double" => Type::Double,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "string" => Type::String,
            "null_type" => Type::Null,
            "list" => Type::list(Type::Dyn),
            "map" => Type::map(Type::Dyn, Type::Dyn),
            "type" => Type::Type(None),
            "google.protobuf.Duration" => Type::Duration,
            "google.protobuf.Timestamp" => Type::Timestamp,
            "optional_type" => Type::optional(Type::Dyn),
            "net.IP" | "net.CIDR" => Type::opaque(name),
            _ if self.objects.contains_key(name) || self.is_open(name) => Type::object(name),
            _ => return None,
        })
    }

    fn is_open(&self, name: &str) -> bool {
        self.open_objects && (name == "Object" || name == "JSONPatch" || name.starts_with("Object."))
    }

    pub(crate) fn field(&self, object: &str, field: &str) -> Option<Type> {
        if let Some(decl) = self.objects.get(object) {
            return decl.fields.get(field).map(|f| f.decl.ty());
        }
        match object {
            // Upstream: k8s.io/apiserver/pkg/cel/mutation/jsonpatch.go.
            "JSONPatch" if self.open_objects => match field {
                "op" | "path" | "from" => Some(Type::String),
                "value" => Some(Type::Dyn),
                _ => None,
            },
            _ if self.is_open(object) => Some(Type::Dyn),
            _ => None,
        }
    }

    pub(crate) fn function(&self, name: &str) -> Option<&'static [Overload]> {
        let off = name == "jsonpatch.escapeKey" && !self.json_patch;
        if off {
            return None;
        }
        self.candidates(name).into_iter().find_map(|full| TABLE.functions.get(full.as_str())).map(Vec::as_slice)
    }
}
