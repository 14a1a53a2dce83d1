//! Assignability and inference: which types fit where, and what type variables become.
//!
//! Upstream: cel-go checker/types.go. Invariant: a failed attempt leaves the bindings as they were.

use std::cell::Cell;
use std::sync::Arc;

use crate::types::Type;

/// Types of types double in size when a macro nests them: no check takes more steps than this.
const MAX_STEPS: u64 = 4_000_000;

#[derive(Default)]
pub(crate) struct Bindings {
    bound: Vec<Option<Type>>,
    /// What to restore when an attempt fails.
    undo: Vec<(u32, Option<Type>)>,
    steps: Cell<u64>,
}

impl Bindings {
    /// Counts a step; false when there were too many.
    fn step(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        !self.exhausted()
    }

    /// The checks gave up, and what they found is worth nothing.
    pub(crate) fn exhausted(&self) -> bool {
        self.steps.get() > MAX_STEPS
    }

    pub(crate) fn fresh(&mut self) -> Type {
        self.bound.push(None);
        Type::Var((self.bound.len() - 1) as u32)
    }

    fn bind(&mut self, var: u32, ty: Type) {
        let old = self.bound[var as usize].replace(ty);
        self.undo.push((var, old));
    }

    fn find(&self, var: u32) -> Option<&Type> {
        self.bound.get(var as usize).and_then(Option::as_ref)
    }

    /// Whether values of `from` may stand where `to` is wanted (as cel-go orders the two).
    pub(crate) fn assignable(&mut self, from: &Type, to: &Type) -> bool {
        self.attempt(|b| b.fits(from, to))
    }

    pub(crate) fn all_assignable(&mut self, from: &[Type], to: &[Type]) -> bool {
        self.attempt(|b| b.list_fits(from, to))
    }

    fn attempt(&mut self, test: impl FnOnce(&mut Bindings) -> bool) -> bool {
        let mark = self.undo.len();
        let fits = test(self);
        if !fits {
            while self.undo.len() > mark {
                let (var, old) = self.undo.pop().expect("above the mark");
                self.bound[var as usize] = old;
            }
        }
        fits
    }

    fn list_fits(&mut self, from: &[Type], to: &[Type]) -> bool {
        from.len() == to.len() && from.iter().zip(to).all(|(f, t)| self.fits(f, t))
    }

    fn fits(&mut self, one: &Type, two: &Type) -> bool {
        if !self.step() {
            return false;
        }
        if let (Type::Var(a), Type::Var(b)) = (one, two)
            && a == b
        {
            return true;
        }
        if let Type::Var(var) = two {
            let (valid, bound) = self.substitutes(one, *var, two);
            if valid {
                return true;
            }
            if bound {
                return false;
            }
        }
        if let Type::Var(var) = one {
            return self.substitutes(two, *var, one).0;
        }
        match (one, two) {
            (Type::Dyn | Type::Error, _) | (_, Type::Dyn | Type::Error) => true,
            (Type::Null, other) | (other, Type::Null) => nullable(other),
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(a), Type::List(b)) => self.fits(a, b),
            (Type::Map(a), Type::Map(b)) => self.fits(&a.0, &b.0) && self.fits(&a.1, &b.1),
            (Type::Opaque(a, p), Type::Opaque(b, q)) => a == b && self.list_fits(p, q),
            (a, b) => a == b,
        }
    }

    /// Whether `ty` may be what `var` stands for, and whether the variable already stood for something.
    fn substitutes(&mut self, ty: &Type, var: u32, itself: &Type) -> (bool, bool) {
        if let Some(bound) = self.find(var).cloned() {
            if self.fits(ty, &bound) {
                let general = self.most_general(ty, &bound);
                self.bind(var, general);
                return (true, true);
            }
            return (false, true);
        }
        if self.mentions(itself, ty) {
            return (false, false);
        }
        self.bind(var, ty.clone());
        (true, false)
    }

    fn mentions(&self, var: &Type, within: &Type) -> bool {
        if !self.step() {
            return false;
        }
        match within {
            Type::Var(v) if matches!(var, Type::Var(other) if other == v) => true,
            Type::Var(v) => self.find(*v).is_some_and(|bound| self.mentions(var, bound)),
            Type::List(of) => self.mentions(var, of),
            Type::Map(of) => self.mentions(var, &of.0) || self.mentions(var, &of.1),
            Type::Opaque(_, params) => params.iter().any(|p| self.mentions(var, p)),
            Type::Type(Some(of)) => self.mentions(var, of),
            _ => false,
        }
    }

    /// The type with bound variables replaced; free ones become dyn when asked.
    pub(crate) fn resolve(&self, ty: &Type, free_is_dyn: bool) -> Type {
        if !self.step() {
            return Type::Dyn;
        }
        match ty {
            Type::Var(var) => match self.find(*var) {
                Some(bound) => self.resolve(bound, free_is_dyn),
                None if free_is_dyn => Type::Dyn,
                None => ty.clone(),
            },
            Type::List(of) => Type::list(self.resolve(of, free_is_dyn)),
            Type::Map(of) => Type::map(self.resolve(&of.0, free_is_dyn), self.resolve(&of.1, free_is_dyn)),
            Type::Opaque(name, params) if !params.is_empty() => Type::Opaque(name.clone(), params.iter().map(|p| self.resolve(p, free_is_dyn)).collect()),
            Type::Type(Some(of)) => Type::of_type(self.resolve(of, free_is_dyn)),
            other => other.clone(),
        }
    }

    pub(crate) fn most_general(&self, one: &Type, two: &Type) -> Type {
        if self.less_specific(one, two) { one.clone() } else { two.clone() }
    }

    fn less_specific(&self, one: &Type, two: &Type) -> bool {
        if !self.step() {
            return true;
        }
        match (one, two) {
            (Type::Dyn | Type::Var(_), _) => true,
            (_, Type::Dyn | Type::Var(_)) => false,
            (Type::List(a), Type::List(b)) => self.less_specific(a, b),
            (Type::Map(a), Type::Map(b)) => self.less_specific(&a.0, &b.0) && self.less_specific(&a.1, &b.1),
            (Type::Opaque(a, p), Type::Opaque(b, q)) => a == b && p.len() == q.len() && p.iter().zip(q.iter()).all(|(p, q)| self.less_specific(p, q)),
            (Type::Type(_), Type::Type(_)) => true,
            // A nullable type is the more general beside null.
            (other, Type::Null) if nullable(other) => true,
            (a, b) => a == b,
        }
    }
}

fn nullable(ty: &Type) -> bool {
    matches!(ty, Type::Null | Type::Object(_) | Type::Opaque(..) | Type::Duration | Type::Timestamp)
}

/// A declared type with its parameters replaced by fresh variables.
pub(crate) fn instantiate(ty: &Type, vars: &[Type]) -> Type {
    match ty {
        Type::Param(i) => vars.get(*i as usize).cloned().unwrap_or(Type::Dyn),
        Type::List(of) => Type::list(instantiate(of, vars)),
        Type::Map(of) => Type::map(instantiate(&of.0, vars), instantiate(&of.1, vars)),
        Type::Opaque(name, params) if !params.is_empty() => Type::Opaque(name.clone(), params.iter().map(|p| instantiate(p, vars)).collect()),
        Type::Type(Some(of)) => Type::Type(Some(Arc::new(instantiate(of, vars)))),
        other => other.clone(),
    }
}
