//! The evaluator: a walk over the plan with a stack for loops' variables and a count of the cost.
//!
//! Upstream: cel-go interpreter/interpretable.go, interpreter/runtimecost.go. Errors are values until an operator that cannot
//! absorb them meets them; spent budget is absorbed by nothing.

mod compound;

use crate::access;
use crate::ast::op;
use crate::charge;
use crate::collection::Key;
use crate::functions::{fail, no_overload};
use crate::library;
use crate::plan::{Call, Node, Pattern};
use crate::program::Activation;
use crate::steps;
use crate::value::{EvalError, Evaluated, Value};
use compound::MAX_MEMBERS;

pub(crate) struct Evaluator<'v, 'a> {
    vars: &'v dyn Activation<'a>,
    names: &'a [Box<str>],
    slots: Vec<Option<Evaluated<'a>>>,
    stack: Vec<Evaluated<'a>>,
    cost: u64,
    limit: u64,
}

fn bool_of<'a>(value: &Evaluated<'a>) -> Result<bool, EvalError> {
    match value {
        Ok(Value::Bool(b)) => Ok(*b),
        Ok(_) => Err(EvalError::new("no such overload")),
        Err(e) => Err(e.clone()),
    }
}

impl<'v, 'a> Evaluator<'v, 'a> {
    pub(crate) fn new(vars: &'v dyn Activation<'a>, names: &'a [Box<str>], limit: u64) -> Evaluator<'v, 'a> {
        steps::begin();
        Evaluator { vars, names, slots: vec![None; names.len()], stack: Vec::new(), cost: 0, limit }
    }

    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    fn charge(&mut self, cost: u64) -> Result<(), EvalError> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > self.limit { Err(EvalError::CostExceeded) } else { Ok(()) }
    }

    pub(crate) fn eval(&mut self, node: &'a Node) -> Evaluated<'a> {
        match node {
            Node::Const(value) => Ok(value.clone()),
            Node::Variable(slot) => {
                self.charge(charge::IDENT)?;
                self.variable(*slot)
            }
            Node::Local(place) => {
                self.charge(charge::IDENT)?;
                self.stack[*place].clone()
            }
            Node::Select { operand, field, optional } => self.select(operand, field, *optional),
            Node::Has { operand, field } => self.has(operand, field),
            Node::Index { operand, key, optional } => self.index(operand, key, *optional),
            Node::Call(call) => self.call(call),
            Node::Regex(pattern) => self.regex(pattern),
            Node::In { value, set } => {
                let value = self.eval(value)?;
                Ok(Value::Bool(Key::from(&value).is_some_and(|key| contains(set, &key))))
            }
            Node::And(left, right) => self.logical(left, right, false),
            Node::Or(left, right) => self.logical(left, right, true),
            Node::NotStrictlyFalse(inner) => {
                if let Node::Local(place) = &**inner {
                    self.charge(charge::IDENT + charge::CALL)?;
                    return Ok(Value::Bool(!matches!(self.stack[*place], Ok(Value::Bool(false)))));
                }
                let value = self.eval(inner);
                self.charge(charge::CALL)?;
                match value {
                    Err(EvalError::CostExceeded) => Err(EvalError::CostExceeded),
                    other => Ok(Value::Bool(!matches!(other, Ok(Value::Bool(false))))),
                }
            }
            Node::Conditional(branches) => self.conditional(branches),
            Node::OptionalOr(left, right) => match self.eval(left)? {
                Value::Optional(None) => self.eval(right),
                value @ Value::Optional(Some(_)) => Ok(value),
                other => no_overload("or", &[other]),
            },
            Node::OptionalOrValue(left, right) => match self.eval(left)? {
                Value::Optional(None) => self.eval(right),
                Value::Optional(Some(value)) => Ok((*value).clone()),
                other => no_overload("orValue", &[other]),
            },
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Object { name, fields } => self.object(name, fields),
            Node::Fold(fold) => self.fold(fold),
            Node::Fail(message) => fail(&**message),
        }
    }

    fn variable(&mut self, slot: usize) -> Evaluated<'a> {
        if let Some(value) = &self.slots[slot] {
            return value.clone();
        }
        let name = &self.names[slot];
        let value = self.vars.variable(name).unwrap_or_else(|| fail(format!("no such attribute(s): {name}")));
        self.slots[slot] = Some(value.clone());
        value
    }

    /// A path costs one for its root and one for each step; a step from anything else costs as a path of its own.
    fn step_cost(operand: &Node) -> u64 {
        if operand.is_attribute() { charge::IDENT } else { charge::IDENT * 2 }
    }

    #[inline(never)]
    fn select(&mut self, operand: &'a Node, field: &str, optional: bool) -> Evaluated<'a> {
        if let Node::Variable(slot) = operand
            && let Some(value) = self.vars.field(&self.names[*slot], field)
        {
            self.charge(charge::IDENT * 2)?;
            let value = value?;
            return Ok(if optional { value.some() } else { value });
        }
        // A variable is looked into where it lies.
        if let Some(held) = self.held(operand)? {
            self.cost = self.cost.saturating_add(charge::IDENT * 2);
            let value = match held {
                Held::Stack(place) => &self.stack[place],
                Held::Slot(slot) => self.slots[slot].as_ref().unwrap_or(&NULL),
            };
            let value = value.as_ref().map_err(Clone::clone)?;
            let found = if optional { access::select_optional(value, field) } else { access::select(value, field) };
            return if self.cost > self.limit { Err(EvalError::CostExceeded) } else { found };
        }
        let value = self.eval(operand)?;
        self.charge(Self::step_cost(operand))?;
        if optional { access::select_optional(&value, field) } else { access::select(&value, field) }
    }

    /// Where a variable's value is kept.
    fn held(&mut self, node: &Node) -> Result<Option<Held>, EvalError> {
        match node {
            Node::Local(place) => Ok(Some(Held::Stack(*place))),
            Node::Variable(slot) => {
                if self.slots[*slot].is_none() {
                    self.variable(*slot)?;
                }
                Ok(Some(Held::Slot(*slot)))
            }
            _ => Ok(None),
        }
    }

    #[inline(never)]
    fn has(&mut self, operand: &'a Node, field: &str) -> Evaluated<'a> {
        if let Node::Variable(slot) = operand
            && let Some(has) = self.vars.has_field(&self.names[*slot], field)
        {
            self.charge(charge::IDENT)?;
            return Ok(Value::Bool(has));
        }
        let value = self.eval(operand)?;
        access::has(&value, field).map(Value::Bool)
    }

    #[inline(never)]
    fn index(&mut self, operand: &'a Node, key: &'a Node, optional: bool) -> Evaluated<'a> {
        let container = self.eval(operand)?;
        let at = self.eval(key)?;
        if key.is_attribute() {
            self.cost = self.cost.saturating_sub(charge::IDENT);
        }
        self.charge(Self::step_cost(operand))?;
        if optional { access::index_optional(&container, &at) } else { access::index(&container, &at) }
    }

    /// `&&` and `||`: an answer either side can give alone is the answer, whatever the other side is.
    #[inline(never)]
    fn logical(&mut self, left: &'a Node, right: &'a Node, decisive: bool) -> Evaluated<'a> {
        let left = self.eval(left);
        match bool_of(&left) {
            Ok(b) if b == decisive => return Ok(Value::Bool(decisive)),
            Err(EvalError::CostExceeded) => return Err(EvalError::CostExceeded),
            _ => {}
        }
        let right = self.eval(right);
        match (bool_of(&left), bool_of(&right)) {
            (_, Err(EvalError::CostExceeded)) => Err(EvalError::CostExceeded),
            (_, Ok(b)) if b == decisive => Ok(Value::Bool(decisive)),
            (Ok(_), Ok(b)) => Ok(Value::Bool(b)),
            (Err(e), _) | (_, Err(e)) => Err(e),
        }
    }

    #[inline(never)]
    fn conditional(&mut self, branches: &'a [Node; 3]) -> Evaluated<'a> {
        let condition = self.eval(&branches[0]);
        let branch = if bool_of(&condition)? { &branches[1] } else { &branches[2] };
        // A branch that is a path is part of the conditional path: its root costs nothing.
        let value = self.eval(branch);
        if branch.is_attribute() && !matches!(value, Err(EvalError::CostExceeded)) {
            self.cost = self.cost.saturating_sub(charge::IDENT);
        }
        value
    }

    fn args(&mut self, nodes: &'a [Node]) -> Result<Vec<Value<'a>>, EvalError> {
        nodes.iter().map(|n| self.eval(n)).collect()
    }

    /// Up to two arguments are both evaluated whatever the first gives, and a call with a failed argument is charged for.
    #[inline(never)]
    fn failed(&mut self, call: &'a Call, values: &[Evaluated<'a>]) -> EvalError {
        let first = values.iter().find_map(|v| v.as_ref().err()).cloned().unwrap_or_else(|| EvalError::new("no such overload"));
        if values.contains(&Err(EvalError::CostExceeded)) {
            return EvalError::CostExceeded;
        }
        let stand_ins: Vec<Value<'a>> = values.iter().map(|v| v.clone().unwrap_or(Value::Null)).collect();
        let cost = match &call.overloads[..] {
            [only] => charge::before(only.charge, &stand_ins).unwrap_or(charge::CALL),
            _ => charge::CALL,
        };
        self.charge(cost).err().unwrap_or(first)
    }

    #[inline(never)]
    fn call(&mut self, call: &'a Call) -> Evaluated<'a> {
        match &call.args[..] {
            [one] => match self.eval(one) {
                Ok(one) => self.apply(call, &[one]),
                failed => Err(self.failed(call, &[failed])),
            },
            [one, two] => match (self.eval(one), self.eval(two)) {
                (Ok(one), Ok(two)) => self.apply(call, &[one, two]),
                (one, two) => Err(self.failed(call, &[one, two])),
            },
            more => {
                let args = self.args(more)?;
                self.apply(call, &args)
            }
        }
    }

    fn apply(&mut self, call: &'a Call, args: &[Value<'a>]) -> Evaluated<'a> {
        let Some(overload) = call.overloads.iter().find(|o| o.fits(args)) else {
            self.charge(charge::CALL)?;
            return no_overload(&call.function, args);
        };
        if let [Value::List(a), Value::List(b)] = args
            && a.len() + b.len() > MAX_MEMBERS
            && &*call.function == op::ADD
        {
            return Err(EvalError::CostExceeded);
        }
        // What a call costs for its arguments alone is paid before it is made.
        let value = match charge::before(overload.charge, args) {
            Some(cost) => {
                self.charge(cost)?;
                (overload.run)(args)
            }
            None => {
                let value = (overload.run)(args);
                self.charge(charge::after(value.as_ref().ok()))?;
                value
            }
        };
        if steps::exhausted() { Err(EvalError::CostExceeded) } else { value }
    }

    #[inline(never)]
    fn regex(&mut self, pattern: &'a Pattern) -> Evaluated<'a> {
        let call = &pattern.call;
        let text = self.eval(&call.args[0])?;
        let limit = match call.args.get(2) {
            Some(node) => match self.eval(node)? {
                Value::Int(limit) => Some(limit),
                other => return no_overload(&call.function, &[other]),
            },
            None => None,
        };
        let Value::String(text) = text else { return no_overload(&call.function, &[text]) };
        // Upstream: the function `matches(text, pattern)` is not counted as the method is.
        let plain = call.overloads.first().is_some_and(|o| o.id == "matches");
        self.charge(if plain { charge::CALL } else { charge::regex(text.chars().count() as u64, pattern.length) })?;
        library::match_regex(&call.function, &text, &pattern.regex, limit)
    }
}

fn contains<'k>(set: &std::collections::BTreeSet<Key<'k>>, key: &Key<'k>) -> bool {
    set.contains(key)
}

/// Where a variable's value is kept.
enum Held {
    Stack(usize),
    Slot(usize),
}

const NULL: Evaluated<'static> = Ok(Value::Null);
