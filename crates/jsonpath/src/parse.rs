//! Templates: text outside of braces, steps inside. Never evaluates; every fault is upstream's sentence.

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub(crate) pieces: Vec<Vec<Step>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub(crate) String);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Text(String),
    Field(String),
    Wildcard,
    Recursive,
    Int(i64),
    Float(f64),
    Bool(bool),
    Word(String),
    Slice(Slice),
    Union(Vec<Vec<Step>>),
    Filter { left: Vec<Step>, right: Vec<Step>, operator: String },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slice {
    pub from: Option<i64>,
    pub to: Option<i64>,
    /// The end is the index after a single one, not said by the template.
    pub single: bool,
    pub step: Option<i64>,
}

/// Filters inside filters, unions inside unions.
const MAX_DEPTH: usize = 32;
const MAX_LENGTH: usize = 1 << 20;

impl Template {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_LENGTH {
            return fault("the template is too long");
        }
        Ok(Self { pieces: pieces(text, 0)? })
    }
}

fn fault<T>(why: impl Into<String>) -> Result<T, ParseError> {
    Err(ParseError(why.into()))
}

fn pieces(text: &str, depth: usize) -> Result<Vec<Vec<Step>>, ParseError> {
    if depth > MAX_DEPTH {
        return fault("the template is nested too deeply");
    }
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        if at > 0 {
            out.push(vec![Step::Text(rest[..at].to_owned())]);
        }
        let mut action = Action { text: &rest[at + 1..], at: 0, steps: Vec::new(), depth };
        action.read()?;
        rest = &rest[at + 1 + action.at..];
        out.push(action.steps);
    }
    if !rest.is_empty() {
        out.push(vec![Step::Text(rest.to_owned())]);
    }
    Ok(out)
}

fn action(text: &str, depth: usize) -> Result<Vec<Step>, ParseError> {
    Ok(pieces(&format!("{{{text}}}"), depth + 1)?.into_iter().next().unwrap_or_default())
}

struct Action<'a> {
    text: &'a str,
    at: usize,
    steps: Vec<Step>,
    depth: usize,
}

