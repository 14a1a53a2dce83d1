//! The tree planned for evaluation: names resolved to places, constants folded, patterns compiled.
//!
//! Upstream: cel-go interpreter/planner.go, interpreter/decorators.go (constant folding), interpreter/optimizations.go. What is
//! folded here costs nothing at run time, as there.

use std::collections::BTreeSet;

use regex::Regex;

use crate::ast::{Const, Entry, Expr, Field, Fold, Kind, op, qualified};
use crate::checker::{Checked, Reference};
use crate::collection::{Key, List, Map};
use crate::env::{Env, Name};
use crate::functions::Overload;
use crate::library::go_regex;
use crate::value::Value;

pub(crate) enum Node {
    Const(Value<'static>),
    Variable(usize),
    /// A loop's variable: its place on the stack.
    Local(usize),
    Select { operand: Box<Node>, field: Box<str>, optional: bool },
    Has { operand: Box<Node>, field: Box<str> },
    Index { operand: Box<Node>, key: Box<Node>, optional: bool },
    Call(Box<Call>),
    Regex(Box<Pattern>),
    In { value: Box<Node>, set: BTreeSet<Key<'static>> },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    NotStrictlyFalse(Box<Node>),
    Conditional(Box<[Node; 3]>),
    OptionalOr(Box<Node>, Box<Node>),
    OptionalOrValue(Box<Node>, Box<Node>),
    List(Vec<(Node, bool)>),
    Map(Vec<(Node, Node, bool)>),
    Object { name: Box<str>, fields: Vec<(Box<str>, Node, bool)> },
    Fold(Box<Loop>),
    /// What cannot work, known without evaluating.
    Fail(Box<str>),
}

pub(crate) struct Call {
    pub function: Box<str>,
    pub overloads: Vec<&'static Overload>,
    pub args: Vec<Node>,
}

pub(crate) struct Pattern {
    pub call: Call,
    pub regex: Regex,
    /// Code points of the pattern.
    pub length: u64,
}

pub(crate) struct Loop {
    pub range: Node,
    pub two: bool,
    /// The accumulator's place; the variables follow it.
    pub place: usize,
    pub init: Node,
    pub condition: Node,
    pub step: Step,
    pub result: Node,
}

/// One turn of a loop. Appending, which most loops do, changes the list in place.
pub(crate) enum Step {
    General(Node),
    Append { when: Option<Node>, item: Node },
}

impl Node {
    /// A path from a variable: its parts cost one each.
    pub(crate) fn is_attribute(&self) -> bool {
        matches!(self, Node::Variable(_) | Node::Local(_) | Node::Select { .. } | Node::Index { .. })
    }
}

pub(crate) struct Planner<'e> {
    env: &'e Env,
    checked: Option<&'e Checked>,
    pub variables: Vec<Box<str>>,
    scopes: Vec<String>,
}

impl<'e> Planner<'e> {
    pub(crate) fn new(env: &'e Env, checked: Option<&'e Checked>) -> Planner<'e> {
        Planner { env, checked, variables: Vec::new(), scopes: Vec::new() }
    }

    fn variable(&mut self, name: &str) -> Node {
        let slot = self.variables.iter().position(|v| **v == *name).unwrap_or_else(|| {
            self.variables.push(name.into());
            self.variables.len() - 1
        });
        Node::Variable(slot)
    }

    pub(crate) fn plan(&mut self, e: &Expr) -> Node {
        match &e.kind {
            Kind::Const(constant) => Node::Const(value(constant)),
            Kind::Ident(name) => self.name(e, name),
            Kind::Select { operand, field, test } => self.select(e, operand, field, *test),
            Kind::Call { function, target, args } => self.call(e, function, target.as_deref(), args),
            Kind::List { items, optional } => self.list(items, optional),
            Kind::Map(entries) => self.map(entries),
            Kind::Struct { name, fields } => self.object(e, name, fields),
            Kind::Fold(fold) => self.fold(fold),
            Kind::Error => Node::Fail("expression has errors".into()),
        }
    }

    fn reference(&self, e: &Expr) -> Option<&Reference> {
        self.checked.and_then(|c| c.references.get(&e.id))
    }

    fn name(&mut self, e: &Expr, name: &str) -> Node {
        if let Some(place) = self.scopes.iter().rposition(|n| n == name) {
            return Node::Local(place);
        }
        self.resolved(e, name).unwrap_or_else(|| Node::Fail(format!("no such attribute(s): {name}").into()))
    }

    fn resolved(&mut self, e: &Expr, name: &str) -> Option<Node> {
        match self.reference(e) {
            Some(Reference::Variable(name)) => {
                let name = name.clone();
                Some(self.variable(&name))
            }
            Some(Reference::TypeValue(ty)) => Some(Node::Const(Value::Type(ty.clone()))),
            _ if self.checked.is_some() => None,
            _ => match self.env.resolve(name)? {
                Name::Variable(full, _) => Some(self.variable(&full)),
                Name::Type(ty) => Some(Node::Const(Value::Type(ty))),
            },
        }
    }

