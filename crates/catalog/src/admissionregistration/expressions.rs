//! The environment of admission's expressions, and what each kind of expression must give.
//!
//! Upstream: apiserver `pkg/admission/plugin/cel/compile.go`, `composition.go`. The same code checks expressions when they are
//! stored and makes programs of them when they are used, so that what was accepted can be run.

use std::sync::{Arc, LazyLock};

use api::field::{FieldError, FieldErrors, Path};
use cel::{Decl, DeclKind, Env, Program, Type};
use serde_json::Value;


fn object(name: &str, fields: &[(&str, Decl)]) -> Decl {
    Decl::record(name, fields.iter().map(|(field, decl)| ((*field).to_owned(), decl.clone())))
}

fn text() -> Decl {
    Decl::new(DeclKind::String)
}

fn named(name: &str, third: &str) -> Decl {
    object(name, &[("group", text()), ("version", text()), (third, text())])
}

/// The variable `request`. Upstream: without `uid`, `object` and `oldObject`.
pub static REQUEST: LazyLock<Arc<Decl>> = LazyLock::new(|| {
    let (kind, resource) = (named("kubernetes.GroupVersionKind", "kind"), named("kubernetes.GroupVersionResource", "resource"));
    let user = [("username", text()), ("uid", text()), ("groups", Decl::list(text())), ("extra", Decl::map(Decl::list(text())))];
    Arc::new(object(
        "kubernetes.AdmissionRequest",
        &[
            ("kind", kind.clone()),
            ("resource", resource.clone()),
            ("subResource", text()),
            ("requestKind", kind),
            ("requestResource", resource),
            ("requestSubResource", text()),
            ("name", text()),
            ("namespace", text()),
            ("operation", text()),
            ("userInfo", object("kubernetes.UserInfo", &user)),
            ("dryRun", Decl::new(DeclKind::Bool)),
            ("options", Decl::DYN.clone()),
        ],
    ))
});

/// The variable `namespaceObject`.
pub static NAMESPACE: LazyLock<Arc<Decl>> = LazyLock::new(|| {
    let time = || Decl::new(DeclKind::DateTime);
    let metadata = [
        ("name", text()),
        ("generateName", text()),
        ("namespace", text()),
        ("labels", Decl::map(text())),
        ("annotations", Decl::map(text())),
        ("UID", text()),
        ("creationTimestamp", time()),
        ("deletionGracePeriodSeconds", Decl::new(DeclKind::Int)),
        ("deletionTimestamp", time()),
        ("generation", Decl::new(DeclKind::Int)),
        ("resourceVersion", text()),
        ("finalizers", Decl::list(text())),
    ];
    let condition = [("status", text()), ("type", text()), ("lastTransitionTime", time()), ("message", text()), ("reason", text())];
    let status = [("conditions", Decl::list(object("kubernetes.NamespaceCondition", &condition))), ("phase", text())];
    Arc::new(object(
        "kubernetes.Namespace",
        &[
            ("metadata", object("kubernetes.NamespaceMetadata", &metadata)),
            ("spec", object("kubernetes.NamespaceSpec", &[("finalizers", Decl::list(text()))])),
            ("status", object("kubernetes.NamespaceStatus", &status)),
        ],
    ))
});

/// Which variables expressions of an object have.
#[derive(Debug, Clone, Copy, Default)]
pub struct Has {
    pub params: bool,
    pub authorizer: bool,
    /// What mutations build: `Object{...}` and `JSONPatch{...}`.
    pub patches: bool,
}

/// What an expression must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    Truth,
    Text,
    TextOrNull,
    Anything,
    /// An `Object` of which fields are applied.
    Configuration,
    Patch,
}

impl Gives {
    fn types(self) -> Vec<Type> {
        match self {
            Self::Truth => vec![Type::Bool],
            Self::Text => vec![Type::String],
            Self::TextOrNull => vec![Type::String, Type::Null],
            Self::Anything => Vec::new(),
            Self::Configuration => vec![Type::object("Object")],
            Self::Patch => vec![Type::list(Type::object("JSONPatch"))],
        }
    }
}

/// Compiles the expressions of one policy or webhook; variables are added as they come.
pub struct Compiler {
    base: Env,
    variables: Vec<(String, Type)>,
}

impl Compiler {
    /// `object` and `old` are what is known of the objects' type; upstream knows nothing of them but when it checks types.
    pub fn new(has: Has, object: Option<&Arc<Decl>>, params: Option<&Arc<Decl>>) -> Self {
        let mut env = Env::kubernetes().declare("request", REQUEST.clone()).declare("namespaceObject", NAMESPACE.clone());
        for name in ["object", "oldObject"] {
            env = match object {
                Some(decl) => env.declare(name, decl.clone()),
                None => env.variable(name, Type::Dyn),
            };
        }
        if has.params {
            env = match params {
                Some(decl) => env.declare("params", decl.clone()),
                None => env.variable("params", Type::Dyn),
            };
        }
        if has.authorizer {
            env = env.variable("authorizer", Type::object("kubernetes.authorization.Authorizer"));
            env = env.variable("authorizer.requestResource", Type::object("kubernetes.authorization.ResourceCheck"));
        }
        if has.patches {
            env = env.with_mutations();
        }
        Self { base: env, variables: Vec::new() }
    }