impl<'a> Action<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn read(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with('}') {
                self.at += 1;
                return Ok(());
            }
            if rest.starts_with("[?(") {
                self.filter()?;
                continue;
            }
            if rest.starts_with("..") {
                self.recursive()?;
                continue;
            }
            match self.peek() {
                None | Some('\r' | '\n') => return fault("unclosed action"),
                Some(' ' | '@' | '$') => self.at += 1,
                Some('[') => self.array()?,
                Some(quote @ ('"' | '\'')) => self.quote(quote)?,
                Some('.') => {
                    self.at += 1;
                    self.field();
                }
                Some(c) if c == '+' || c == '-' || c.is_ascii_digit() => self.number()?,
                Some(c) if c == '_' || c.is_alphanumeric() => self.word(),
                Some(c) => return fault(format!("unrecognized character in action: U+{:04X} '{c}'", c as u32)),
            }
        }
    }

    fn word(&mut self) {
        let from = self.at;
        while self.peek().is_some_and(|c| !is_terminator(c)) {
            self.next();
        }
        let word = &self.text[from..self.at];
        self.steps.push(match word {
            "true" => Step::Bool(true),
            "false" => Step::Bool(false),
            word => Step::Word(word.to_owned()),
        });
    }

    fn recursive(&mut self) -> Result<(), ParseError> {
        if self.steps.last() == Some(&Step::Recursive) {
            return fault("invalid multiple recursive descent");
        }
        self.at += 2;
        self.steps.push(Step::Recursive);
        if self.peek().is_some_and(|c| c == '_' || c.is_alphanumeric()) {
            self.field();
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), ParseError> {
        let from = self.at;
        self.next();
        while self.peek().is_some_and(|c| c == '.' || c.is_ascii_digit()) {
            self.next();
        }
        let text = &self.text[from..self.at];
        self.steps.push(match (text.trim_start_matches('+').parse(), text.parse()) {
            (Ok(int), _) => Step::Int(int),
            (_, Ok(float)) => Step::Float(float),
            _ => return fault(format!("cannot parse number {text}")),
        });
        Ok(())
    }

    fn field(&mut self) {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.next();
                if let Some(escaped) = self.next() {
                    if escaped != '\\' {
                        name.push(escaped);
                    }
                }
                continue;
            }
            if is_terminator(c) {
                break;
            }
            name.push(c);
            self.next();
        }
        self.steps.push(if name == "*" { Step::Wildcard } else { Step::Field(name) });
    }

    fn quote(&mut self, end: char) -> Result<(), ParseError> {
        let from = self.at;
        self.next();
        let mut before = end;
        loop {
            match self.next() {
                None | Some('\n') => return fault("unterminated quoted string"),
                Some(c) if c == end && before != '\\' => break,
                Some(c) => before = c,
            }
        }
        let quoted = &self.text[from..self.at];
        let Some(text) = unquote(&quoted[1..quoted.len() - 1], end) else { return fault(format!("unquote string {quoted} error invalid syntax")) };
        self.steps.push(Step::Text(text));
        Ok(())
    }

    fn array(&mut self) -> Result<(), ParseError> {
        let from = self.at + 1;
        loop {
            match self.next() {
                None | Some('\n') => return fault("unterminated array"),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text = &self.text[from..self.at - 1];
        let text = if text == "*" { ":" } else { text };
        if text.contains(',') {
            let parts = text.split(',').map(|part| action(&format!("[{}]", part.trim_matches(' ')), self.depth)).collect::<Result<_, _>>()?;
            self.steps.push(Step::Union(parts));
            return Ok(());
        }
        if let Some(key) = quoted_key(text) {
            self.steps.extend(action(&format!(".{key}"), self.depth)?);
            return Ok(());
        }
        self.steps.push(Step::Slice(slice(text)?));
        Ok(())
    }

    fn filter(&mut self) -> Result<(), ParseError> {
        self.at += 3;
        let from = self.at;
        let (mut quote, mut closed, mut before) = (None, false, '(');
        loop {
            let Some(c) = self.next().filter(|c| *c != '\n') else { return fault("unterminated filter") };
            match c {
                '"' | '\'' if quote.is_none() => quote = Some(c),
                '"' | '\'' => closed = closed || (before != '\\' && quote == Some(c)),
                ')' if quote.is_some() == closed => break,
                _ => {}
            }
            before = c;
        }
        let text = &self.text[from..self.at - 1];
        if self.next() != Some(']') {
            return fault("unclosed array expect ]");
        }
        let step = match compared(text) {
            None => Step::Filter { left: action(text, self.depth)?, right: Vec::new(), operator: "exists".into() },
            Some((left, operator, right)) => Step::Filter { left: action(left, self.depth)?, right: action(right, self.depth)?, operator: operator.to_owned() },
        };
        self.steps.push(step);
        Ok(())
    }
}

/// Splits at the first run of comparison signs that has something on both sides.
fn compared(text: &str) -> Option<(&str, &str, &str)> {
    let is_sign = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let from = text.find(is_sign).filter(|at| *at > 0)?;
    let len = text[from..].find(|c| !is_sign(c))?;
    Some((&text[..from], &text[from..from + len], &text[from + len..]))
}

/// `'key'`: the whole of a quoted map key.
fn quoted_key(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    (!inner.contains('\'')).then_some(inner)
}

fn slice(text: &str) -> Result<Slice, ParseError> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |t: &str| !t.is_empty() && t.strip_prefix('-').unwrap_or(t).bytes().all(|b| b.is_ascii_digit()) && t != "-";
    if parts.len() > 3 || parts.iter().any(|p| !p.is_empty() && !is_number(p)) || text.is_empty() {
        return fault(format!("invalid array index {text}"));
    }
    let number = |at: usize| -> Result<Option<i64>, ParseError> {
        match parts.get(at) {
            None | Some(&"") => Ok(None),
            Some(t) => t.parse().map(Some).map_err(|_| ParseError(format!("array index {t} is not a number"))),
        }
    };
    let from = number(0)?;
    let single = parts.len() == 1;
    let to = if single { from.map(|f| f.saturating_add(1)) } else { number(1)? };
    Ok(Slice { from, to, single, step: number(2)? })
}

fn is_terminator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

/// Go's escapes within quotes.
fn unquote(text: &str, quote: char) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            c if c == quote => c,
            'x' => hex(&mut chars, 2)?,
            'u' => hex(&mut chars, 4)?,
            'U' => hex(&mut chars, 8)?,
            _ => return None,
        });
    }
    Some(out)
}

fn hex(chars: &mut std::str::Chars, len: usize) -> Option<char> {
    let digits: String = chars.take(len).collect();
    if digits.len() != len {
        return None;
    }
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}
