//! The type checker: a type for every node, a meaning for every name, and cel-go's words for what does not fit.
//!
//! Upstream: cel-go checker/checker.go, checker/errors.go.

mod compound;

use std::collections::HashMap;

use crate::ast::{Ast, Const, Expr, Id, Kind, op, qualified};
use crate::env::{Env, Name};
use crate::functions::Overload;
use crate::source::Issue;
use crate::types::{Type, signature};
use crate::unify::{Bindings, instantiate};

/// What a node was found to mean.
#[derive(Clone)]
pub(crate) enum Reference {
    Variable(String),
    TypeValue(Type),
    /// The overloads that fit; the function's full name when it was written as `a.b(...)`.
    Function { overloads: Vec<&'static Overload>, global: bool },
    Struct(String),
}

#[derive(Default)]
pub(crate) struct Checked {
    pub types: HashMap<Id, Type>,
    pub references: HashMap<Id, Reference>,
}

impl Checked {
    pub(crate) fn ty(&self, expr: &Expr) -> &Type {
        self.types.get(&expr.id).unwrap_or(&Type::Dyn)
    }
}

pub(crate) struct Checker<'e> {
    env: &'e Env,
    ast: &'e Ast,
    bindings: Bindings,
    scopes: Vec<(String, Type)>,
    out: Checked,
    issues: Vec<Issue>,
}

pub(crate) fn check(ast: &Ast, env: &Env) -> Result<Checked, Vec<Issue>> {
    let mut checker = Checker { env, ast, bindings: Bindings::default(), scopes: Vec::new(), out: Checked::default(), issues: Vec::new() };
    checker.check(&ast.root);
    if checker.bindings.exhausted() {
        return Err(vec![Issue { at: None, message: "expression is too complex to check".into() }]);
    }
    if !checker.issues.is_empty() {
        return Err(checker.issues);
    }
    let Checker { bindings, mut out, .. } = checker;
    for ty in out.types.values_mut() {
        *ty = bindings.resolve(ty, true);
    }
    if bindings.exhausted() {
        return Err(vec![Issue { at: None, message: "expression is too complex to check".into() }]);
    }
    Ok(out)
}