    fn select(&mut self, e: &Expr, operand: &Expr, field: &str, test: bool) -> Node {
        if !test && let Some(name) = qualified(e) {
            let root = if name.starts_with('.') { "" } else { name.split('.').next().unwrap_or_default() };
            if !self.scopes.iter().any(|n| n == root)
                && let Some(node) = self.resolved(e, &name)
            {
                return node;
            }
        }
        let operand = Box::new(self.plan(operand));
        let field = field.into();
        if test { Node::Has { operand, field } } else { Node::Select { operand, field, optional: false } }
    }

    fn call(&mut self, e: &Expr, function: &str, target: Option<&Expr>, args: &[Expr]) -> Node {
        if function == op::OPT_SELECT
            && let [operand, Expr { kind: Kind::Const(Const::String(field)), .. }] = args
        {
            return Node::Select { operand: Box::new(self.plan(operand)), field: (&**field).into(), optional: true };
        }
        let (overloads, global) = self.overloads(e, function, target);
        let target = target.filter(|_| !global);
        let full = overloads.first().map_or(function, |o| o.function).to_owned();
        let mut args: Vec<Node> = target.into_iter().chain(args).map(|a| self.plan(a)).collect();
        match (full.as_str(), args.len()) {
            (op::AND | op::OR | op::INDEX | op::OPT_INDEX | "or" | "orValue", 2) => {
                let right = Box::new(args.pop().expect("two arguments"));
                let left = Box::new(args.pop().expect("two arguments"));
                match full.as_str() {
                    op::AND => Node::And(left, right),
                    op::OR => Node::Or(left, right),
                    op::INDEX => Node::Index { operand: left, key: right, optional: false },
                    op::OPT_INDEX => Node::Index { operand: left, key: right, optional: true },
                    "or" => Node::OptionalOr(left, right),
                    _ => Node::OptionalOrValue(left, right),
                }
            }
            (op::NOT_STRICTLY_FALSE, 1) => Node::NotStrictlyFalse(Box::new(args.remove(0))),
            (op::CONDITIONAL, 3) => match <[Node; 3]>::try_from(args) {
                Ok(branches) => Node::Conditional(Box::new(branches)),
                Err(_) => Node::Fail("no such overload".into()),
            },
            _ => folded(Call { function: full.into(), overloads, args }),
        }
    }

    /// The overloads a call may mean, and whether `a.f(x)` is the function `a.f`.
    fn overloads(&self, e: &Expr, function: &str, target: Option<&Expr>) -> (Vec<&'static Overload>, bool) {
        if let Some(Reference::Function { overloads, global }) = self.reference(e) {
            return (overloads.clone(), *global);
        }
        if let Some(prefix) = target.and_then(qualified)
            && let Some(overloads) = self.env.function(&format!("{prefix}.{function}"))
        {
            return (overloads.iter().collect(), true);
        }
        let all = self.env.function(function).unwrap_or_default();
        (all.iter().filter(|o| o.member == target.is_some()).collect(), target.is_none())
    }

    fn list(&mut self, items: &[Expr], optional: &[bool]) -> Node {
        let nodes: Vec<(Node, bool)> = items.iter().zip(optional).map(|(item, optional)| (self.plan(item), *optional)).collect();
        let constants: Option<Vec<Value<'static>>> = nodes.iter().map(|(node, optional)| if *optional { None } else { constant(node) }).collect();
        constants.map_or_else(|| Node::List(nodes), |values| Node::Const(Value::List(List::of(values))))
    }

    fn map(&mut self, entries: &[Entry]) -> Node {
        let nodes: Vec<(Node, Node, bool)> = entries.iter().map(|e| (self.plan(&e.key), self.plan(&e.value), e.optional)).collect();
        let constants: Option<Vec<(Key<'static>, Value<'static>)>> =
            nodes.iter().map(|(key, value, optional)| if *optional { None } else { Some((map_key(&constant(key)?)?, constant(value)?)) }).collect();
        match constants {
            Some(pairs) => {
                let count = pairs.len();
                let built: crate::collection::Built<'static> = pairs.into_iter().collect();
                // Keys given twice are an error, and found when evaluating.
                if built.len() == count { Node::Const(Value::Map(Map::of(built))) } else { Node::Map(nodes) }
            }
            None => Node::Map(nodes),
        }
    }

