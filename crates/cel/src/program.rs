//! A compiled expression, and what its evaluation needs and gives.

use crate::ast::Ast;
use crate::checker::Checked;
use crate::env::Env;
use crate::estimate::{Range, estimate};
use crate::eval::Evaluator;
use crate::plan::{Node, Planner};
use crate::types::Type;
use crate::value::{Evaluated, Value};

/// Where an evaluation finds its variables.
pub trait Activation<'a> {
    fn variable(&self, name: &str) -> Option<Evaluated<'a>>;

    /// A field of a variable computed when asked (`variables.x`). `None`: read the variable itself.
    fn field(&self, _variable: &str, _field: &str) -> Option<Evaluated<'a>> {
        None
    }

    /// Whether such a field exists, without computing it. `None`: ask the variable itself.
    fn has_field(&self, _variable: &str, _field: &str) -> Option<bool> {
        None
    }
}

/// Variables in a list: few, so found by looking.
#[derive(Clone, Debug, Default)]
pub struct Vars<'a>(Vec<(&'a str, Value<'a>)>);

impl<'a> Vars<'a> {
    pub fn new() -> Vars<'a> {
        Vars(Vec::new())
    }

    #[must_use]
    pub fn with(mut self, name: &'a str, value: Value<'a>) -> Vars<'a> {
        self.0.push((name, value));
        self
    }
}

impl<'a> Activation<'a> for Vars<'a> {
    fn variable(&self, name: &str) -> Option<Evaluated<'a>> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, v)| Ok(v.clone()))
    }
}

/// What came of an evaluation, and what it cost in cel-go's units.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    pub value: Evaluated<'a>,
    pub cost: u64,
}

/// A compiled expression. Immutable, shared freely between threads.
pub struct Program {
    source: String,
    result: Type,
    node: Node,
    variables: Vec<Box<str>>,
    estimate: Range,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Program {
    pub(crate) fn new(source: &str, ast: Ast, checked: Option<Checked>, env: &Env) -> Program {
        let mut planner = Planner::new(env, checked.as_ref());
        let node = planner.plan(&ast.root);
        let variables = planner.variables;
        let estimate = checked.as_ref().map_or(Range::UNKNOWN, |checked| estimate(&ast.root, checked, env));
        Program { source: source.to_owned(), result: checked.as_ref().map_or(Type::Dyn, |c| c.ty(&ast.root).clone()), node, variables, estimate }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The type the checker found for the whole.
    pub fn result_type(&self) -> Type {
        self.result.clone()
    }

    /// The variables the expression reads: `oldSelf` makes a transition rule.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|v| &**v)
    }

    /// What an evaluation may cost.
    pub fn estimate(&self) -> Range {
        self.estimate
    }

    /// Evaluates with at most `budget` units of cost; more ends in `EvalError::CostExceeded`.
    pub fn evaluate<'a>(&'a self, vars: &dyn Activation<'a>, budget: u64) -> Outcome<'a> {
        let mut evaluator = Evaluator::new(vars, &self.variables, budget);
        let value = evaluator.eval(&self.node);
        Outcome { value, cost: evaluator.cost() }
    }
}
