//! Tokens to tree. Depth is bounded per grammar rule as in cel-go, so nothing after the parser can overflow a stack.
//!
//! Upstream: cel-go parser/parser.go, parser/gen/CEL.g4. The first syntax error ends the parse; other errors are collected.

use crate::ast::{Ast, Const, Entry, Expr, Field, Id, Kind, MAX_TREE_DEPTH, op, qualified};
use crate::lexer::{Token, tokens};
use crate::literal::{Unescaped, unescape};
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
const PRIMARY: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const RESERVED: [&str; 17] =
    ["as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"];

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

    fn member(&mut self) -> Option<Expr> {
        // Only a plain dotted name may be followed by a message's fields.
        let mut plain = matches!(self.peek(), Token::Ident(_) | Token::Punct("."));
        let mut operand = self.primary()?;
        let mut chain = 0;
        loop {
            plain &= matches!(operand.kind, Kind::Ident(_) | Kind::Select { .. });
            if let Some(at) = self.accept(".") {
                plain &= matches!(self.peek(), Token::Ident(_));
                operand = self.selection(operand, at)?;
            } else if let Some(at) = self.accept("[") {
                let optional = self.accept("?").is_some();
                let id = self.id(at);
                let index = self.expr()?;
                self.expect("]")?;
                operand = self.call(id, if optional { op::OPT_INDEX } else { op::INDEX }, vec![operand, index]);
            } else if plain && matches!(self.peek(), Token::Punct("{")) {
                operand = self.construction(operand)?;
                plain = false;
            } else {
                return Some(operand);
            }
            chain += 1;
            if chain > MAX_DEPTH {
                return self.too_deep();
            }
        }
    }

    fn selection(&mut self, operand: Expr, dot: u32) -> Option<Expr> {
        let optional = self.accept("?").is_some();
        let (name, at, quoted) = match self.take() {
            (Token::Ident(name), at) if !matches!(name.as_str(), "true" | "false" | "null" | "in") => (name, at, false),
            (Token::Quoted(name), at) => (name, at, true),
            (other, at) => {
                let shown = other.shown();
                let message = match other {
                    Token::Ident(ref word) if word != "in" => format!("mismatched input {shown} expecting IDENTIFIER"),
                    Token::End => "no viable alternative at input '.'".to_owned(),
                    _ => format!("no viable alternative at input '.{}'", &shown[1..shown.len() - 1]),
                };
                return self.syntax_error_at(at, &message);
            }
        };
        if quoted && !self.syntax.quoted_fields {
            return Some(self.report(Some(at), "unsupported syntax: '`'"));
        }
        if optional {
            let id = self.id(dot);
            let field = self.node(at, Kind::Const(Const::String(name.into())));
            return Some(self.call(id, op::OPT_SELECT, vec![operand, field]));
        }
        let Some(open) = (if quoted { None } else { self.accept("(") }) else {
            return Some(self.node(dot, Kind::Select { operand: Box::new(operand), field: name, test: false }));
        };
        let id = self.id(open);
        let args = self.list(")")?.0;
        Some(self.method(id, &name, operand, args))
    }

    fn method(&mut self, id: Id, name: &str, target: Expr, args: Vec<Expr>) -> Expr {
        match self.member_macro(id, name, target, args) {
            Ok(expanded) => expanded,
            Err((target, args)) => self.make(id, Kind::Call { function: name.to_owned(), target: Some(Box::new(target)), args }),
        }
    }

    /// Expressions up to the closing sign, each perhaps led by `?`.
    fn list(&mut self, close: &'static str) -> Option<(Vec<Expr>, Vec<bool>)> {
        let (mut items, mut optional) = (Vec::new(), Vec::new());
        if self.accept(close).is_some() {
            return Some((items, optional));
        }
        loop {
            optional.push(close == "]" && self.accept("?").is_some());
            items.push(self.expr()?);
            if self.accept(",").is_none() {
                self.expect(close)?;
                return Some((items, optional));
            }
            if close == "]" && self.accept(close).is_some() {
                return Some((items, optional));
            }
        }
    }

    fn construction(&mut self, target: Expr) -> Option<Expr> {
        let open = self.at();
        let Some(name) = qualified(&target) else {
            let at = self.place(target.id);
            return Some(self.report(Some(at), "expected a qualified name"));
        };
        self.accept("{");
        let id = self.id(open);
        let mut fields = Vec::new();
        while self.accept("}").is_none() {
            if !fields.is_empty() {
                if self.accept(",").is_none() {
                    self.expect("}")?;
                    break;
                }
                if self.accept("}").is_some() {
                    break;
                }
            }
            let optional = self.accept("?").is_some();
            let (Token::Ident(field) | Token::Quoted(field)) = self.peek().clone() else {
                let shown = self.peek().shown();
                let expected = if optional { "{IDENTIFIER, ESC_IDENTIFIER}" } else { "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}" };
                return self.syntax_error(&format!("mismatched input {shown} expecting {expected}"));
            };
            self.take();
            let colon = self.expect(":")?;
            let field_id = self.id(colon);
            let value = self.expr()?;
            fields.push(Field { id: field_id, name: field, value, optional });
        }
        Some(self.make(id, Kind::Struct { name, fields }))
    }

    fn map(&mut self, open: u32) -> Option<Expr> {
        let id = self.id(open);
        let mut entries = Vec::new();
        while self.accept("}").is_none() {
            if !entries.is_empty() {
                if self.accept(",").is_none() {
                    self.expect("}")?;
                    break;
                }
                if self.accept("}").is_some() {
                    break;
                }
            }
            let optional = self.accept("?").is_some();
            let key = self.expr()?;
            self.expect(":")?;
            let value = self.expr()?;
            entries.push(Entry { key, value, optional });
        }
        Some(self.make(id, Kind::Map(entries)))
    }

    /// Whether a token can begin an operand.
    fn begins(token: Option<&(Token, u32)>) -> bool {
        match token.map(|t| &t.0) {
            Some(Token::Punct(p)) => matches!(*p, "[" | "{" | "(" | "." | "-" | "!"),
            Some(Token::Ident(word)) => word != "in",
            Some(Token::Quoted(_) | Token::End) | None => false,
            Some(_) => true,
        }
    }

    /// What stands where an operand should: where the parse can go on behind it, it does.
    fn no_operand(&mut self) -> Option<Expr> {
        let shown = self.peek().shown();
        let what = if Self::begins(self.tokens.get(self.next + 1)) { "extraneous" } else { "mismatched" };
        let none: Option<()> = self.syntax_error(&format!("{what} input {shown} expecting {PRIMARY}"));
        debug_assert!(none.is_none());
        let follows = self.operator().is_some() || matches!(self.peek(), Token::End | Token::Punct(")" | "]" | "}" | "," | ":" | "?"));
        (what == "mismatched" && follows).then(|| self.node(self.at(), Kind::Error))
    }

    fn primary(&mut self) -> Option<Expr> {
        if !Self::begins(self.tokens.get(self.next)) || matches!(self.peek(), Token::Punct("!")) {
            return self.no_operand();
        }
        let (token, at) = self.take();
        match token {
            Token::Punct("(") => {
                let inner = self.expr()?;
                self.expect(")")?;
                Some(inner)
            }
            Token::Punct("[") => {
                let id = self.id(at);
                let (items, optional) = self.list("]")?;
                Some(self.make(id, Kind::List { items, optional }))
            }
            Token::Punct("{") => self.map(at),
            Token::Punct(".") => match self.take() {
                (Token::Ident(name), _) => self.name(&format!(".{name}"), at),
                _ => self.syntax_error("no viable alternative at input '.'"),
            },
            Token::Punct("-") => {
                let (number, _) = self.take();
                Some(self.number(number, at, "-"))
            }
            Token::Ident(name) => self.name(&name, at),
            Token::Int(_) | Token::Uint(_) | Token::Float(_) => Some(self.number(token, at, "")),
            Token::String(text) | Token::Bytes(text) => Some(self.text(&text, at)),
            _ => self.no_operand(),
        }
    }

    fn text(&mut self, token: &str, at: u32) -> Expr {
        let bytes = token.split(['"', '\'']).next().is_some_and(|p| p.contains(['b', 'B']));
        match unescape(token, bytes) {
            Ok(Unescaped::Text(text)) => self.node(at, Kind::Const(Const::String(text.into()))),
            Ok(Unescaped::Bytes(bytes)) => self.node(at, Kind::Const(Const::Bytes(bytes.into()))),
            Err(message) => self.report(Some(at), &message),
        }
    }

    fn number(&mut self, token: Token, at: u32, sign: &str) -> Expr {
        let (value, what) = match token {
            Token::Int(text) => {
                let (digits, radix) = text.strip_prefix("0x").map_or((text.as_str(), 10), |hex| (hex, 16));
                (i64::from_str_radix(&format!("{sign}{digits}"), radix).ok().map(Const::Int), "invalid int literal")
            }
            Token::Uint(text) => {
                let (digits, radix) = text.strip_prefix("0x").map_or((text.as_str(), 10), |hex| (hex, 16));
                (u64::from_str_radix(digits, radix).ok().map(Const::Uint), "invalid uint literal")
            }
            Token::Float(text) => (format!("{sign}{text}").parse().ok().filter(|f: &f64| f.is_finite()).map(Const::Double), "invalid double literal"),
            _ => (None, "invalid literal"),
        };
        match value {
            Some(value) => self.node(at, Kind::Const(value)),
            None => self.report(Some(at), what),
        }
    }

    fn name(&mut self, name: &str, at: u32) -> Option<Expr> {
        let constant = match name {
            "true" => Some(Const::Bool(true)),
            "false" => Some(Const::Bool(false)),
            "null" => Some(Const::Null),
            _ => None,
        };
        if let Some(constant) = constant {
            return Some(self.node(at, Kind::Const(constant)));
        }
        let bare = name.trim_start_matches('.');
        if RESERVED.contains(&bare) {
            let message = format!("reserved identifier: {bare}");
            let error = self.report(Some(at), &message);
            if self.accept("(").is_some() {
                self.list(")")?;
            }
            return Some(error);
        }
        let Some(open) = self.accept("(") else {
            return Some(self.node(at, Kind::Ident(name.to_owned())));
        };
        let id = self.id(open);
        let args = self.list(")")?.0;
        Some(match self.global_macro(id, name, args) {
            Ok(expanded) => expanded,
            Err(args) => self.call(id, name, args),
        })
    }
}