impl Checker<'_> {
    fn report(&mut self, id: Id, message: String) {
        let at = self.ast.at(id);
        self.issues.push(Issue { at, message });
    }

    fn set(&mut self, id: Id, ty: Type) {
        self.out.types.insert(id, ty);
    }

    fn ty(&self, expr: &Expr) -> Type {
        self.out.types.get(&expr.id).cloned().unwrap_or(Type::Error)
    }

    fn undeclared(&mut self, id: Id, name: &str) {
        let container = self.env.container.clone();
        self.report(id, format!("undeclared reference to '{name}' (in container '{container}')"));
    }

    fn check(&mut self, e: &Expr) {
        match &e.kind {
            Kind::Const(constant) => self.set(e.id, constant_type(constant)),
            Kind::Ident(name) => self.ident(e, name),
            Kind::Select { operand, field, test } => self.select(e, operand, field, *test),
            Kind::Call { function, target, args } => self.call(e, function, target.as_deref(), args),
            Kind::List { items, optional } => self.list(e, items, optional),
            Kind::Map(entries) => self.map(e, entries),
            Kind::Struct { name, fields } => self.construct(e, name, fields),
            Kind::Fold(fold) => self.fold(e, fold),
            Kind::Error => self.set(e.id, Type::Error),
        }
    }

    /// A name's type, loops' variables first.
    fn lookup(&mut self, id: Id, name: &str) -> Option<Type> {
        if !name.starts_with('.')
            && let Some((_, ty)) = self.scopes.iter().rev().find(|(n, _)| n == name)
        {
            return Some(ty.clone());
        }
        let (reference, ty) = match self.env.resolve(name)? {
            Name::Variable(full, ty) => (Reference::Variable(full), ty),
            Name::Type(ty) => (Reference::TypeValue(ty.clone()), Type::of_type(ty)),
        };
        self.out.references.insert(id, reference);
        Some(ty)
    }

    fn ident(&mut self, e: &Expr, name: &str) {
        let ty = self.lookup(e.id, name).unwrap_or_else(|| {
            self.undeclared(e.id, name);
            Type::Error
        });
        self.set(e.id, ty);
    }

    fn select(&mut self, e: &Expr, operand: &Expr, field: &str, test: bool) {
        if !test
            && let Some(name) = qualified(e)
            && !self.is_local(&name)
            && let Some(ty) = self.lookup(e.id, &name)
        {
            return self.set(e.id, ty);
        }
        let ty = self.field(e, operand, field, false);
        let ty = if test { Type::Bool } else { ty };
        let ty = self.bindings.resolve(&ty, false);
        self.set(e.id, ty);
    }

    /// Whether the first name of a chain is a loop's variable.
    fn is_local(&self, name: &str) -> bool {
        let root = name.split('.').next().unwrap_or(name);
        self.scopes.iter().any(|(n, _)| n == root)
    }

    fn field(&mut self, e: &Expr, operand: &Expr, field: &str, optional: bool) -> Type {
        self.check(operand);
        let operand_ty = self.bindings.resolve(&self.ty(operand), false);
        let (target, through) = match operand_ty.unwrap_optional() {
            Some(inner) => (inner.clone(), true),
            None => (operand_ty, false),
        };
        let result = match &target {
            Type::Map(of) => of.1.clone(),
            Type::Object(name) => self.field_type(e.id, name, field).unwrap_or(Type::Error),
            Type::Var(_) => {
                self.bindings.assignable(&Type::Dyn, &target);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            other => {
                self.report(e.id, format!("type '{other}' does not support field selection"));
                Type::Dyn
            }
        };
        if through || optional { Type::optional(result) } else { result }
    }

    fn field_type(&mut self, id: Id, object: &str, field: &str) -> Option<Type> {
        let found = self.env.field(object, field);
        if found.is_none() {
            self.report(id, format!("undefined field '{field}'"));
        }
        found
    }

    fn call(&mut self, e: &Expr, function: &str, target: Option<&Expr>, args: &[Expr]) {
        if function == op::OPT_SELECT {
            let Some(Kind::Const(Const::String(name))) = args.get(1).map(|a| &a.kind) else {
                return self.set(e.id, Type::Error);
            };
            let ty = self.field(e, &args[0], &name.clone(), true);
            let ty = self.bindings.resolve(&ty, false);
            self.set(args[1].id, Type::String);
            return self.set(e.id, ty);
        }
        for arg in args {
            self.check(arg);
        }
        let Some(target) = target else {
            return match self.env.function(function) {
                Some(overloads) => self.resolve(e, function, overloads, None, args),
                None => {
                    self.undeclared(e.id, function);
                    self.set(e.id, Type::Error);
                }
            };
        };
        if let Some(prefix) = qualified(target)
            && let full = format!("{prefix}.{function}")
            && let Some(overloads) = self.env.function(&full)
        {
            return self.resolve(e, &full, overloads, None, args);
        }
        self.check(target);
        match self.env.function(function) {
            Some(overloads) => self.resolve(e, function, overloads, Some(target), args),
            None => {
                self.set(e.id, Type::Error);
                self.undeclared(e.id, function);
            }
        }
    }

    fn logical(&mut self, e: &Expr, args: &[Expr], overloads: &'static [Overload]) {
        let mut failed = false;
        for arg in args {
            let ty = self.ty(arg);
            if !self.bindings.assignable(&ty, &Type::Bool) {
                let shown = self.bindings.resolve(&ty, false);
                self.report(arg.id, format!("expected type 'bool' but found '{shown}'"));
                failed = true;
            }
        }
        self.set(e.id, if failed { Type::Error } else { Type::Bool });
        self.out.references.insert(e.id, Reference::Function { overloads: overloads.iter().take(1).collect(), global: true });
    }

    fn resolve(&mut self, e: &Expr, name: &str, overloads: &'static [Overload], target: Option<&Expr>, args: &[Expr]) {
        if name == op::AND || name == op::OR {
            return self.logical(e, args, overloads);
        }
        let given: Vec<Type> = target.into_iter().chain(args).map(|a| self.ty(a)).collect();
        let mut fitting = Vec::new();
        let mut result: Option<Type> = None;
        for overload in overloads.iter().filter(|o| o.member == target.is_some()) {
            let vars: Vec<Type> = (0..overload.variables).map(|_| self.bindings.fresh()).collect();
            let params: Vec<Type> = overload.params.iter().map(|p| instantiate(p, &vars)).collect();
            if !self.bindings.all_assignable(&given, &params) {
                continue;
            }
            fitting.push(overload);
            let this = self.bindings.resolve(&instantiate(&overload.result, &vars), false);
            result = Some(match result {
                None => this,
                Some(earlier) if earlier.is_dyn() || earlier == this => earlier,
                Some(_) => Type::Dyn,
            });
        }
        let Some(result) = result else {
            let shown: Vec<Type> = given.iter().map(|t| self.bindings.resolve(t, true)).collect();
            self.report(e.id, format!("found no matching overload for '{name}' applied to '{}'", signature(&shown, target.is_some())));
            return self.set(e.id, Type::Error);
        };
        self.set(e.id, result);
        self.out.references.insert(e.id, Reference::Function { overloads: fitting, global: target.is_none() });
    }
}

fn constant_type(constant: &Const) -> Type {
    match constant {
        Const::Null => Type::Null,
        Const::Bool(_) => Type::Bool,
        Const::Int(_) => Type::Int,
        Const::Uint(_) => Type::Uint,
        Const::Double(_) => Type::Double,
        Const::String(_) => Type::String,
        Const::Bytes(_) => Type::Bytes,
    }
}
