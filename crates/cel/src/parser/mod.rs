//! Tokens to tree. Depth is bounded per grammar rule as in cel-go, so nothing after the parser can overflow a stack.
//!
//! Upstream: cel-go parser/parser.go, parser/gen/CEL.g4. The first syntax error ends the parse; other errors are collected.

mod operands;

use crate::ast::{Ast, Expr, Id, Kind, MAX_TREE_DEPTH, op};
use crate::lexer::{Token, tokens};
use crate::source::{CompileError, Issue};

/// What of the syntax is switched on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syntax {
    /// `cel.bind`: in the environment of device selection, not in the base one.
    pub bindings: bool,
    /// Field names in backquotes.
    pub quoted_fields: bool,
    /// `has(x)` and friends are plain calls when off.
    pub macros: bool,
}

// Upstream: cel-go cel/env.go and parser/options.go defaults.
const MAX_DEPTH: usize = 250;
const MAX_CODE_POINTS: usize = 100_000;
/// What may stand where an operand is wanted, and where the first of several: in the order of upstream's tokens.
const FIRST_ARGUMENT: &str = "{'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const FIRST_ITEM: &str = "{'[', ']', '{', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const FIRST_ENTRY: &str = "{'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const PRIMARY: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

const OR: u8 = 1;
const AND: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;

pub(crate) fn parse(source: &str, syntax: Syntax) -> Result<Ast, CompileError> {
    let chars: Vec<char> = source.chars().collect();
    if chars.len() > MAX_CODE_POINTS {
        let message = format!("expression code point size exceeds limit: size: {}, limit {MAX_CODE_POINTS}", chars.len());
        return Err(CompileError::new(source, vec![Issue { at: None, message }]));
    }
    let (tokens, issues) = tokens(&chars);
    let mut parser = Parser { tokens, next: 0, issues, positions: vec![0], depth: 0, recovering: false, copied: 0, syntax };
    let root = parser.start();
    match root {
        Some(root) if parser.issues.is_empty() => Ok(Ast { root, positions: parser.positions }),
        _ => Err(CompileError::new(source, parser.issues)),
    }
}

pub(crate) struct Parser {
    tokens: Vec<(Token, u32)>,
    next: usize,
    pub(crate) issues: Vec<Issue>,
    positions: Vec<u32>,
    depth: usize,
    /// An error was reported and no token taken since.
    recovering: bool,
    /// Nodes macros have copied.
    copied: usize,
    pub(crate) syntax: Syntax,
}

/// Macros that use an operand twice copy it; nested, copies of copies. No expression has more of them.
const MAX_COPIED: usize = 20_000;

impl Parser {
    /// Counts a copy of a tree, and says whether it may be made.
    pub(crate) fn may_copy(&mut self, tree: &Expr) -> bool {
        crate::validate::walk(tree, &mut |_| self.copied += 1);
        self.copied <= MAX_COPIED
    }

    fn start(&mut self) -> Option<Expr> {
        let root = self.expr()?;
        if *self.peek() != Token::End {
            let what = if self.tokens.get(self.next + 1).is_some_and(|t| t.0 == Token::End) { "extraneous" } else { "mismatched" };
            return self.syntax_error(&format!("{what} input {} expecting <EOF>", self.peek().shown()));
        }
        Some(root)
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn at(&self) -> u32 {
        self.tokens[self.next].1
    }

    fn take(&mut self) -> (Token, u32) {
        let token = self.tokens[self.next].clone();
        self.recovering = false;
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    fn accept(&mut self, punct: &str) -> Option<u32> {
        match self.peek() {
            Token::Punct(p) if *p == punct => Some(self.take().1),
            _ => None,
        }
    }

    fn expect(&mut self, punct: &str) -> Option<u32> {
        if let Some(at) = self.accept(punct) {
            return Some(at);
        }
        let shown = self.peek().shown();
        match self.peek() {
            Token::End => self.syntax_error(&format!("missing '{punct}' at {shown}")),
            _ => self.syntax_error(&format!("mismatched input {shown} expecting '{punct}'")),
        }
    }

    fn syntax_error<T>(&mut self, message: &str) -> Option<T> {
        self.syntax_error_at(self.at(), message)
    }

    /// Upstream (ANTLR's error strategy): after an error nothing is reported until a token has been taken again.
    fn syntax_error_at<T>(&mut self, at: u32, message: &str) -> Option<T> {
        if !self.recovering {
            self.issues.push(Issue { at: Some(at), message: format!("Syntax error: {message}") });
            self.recovering = true;
        }
        None
    }

    /// Reports and leaves a node behind, so that parsing goes on.
    pub(crate) fn report(&mut self, at: Option<u32>, message: &str) -> Expr {
        self.issues.push(Issue { at, message: message.to_owned() });
        self.node(at.unwrap_or(0), Kind::Error)
    }

    pub(crate) fn id(&mut self, at: u32) -> Id {
        self.positions.push(at);
        (self.positions.len() - 1) as Id
    }

    pub(crate) fn node(&mut self, at: u32, kind: Kind) -> Expr {
        let id = self.id(at);
        self.make(id, kind)
    }

    /// The node, or an error in its place where the tree would grow too deep.
    pub(crate) fn make(&mut self, id: Id, kind: Kind) -> Expr {
        let (depth, counted) = (kind.depth(), kind.counted());
        if depth > MAX_TREE_DEPTH || usize::from(counted) > MAX_DEPTH {
            self.issues.push(Issue { at: None, message: "max recursion depth exceeded".into() });
            return Expr { id, depth: 1, counted: 0, kind: Kind::Error };
        }
        Expr { id, depth, counted, kind }
    }

    pub(crate) fn place(&self, id: Id) -> u32 {
        self.positions[id as usize]
    }

    fn too_deep<T>(&mut self) -> Option<T> {
        self.issues.push(Issue { at: None, message: "max recursion depth exceeded".into() });
        None
    }

    pub(crate) fn call(&mut self, id: Id, function: &str, args: Vec<Expr>) -> Expr {
        self.make(id, Kind::Call { function: function.to_owned(), target: None, args })
    }

    fn expr(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.issues.push(Issue { at: None, message: format!("expression recursion limit exceeded: {MAX_DEPTH}") });
            return None;
        }
        let condition = self.binary(OR)?;
        let result = match self.accept("?") {
            None => condition,
            Some(at) => {
                let id = self.id(at);
                let yes = self.binary(OR)?;
                self.expect(":")?;
                let no = self.expr()?;
                self.call(id, op::CONDITIONAL, vec![condition, yes, no])
            }
        };
        self.depth -= 1;
        Some(result)
    }

    /// A chain of one logical operator becomes a balanced tree, as deep as the logarithm of its length.
    fn balance(&mut self, function: &str, terms: Vec<Expr>, ids: &[Id]) -> Expr {
        let mut terms: Vec<Option<Expr>> = terms.into_iter().map(Some).collect();
        if ids.is_empty() {
            return terms[0].take().expect("one term");
        }
        self.balanced(function, &mut terms, ids, 0, ids.len() - 1)
    }

    fn balanced(&mut self, function: &str, terms: &mut [Option<Expr>], ids: &[Id], low: usize, high: usize) -> Expr {
        let middle = (low + high).div_ceil(2);
        let left = if middle == low { terms[middle].take().expect("term") } else { self.balanced(function, terms, ids, low, middle - 1) };
        let right = if middle == high { terms[middle + 1].take().expect("term") } else { self.balanced(function, terms, ids, middle + 1, high) };
        self.call(ids[middle], function, vec![left, right])
    }

    /// The binary operator that comes next, and how tightly it binds.
    fn operator(&self) -> Option<(u8, &'static str)> {
        Some(match self.peek() {
            Token::Punct("||") => (OR, op::OR),
            Token::Punct("&&") => (AND, op::AND),
            Token::Punct("==") => (RELATION, op::EQ),
            Token::Punct("!=") => (RELATION, op::NE),
            Token::Punct("<") => (RELATION, "_<_"),
            Token::Punct("<=") => (RELATION, "_<=_"),
            Token::Punct(">") => (RELATION, "_>_"),
            Token::Punct(">=") => (RELATION, "_>=_"),
            Token::Ident(word) if word == "in" => (RELATION, op::IN),
            Token::Punct("+") => (SUM, op::ADD),
            Token::Punct("-") => (SUM, "_-_"),
            Token::Punct("*") => (PRODUCT, "_*_"),
            Token::Punct("/") => (PRODUCT, "_/_"),
            Token::Punct("%") => (PRODUCT, "_%_"),
            _ => return None,
        })
    }

    /// Operands joined by operators that bind at least so tightly. One function for all levels: nesting costs few stack frames.
    fn binary(&mut self, least: u8) -> Option<Expr> {
        let mut left = self.unary()?;
        let mut chain = 0;
        while let Some((level, function)) = self.operator()
            && level >= least
        {
            if level <= AND {
                left = self.logical(left, level, function)?;
                continue;
            }
            chain += 1;
            if chain > MAX_DEPTH {
                return self.too_deep();
            }
            let at = self.take().1;
            let id = self.id(at);
            let right = self.binary(level + 1)?;
            left = self.call(id, function, vec![left, right]);
        }
        Some(left)
    }

    #[inline(never)]
    fn logical(&mut self, first: Expr, level: u8, function: &str) -> Option<Expr> {
        let sign = if level == OR { "||" } else { "&&" };
        let mut terms = vec![first];
        let mut ids = Vec::new();
        while let Some(at) = self.accept(sign) {
            ids.push(self.id(at));
            terms.push(self.binary(level + 1)?);
        }
        Some(self.balance(function, terms, &ids))
    }

    fn unary(&mut self) -> Option<Expr> {
        let (sign, function) = match self.peek() {
            Token::Punct("!") => ("!", op::NOT),
            Token::Punct("-") if !matches!(self.tokens.get(self.next + 1), Some((Token::Int(_) | Token::Float(_), _))) => ("-", op::NEGATE),
            _ => return self.member(),
        };
        let at = self.at();
        let mut count = 0;
        while self.accept(sign).is_some() {
            count += 1;
        }
        let id = self.id(at);
        let operand = self.member()?;
        Some(if count % 2 == 0 { operand } else { self.call(id, function, vec![operand]) })
    }
}
