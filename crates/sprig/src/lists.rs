//! Functions on lists. None changes its list: each gives a new one.

use gotemplate::{Elem, Failure, Functions, List, Outcome, Signature, Type, Value};

use crate::args::{MAX_ITEMS, NIL_POINTER, bounded, int};
use crate::cast::{deep_equal, elements, empty, to_int64};

use Type::{Any, Int};

const A: Signature = Signature::fixed(&[Any]);
const AA: Signature = Signature::fixed(&[Any, Any]);
const A_MORE: Signature = Signature::variadic(&[Any, Any]);
const ANYS: Signature = Signature::variadic(&[Any]);

pub fn register(f: &mut Functions) {
    for name in ["list", "tuple"] {
        f.add(name, ANYS, |a| Ok(Value::list(a.to_vec())));
    }
    for name in ["append", "push", "mustAppend", "mustPush"] {
        f.add(name, AA, |a| {
            let mut items = elements(&a[0], "Cannot push on type")?;
            items.push(a[1].clone());
            Ok(Value::list(items))
        });
    }
    for name in ["prepend", "mustPrepend"] {
        f.add(name, AA, |a| {
            let items = elements(&a[0], "Cannot prepend on type")?;
            Ok(Value::list(std::iter::once(a[1].clone()).chain(items).collect()))
        });
    }
    for name in ["first", "mustFirst"] {
        f.add(name, A, |a| Ok(elements(&a[0], "Cannot find first on type")?.into_iter().next().unwrap_or(Value::Nil)));
    }
    for name in ["last", "mustLast"] {
        f.add(name, A, |a| Ok(elements(&a[0], "Cannot find last on type")?.pop().unwrap_or(Value::Nil)));
    }
    for name in ["rest", "mustRest"] {
        f.add(name, A, |a| Ok(or_nil(elements(&a[0], "Cannot find rest on type")?, |items| items.drain(1..).collect())));
    }
    for name in ["initial", "mustInitial"] {
        f.add(name, A, |a| Ok(or_nil(elements(&a[0], "Cannot find initial on type")?, |items| items.drain(..items.len() - 1).collect())));
    }
    for name in ["reverse", "mustReverse"] {
        f.add(name, A, |a| Ok(Value::list(elements(&a[0], "Cannot find reverse on type")?.into_iter().rev().collect())));
    }
    for name in ["compact", "mustCompact"] {
        f.add(name, A, |a| Ok(Value::list(elements(&a[0], "Cannot compact on type")?.into_iter().filter(|item| !empty(item)).collect())));
    }
    for name in ["uniq", "mustUniq"] {
        f.add(name, A, uniq);
    }
    for name in ["without", "mustWithout"] {
        f.add(name, A_MORE, without);
    }
    for name in ["has", "mustHas"] {
        f.add(name, AA, |a| match &a[1] {
            Value::Nil => Ok(Value::Bool(false)),
            haystack => Ok(Value::Bool(in_list(&elements(haystack, "Cannot find has on type")?, &a[0])?)),
        });
    }
    for name in ["slice", "mustSlice"] {
        f.add(name, A_MORE, slice);
    }
    for name in ["chunk", "mustChunk"] {
        f.add(name, Signature::fixed(&[Int, Any]), |a| chunk(int(a, 0), &a[1]));
    }
    f.add("concat", ANYS, concat);
}

/// A list made of the items, or the nil list when there are none.
fn or_nil(mut items: Vec<Value>, cut: impl Fn(&mut Vec<Value>) -> Vec<Value>) -> Value {
    if items.is_empty() { Value::List(List::nil(Elem::Any)) } else { Value::list(cut(&mut items)) }
}

fn in_list(items: &[Value], wanted: &Value) -> Result<bool, Failure> {
    for item in items {
        if deep_equal(wanted, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(args: &[Value]) -> Outcome {
    let mut kept: Vec<Value> = Vec::new();
    let mut texts = std::collections::HashSet::new();
    for item in elements(&args[0], "Cannot find uniq on type")? {
        let known = match &item {
            Value::Str(text) => !texts.insert(text.clone()),
            other => in_list(&kept, other)?,
        };
        if !known {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn without(args: &[Value]) -> Outcome {
    let mut kept = Vec::new();
    for item in elements(&args[0], "Cannot find without on type")? {
        if !in_list(&args[1..], &item)? {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn slice(args: &[Value]) -> Outcome {
    let items = elements(&args[0], "list should be type of slice or array but")?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, to_int64);
    let end = args.get(2).map_or(i64::try_from(items.len()).unwrap_or(i64::MAX), to_int64);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok()).and_then(|(start, end)| items.get(start..end));
    let Some(range) = range else { return Err("reflect.Value.Slice: slice index out of bounds".into()) };
    let range = range.to_vec();
    Ok(match &args[0] {
        Value::List(list) => Value::List(List::new(list.elem(), range)),
        Value::Bytes(_) => Value::Bytes(Some(range.iter().map(|b| if let Value::Uint(_, b) = b { u8::try_from(*b).unwrap_or(0) } else { 0 }).collect::<Vec<u8>>().into())),
        _ => Value::List(List::new(Elem::String, range)),
    })
}

fn chunk(size: i64, value: &Value) -> Outcome {
    let items = elements(value, "Cannot chunk type")?;
    let Ok(wide) = usize::try_from(size) else { return negative_chunk(size, &items) };
    if wide == 0 {
        return Err("runtime error: makeslice: len out of range".into());
    }
    if items.is_empty() {
        return Ok(Value::List(List::new(Elem::List, Vec::new())));
    }
    Ok(Value::List(List::new(Elem::List, items.chunks(wide).map(|part| Value::list(part.to_vec())).collect())))
}

/// Upstream: the count of chunks is floor((len-1)/size)+1, which is then at most 1.
fn negative_chunk(size: i64, items: &[Value]) -> Outcome {
    let short = i64::try_from(items.len()).unwrap_or(i64::MAX) - 1 < size.saturating_neg();
    match items.len() {
        1 => Ok(Value::List(List::new(Elem::List, vec![Value::list(items.to_vec())]))),
        2.. if short || items.len() - 1 == usize::try_from(size.saturating_neg()).unwrap_or(0) => Ok(Value::List(List::new(Elem::List, Vec::new()))),
        _ => Err("runtime error: makeslice: len out of range".into()),
    }
}

fn concat(args: &[Value]) -> Outcome {
    let mut all = Vec::new();
    for list in args {
        if list.is_nil() {
            return Err(NIL_POINTER.into());
        }
        let Some(items) = list.elements() else { return Err(Failure::new(format!("Cannot concat type {} as list", list.kind_name()))) };
        bounded(all.len() + items.len(), MAX_ITEMS, "list")?;
        all.extend(items.iter().cloned());
    }
    if all.is_empty() {
        return Ok(Value::List(List::nil(Elem::Any)));
    }
    Ok(Value::list(all))
}

/// `[]int` of a run of numbers.
pub fn run(start: i64, stop: i64, step: i64) -> Outcome {
    let mut items = Vec::new();
    let falls = stop < start;
    if (falls && step >= 0) || (!falls && step <= 0) {
        return Ok(Value::List(List::new(Elem::Int, items)));
    }
    let count = stop.abs_diff(start).div_ceil(step.unsigned_abs());
    bounded(usize::try_from(count).unwrap_or(usize::MAX), MAX_ITEMS, "list")?;
    let mut at = start;
    while if falls { at > stop } else { at < stop } {
        items.push(Value::int(at));
        match at.checked_add(step) {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(Value::List(List::new(Elem::Int, items)))
}
