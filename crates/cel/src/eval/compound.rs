//! What has parts: lists, maps, objects, and loops over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Evaluator, bool_of};
use crate::charge;
use crate::collection::{BuiltObject, Map, Object};
use crate::functions::{fail, no_overload};
use crate::plan::{Loop, Node, Step, map_key};
use crate::value::{EvalError, Evaluated, Value};

/// No list built by an expression has more members.
pub(super) const MAX_MEMBERS: usize = 1 << 20;

/// Why a loop ends early.
enum Stop {
    Done,
    Error(EvalError),
}

impl<'a> Evaluator<'_, 'a> {
    #[inline(never)]
    pub(super) fn list(&mut self, items: &'a [(Node, bool)]) -> Evaluated<'a> {
        let mut out = Vec::with_capacity(items.len());
        for (node, optional) in items {
            match (self.eval(node)?, optional) {
                (Value::Optional(Some(value)), true) => out.push((*value).clone()),
                (Value::Optional(None), true) => {}
                (other, true) => return no_overload("optional element", &[other]),
                (value, false) => out.push(value),
            }
        }
        self.charge(charge::LIST)?;
        Ok(Value::list(out))
    }

    #[inline(never)]
    pub(super) fn map(&mut self, entries: &'a [(Node, Node, bool)]) -> Evaluated<'a> {
        let mut out = BTreeMap::new();
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            let value = match (self.eval(value)?, optional) {
                (Value::Optional(Some(value)), true) => (*value).clone(),
                (Value::Optional(None), true) => continue,
                (other, true) => return no_overload("optional entry", &[other]),
                (value, false) => value,
            };
            let Some(key) = map_key(&key) else { return fail(format!("unsupported key type: {}", key.ty().name())) };
            let text = key.text();
            if out.insert(key, value).is_some() {
                return fail(format!("Failed with repeated key: {text}"));
            }
        }
        self.charge(charge::MAP)?;
        Ok(Value::Map(Map::of(out)))
    }

    #[inline(never)]
    pub(super) fn object(&mut self, name: &'a str, nodes: &'a [(Box<str>, Node, bool)]) -> Evaluated<'a> {
        let mut fields = BTreeMap::new();
        for (field, node, optional) in nodes {
            let value = match (self.eval(node)?, optional) {
                (Value::Optional(Some(value)), true) => (*value).clone(),
                (Value::Optional(None), true) => continue,
                (other, true) => return no_overload("optional field", &[other]),
                (value, false) => value,
            };
            fields.insert(field.to_string(), value);
        }
        self.charge(charge::OBJECT)?;
        Ok(Value::Object(Object::Built(Arc::new(BuiltObject { name: name.into(), fields }))))
    }

    #[inline(never)]
    pub(super) fn fold(&mut self, fold: &'a Loop) -> Evaluated<'a> {
        let range = self.eval(&fold.range)?;
        let init = self.eval(&fold.init);
        debug_assert_eq!(self.stack.len(), fold.place);
        self.stack.push(init);
        let turned = match &range {
            Value::List(list) => (0..list.len()).try_for_each(|i| {
                let item = list.get(i).unwrap_or_else(|| fail("index out of bounds"));
                if fold.two { self.turn(fold, Ok(Value::Int(i as i64)), Some(item)) } else { self.turn(fold, item, None) }
            }),
            Value::Map(map) => map.iter().try_for_each(|(key, value)| if fold.two { self.turn(fold, Ok(key.value()), Some(value)) } else { self.turn(fold, Ok(key.value()), None) }),
            other => Err(Stop::Error(EvalError::new(format!("got '{}', expected iterable type", other.go_type())))),
        };
        self.stack.truncate(fold.place + 1);
        let value = match turned {
            Err(Stop::Error(e)) => Err(e),
            _ => self.eval(&fold.result),
        };
        self.stack.truncate(fold.place);
        value
    }

    fn turn(&mut self, fold: &'a Loop, first: Evaluated<'a>, second: Option<Evaluated<'a>>) -> Result<(), Stop> {
        self.stack.truncate(fold.place + 1);
        self.stack.push(first);
        self.stack.extend(second);
        match self.eval(&fold.condition) {
            Ok(Value::Bool(true)) => {}
            Err(EvalError::CostExceeded) => return Err(Stop::Error(EvalError::CostExceeded)),
            _ => return Err(Stop::Done),
        }
        match &fold.step {
            Step::General(node) => match self.eval(node) {
                Err(EvalError::CostExceeded) => Err(Stop::Error(EvalError::CostExceeded)),
                value => {
                    self.stack[fold.place] = value;
                    Ok(())
                }
            },
            Step::Append { when, item } => self.append(fold, when.as_ref(), item).map_err(Stop::Error),
        }
    }

    /// `accu + [item]` without copying what is there.
    fn append(&mut self, fold: &'a Loop, when: Option<&'a Node>, item: &'a Node) -> Result<(), EvalError> {
        if let Some(when) = when {
            let condition = self.eval(when);
            if !bool_of(&condition)? {
                return Ok(());
            }
        }
        let item = self.eval(item)?;
        self.charge(charge::IDENT + charge::LIST + charge::CALL)?;
        match &mut self.stack[fold.place] {
            Ok(Value::List(list)) if list.len() >= MAX_MEMBERS => Err(EvalError::CostExceeded),
            Ok(Value::List(list)) => {
                list.push(item);
                Ok(())
            }
            _ => Err(EvalError::new("no such overload")),
        }
    }
}