    fn env(&self) -> Env {
        if self.variables.is_empty() {
            return self.base.clone();
        }
        let fields = self.variables.iter().map(|(name, ty)| (name.clone(), decl_of(ty)));
        self.base.clone().declare("variables", Arc::new(Decl::object("kubernetes.variables", fields)))
    }

    /// A program, or upstream's words for why there is none.
    pub fn compile(&self, expression: &str, gives: Gives) -> Result<Program, String> {
        let program = self.env().compile(expression).map_err(|error| format!("compilation failed: {error}"))?;
        let (found, wanted) = (program.result_type(), gives.types());
        if wanted.is_empty() || wanted.contains(&found) {
            return Ok(program);
        }
        Err(match wanted.as_slice() {
            [one] => format!("must evaluate to {} but got {}", one.declared(), found.declared()),
            many => format!("must evaluate to one of [{}] but got {}", many.iter().map(Type::declared).collect::<Vec<_>>().join(" "), found.declared()),
        })
    }

    /// Compiles a variable; what comes after may refer to it.
    pub fn variable(&mut self, name: &str, expression: &str) -> Result<Program, String> {
        let program = self.compile(expression, Gives::Anything);
        let ty = program.as_ref().map_or(Type::Dyn, Program::result_type);
        self.variables.push((name.to_owned(), ty));
        program
    }
}

/// How a value of a type is declared as the field of another.
fn decl_of(ty: &Type) -> Decl {
    match ty {
        Type::Bool => Decl::new(DeclKind::Bool),
        Type::Int => Decl::new(DeclKind::Int),
        Type::Double => Decl::new(DeclKind::Double),
        Type::String => text(),
        Type::Bytes => Decl::new(DeclKind::Bytes),
        Type::Duration => Decl::new(DeclKind::Duration),
        Type::Timestamp => Decl::new(DeclKind::DateTime),
        Type::List(items) => Decl::list(decl_of(items)),
        Type::Map(of) if of.0 == Type::String => Decl::map(decl_of(&of.1)),
        _ => Decl::DYN.clone(),
    }
}

/// Tells why an expression does not compile; nothing is said of one that is empty.
pub fn told(errors: &mut FieldErrors, path: &Path, expression: &str, result: Result<Program, String>) {
    if let Err(why) = result
        && !expression.trim().is_empty()
    {
        errors.push(FieldError::invalid(path, expression, why));
    }
}

/// What match conditions may speak of. Upstream: they know no variables of the policy.
pub fn of_conditions(has_params: bool) -> Compiler {
    Compiler::new(Has { params: has_params, authorizer: true, patches: false }, None, None)
}

/// Compiles what a policy computes, one expression after the other.
pub struct Policy {
    values: Compiler,
    /// Messages have no authorizer.
    messages: Compiler,
}

impl Policy {
    pub fn of(spec: &Value) -> Self {
        let has = Has { params: spec["paramKind"].is_object(), authorizer: true, patches: spec.get("mutations").is_some() };
        Self { values: Compiler::new(has, None, None), messages: Compiler::new(Has { authorizer: false, ..has }, None, None) }
    }

    pub fn variable(&mut self, errors: &mut FieldErrors, path: &Path, name: &str, expression: &str) {
        let _ = self.messages.variable(name, expression);
        told(errors, path, expression, self.values.variable(name, expression));
    }

    pub fn value(&self, errors: &mut FieldErrors, path: &Path, expression: &str, gives: Gives) {
        told(errors, path, expression, self.values.compile(expression, gives));
    }

    pub fn message(&self, errors: &mut FieldErrors, path: &Path, expression: &str) {
        told(errors, path, expression, self.messages.compile(expression, Gives::Text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_know_their_variables() {
        let has = Has { params: true, authorizer: true, patches: false };
        let mut compiler = Compiler::new(has, None, None);
        assert!(compiler.variable("count", "object.spec.replicas + 1").is_ok());
        assert!(compiler.compile("variables.count > 3 && request.userInfo.username != '' && request.namespace != 'kube-system' && namespaceObject.metadata.name == params.name", Gives::Truth).is_ok());
        assert!(compiler.compile("authorizer.requestResource.check('get').allowed() && authorizer.group('').resource('pods').check('list').allowed()", Gives::Truth).is_ok());
        assert_eq!(compiler.compile("1 + 1", Gives::Truth).unwrap_err(), "must evaluate to bool but got int");
        let why = compiler.compile("variables.other", Gives::Anything).unwrap_err();
        assert!(why.starts_with("compilation failed: ERROR: <input>:1:10: undefined field 'other'"), "{why}");
    }

    #[test]
    fn mutations_build_objects_and_patches() {
        let compiler = Compiler::new(Has { params: false, authorizer: true, patches: true }, None, None);
        for (expression, gives) in [
            ("Object{spec: Object.spec{replicas: object.spec.replicas + 1}}", Gives::Configuration),
            ("[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'x'}]", Gives::Patch),
        ] {
            if let Err(why) = compiler.compile(expression, gives) {
                panic!("{expression}: {why}");
            }
        }
    }
}
