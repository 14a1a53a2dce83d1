//! The cost an expression may have at most (and at least), known before it runs.
//!
//! Upstream: cel-go checker/cost.go with Kubernetes' estimator (k8s.io/apiserver/pkg/cel/library/cost.go). Sizes come from
//! literals and from the declarations of variables, followed along the path an expression takes into them. These numbers decide
//! which rules a CustomResourceDefinition may have: a change is a change of the API.

mod calls;
mod range;

use std::collections::HashMap;

pub use range::Range;

use crate::ast::{Const, Expr, Fold, Id, Kind};
use crate::charge;
use crate::checker::{Checked, Reference};
use crate::decl::{Decl, DeclKind};
use crate::env::Env;
use crate::macros::ACCU;
use crate::types::Type;

type Path = Vec<String>;

/// The sizes of a container's keys and values.
#[derive(Clone, Copy, Debug)]
struct Entries {
    list: bool,
    keys: Range,
    values: Range,
}

#[derive(Clone)]
struct Local {
    path: Path,
    size: Option<Range>,
    entries: Option<Entries>,
}

/// A node as the estimates of calls see it.
#[derive(Clone)]
struct Seen<'e> {
    path: Path,
    ty: Type,
    expr: Option<&'e Expr>,
    size: Option<Range>,
}

pub(crate) struct Estimator<'e> {
    env: &'e Env,
    checked: &'e Checked,
    paths: HashMap<Id, Path>,
    sizes: HashMap<Id, Range>,
    entries: HashMap<Id, Entries>,
    locals: Vec<(String, Local)>,
}

pub(crate) fn estimate(root: &Expr, checked: &Checked, env: &Env) -> Range {
    let mut estimator = Estimator { env, checked, paths: HashMap::new(), sizes: HashMap::new(), entries: HashMap::new(), locals: Vec::new() };
    estimator.cost(root)
}

