//! The evaluator: walks trees and writes what they give.
//!
//! Follows Go's text/template/exec.go in what it evaluates when and which node it says it was at, since messages name that node.
//! Never recurses beyond the stack and never loops beyond the budget.

use std::rc::Rc;

use crate::ast::{At, Branch, Command, Node, NodeList, Operand, Pipe, Term, Tree};
use crate::budget::{Budget, MAX_DEPTH};
use crate::fmt;
use crate::function::{Failure, Reflected};
use crate::set::{MissingKey, Set};
use crate::stack;
use crate::text::quote;
use crate::value::{Elem, Kind, MapType, Value};

pub(crate) type Evaluated = Result<Reflected, Failure>;

/// Where a function is called: what it needs to execute templates itself.
pub struct Scope<'s> {
    set: &'s Rc<Set>,
    budget: &'s Budget,
}

impl<'s> Scope<'s> {
    pub(crate) fn new(set: &'s Rc<Set>, budget: &'s Budget) -> Scope<'s> {
        Scope { set, budget }
    }

    /// The templates that the calling one sees.
    pub fn set(&self) -> &Rc<Set> {
        self.set
    }

    pub fn budget(&self) -> &Budget {
        self.budget
    }

    /// `ExecuteTemplate`.
    pub fn execute(&self, name: &str, data: Value) -> Result<Vec<u8>, Failure> {
        match self.set.lookup(name) {
            Some(tree) => self.execute_tree(self.set, tree, data),
            None => Err(Failure::new(format!(
                "template: no template {} associated with template {}",
                quote(name.as_bytes()),
                quote(self.set.name().as_bytes())
            ))),
        }
    }

    /// Executes a tree with the templates of a set.
    pub fn execute_tree(&self, set: &Rc<Set>, tree: &Tree, data: Value) -> Result<Vec<u8>, Failure> {
        let data = Reflected::bare(data);
        let mut state = State { set, tree, budget: self.budget, out: Vec::new(), vars: vec![("$", data.clone())], at: At::Nothing, depth: 0 };
        state.walk_list(&data, &tree.root)?;
        Ok(state.out)
    }
}

#[derive(PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
}

pub(crate) struct State<'t> {
    pub set: &'t Rc<Set>,
    tree: &'t Tree,
    pub budget: &'t Budget,
    out: Vec<u8>,
    vars: Vec<(&'t str, Reflected)>,
    pub at: At<'t>,
    depth: usize,
}

impl<'t> State<'t> {
    fn failure(&self, message: &str) -> Failure {
        let name = &self.tree.name;
        let text = match self.at {
            At::Nothing => format!("template: {name}: {message}"),
            at => format!("template: {}: executing {} at <{at}>: {message}", self.tree.location(at.pos()), quote(name.as_bytes())),
        };
        Failure { text, source: None, exec: true }
    }

    pub fn error<T>(&self, message: impl AsRef<str>) -> Result<T, Failure> {
        Err(self.failure(message.as_ref()))
    }

    /// The error of a function that was called.
    pub fn error_calling<T>(&self, name: &str, source: Failure) -> Result<T, Failure> {
        let mut failure = self.failure(&format!("error calling {name}: {source}"));
        failure.source = Some(Box::new(source));
        Err(failure)
    }

