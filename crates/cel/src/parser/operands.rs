//! What operators stand between: names, literals, members, calls, lists, maps, constructed objects.

use super::{FIRST_ARGUMENT, FIRST_ENTRY, FIRST_ITEM, MAX_DEPTH, PRIMARY, Parser};
use crate::ast::{Const, Entry, Expr, Field, Id, Kind, op, qualified};
use crate::lexer::Token;
use crate::literal::{Unescaped, unescape};

const RESERVED: [&str; 17] =
    ["as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"];

impl Parser {
    pub(super) fn member(&mut self) -> Option<Expr> {
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
        let mut first = self.first(close);
        loop {
            optional.push(close == "]" && self.accept("?").is_some());
            items.push(match std::mem::replace(&mut first, Ok(())) {
                Ok(()) => self.expr()?,
                Err(instead) => instead?,
            });
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
            if entries.is_empty() && self.first("}").is_err() {
                return None;
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

    /// Whether a first item can begin here; otherwise that is told, and what takes its place is given.
    fn first(&mut self, close: &'static str) -> Result<(), Option<Expr>> {
        if Self::begins(self.tokens.get(self.next)) || (close != ")" && matches!(self.peek(), Token::Punct("?"))) {
            return Ok(());
        }
        let expected = match close {
            ")" => FIRST_ARGUMENT,
            "]" => FIRST_ITEM,
            _ => FIRST_ENTRY,
        };
        Err(self.nothing_of(expected, close))
    }

    /// What stands where an operand should: where the parse can go on behind it, it does.
    fn no_operand(&mut self) -> Option<Expr> {
        self.nothing_of(PRIMARY, "")
    }

    fn nothing_of(&mut self, expected: &str, close: &'static str) -> Option<Expr> {
        let shown = self.peek().shown();
        let after = self.tokens.get(self.next + 1);
        let what = if Self::begins(after) || after.is_some_and(|t| t.0 == Token::Punct(close)) { "extraneous" } else { "mismatched" };
        let none: Option<()> = self.syntax_error(&format!("{what} input {shown} expecting {expected}"));
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
