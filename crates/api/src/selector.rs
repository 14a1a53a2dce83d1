//! Label and field selectors: parsing, matching, printing.
//!
//! Upstream: apimachinery `pkg/labels/selector.go` (grammar, messages), `pkg/fields/selector.go`.

use serde_json::Value;

use crate::names;

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    DoesNotExist(String),
    Greater(String, i64),
    Less(String, i64),
}

impl Requirement {
    fn matches<'a>(&self, get: &impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::In(key, values) => get(key).is_some_and(|v| values.iter().any(|x| x == v)),
            Self::NotIn(key, values) => get(key).is_none_or(|v| values.iter().all(|x| x != v)),
            Self::Exists(key) => get(key).is_some(),
            Self::DoesNotExist(key) => get(key).is_none(),
            Self::Greater(key, bound) => get(key).and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v > *bound),
            Self::Less(key, bound) => get(key).and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v < *bound),
        }
    }
}

/// Conditions that must all hold; the empty one selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector(pub Vec<Requirement>);

impl LabelSelector {
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// `get` gives the value of a label.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|r| r.matches(&get))
    }

    /// Reads the query form: `a=b,c in (d,e),!f,g>1`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: lex(text)?, at: 0 };
        let mut requirements = Vec::new();
        if parser.tokens.is_empty() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(parser.requirement()?);
            match parser.next() {
                None => break,
                Some(Token::Comma) => {
                    if parser.peek().is_none() {
                        return Err("found '', expected: identifier after ','".into());
                    }
                }
                Some(other) => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
            }
        }
        Ok(Self(requirements))
    }

    /// Reads the object form (`matchLabels`, `matchExpressions`); `None` selects nothing and is the caller's to decide.
    pub fn from_value(value: &Value) -> Result<Self, String> {
        let mut requirements = Vec::new();
        if let Some(labels) = value.get("matchLabels").and_then(Value::as_object) {
            for (key, wanted) in labels {
                requirements.push(Requirement::In(key.clone(), vec![wanted.as_str().unwrap_or_default().to_owned()]));
            }
        }
        for expression in value.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values = || expression["values"].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect();
            requirements.push(match expression["operator"].as_str().unwrap_or_default() {
                "In" => Requirement::In(key, values()),
                "NotIn" => Requirement::NotIn(key, values()),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::DoesNotExist(key),
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            });
        }
        Ok(Self(requirements))
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Comma,
    Open,
    Close,
    Not,
    Equal,
    NotEqual,
    Greater,
    Less,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
        }
    }
}