    fn set_var(&mut self, name: &str, value: Reflected) -> Result<(), Failure> {
        match self.vars.iter_mut().rev().find(|(n, _)| *n == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    fn walk_list(&mut self, dot: &Reflected, list: &'t NodeList) -> Result<Flow, Failure> {
        self.at = At::List(list);
        if stack::exhausted() {
            return self.error("templates are nested too deeply");
        }
        for node in &list.nodes {
            let flow = self.walk(dot, node)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn spend(&self, steps: u64) -> Result<(), Failure> {
        self.budget.step(steps).or_else(|failure| self.error(failure.text))
    }

    fn walk(&mut self, dot: &Reflected, node: &'t Node) -> Result<Flow, Failure> {
        self.at = At::Node(node);
        self.spend(1)?;
        match node {
            Node::Text { text, .. } => {
                self.budget.make(text.len()).or_else(|failure| self.error(failure.text))?;
                self.out.extend_from_slice(text);
            }
            Node::Action { pipe, .. } => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.at = At::Node(node);
                    self.print(&value)?;
                }
            }
            Node::If(branch) => return self.branch(dot, branch, false),
            Node::With(branch) => return self.branch(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template { name, pipe, .. } => self.template(dot, name, pipe.as_ref())?,
            Node::Break { .. } => return Ok(Flow::Break),
            Node::Continue { .. } => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, value: &Reflected) -> Result<(), Failure> {
        let before = self.out.len();
        let printed = match &value.value {
            Value::Nil => {
                self.out.extend_from_slice(b"<no value>");
                Ok(())
            }
            Value::Object(object) => match object.addressed_stringer() {
                Some(text) => {
                    self.out.extend_from_slice(&text);
                    Ok(())
                }
                None => {
                    let shown = if object.kind() == Kind::Pointer && object.stringer().is_none() { object.target() } else { None };
                    fmt::print_to(&mut self.out, shown.as_ref().unwrap_or(&value.value))
                }
            },
            other => fmt::print_to(&mut self.out, other),
        };
        printed.and_then(|()| self.budget.make(self.out.len() - before)).or_else(|failure| self.error(failure.text))
    }

    fn branch(&mut self, dot: &Reflected, branch: &'t Branch, with: bool) -> Result<Flow, Failure> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.value.is_true() {
            self.walk_list(if with { &value } else { dot }, &branch.list)?
        } else if let Some(other) = &branch.other {
            self.walk_list(dot, other)?
        } else {
            Flow::Next
        };
        self.vars.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Reflected, range: &'t Branch) -> Result<Flow, Failure> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &range.pipe)?.value;
        let index = |at: i64| Some(Reflected::bare(Value::int(at)));
        let iterated = match &value {
            Value::Nil => false,
            Value::Int(kind, count) => {
                self.single_variable(range, &value)?;
                self.each(range, (0..*count).map(|i| (None, Reflected::bare(Value::Int(*kind, i)))))?
            }
            Value::Uint(kind, count) => {
                self.single_variable(range, &value)?;
                self.each(range, (0..*count).map(|i| (None, Reflected::bare(Value::Uint(*kind, i)))))?
            }
            Value::Map(map) => {
                let boxed = map.kind() != MapType::Strings;
                let entries: Vec<_> = map.borrow().iter().map(|(k, v)| (Value::Str(k.clone()), v.clone())).collect();
                self.each(range, entries.into_iter().map(|(k, v)| (Some(Reflected::bare(k)), Reflected { value: v, boxed })))?
            }
            Value::Object(object) if matches!(object.kind(), Kind::Map | Kind::Slice) => {
                self.each(range, object.items().into_iter().map(|(k, v)| (Some(Reflected::bare(k)), Reflected::bare(v))))?
            }
            other => match other.elements() {
                Some(items) => {
                    let boxed = other.as_list().is_some_and(|list| list.elem() == Elem::Any);
                    self.each(range, (0..).zip(items.iter().cloned()).map(|(i, v)| (index(i), Reflected { value: v, boxed })))?
                }
                None => {
                    let shown = fmt::verb(other, 'v').or_else(|failure| self.error(failure.text))?;
                    return self.error(format!("range can't iterate over {}", shown.text()));
                }
            },
        };
        let mut flow = Flow::Next;
        if !iterated && let Some(other) = &range.other {
            // Upstream: a break in the else part ends but this range, a continue goes on with the outer one.
            if self.walk_list(dot, other)? == Flow::Continue {
                flow = Flow::Continue;
            }
        }
        self.vars.truncate(mark);
        Ok(flow)
    }

    fn single_variable(&self, range: &Branch, value: &Value) -> Result<(), Failure> {
        if range.pipe.variables.len() > 1 {
            let shown = fmt::verb(value, 'v').or_else(|failure| self.error(failure.text))?;
            return self.error(format!("can't use {} to iterate over more than one variable", shown.text()));
        }
        Ok(())
    }

    /// Runs the body for each element; whether there was one.
    fn each(&mut self, range: &'t Branch, items: impl Iterator<Item = (Option<Reflected>, Reflected)>) -> Result<bool, Failure> {
        let mark = self.vars.len();
        let mut any = false;
        for (index, element) in items {
            any = true;
            self.spend(1)?;
            self.bind(&range.pipe, index, &element)?;
            let flow = self.walk_list(&element, &range.list)?;
            self.vars.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(any)
    }

    /// Gives the range's variables their values; with two, the index comes first.
    fn bind(&mut self, pipe: &'t Pipe, index: Option<Reflected>, element: &Reflected) -> Result<(), Failure> {
        let index = index.unwrap_or(Reflected::bare(Value::Nil));
        let top = self.vars.len();
        match (pipe.variables.as_slice(), pipe.assigns) {
            ([], _) => {}
            ([one], true) => self.set_var(one, element.clone())?,
            ([first, second, ..], true) => {
                self.set_var(first, index)?;
                self.set_var(second, element.clone())?;
            }
            ([_], false) => self.vars[top - 1].1 = element.clone(),
            ([_, _, ..], false) => {
                self.vars[top - 1].1 = element.clone();
                self.vars[top - 2].1 = index;
            }
        }
        Ok(())
    }

    fn template(&mut self, dot: &Reflected, name: &str, pipe: Option<&'t Pipe>) -> Result<(), Failure> {
        let Some(tree) = self.set.lookup(name) else {
            return self.error(format!("template {} not defined", quote(name.as_bytes())));
        };
        if self.depth >= MAX_DEPTH || stack::exhausted() {
            return self.error(format!("exceeded maximum template depth ({MAX_DEPTH})"));
        }
        let dot = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Reflected::bare(Value::Nil),
        };
        let mut inner = State {
            set: self.set,
            tree,
            budget: self.budget,
            out: std::mem::take(&mut self.out),
            vars: vec![("$", dot.clone())],
            at: At::Nothing,
            depth: self.depth + 1,
        };
        inner.walk_list(&dot, &tree.root)?;
        self.out = inner.out;
        Ok(())
    }

    pub fn pipeline(&mut self, dot: &Reflected, pipe: &'t Pipe) -> Evaluated {
        self.at = At::Pipe(pipe);
        let mut value: Option<Reflected> = None;
        for command in &pipe.commands {
            let mut result = self.command(dot, command, value)?;
            result.boxed = false;
            value = Some(result);
        }
        let value = value.unwrap_or(Reflected::bare(Value::Nil));
        for variable in &pipe.variables {
            if pipe.assigns {
                self.set_var(variable, value.clone())?;
            } else {
                self.vars.push((variable, value.clone()));
            }
        }
        Ok(value)
    }

    fn not_a_function(&self, args: &[Operand], piped: Option<&Reflected>) -> Result<(), Failure> {
        if args.len() > 1 || piped.is_some() {
            return self.error(format!("can't give argument to non-function {}", args[0]));
        }
        Ok(())
    }

    fn command(&mut self, dot: &Reflected, command: &'t Command, piped: Option<Reflected>) -> Evaluated {
        self.spend(1)?;
        let first = &command.args[0];
        match &first.term {
            Term::Field(fields) => {
                self.at = At::Operand(first);
                return self.fields(dot, dot.clone(), first, fields, &command.args[1..], piped);
            }
            Term::Chain(inner, fields) => return self.chain(dot, first, inner, fields, &command.args[1..], piped),
            Term::Function(name) => return self.function(dot, first, name, At::Command(command), &command.args[1..], piped),
            Term::Pipe(pipe) => {
                self.not_a_function(&command.args, piped.as_ref())?;
                return self.pipeline(dot, pipe);
            }
            Term::Variable(name, fields) => {
                self.at = At::Operand(first);
                let value = self.variable(name)?;
                if fields.is_empty() {
                    self.not_a_function(&command.args, piped.as_ref())?;
                    return Ok(value);
                }
                return self.fields(dot, value, first, fields, &command.args[1..], piped);
            }
            _ => {}
        }
        self.at = At::Operand(first);
        self.not_a_function(&command.args, piped.as_ref())?;
        match &first.term {
            Term::Nil => self.error("nil is not a command"),
            Term::Dot => Ok(dot.clone()),
            _ => self.constant(first),
        }
    }

    pub fn variable(&self, name: &str) -> Evaluated {
        match self.vars.iter().rev().find(|(n, _)| *n == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    /// A constant where nothing says of what type it should be.
    pub fn constant(&mut self, operand: &'t Operand) -> Evaluated {
        self.at = At::Operand(operand);
        let value = match &operand.term {
            Term::Bool(value) => Value::Bool(*value),
            Term::Str { text, .. } => Value::Str(text.clone()),
            Term::Number(number) => {
                let text = number.text.as_str();
                let hex = text.len() > 2 && (text.starts_with("0x") || text.starts_with("0X")) && !text.contains(['p', 'P']);
                let written_float = !hex && !text.starts_with('\'') && text.contains(['.', 'e', 'E', 'p', 'P']);
                match (number.complex, number.float, number.int) {
                    (Some((re, im)), ..) => Value::Complex(re, im),
                    (None, Some(float), _) if written_float => Value::Float(float),
                    (None, _, Some(int)) => Value::int(int),
                    _ if number.uint.is_some() => return self.error(format!("{text} overflows int")),
                    _ => Value::Nil,
                }
            }
            _ => return self.error(format!("can't evaluate command {}", quote(operand.to_string().as_bytes()))),
        };
        Ok(Reflected::bare(value))
    }

    pub fn chain(
        &mut self,
        dot: &Reflected,
        operand: &'t Operand,
        inner: &'t Operand,
        fields: &'t [Box<str>],
        args: &'t [Operand],
        piped: Option<Reflected>,
    ) -> Evaluated {
        self.at = At::Operand(operand);
        if let Term::Nil = inner.term {
            return self.error(format!("indirection through explicit nil in {operand}"));
        }
        let value = self.any_argument(dot, inner)?;
        self.fields(dot, value, operand, fields, args, piped)
    }

    /// `.A.B.C` from a receiver; arguments go to the last.
    pub fn fields(
        &mut self,
        dot: &Reflected,
        receiver: Reflected,
        node: &'t Operand,
        fields: &'t [Box<str>],
        args: &'t [Operand],
        piped: Option<Reflected>,
    ) -> Evaluated {
        let Some((last, path)) = fields.split_last() else { return Ok(receiver) };
        let mut receiver = receiver;
        for field in path {
            receiver = self.field(dot, field, node, &[], None, receiver)?;
        }
        self.field(dot, last, node, args, piped, receiver)
    }

    fn field(
        &mut self,
        dot: &Reflected,
        name: &str,
        node: &'t Operand,
        args: &'t [Operand],
        piped: Option<Reflected>,
        receiver: Reflected,
    ) -> Evaluated {
        if receiver.is_invalid() {
            if self.set.missing() == MissingKey::Error {
                return self.error(format!("nil data; no entry for key {}", quote(name.as_bytes())));
            }
            return Ok(receiver);
        }
        let type_name = if receiver.boxed { "interface {}".into() } else { receiver.value.type_name() };
        if receiver.is_nil_interface() {
            return self.error(format!("nil pointer evaluating {type_name}.{name}"));
        }
        let method = match &receiver.value {
            Value::Object(object) => object.method(name),
            Value::Map(map) => match map.kind() {
                MapType::Named(named) => (named.method)(map, name),
                _ => None,
            },
            _ => None,
        };
        if let Some(method) = method {
            return self.method(dot, &method, node, name, args, piped);
        }
        let has_arguments = !args.is_empty() || piped.is_some();
        match &receiver.value {
            Value::Map(map) => {
                if has_arguments {
                    return self.error(format!("{name} is not a method but has arguments"));
                }
                let boxed = map.kind() != MapType::Strings;
                return match map.get(name.as_bytes()) {
                    Some(value) => Ok(Reflected { value, boxed }),
                    None => self.missing(name, || if boxed { Reflected::boxed(Value::Nil) } else { Reflected::bare(Value::str("")) }),
                };
            }
            Value::Object(object) => match object.kind() {
                Kind::Map => {
                    if has_arguments {
                        return self.error(format!("{name} is not a method but has arguments"));
                    }
                    return match object.entry(name.as_bytes()) {
                        Some(value) => Ok(Reflected::bare(value)),
                        None => self.missing(name, || Reflected::bare(object.missing_entry())),
                    };
                }
                _ => {
                    if let Some(value) = object.field(name) {
                        if has_arguments {
                            return self.error(format!("{name} has arguments but cannot be invoked as function"));
                        }
                        return Ok(Reflected::bare(value));
                    }
                }
            },
            _ => {}
        }
        self.error(format!("can't evaluate field {name} in type {type_name}"))
    }

    fn missing(&self, name: &str, zero: impl FnOnce() -> Reflected) -> Evaluated {
        match self.set.missing() {
            MissingKey::Invalid => Ok(Reflected::bare(Value::Nil)),
            MissingKey::Zero => Ok(zero()),
            MissingKey::Error => self.error(format!("map has no entry for key {}", quote(name.as_bytes()))),
        }
    }
}
