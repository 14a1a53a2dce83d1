//! The syntax tree: plain data, with an id per node so that types, references and sizes can be kept beside it.
//!
//! The parser bounds its depth, so that everything after it may recurse.

use std::sync::Arc;

pub(crate) type Id = u32;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Const {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
}

#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub id: Id,
    /// Of the tree below, itself included.
    pub depth: u16,
    /// The same, of operators and selections only: what cel-go's recursion limit counts.
    pub counted: u16,
    pub kind: Kind,
}

/// No tree is deeper: checker, planner and evaluator recurse over it.
pub(crate) const MAX_TREE_DEPTH: u16 = 600;

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Const(Const),
    Ident(String),
    Select { operand: Box<Expr>, field: String, test: bool },
    Call { function: String, target: Option<Box<Expr>>, args: Vec<Expr> },
    List { items: Vec<Expr>, optional: Vec<bool> },
    Map(Vec<Entry>),
    Struct { name: String, fields: Vec<Field> },
    Fold(Box<Fold>),
    /// Stands where an error was reported.
    Error,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: Expr,
    pub value: Expr,
    pub optional: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub id: Id,
    pub name: String,
    pub value: Expr,
    pub optional: bool,
}

/// A loop over a list or map; all macros but `has` become one.
#[derive(Clone, Debug)]
pub(crate) struct Fold {
    pub range: Expr,
    pub var: String,
    pub var2: Option<String>,
    pub accu: String,
    pub init: Expr,
    pub condition: Expr,
    pub step: Expr,
    pub result: Expr,
}

/// A parsed expression: the tree and where each node stands in the source.
#[derive(Clone, Debug)]
pub(crate) struct Ast {
    pub root: Expr,
    pub positions: Vec<u32>,
}

impl Ast {
    pub(crate) fn at(&self, id: Id) -> Option<u32> {
        self.positions.get(id as usize).copied()
    }
}

impl Expr {
    /// Whether `field` of the name `operand` is read here or below.
    pub(crate) fn selects(&self, operand: &str, field: &str) -> bool {
        let named = |expr: &Expr| matches!(&expr.kind, Kind::Ident(name) if name == operand);
        let is_field = |expr: &Expr| matches!(&expr.kind, Kind::Const(Const::String(text)) if **text == *field);
        let below = |expr: &Expr| expr.selects(operand, field);
        match &self.kind {
            Kind::Const(_) | Kind::Ident(_) | Kind::Error => false,
            Kind::Select { operand: of, field: read, .. } => (named(of) && read == field) || below(of),
            Kind::Call { function, target, args } => {
                let optional = function == op::OPT_SELECT && matches!(args.as_slice(), [of, read] if named(of) && is_field(read));
                optional || args.iter().chain(target.as_deref()).any(below)
            }
            Kind::List { items, .. } => items.iter().any(below),
            Kind::Map(entries) => entries.iter().any(|e| below(&e.key) || below(&e.value)),
            Kind::Struct { fields, .. } => fields.iter().any(|f| below(&f.value)),
            Kind::Fold(fold) => [&fold.range, &fold.init, &fold.condition, &fold.step, &fold.result].into_iter().any(below),
        }
    }
}

impl Kind {
    /// How deep a node of this kind is.
    pub(crate) fn depth(&self) -> u16 {
        let below = match self {
            Kind::Const(_) | Kind::Ident(_) | Kind::Error => 0,
            Kind::Select { operand, .. } => operand.depth,
            Kind::Call { target, args, .. } => args.iter().chain(target.as_deref()).map(|a| a.depth).max().unwrap_or(0),
            Kind::List { items, .. } => items.iter().map(|i| i.depth).max().unwrap_or(0),
            Kind::Map(entries) => entries.iter().map(|e| e.key.depth.max(e.value.depth)).max().unwrap_or(0),
            Kind::Struct { fields, .. } => fields.iter().map(|f| f.value.depth).max().unwrap_or(0),
            Kind::Fold(fold) => [&fold.range, &fold.init, &fold.condition, &fold.step, &fold.result].iter().map(|e| e.depth).max().unwrap_or(0),
        };
        below.saturating_add(1)
    }

    /// How many operators and selections a node of this kind has on one path, itself included.
    pub(crate) fn counted(&self) -> u16 {
        let most = |all: &mut dyn Iterator<Item = &Expr>| all.map(|e| e.counted).max().unwrap_or(0);
        match self {
            Kind::Const(_) | Kind::Ident(_) | Kind::Error => 0,
            Kind::Select { operand, .. } => operand.counted.saturating_add(1),
            Kind::Call { function, target, args } => {
                let counts = target.is_some() || matches!(function.as_str(), op::INDEX | op::OPT_INDEX | op::OPT_SELECT | op::IN) || is_binary(function);
                most(&mut args.iter().chain(target.as_deref())).saturating_add(u16::from(counts))
            }
            Kind::List { items, .. } => most(&mut items.iter()),
            Kind::Map(entries) => most(&mut entries.iter().flat_map(|e| [&e.key, &e.value])),
            Kind::Struct { fields, .. } => most(&mut fields.iter().map(|f| &f.value)),
            Kind::Fold(fold) => most(&mut [&fold.range, &fold.init, &fold.step, &fold.result].into_iter()),
        }
    }
}

fn is_binary(function: &str) -> bool {
    function.len() > 2 && function.starts_with('_') && function.ends_with('_') && !matches!(function, op::AND | op::OR | op::CONDITIONAL)
}

/// `a.b.c` as one name, when the expression is such a chain.
pub(crate) fn qualified(expr: &Expr) -> Option<String> {
    match &expr.kind {
        Kind::Ident(name) => Some(name.clone()),
        Kind::Select { operand, field, test: false } => qualified(operand).map(|prefix| format!("{prefix}.{field}")),
        _ => None,
    }
}

/// The operators' names as functions.
pub(crate) mod op {
    pub(crate) const CONDITIONAL: &str = "_?_:_";
    pub(crate) const AND: &str = "_&&_";
    pub(crate) const OR: &str = "_||_";
    pub(crate) const NOT: &str = "!_";
    pub(crate) const EQ: &str = "_==_";
    pub(crate) const NE: &str = "_!=_";
    pub(crate) const ADD: &str = "_+_";
    pub(crate) const NEGATE: &str = "-_";
    pub(crate) const INDEX: &str = "_[_]";
    pub(crate) const OPT_INDEX: &str = "_[?_]";
    pub(crate) const OPT_SELECT: &str = "_?._";
    pub(crate) const IN: &str = "@in";
    pub(crate) const NOT_STRICTLY_FALSE: &str = "@not_strictly_false";
    pub(crate) const MAP_INSERT: &str = "cel.@mapInsert";
}