fn lex(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        let token = match c {
            ' ' | '\t' | '\r' | '\n' => {
                chars.next();
                continue;
            }
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' => Token::Greater,
            '<' => Token::Less,
            '!' => {
                chars.next();
                if chars.next_if_eq(&'=').is_some() {
                    tokens.push(Token::NotEqual);
                } else {
                    tokens.push(Token::Not);
                }
                continue;
            }
            '=' => {
                chars.next();
                chars.next_if_eq(&'=');
                tokens.push(Token::Equal);
                continue;
            }
            _ => {
                let mut word = String::new();
                while let Some(c) = chars.next_if(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | ',' | '(' | ')' | '>' | '<' | '!' | '=')) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
                continue;
            }
        };
        chars.next();
        tokens.push(token);
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.peek() == Some(&Token::Not);
        if negated {
            self.at += 1;
        }
        let key = match self.next() {
            Some(Token::Word(word)) => word,
            other => return Err(format!("found '{}', expected: identifier", other.as_ref().map_or("", Token::text))),
        };
        if let Some(fault) = names::qualified_name(&key).into_iter().next() {
            return Err(format!("key: Invalid value: {key:?}: {fault}"));
        }
        if negated {
            return Ok(Requirement::DoesNotExist(key));
        }
        match self.peek().cloned() {
            None | Some(Token::Comma) => Ok(Requirement::Exists(key)),
            Some(Token::Equal) => Ok(Requirement::In(key.clone(), vec![self.value(&key)?])),
            Some(Token::NotEqual) => Ok(Requirement::NotIn(key.clone(), vec![self.value(&key)?])),
            Some(Token::Greater) => Ok(Requirement::Greater(key.clone(), self.integer(&key)?)),
            Some(Token::Less) => Ok(Requirement::Less(key.clone(), self.integer(&key)?)),
            Some(Token::Word(word)) if word == "in" => Ok(Requirement::In(key.clone(), self.set(&key)?)),
            Some(Token::Word(word)) if word == "notin" => Ok(Requirement::NotIn(key.clone(), self.set(&key)?)),
            Some(other) => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        }
    }

    fn value(&mut self, key: &str) -> Result<String, String> {
        self.at += 1;
        let value = match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                word
            }
            None | Some(Token::Comma) => String::new(),
            Some(other) => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        check_value(key, &value)?;
        Ok(value)
    }

    fn integer(&mut self, key: &str) -> Result<i64, String> {
        let value = self.value(key)?;
        value.parse().map_err(|_| format!("values[0][{key}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"))
    }

    fn set(&mut self, key: &str) -> Result<Vec<String>, String> {
        self.at += 1;
        if self.next() != Some(Token::Open) {
            return Err("found '', expected: '('".into());
        }
        let mut values = Vec::new();
        let mut word = String::new();
        loop {
            match self.next() {
                Some(Token::Word(w)) => word = w,
                Some(end @ (Token::Comma | Token::Close)) => {
                    check_value(key, &word)?;
                    values.push(std::mem::take(&mut word));
                    if end == Token::Close {
                        return Ok(values);
                    }
                }
                other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.as_ref().map_or("", Token::text))),
            }
        }
    }
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    match names::label_value(value).into_iter().next() {
        None => Ok(()),
        Some(fault) => Err(format!("values[0][{key}]: Invalid value: {value:?}: {fault}")),
    }
}

/// Conditions on fields: equal (`true`) or not equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector(pub Vec<(String, bool, String)>);

impl FieldSelector {
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// `get` gives the value of a selectable field; an unset field is the empty string.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> &'a str) -> bool {
        self.0.iter().all(|(field, equal, value)| (get(field) == value) == *equal)
    }

    /// Reads `a=b,c!=d`; `\\`, `\,` and `\=` stand for themselves.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for term in split_unescaped(text) {
            if term.is_empty() {
                continue;
            }
            let (field, equal, value) = split_term(term).ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{term}'"))?;
            terms.push((field.to_owned(), equal, unescape(value)?));
        }
        Ok(Self(terms))
    }

    /// The value that a field must have, where one term fixes it.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(f, equal, _)| *equal && f == field).map(|(_, _, v)| v.as_str())
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    for (at, _) in term.char_indices() {
        for (sign, equal) in [("!=", false), ("==", true), ("=", true)] {
            if let Some(value) = term[at..].strip_prefix(sign) {
                return Some((&term[..at], equal, value));
            }
        }
    }
    None
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => return Err(format!("invalid field selector: invalid escape sequence: \\{}", other.map(String::from).unwrap_or_default())),
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {c}")),
            _ => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        LabelSelector::parse(selector).unwrap().matches(|key| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v))
    }

    #[test]
    fn label_grammar() {
        let labels = [("app", "web"), ("tier", "2")];
        for yes in ["", "app=web", "app==web", "app in (db, web)", "!gone", "app", "tier>1", "app!=db", "gone notin (a)", "gone!=x"] {
            assert!(selects(yes, &labels), "{yes}");
        }
        for no in ["app=db", "app notin (web)", "gone", "!app", "tier<2", "app="] {
            assert!(!selects(no, &labels), "{no}");
        }
        for bad in ["app=web,", "=x", "app in web", "a b", "app=we!b", "app=(x)", "-a=b"] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn field_grammar() {
        let selector = FieldSelector::parse("metadata.name=a\\,b,spec.nodeName!=").unwrap();
        assert!(selector.matches(|f| if f == "metadata.name" { "a,b" } else { "n" }));
        assert_eq!(selector.exact("metadata.name"), Some("a,b"));
        assert!(FieldSelector::parse("nonsense").is_err());
    }
}
