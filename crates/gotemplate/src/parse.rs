//! The parser: tokens to trees, one for the text and one for each `define` and `block` in it.
//!
//! Never recurses without bound: a text nested deeper than the stack allows is an error. Messages are those of Go's
//! text/template/parse, with the line of the last token read.

use std::collections::HashMap;
use std::rc::Rc;

use crate::ast::{Branch, Command, Node, NodeList, Operand, Pipe, Term, Tree};
use crate::function::Functions;
use crate::lex::{Item, Kind, Lexer};
use crate::literal;
use crate::stack;
use crate::text::{Str, quote, unquote};

/// Nested parentheses that Go allows.
const MAX_PARENS: usize = 10_000;

/// A text that is no template: Go's message, `template: name:line: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(pub String);

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

type Parsed<T> = Result<T, ParseError>;

/// What ends a list of nodes.
enum End {
    End,
    Else { pos: usize },
}

impl End {
    fn shown(&self) -> &'static str {
        match self {
            End::End => "{{end}}",
            End::Else { .. } => "{{else}}",
        }
    }
}

enum Step {
    Node(Node),
    End(End),
}

/// What belongs to the template being parsed: the text's own, or a definition within.
#[derive(Default)]
struct Frame {
    variables: Vec<Rc<str>>,
    ranges: usize,
    parens: usize,
    action_line: usize,
}

impl Frame {
    fn new() -> Frame {
        Frame { variables: vec![Rc::from("$")], ..Frame::default() }
    }
}

pub(crate) struct Parser<'a> {
    name: Rc<str>,
    text: Rc<[u8]>,
    functions: &'a Functions,
    lexer: Lexer<'a>,
    /// Three tokens of look-ahead.
    token: [Item<'a>; 3],
    peeked: usize,
    frame: Frame,
    trees: HashMap<String, Tree>,
}

