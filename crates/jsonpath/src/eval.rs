//! Walks a value along a template's steps. Never copies what it only selects; the number of values is bounded.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use crate::EvalError;
use crate::parse::{Slice, Step, Template};

/// The values that one path of a template selected.
pub type Found<'a> = Vec<Cow<'a, Value>>;

const MAX_VALUES: usize = 1_000_000;

fn fault<T>(why: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError(why.into()))
}

impl Template {
    /// The values of each piece, in order; those within a range once per element.
    pub fn find<'a>(&self, value: &'a Value, allow_missing: bool) -> Result<Vec<Found<'a>>, EvalError> {
        let mut walk = Walk { allow_missing, count: 0, out: Vec::new() };
        walk.block(&self.pieces, Some(Cow::Borrowed(value)), false)?;
        Ok(walk.out)
    }
}

struct Walk<'a> {
    allow_missing: bool,
    count: usize,
    out: Vec<Found<'a>>,
}

#[derive(PartialEq)]
enum Word {
    None,
    Range,
    End,
}

impl<'a> Walk<'a> {
    /// Walks pieces until the end of the block; says how many there were, the `{end}` among them.
    fn block(&mut self, pieces: &[Vec<Step>], value: Option<Cow<'a, Value>>, in_range: bool) -> Result<usize, EvalError> {
        let start: Found<'a> = value.into_iter().collect();
        let mut at = 0;
        while at < pieces.len() {
            let (found, word) = self.steps(start.clone(), &pieces[at], in_range)?;
            at += 1;
            match word {
                Word::End => return Ok(at),
                Word::None => self.out.push(found),
                Word::Range => at += self.range(&pieces[at..], found)?,
            }
        }
        Ok(at)
    }

    fn range(&mut self, body: &[Vec<Step>], items: Found<'a>) -> Result<usize, EvalError> {
        let mut used = 0;
        if items.is_empty() {
            // The block's end has to be found all the same; what it gives is dropped.
            let kept = std::mem::take(&mut self.out);
            let allow = std::mem::replace(&mut self.allow_missing, true);
            used = self.block(body, None, true)?;
            self.allow_missing = allow;
            self.out = kept;
        }
        for item in items {
            used = self.block(body, Some(item), true)?;
        }
        Ok(used)
    }

    fn steps(&mut self, mut values: Found<'a>, steps: &[Step], in_range: bool) -> Result<(Found<'a>, Word), EvalError> {
        let mut word = Word::None;
        for step in steps {
            if let Step::Word(name) = step {
                match name.as_str() {
                    "range" => word = Word::Range,
                    "end" if in_range => return Ok((Vec::new(), Word::End)),
                    "end" => return fault("not in range, nothing to end"),
                    other => return fault(format!("unrecognized identifier {other}")),
                }
                continue;
            }
            values = self.step(values, step)?;
            self.count += values.len();
            if self.count > MAX_VALUES {
                return fault("the path selects too many values");
            }
        }
        Ok((values, word))
    }

    fn list(&mut self, values: Found<'a>, steps: &[Step]) -> Result<Found<'a>, EvalError> {
        Ok(self.steps(values, steps, false)?.0)
    }

    fn step(&mut self, values: Found<'a>, step: &Step) -> Result<Found<'a>, EvalError> {
        let constant = |value: Value| vec![Cow::Owned(value); values.len()];
        Ok(match step {
            Step::Text(text) => vec![Cow::Owned(Value::String(text.clone()))],
            Step::Int(int) => constant(Value::from(*int)),
            Step::Float(float) => constant(Value::from(*float)),
            Step::Bool(b) => constant(Value::from(*b)),
            Step::Word(_) => values,
            Step::Field(name) => self.field(values, name)?,
            Step::Wildcard => values.into_iter().flat_map(children).collect(),
            Step::Recursive => {
                let mut out = Vec::new();
                self.descend(values, &mut out)?;
                out
            }
            Step::Slice(slice) => {
                let mut out = Vec::new();
                for value in values {
                    sliced(value, slice, &mut out)?;
                }
                out
            }
            Step::Union(parts) => {
                let mut out = Vec::new();
                for part in parts {
                    out.extend(self.list(values.clone(), part)?);
                }
                out
            }
            Step::Filter { left, right, operator } => self.filter(values, left, right, operator)?,
        })
    }

    fn field(&mut self, values: Found<'a>, name: &str) -> Result<Found<'a>, EvalError> {
        if values.is_empty() {
            return Ok(values);
        }
        let found: Found<'a> = values.into_iter().filter_map(|value| member(value, name)).collect();
        if found.is_empty() && !self.allow_missing {
            return fault(format!("{name} is not found"));
        }
        Ok(found)
    }

    fn descend(&mut self, values: Found<'a>, out: &mut Found<'a>) -> Result<(), EvalError> {
        for value in values {
            let below = children(value.clone());
            if below.is_empty() {
                continue;
            }
            out.push(value);
            if out.len() > MAX_VALUES {
                return fault("the path selects too many values");
            }
            self.descend(below, out)?;
        }
        Ok(())
    }

    fn filter(&mut self, values: Found<'a>, left: &[Step], right: &[Step], operator: &str) -> Result<Found<'a>, EvalError> {
        let mut out = Vec::new();
        for value in values {
            if !value.is_array() {
                return fault(format!("{} is not array or slice and cannot be filtered", crate::text(&value)));
            }
            for item in children(value) {
                let lefts = self.list(vec![item.clone()], left);
                if operator == "exists" {
                    if lefts.is_ok_and(|l| !l.is_empty()) {
                        out.push(item);
                    }
                    continue;
                }
                let Some(l) = single(lefts?)? else { continue };
                let Some(r) = single(self.list(vec![item.clone()], right)?)? else { continue };
                if passes(&l, &r, operator)? {
                    out.push(item);
                }
            }
        }
        Ok(out)
    }
}

fn single<'a>(mut found: Found<'a>) -> Result<Option<Cow<'a, Value>>, EvalError> {
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => fault("can only compare one element at a time"),
    }
}

fn member<'a>(value: Cow<'a, Value>, name: &str) -> Option<Cow<'a, Value>> {
    match value {
        Cow::Borrowed(v) => v.as_object()?.get(name).map(Cow::Borrowed),
        Cow::Owned(Value::Object(mut map)) => map.remove(name).map(Cow::Owned),
        Cow::Owned(_) => None,
    }
}