impl<'e> Estimator<'e> {
    fn cost(&mut self, e: &'e Expr) -> Range {
        match &e.kind {
            Kind::Const(_) | Kind::Error => Range::default(),
            Kind::Ident(name) => self.ident(e, name),
            Kind::Select { operand, field, test } => self.select(e, operand, field, *test),
            Kind::Call { function, target, args } => self.call(e, function, target.as_deref(), args),
            Kind::List { items, .. } => self.list(e, items),
            Kind::Map(entries) => {
                let (mut sum, mut keys, mut values) = (Range::default(), None, None);
                for entry in entries {
                    sum = sum.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
                    keys = Some(joined(keys, self.size_or_unknown(&entry.key)));
                    values = Some(joined(values, self.size_or_unknown(&entry.value)));
                }
                self.entries.insert(e.id, Entries { list: false, keys: keys.unwrap_or_default(), values: values.unwrap_or_default() });
                sum.plus(Range::of(charge::MAP))
            }
            Kind::Struct { fields, .. } => {
                let sum = fields.iter().fold(Range::default(), |sum, f| sum.plus(self.cost(&f.value)));
                sum.plus(Range::of(charge::OBJECT))
            }
            Kind::Fold(fold) if is_bind(fold) => self.bind(e, fold),
            Kind::Fold(fold) => self.fold(e, fold),
        }
    }

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|(n, _)| n == name).map(|(_, local)| local)
    }

    fn ident(&mut self, e: &Expr, name: &str) -> Range {
        let path = self.local(name).map_or_else(|| vec![self.variable(e, name)], |local| local.path.clone());
        self.paths.insert(e.id, path);
        Range::of(charge::IDENT)
    }

    fn variable(&self, e: &Expr, name: &str) -> String {
        match self.checked.references.get(&e.id) {
            Some(Reference::Variable(full)) => full.clone(),
            _ => name.to_owned(),
        }
    }

    fn path(&self, e: &Expr) -> Path {
        if let Kind::Ident(name) = &e.kind
            && let Some(local) = self.local(name)
        {
            return local.path.clone();
        }
        self.paths.get(&e.id).cloned().unwrap_or_default()
    }

    fn select(&mut self, e: &'e Expr, operand: &'e Expr, field: &str, test: bool) -> Range {
        if let Some(Reference::Variable(name)) = self.checked.references.get(&e.id) {
            let name = name.clone();
            return self.ident(e, &name);
        }
        let cost = self.cost(operand);
        if test {
            return cost;
        }
        let mut path = self.path(operand);
        path.push(field.to_owned());
        self.paths.insert(e.id, path);
        match self.checked.ty(operand) {
            Type::Map(_) | Type::Object(_) | Type::Var(_) | Type::Param(_) => cost.plus(Range::of(charge::IDENT)),
            _ => cost,
        }
    }

    fn list(&mut self, e: &Expr, items: &'e [Expr]) -> Range {
        let (mut sum, mut values) = (Range::default(), None);
        for item in items {
            sum = sum.plus(self.cost(item));
            values = Some(joined(values, self.size_or_unknown(item)));
        }
        self.entries.insert(e.id, Entries { list: true, keys: Range::of(1), values: values.unwrap_or_default() });
        sum.plus(Range::of(charge::LIST))
    }

    fn call(&mut self, e: &'e Expr, function: &str, target: Option<&'e Expr>, args: &'e [Expr]) -> Range {
        if function == "dyn" && args.len() == 1 && target.is_none() {
            let cost = self.cost(&args[0]);
            self.copy_sizes(e, &args[0]);
            return cost.plus(Range::of(charge::CALL));
        }
        let Some(Reference::Function { overloads, global }) = self.checked.references.get(&e.id) else {
            // An optional selection: as a selection.
            let cost = args.first().map_or_else(Range::default, |operand| self.cost(operand));
            return cost.plus(Range::of(charge::IDENT));
        };
        let target = target.filter(|_| !global);
        let mut costs = Vec::with_capacity(args.len());
        let mut seen = Vec::with_capacity(args.len());
        for arg in args {
            costs.push(self.cost(arg));
            seen.push(self.see(arg));
        }
        let (before, on) = match target {
            Some(target) => {
                let cost = self.cost(target);
                (cost, Some(self.see(target)))
            }
            None => (Range::default(), None),
        };
        let mut whole: Option<Range> = None;
        let mut result: Option<Range> = None;
        for overload in overloads {
            let call = calls::Call { expr: e, overload, target: on.as_ref(), args: &seen, costs: &costs };
            let (cost, size) = self.function(&call);
            whole = Some(whole.map_or(cost, |w| w.union(cost)));
            result = match (result, size) {
                (Some(a), Some(b)) => Some(a.union(b)),
                (a, b) => a.or(b),
            };
            let step = match overload.id {
                "index_list" => "@items",
                "index_map" => "@values",
                _ => "",
            };
            if !step.is_empty() && !args.is_empty() {
                result = self.entries_of(&args[0]).map(|entries| entries.values);
                let mut path = self.path(&args[0]);
                path.push(step.to_owned());
                self.paths.insert(e.id, path);
            }
            result = result.or_else(|| self.size(e));
        }
        if let Some(result) = result {
            self.sizes.insert(e.id, result);
        }
        before.plus(whole.unwrap_or_default())
    }

    fn push(&mut self, name: &str, range: &Expr, step: &str, size: Option<Range>) {
        let mut path = self.path(range);
        path.push(step.to_owned());
        self.locals.push((name.to_owned(), Local { path, size, entries: None }));
    }

    fn push_loop(&mut self, fold: &Fold) {
        let entries = self.entries_of(&fold.range);
        let list = entries.map_or_else(|| matches!(self.checked.ty(&fold.range), Type::List(_)), |e| e.list);
        let (keys, values) = (entries.map(|e| e.keys), entries.map(|e| e.values));
        match &fold.var2 {
            Some(second) => {
                self.push(&fold.var, &fold.range, if list { "@indices" } else { "@keys" }, keys);
                self.push(second, &fold.range, if list { "@items" } else { "@values" }, values);
            }
            None if list => self.push(&fold.var, &fold.range, "@items", values),
            None => self.push(&fold.var, &fold.range, "@keys", keys),
        }
    }

    fn push_value(&mut self, name: &str, value: &Expr) {
        let local = Local { path: self.path(value), size: self.size(value), entries: self.entries_of(value) };
        self.locals.push((name.to_owned(), local));
    }

    fn fold(&mut self, e: &'e Expr, fold: &'e Fold) -> Range {
        let mut sum = self.cost(&fold.range).plus(self.cost(&fold.init));
        let depth = self.locals.len();
        self.push_value(&fold.accu, &fold.init);
        self.push_loop(fold);
        let turn = self.cost(&fold.condition).plus(self.cost(&fold.step));
        self.locals.truncate(depth + 1);
        sum = sum.plus(self.cost(&fold.result));
        self.locals.truncate(depth);
        let turns = self.size_or_unknown(&fold.range);
        match &fold.init.kind {
            Kind::Const(_) => {
                if let Some(size) = self.size(&fold.init) {
                    self.sizes.insert(e.id, size);
                }
            }
            Kind::List { .. } | Kind::Map(_) => {
                self.sizes.insert(e.id, turns);
                if let Some(entries) = self.entries_of(&fold.step) {
                    self.entries.insert(e.id, entries);
                }
            }
            _ => {}
        }
        sum.plus(turns.times(turn))
    }

    fn bind(&mut self, e: &Expr, fold: &'e Fold) -> Range {
        let sum = self.cost(&fold.range).plus(self.cost(&fold.init));
        let depth = self.locals.len();
        self.push_value(&fold.accu, &fold.init);
        let sum = sum.plus(self.cost(&fold.result));
        self.copy_sizes(e, &fold.result);
        self.locals.truncate(depth);
        sum
    }

    fn see(&mut self, e: &'e Expr) -> Seen<'e> {
        let mut path = self.path(e);
        if path.first().is_some_and(|root| root == ACCU) {
            path.clear();
        }
        Seen { path, ty: self.checked.ty(e).clone(), expr: Some(e), size: self.size(e) }
    }

    fn copy_sizes(&mut self, to: &Expr, from: &Expr) {
        if let Some(size) = self.size(from) {
            self.sizes.insert(to.id, size);
        }
        if let Some(entries) = self.entries_of(from) {
            self.entries.insert(to.id, entries);
        }
    }

    fn entries_of(&self, e: &Expr) -> Option<Entries> {
        if let Some(entries) = self.entries.get(&e.id) {
            return Some(*entries);
        }
        match &e.kind {
            Kind::Ident(name) => self.local(name).and_then(|local| local.entries),
            _ => None,
        }
    }

    fn size(&mut self, e: &Expr) -> Option<Range> {
        if let Some(size) = self.sizes.get(&e.id) {
            return Some(*size);
        }
        if let Some(size) = literal_size(e) {
            return Some(Range::of(size));
        }
        if let Some(size) = self.declared(&self.path(e)) {
            self.sizes.insert(e.id, size);
            return Some(size);
        }
        if is_scalar(self.checked.ty(e)) {
            return Some(Range::of(1));
        }
        match &e.kind {
            Kind::Ident(name) => self.local(name).and_then(|local| local.size),
            _ => None,
        }
    }

    fn size_or_unknown(&mut self, e: &Expr) -> Range {
        self.size(e).unwrap_or(Range::UNKNOWN)
    }

    /// What the declarations say of the end of a path.
    fn declared(&self, path: &[String]) -> Option<Range> {
        let (root, rest) = path.split_first()?;
        let root = self.env.variables.get(root)?.decl.as_deref()?;
        let mut decl: &Decl = root;
        for (i, step) in rest.iter().enumerate() {
            if let DeclKind::Map(_, longest) = &decl.kind
                && step == "@keys"
                && i + 1 == rest.len()
            {
                return Some(Range { min: 0, max: *longest });
            }
            decl = decl.step(step)?;
        }
        decl.max_elements().map(|max| Range { min: 0, max })
    }
}

fn joined(so_far: Option<Range>, next: Range) -> Range {
    so_far.map_or(next, |r| r.union(next))
}

fn literal_size(e: &Expr) -> Option<u64> {
    Some(match &e.kind {
        Kind::Const(Const::String(s)) => s.chars().count() as u64,
        Kind::Const(Const::Bytes(b)) => b.len() as u64,
        Kind::Const(_) => 1,
        Kind::List { items, .. } => items.len() as u64,
        Kind::Map(entries) => entries.len() as u64,
        _ => return None,
    })
}

fn is_scalar(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
        other => other.unwrap_optional().is_some_and(is_scalar),
    }
}

fn is_bind(fold: &Fold) -> bool {
    matches!(&fold.range.kind, Kind::List { items, .. } if items.is_empty()) && matches!(fold.condition.kind, Kind::Const(Const::Bool(false))) && fold.accu != ACCU
}