    fn object(&mut self, e: &Expr, name: &str, fields: &[Field]) -> Node {
        let name = match self.reference(e) {
            Some(Reference::Struct(full)) => full.as_str().into(),
            _ => name.into(),
        };
        let fields = fields.iter().map(|f| (f.name.as_str().into(), self.plan(&f.value), f.optional)).collect();
        Node::Object { name, fields }
    }

    fn fold(&mut self, fold: &Fold) -> Node {
        let range = self.plan(&fold.range);
        let init = self.plan(&fold.init);
        let place = self.scopes.len();
        self.scopes.push(fold.accu.clone());
        self.scopes.push(fold.var.clone());
        self.scopes.extend(fold.var2.clone());
        let condition = self.plan(&fold.condition);
        let step = step(self.plan(&fold.step), place);
        self.scopes.truncate(place + 1);
        let result = self.plan(&fold.result);
        self.scopes.truncate(place);
        Node::Fold(Box::new(Loop { range, two: fold.var2.is_some(), place, init, condition, step, result }))
    }
}

/// Keys a map literal may have: no doubles.
pub(crate) fn map_key<'a>(value: &Value<'a>) -> Option<Key<'a>> {
    match value {
        Value::Double(_) => None,
        other => Key::from(other),
    }
}

fn constant(node: &Node) -> Option<Value<'static>> {
    match node {
        Node::Const(value) => Some(value.clone()),
        _ => None,
    }
}

pub(crate) fn value(constant: &Const) -> Value<'static> {
    match constant {
        Const::Null => Value::Null,
        Const::Bool(b) => Value::Bool(*b),
        Const::Int(i) => Value::Int(*i),
        Const::Uint(u) => Value::Uint(*u),
        Const::Double(d) => Value::Double(*d),
        Const::String(s) => Value::string(s.clone()),
        Const::Bytes(b) => Value::Bytes(b.clone()),
    }
}

fn folded(call: Call) -> Node {
    let convertible = matches!(&*call.function, "bool" | "bytes" | "double" | "duration" | "dyn" | "int" | "string" | "timestamp" | "uint");
    if convertible
        && let [Node::Const(arg)] = &call.args[..]
        && let Some(overload) = call.overloads.iter().find(|o| o.fits(std::slice::from_ref(arg)))
        && let Ok(value) = (overload.run)(std::slice::from_ref(arg))
    {
        return Node::Const(value);
    }
    match (&*call.function, &call.args[..]) {
        (op::IN, [_, Node::Const(Value::List(list))]) => {
            let keys: Option<BTreeSet<Key<'static>>> = list.iter().map(|v| Key::from(&v.ok()?)).collect();
            match keys {
                Some(set) => {
                    let value = call.args.into_iter().next().map(Box::new);
                    value.map_or_else(|| Node::Fail("no such overload".into()), |value| Node::In { value, set })
                }
                None => Node::Call(Box::new(call)),
            }
        }
        ("matches" | "find" | "findAll", [_, Node::Const(Value::String(pattern)), ..]) => match go_regex::compile(pattern) {
            Ok(regex) => {
                let length = pattern.chars().count() as u64;
                Node::Regex(Box::new(Pattern { call, regex, length }))
            }
            Err(_) => Node::Call(Box::new(call)),
        },
        _ => Node::Call(Box::new(call)),
    }
}

/// Recognises `accu + [item]`, perhaps under a condition.
fn step(node: Node, place: usize) -> Step {
    match node {
        Node::Conditional(branches) => {
            let [when, yes, no] = *branches;
            match (appended(yes, place), &no) {
                (Ok(item), Node::Local(p)) if *p == place => Step::Append { when: Some(when), item },
                (Ok(item), _) => Step::General(Node::Conditional(Box::new([when, append(item, place), no]))),
                (Err(yes), _) => Step::General(Node::Conditional(Box::new([when, yes, no]))),
            }
        }
        other => match appended(other, place) {
            Ok(item) => Step::Append { when: None, item },
            Err(node) => Step::General(node),
        },
    }
}

fn appended(node: Node, place: usize) -> Result<Node, Node> {
    let Node::Call(mut call) = node else { return Err(node) };
    let is = &*call.function == op::ADD
        && match &call.args[..] {
            [Node::Local(p), Node::List(items)] => *p == place && items.len() == 1 && !items[0].1,
            _ => false,
        };
    if !is {
        return Err(Node::Call(call));
    }
    match call.args.pop() {
        Some(Node::List(mut items)) => Ok(items.remove(0).0),
        _ => Ok(Node::Fail("no such overload".into())),
    }
}

fn append(item: Node, place: usize) -> Node {
    let overloads = crate::functions::TABLE.functions.get(op::ADD).map(|all| all.iter().filter(|o| o.id == "add_list").collect()).unwrap_or_default();
    Node::Call(Box::new(Call { function: op::ADD.into(), overloads, args: vec![Node::Local(place), Node::List(vec![(item, false)])] }))
}