fn children(value: Cow<Value>) -> Found {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Value::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Value::Object(map)) => map.into_iter().map(|(_, v)| Cow::Owned(v)).collect(),
        _ => Vec::new(),
    }
}

fn sliced<'a>(value: Cow<'a, Value>, slice: &Slice, out: &mut Found<'a>) -> Result<(), EvalError> {
    if value.is_null() {
        return Ok(());
    }
    let Value::Array(items) = value.as_ref() else { return fault(format!("{} is not array or slice", go_type(&value))) };
    let len = items.len() as i64;
    let (mut from, mut to) = (slice.from.unwrap_or(0), slice.to.unwrap_or(len));
    if from < 0 {
        from += len;
    }
    if to < 0 || (to == 0 && slice.single) {
        to += len;
    }
    if from == to {
        return Ok(());
    }
    if from >= len || from < 0 {
        return fault(format!("array index out of bounds: index {from}, length {len}"));
    }
    if to > len || to < 0 {
        return fault(format!("array index out of bounds: index {}, length {len}", to - 1));
    }
    if from > to {
        return fault(format!("starting index {from} is greater than ending index {to}"));
    }
    let step = slice.step.unwrap_or(1);
    if step <= 0 {
        return fault("step must be > 0");
    }
    out.extend(children(value).into_iter().take(to as usize).skip(from as usize).step_by(step as usize));
    Ok(())
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn passes(left: &Value, right: &Value, operator: &str) -> Result<bool, EvalError> {
    let order = compare(left, right);
    let ordered = |wanted: &[Ordering]| match order? {
        Some(order) => Ok(wanted.contains(&order)),
        None => fault("invalid type for comparison"),
    };
    match operator {
        "==" => Ok(compare(left, right)? == Some(Ordering::Equal)),
        "!=" => Ok(compare(left, right)? != Some(Ordering::Equal)),
        "<" => ordered(&[Ordering::Less]),
        ">" => ordered(&[Ordering::Greater]),
        "<=" => ordered(&[Ordering::Less, Ordering::Equal]),
        ">=" => ordered(&[Ordering::Greater, Ordering::Equal]),
        other => fault(format!("unrecognized filter operator {other}")),
    }
}

fn compare(left: &Value, right: &Value) -> Result<Option<Ordering>, EvalError> {
    match (left, right) {
        (Value::String(l), Value::String(r)) => Ok(Some(l.cmp(r))),
        (Value::Bool(l), Value::Bool(r)) => Ok((l == r).then_some(Ordering::Equal)),
        (Value::Number(l), Value::Number(r)) if l.is_f64() == r.is_f64() => match (l.as_i64(), r.as_i64()) {
            (Some(l), Some(r)) => Ok(Some(l.cmp(&r))),
            _ => Ok(l.as_f64().zip(r.as_f64()).and_then(|(l, r)| l.partial_cmp(&r))),
        },
        (Value::Null | Value::Array(_) | Value::Object(_), _) | (_, Value::Null | Value::Array(_) | Value::Object(_)) => fault("invalid type for comparison"),
        _ => fault("incompatible types for comparison"),
    }
}
