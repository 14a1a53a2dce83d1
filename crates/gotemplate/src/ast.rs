//! The parsed template: nodes with their places in the text, and how messages write them.

use std::fmt::{self, Display, Formatter};
use std::rc::Rc;

use crate::text::{Str, quote};

/// A parsed template. `text` is the whole text it was parsed from, which may hold other templates as well.
#[derive(Debug)]
pub struct Tree {
    pub name: String,
    pub parse_name: Rc<str>,
    pub text: Rc<[u8]>,
    pub(crate) root: NodeList,
}

impl Tree {
    /// `name:line:column` of a place; columns count bytes from 0.
    pub(crate) fn location(&self, pos: usize) -> String {
        let before = &self.text[..pos.min(self.text.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = before.iter().rposition(|b| *b == b'\n').map_or(before.len(), |at| before.len() - at - 1);
        format!("{}:{line}:{column}", self.parse_name)
    }

    /// Nothing but space and definitions.
    pub fn is_empty(&self) -> bool {
        self.root.nodes.iter().all(|node| matches!(node, Node::Text { text, .. } if text.iter().all(|b| b.is_ascii_whitespace() || *b == 0x0b)))
    }
}

#[derive(Debug)]
pub(crate) struct NodeList {
    pub pos: usize,
    pub nodes: Vec<Node>,
}

#[derive(Debug)]
pub(crate) enum Node {
    Text { pos: usize, text: Box<[u8]> },
    Action { pos: usize, pipe: Pipe },
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { pos: usize, name: String, pipe: Option<Pipe> },
    Break { pos: usize },
    Continue { pos: usize },
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub pos: usize,
    pub pipe: Pipe,
    pub list: NodeList,
    pub other: Option<NodeList>,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    pub pos: usize,
    pub assigns: bool,
    /// Declared or assigned variables, with their `$`.
    pub variables: Vec<Rc<str>>,
    pub commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub pos: usize,
    pub args: Vec<Operand>,
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub pos: usize,
    pub term: Term,
}

#[derive(Debug)]
pub(crate) enum Term {
    Bool(bool),
    Dot,
    Nil,
    /// `.A.B`
    Field(Vec<Box<str>>),
    /// `$x.A`: the name with its `$`, then fields
    Variable(Rc<str>, Vec<Box<str>>),
    Function(Box<str>),
    /// A term that is no field or variable, and fields of what it gives.
    Chain(Box<Operand>, Vec<Box<str>>),
    Number(Box<Number>),
    Str { quoted: Box<[u8]>, text: Str },
    Pipe(Box<Pipe>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Number {
    pub text: String,
    pub int: Option<i64>,
    pub uint: Option<u64>,
    pub float: Option<f64>,
    pub complex: Option<(f64, f64)>,
}

/// The node that is being worked on, for messages.
#[derive(Clone, Copy)]
pub(crate) enum At<'t> {
    Nothing,
    List(&'t NodeList),
    Node(&'t Node),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Operand(&'t Operand),
}

impl At<'_> {
    pub fn pos(&self) -> usize {
        match self {
            At::Nothing => 0,
            At::List(list) => list.pos,
            At::Node(node) => node.pos(),
            At::Pipe(pipe) => pipe.pos,
            At::Command(command) => command.pos,
            At::Operand(operand) => operand.pos,
        }
    }
}

impl Node {
    pub fn pos(&self) -> usize {
        match self {
            Node::Text { pos, .. } | Node::Action { pos, .. } | Node::Template { pos, .. } | Node::Break { pos } | Node::Continue { pos } => *pos,
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => branch.pos,
        }
    }
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            At::Nothing => Ok(()),
            At::List(list) => list.fmt(f),
            At::Node(node) => node.fmt(f),
            At::Pipe(pipe) => pipe.fmt(f),
            At::Command(command) => command.fmt(f),
            At::Operand(operand) => operand.fmt(f),
        }
    }
}

impl Display for NodeList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|node| node.fmt(f))
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Node::Text { text, .. } => f.write_str(&String::from_utf8_lossy(text)),
            Node::Action { pipe, .. } => write!(f, "{{{{{pipe}}}}}"),
            Node::If(branch) => branch.write(f, "if"),
            Node::With(branch) => branch.write(f, "with"),
            Node::Range(branch) => branch.write(f, "range"),
            Node::Template { name, pipe: None, .. } => write!(f, "{{{{template {}}}}}", quote(name.as_bytes())),
            Node::Template { name, pipe: Some(pipe), .. } => write!(f, "{{{{template {} {pipe}}}}}", quote(name.as_bytes())),
            Node::Break { .. } => f.write_str("{{break}}"),
            Node::Continue { .. } => f.write_str("{{continue}}"),
        }
    }
}

impl Branch {
    fn write(&self, f: &mut Formatter<'_>, name: &str) -> fmt::Result {
        write!(f, "{{{{{name} {}}}}}{}", self.pipe, self.list)?;
        if let Some(other) = &self.other {
            write!(f, "{{{{else}}}}{other}")?;
        }
        f.write_str("{{end}}")
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            f.write_str(&self.variables.join(", "))?;
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (at, command) in self.commands.iter().enumerate() {
            if at > 0 {
                f.write_str(" | ")?;
            }
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, arg) in self.args.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            match &arg.term {
                Term::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => arg.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Bool(value) => write!(f, "{value}"),
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Field(fields) => fields.iter().try_for_each(|field| write!(f, ".{field}")),
            Term::Variable(name, fields) => {
                f.write_str(name)?;
                fields.iter().try_for_each(|field| write!(f, ".{field}"))
            }
            Term::Function(name) => f.write_str(name),
            Term::Chain(inner, fields) => {
                match &inner.term {
                    Term::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => inner.fmt(f)?,
                }
                fields.iter().try_for_each(|field| write!(f, ".{field}"))
            }
            Term::Number(number) => f.write_str(&number.text),
            Term::Str { quoted, .. } => f.write_str(&String::from_utf8_lossy(quoted)),
            Term::Pipe(pipe) => pipe.fmt(f),
        }
    }
}