/// Parses a text; the trees by name, the text's own under `name`.
pub(crate) fn parse(name: &str, text: &[u8], functions: &Functions) -> Parsed<HashMap<String, Tree>> {
    let mut lexer = Lexer::new(text);
    lexer.break_ok = functions.get("break").is_none();
    lexer.continue_ok = functions.get("continue").is_none();
    let nothing = || Item { kind: Kind::Eof, pos: 0, val: b"", line: 0, message: String::new() };
    let mut parser = Parser {
        name: name.into(),
        text: text.into(),
        functions,
        lexer,
        token: [nothing(), nothing(), nothing()],
        peeked: 0,
        frame: Frame::new(),
        trees: HashMap::new(),
    };
    let root = parser.whole()?;
    parser.add(name.to_owned(), root)?;
    Ok(parser.trees)
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Item<'a> {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.token[0] = self.lexer.next_item();
        }
        self.token[self.peeked].clone()
    }

    fn backup(&mut self) {
        self.peeked += 1;
    }

    fn backup2(&mut self, first: Item<'a>) {
        self.token[1] = first;
        self.peeked = 2;
    }

    fn backup3(&mut self, first: Item<'a>, second: Item<'a>) {
        self.token[1] = second;
        self.token[2] = first;
        self.peeked = 3;
    }

    fn peek(&mut self) -> &Item<'a> {
        if self.peeked == 0 {
            self.peeked = 1;
            self.token[0] = self.lexer.next_item();
        }
        &self.token[self.peeked - 1]
    }

    fn next_non_space(&mut self) -> Item<'a> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Item<'a> {
        let token = self.next_non_space();
        self.backup();
        token
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Parsed<T> {
        Err(ParseError(format!("template: {}:{}: {message}", self.name, self.token[0].line)))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Item<'a>> {
        let token = self.next_non_space();
        if token.kind != kind {
            return self.unexpected(&token, context);
        }
        Ok(token)
    }

    fn unexpected<T>(&self, token: &Item<'a>, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return self.error(format_args!("unexpected {} in {context}", token.shown()));
        }
        let started = self.frame.action_line;
        let mut extra = String::new();
        if started != 0 && started != token.line {
            let action = if token.message.ends_with(" action") { "" } else { " in action" };
            extra = format!("{action} started at {}:{started}", self.name);
        }
        self.error(format_args!("{}{extra}", token.shown()))
    }

    fn add(&mut self, name: String, root: NodeList) -> Parsed<()> {
        let tree = Tree { name: name.clone(), parse_name: self.name.clone(), text: self.text.clone(), root };
        match self.trees.get(&name) {
            Some(old) if !old.is_empty() => {
                if !tree.is_empty() {
                    return self.error(format_args!("template: multiple definition of template {}", quote(name.as_bytes())));
                }
            }
            _ => {
                self.trees.insert(name, tree);
            }
        }
        Ok(())
    }

    /// The text itself, with its definitions.
    fn whole(&mut self) -> Parsed<NodeList> {
        let mut list = NodeList { pos: self.peek().pos, nodes: Vec::new() };
        while self.peek().kind != Kind::Eof {
            if self.peek().kind == Kind::LeftDelim {
                let delim = self.next();
                if self.next_non_space().kind == Kind::Define {
                    self.definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action()? {
                Step::Node(node) => list.nodes.push(node),
                Step::End(end) => return self.error(format_args!("unexpected {}", end.shown())),
            }
        }
        Ok(list)
    }

    fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        let outer = std::mem::replace(&mut self.frame, Frame::new());
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(&token, context);
        }
        let name = self.unquoted(&token)?;
        self.expect(Kind::RightDelim, context)?;
        let (root, end) = self.list()?;
        if let End::Else { .. } = end {
            return self.error(format_args!("unexpected {} in {context}", end.shown()));
        }
        self.add(name, root)?;
        self.frame = outer;
        Ok(())
    }

    fn unquoted(&self, token: &Item<'a>) -> Parsed<String> {
        match unquote(token.val) {
            Some(bytes) => Ok(crate::text::lossy(&bytes).into_owned()),
            None => self.error("invalid syntax"),
        }
    }

    /// Nodes up to an `end` or `else`.
    fn list(&mut self) -> Parsed<(NodeList, End)> {
        if stack::exhausted() {
            return self.error("blocks are nested too deeply");
        }
        let mut list = NodeList { pos: self.peek_non_space().pos, nodes: Vec::new() };
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Step::Node(node) => list.nodes.push(node),
                Step::End(end) => return Ok((list, end)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Step> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Step::Node(Node::Text { pos: token.pos, text: token.val.into() })),
            Kind::LeftDelim => {
                self.frame.action_line = token.line;
                let step = self.action()?;
                self.frame.action_line = 0;
                Ok(step)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Step> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => {
                self.loop_control("break")?;
                Node::Break { pos: token.pos }
            }
            Kind::Continue => {
                self.loop_control("continue")?;
                Node::Continue { pos: token.pos }
            }
            Kind::Else => return self.else_control().map(Step::End),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Step::End(End::End));
            }
            Kind::If => Node::If(self.control("if")?),
            Kind::Range => Node::Range(self.control("range")?),
            Kind::Template => self.template()?,
            Kind::With => Node::With(self.control("with")?),
            _ => {
                self.backup();
                let pos = self.peek().pos;
                Node::Action { pos, pipe: self.pipeline("command", Kind::RightDelim)? }
            }
        };
        Ok(Step::Node(node))
    }

    fn loop_control(&mut self, word: &str) -> Parsed<()> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, &format!("{{{{{word}}}}}"));
        }
        if self.frame.ranges == 0 {
            return self.error(format_args!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(())
    }

    fn else_control(&mut self) -> Parsed<End> {
        let peeked = self.peek_non_space();
        if matches!(peeked.kind, Kind::If | Kind::With) {
            return Ok(End::Else { pos: peeked.pos });
        }
        let token = self.expect(Kind::RightDelim, "else")?;
        Ok(End::Else { pos: token.pos })
    }

    fn control(&mut self, context: &'static str) -> Parsed<Branch> {
        let mark = self.frame.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        if context == "range" {
            self.frame.ranges += 1;
        }
        let (list, end) = self.list()?;
        if context == "range" {
            self.frame.ranges -= 1;
        }
        let other = match end {
            End::End => None,
            End::Else { pos } => Some(self.other_branch(context, pos)?),
        };
        self.frame.variables.truncate(mark);
        Ok(Branch { pos: pipe.pos, pipe, list, other })
    }

    /// What follows an `else`; `else if` in an `if` and `else with` in a `with` nest and share the one `end`.
    fn other_branch(&mut self, context: &'static str, pos: usize) -> Parsed<NodeList> {
        let nested = match (context, self.peek().kind) {
            ("if", Kind::If) => {
                self.next();
                Node::If(self.control("if")?)
            }
            ("with", Kind::With) => {
                self.next();
                Node::With(self.control("with")?)
            }
            _ => {
                let (list, end) = self.list()?;
                if let End::Else { .. } = end {
                    return self.error(format_args!("expected end; found {}", end.shown()));
                }
                return Ok(list);
            }
        };
        Ok(NodeList { pos, nodes: vec![nested] })
    }

    fn block(&mut self) -> Parsed<Node> {
        let context = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, context)?;
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let line = self.token[0].line;
        let outer = std::mem::replace(&mut self.frame, Frame::new());
        let (root, end) = self.list()?;
        self.frame = outer;
        if let End::Else { .. } = end {
            // Upstream: the outer parser reports, which last read the end of the action.
            return Err(ParseError(format!("template: {}:{line}: unexpected {} in {context}", self.name, end.shown())));
        }
        self.add(name.clone(), root)?;
        Ok(Node::Template { pos: token.pos, name, pipe: Some(pipe) })
    }

    fn template(&mut self) -> Parsed<Node> {
        let context = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, context)?;
        let mut pipe = None;
        if self.next_non_space().kind != Kind::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(context, Kind::RightDelim)?);
        }
        Ok(Node::Template { pos: token.pos, name, pipe })
    }

    fn template_name(&self, token: &Item<'a>, context: &str) -> Parsed<String> {
        match token.kind {
            Kind::String | Kind::RawString => self.unquoted(token),
            _ => self.unexpected(token, context),
        }
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let mut pipe = Pipe { pos: self.peek_non_space().pos, assigns: false, variables: Vec::new(), commands: Vec::new() };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    /// A declaration or assignment before the commands; whether another may follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        let variable = self.peek_non_space();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        self.next();
        let after = self.peek().clone();
        let next = self.peek_non_space();
        let comma = next.kind == Kind::Char && next.val == b",";
        if matches!(next.kind, Kind::Assign | Kind::Declare) || comma {
            self.next_non_space();
            let name: Rc<str> = String::from_utf8_lossy(variable.val).into();
            pipe.variables.push(name.clone());
            self.frame.variables.push(name);
            if !comma {
                pipe.assigns = next.kind == Kind::Assign;
                return Ok(false);
            }
            if context == "range" && pipe.variables.len() < 2 {
                return match self.peek_non_space().kind {
                    Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                    _ => self.error("range can only initialize variables"),
                };
            }
            return self.error(format_args!("too many declarations in {context}"));
        }
        if after.kind == Kind::Space {
            self.backup3(variable, after);
        } else {
            self.backup2(variable);
        }
        Ok(false)
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.error(format_args!("missing value for {context}"));
        }
        for (at, command) in pipe.commands.iter().enumerate().skip(1) {
            if matches!(command.args[0].term, Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Str { .. }) {
                return self.error(format_args!("non executable command in pipeline stage {}", at + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_non_space().pos, args: Vec::new() };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.args.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(operand));
        }
        let pos = self.peek().pos;
        let mut fields: Vec<Box<str>> = Vec::new();
        while self.peek().kind == Kind::Field {
            let token = self.next();
            fields.push(String::from_utf8_lossy(&token.val[1..]).into());
        }
        match &mut operand.term {
            Term::Field(names) | Term::Variable(_, names) => {
                names.append(&mut fields);
                operand.pos = pos;
                Ok(Some(operand))
            }
            Term::Bool(_) | Term::Str { .. } | Term::Number(_) | Term::Nil | Term::Dot => {
                let shown = operand.to_string();
                self.error(format_args!("unexpected . after term {}", quote(shown.as_bytes())))
            }
            _ => Ok(Some(Operand { pos, term: Term::Chain(Box::new(operand), fields) })),
        }
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_non_space();
        let text = || String::from_utf8_lossy(token.val).into_owned();
        let term = match token.kind {
            Kind::Identifier => {
                let name = text();
                if self.functions.get(&name).is_none() {
                    return self.error(format_args!("function {} not defined", quote(token.val)));
                }
                Term::Function(name.into())
            }
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => {
                let Some(name) = self.frame.variables.iter().find(|v| v.as_bytes() == token.val) else {
                    return self.error(format_args!("undefined variable {}", quote(token.val)));
                };
                Term::Variable(name.clone(), Vec::new())
            }
            Kind::Field => Term::Field(vec![text()[1..].into()]),
            Kind::Bool => Term::Bool(token.val == b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => match literal::number(token.val, token.kind) {
                Ok(number) => Term::Number(Box::new(number)),
                Err(message) => return self.error(message),
            },
            Kind::LeftParen => {
                if self.frame.parens >= MAX_PARENS || stack::exhausted() {
                    return self.error("max expression depth exceeded");
                }
                self.frame.parens += 1;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.frame.parens -= 1;
                return Ok(Some(Operand { pos: pipe.pos, term: Term::Pipe(Box::new(pipe)) }));
            }
            Kind::String | Kind::RawString => match unquote(token.val) {
                Some(bytes) => Term::Str { quoted: token.val.into(), text: Str::from(bytes) },
                None => return self.error("invalid syntax"),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Operand { pos: token.pos, term }))
    }
}
