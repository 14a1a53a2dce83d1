//! What has parts: lists, maps, constructed objects, loops.

use super::{Checker, Reference};
use crate::ast::{Entry, Expr, Field, Fold, Id};
use crate::env::Name;
use crate::types::Type;

impl Checker<'_> {
    fn join(&mut self, at: &Expr, previous: Option<Type>, current: Type) -> Type {
        let Some(previous) = previous else { return current };
        if self.bindings.assignable(&previous, &current) {
            return self.bindings.most_general(&previous, &current);
        }
        if self.env.mixed_literals {
            return Type::Dyn;
        }
        self.mismatch(at.id, &previous, &current);
        Type::Error
    }

    fn mismatch(&mut self, id: Id, expected: &Type, found: &Type) {
        let (expected, found) = (self.bindings.resolve(expected, false), self.bindings.resolve(found, false));
        self.report(id, format!("expected type '{expected}' but found '{found}'"));
    }

    /// What an element marked optional adds to its literal.
    fn unwrapped(&mut self, expr: &Expr, optional: bool) -> Type {
        let ty = self.ty(expr);
        if !optional {
            return ty;
        }
        let resolved = self.bindings.resolve(&ty, false);
        match resolved.unwrap_optional() {
            Some(inner) => inner.clone(),
            None => {
                if !matches!(resolved, Type::Dyn | Type::Error) {
                    self.mismatch(expr.id, &Type::optional(resolved.clone()), &resolved);
                }
                resolved
            }
        }
    }

    pub(super) fn list(&mut self, e: &Expr, items: &[Expr], optional: &[bool]) {
        let mut joined = None;
        for (i, item) in items.iter().enumerate() {
            self.check(item);
            let ty = self.unwrapped(item, optional.get(i).copied().unwrap_or(false));
            joined = Some(self.join(item, joined, ty));
        }
        let of = joined.unwrap_or_else(|| self.bindings.fresh());
        self.set(e.id, Type::list(of));
    }

    pub(super) fn map(&mut self, e: &Expr, entries: &[Entry]) {
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            self.check(&entry.key);
            let ty = self.ty(&entry.key);
            keys = Some(self.join(&entry.key, keys, ty));
            self.check(&entry.value);
            let ty = self.unwrapped(&entry.value, entry.optional);
            values = Some(self.join(&entry.value, values, ty));
        }
        let keys = keys.unwrap_or_else(|| self.bindings.fresh());
        let values = values.unwrap_or_else(|| self.bindings.fresh());
        self.set(e.id, Type::map(keys, values));
    }

    pub(super) fn construct(&mut self, e: &Expr, name: &str, fields: &[Field]) {
        let object = match self.env.resolve(name) {
            None => {
                self.undeclared(e.id, name);
                return self.set(e.id, Type::Error);
            }
            Some(Name::Type(Type::Object(object))) => Some(object),
            Some(Name::Type(other)) => {
                self.report(e.id, format!("'{}' is not a message type", other.name()));
                None
            }
            Some(Name::Variable(_, ty)) => {
                self.report(e.id, format!("'{}' is not a type", ty.name()));
                None
            }
        };
        self.set(e.id, object.clone().map_or(Type::Error, Type::Object));
        if let Some(object) = &object {
            self.out.references.insert(e.id, Reference::Struct(object.to_string()));
        }
        for field in fields {
            self.check(&field.value);
            let wanted = object.as_ref().and_then(|o| self.field_type(field.id, o, &field.name)).unwrap_or(Type::Error);
            let given = self.unwrapped(&field.value, field.optional);
            if !self.bindings.assignable(&wanted, &given) {
                let shown = self.bindings.resolve(&given, false);
                self.report(field.id, format!("expected type of field '{}' is '{wanted}' but provided type is '{shown}'", field.name));
            }
        }
    }

    pub(super) fn fold(&mut self, e: &Expr, fold: &Fold) {
        self.check(&fold.range);
        self.check(&fold.init);
        let range = self.bindings.resolve(&self.ty(&fold.range), false);
        let accu = self.ty(&fold.init);
        let depth = self.scopes.len();
        self.scopes.push((fold.accu.clone(), accu.clone()));
        let (first, second) = match &range {
            Type::List(of) if fold.var2.is_some() => (Type::Int, (**of).clone()),
            Type::List(of) => ((**of).clone(), Type::Error),
            Type::Map(of) => (of.0.clone(), of.1.clone()),
            Type::Dyn | Type::Error | Type::Var(_) => {
                self.bindings.assignable(&Type::Dyn, &range);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                self.report(fold.range.id, format!("expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"));
                (Type::Error, Type::Error)
            }
        };
        self.scopes.push((fold.var.clone(), first));
        if let Some(var2) = &fold.var2 {
            self.scopes.push((var2.clone(), second));
        }
        self.check(&fold.condition);
        self.assert(&fold.condition, &Type::Bool);
        self.check(&fold.step);
        self.assert(&fold.step, &accu);
        self.scopes.truncate(depth + 1);
        self.check(&fold.result);
        self.scopes.truncate(depth);
        let ty = self.bindings.resolve(&self.ty(&fold.result), false);
        self.set(e.id, ty);
    }

    fn assert(&mut self, e: &Expr, wanted: &Type) {
        let ty = self.ty(e);
        if !self.bindings.assignable(wanted, &ty) {
            self.mismatch(e.id, wanted, &ty);
        }
    }
}
