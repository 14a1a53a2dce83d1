//! Checks after the types: literals that cannot work.
//!
//! Upstream: cel-go cel/validator.go, with the validators of Kubernetes' base environment.

use crate::ast::{Ast, Const, Expr, Id, Kind};
use crate::checker::Checked;
use crate::library::go_regex;
use crate::source::Issue;
use crate::time;
use crate::types::Type;

pub(crate) fn literals(ast: &Ast, checked: &Checked, mixed: bool) -> Vec<Issue> {
    let mut found = Found { ast, checked, mixed, issues: Vec::new() };
    walk(&ast.root, &mut |e| found.look(e));
    found.issues
}

struct Found<'a> {
    ast: &'a Ast,
    checked: &'a Checked,
    mixed: bool,
    issues: Vec<Issue>,
}

impl Found<'_> {
    fn report(&mut self, id: Id, message: String) {
        let issue = Issue { at: self.ast.at(id), message };
        if !self.issues.contains(&issue) {
            self.issues.push(issue);
        }
    }

    fn look(&mut self, e: &Expr) {
        match &e.kind {
            Kind::Call { function, target, args } => {
                let literal = |arg: Option<&Expr>| match arg.map(|a| (&a.kind, a.id)) {
                    Some((Kind::Const(Const::String(s)), id)) => Some((s.clone(), id)),
                    _ => None,
                };
                let pattern = if target.is_some() { args.first() } else { args.get(1) };
                let bad = match function.as_str() {
                    "duration" => literal(args.first()).filter(|(s, _)| gotime::parse(s).is_err()),
                    "timestamp" => literal(args.first()).filter(|(s, _)| time::timestamp(s).is_none()),
                    "matches" => literal(pattern).filter(|(s, _)| go_regex::compile(s).is_err()),
                    _ => None,
                };
                if let Some((_, id)) = bad {
                    self.report(id, format!("invalid {function} argument"));
                }
            }
            Kind::List { items, optional } if !self.mixed => self.alike(items.iter().zip(optional.iter().copied())),
            Kind::Map(entries) if !self.mixed => {
                self.alike(entries.iter().map(|e| (&e.key, false)));
                self.alike(entries.iter().map(|e| (&e.value, e.optional)));
            }
            _ => {}
        }
    }

    /// Members whose types differ though they fit each other (one of them dyn).
    fn alike<'e>(&mut self, members: impl Iterator<Item = (&'e Expr, bool)>) {
        let mut first: Option<Type> = None;
        for (member, optional) in members {
            let ty = self.checked.ty(member);
            let ty = if optional { ty.unwrap_optional().unwrap_or(ty) } else { ty };
            match &first {
                None => first = Some(ty.clone()),
                Some(first) if first == ty => {}
                Some(first) => {
                    let message = format!("expected type '{first}' but found '{ty}'");
                    return self.report(member.id, message);
                }
            }
        }
    }
}

/// Every node, parents first.
pub(crate) fn walk<'e>(e: &'e Expr, visit: &mut impl FnMut(&'e Expr)) {
    visit(e);
    match &e.kind {
        Kind::Select { operand, .. } => walk(operand, visit),
        Kind::Call { target, args, .. } => target.as_deref().into_iter().chain(args).for_each(|a| walk(a, visit)),
        Kind::List { items, .. } => items.iter().for_each(|i| walk(i, visit)),
        Kind::Map(entries) => entries.iter().for_each(|e| {
            walk(&e.key, visit);
            walk(&e.value, visit);
        }),
        Kind::Struct { fields, .. } => fields.iter().for_each(|f| walk(&f.value, visit)),
        Kind::Fold(fold) => [&fold.range, &fold.init, &fold.condition, &fold.step, &fold.result].into_iter().for_each(|e| walk(e, visit)),
        Kind::Const(_) | Kind::Ident(_) | Kind::Error => {}
    }
}
