//! Lists: Kubernetes' own functions and cel-go's extended library, version 3.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/library/lists.go, cel-go ext/lists.go.

use std::cmp::Ordering;

use crate::collection::List;
use crate::functions::{Table, fail, mismatch};
use crate::library::operators::plus;
use crate::value::{EvalError, Evaluated, Value as V, compare};

const COMPARABLE: [&str; 8] = ["int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"];
/// `range` and `flatten` make no larger list than this.
const MAX_RANGE: i64 = 10_000_000;

fn list<'v, 'a>(value: &'v V<'a>) -> Result<&'v List<'a>, EvalError> {
    match value {
        V::List(list) => Ok(list),
        _ => Err(EvalError::new("no such overload")),
    }
}

fn order(a: &V<'_>, b: &V<'_>) -> Result<Ordering, EvalError> {
    compare(a, b).ok_or_else(|| EvalError::new("no such overload"))
}

fn is_sorted<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let items = list(&a[0])?.to_vec()?;
    for pair in items.windows(2) {
        if order(&pair[0], &pair[1])?.is_gt() {
            return Ok(V::Bool(false));
        }
    }
    Ok(V::Bool(true))
}

fn sum<'a>(a: &[V<'a>], zero: V<'a>) -> Evaluated<'a> {
    list(&a[0])?.iter().try_fold(zero, |sum, item| plus(&[sum, item?]))
}

fn extreme<'a>(a: &[V<'a>], name: &str, wanted: Ordering) -> Evaluated<'a> {
    let mut best: Option<V<'a>> = None;
    for item in list(&a[0])?.iter() {
        let item = item?;
        best = Some(match best {
            Some(best) if order(&item, &best)? != wanted => best,
            _ => item,
        });
    }
    best.map_or_else(|| fail(format!("{name} called on empty list")), Ok)
}

fn position<'a>(a: &[V<'a>], last: bool) -> Evaluated<'a> {
    let items = list(&a[0])?;
    let is = |i: &usize| items.get(*i).is_some_and(|v| v.is_ok_and(|v| v == a[1]));
    let found = if last { (0..items.len()).rev().find(is) } else { (0..items.len()).find(is) };
    Ok(V::Int(found.map_or(-1, |i| i as i64)))
}

fn slice<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let (V::List(items), V::Int(start), V::Int(end)) = (&a[0], &a[1], &a[2]) else { return mismatch() };
    if *start < 0 || *end < 0 {
        return fail(format!("cannot slice({start}, {end}), negative indexes not supported"));
    }
    if start > end {
        return fail(format!("cannot slice({start}, {end}), start index must be less than or equal to end index"));
    }
    if items.len() < *end as usize {
        return fail(format!("cannot slice({start}, {end}), list is length {}", items.len()));
    }
    let part = (*start as usize..*end as usize).filter_map(|i| items.get(i)).collect::<Result<Vec<_>, _>>()?;
    Ok(V::list(part))
}

fn flatten_into<'a>(items: &List<'a>, depth: i64, out: &mut Vec<V<'a>>) -> Result<(), EvalError> {
    for item in items.iter() {
        match item? {
            V::List(inner) if depth > 0 => flatten_into(&inner, depth - 1, out)?,
            other => out.push(other),
        }
        if out.len() as i64 > MAX_RANGE {
            return Err(EvalError::CostExceeded);
        }
    }
    Ok(())
}

fn flatten<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let depth = match a.get(1) {
        Some(V::Int(depth)) if *depth < 0 => return fail("level must be non-negative"),
        Some(V::Int(depth)) => *depth,
        _ => 1,
    };
    let mut out = Vec::new();
    flatten_into(list(&a[0])?, depth, &mut out)?;
    Ok(V::list(out))
}

fn distinct<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let mut out: Vec<V<'a>> = Vec::new();
    for item in list(&a[0])?.iter() {
        let item = item?;
        if !out.contains(&item) {
            out.push(item);
        }
    }
    Ok(V::list(out))
}

fn sorted<'a>(items: &List<'a>, keys: &List<'a>) -> Evaluated<'a> {
    let mut rows = keys.iter().zip(items.iter()).map(|(k, v)| Ok((k?, v?))).collect::<Result<Vec<_>, EvalError>>()?;
    if let Some((first, _)) = rows.first() {
        if compare(first, first).is_none() {
            return fail("list elements must be comparable");
        }
        let ty = first.ty();
        if rows.iter().any(|(k, _)| k.ty() != ty) {
            return fail("list elements must have the same type");
        }
    }
    rows.sort_by(|a, b| compare(&a.0, &b.0).unwrap_or(Ordering::Equal));
    Ok(V::list(rows.into_iter().map(|(_, v)| v).collect()))
}

fn sort<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    sorted(list(&a[0])?, list(a.get(1).unwrap_or(&a[0]))?)
}

fn reverse<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let mut items = list(&a[0])?.to_vec()?;
    items.reverse();
    Ok(V::list(items))
}

fn range<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::Int(n) if *n > MAX_RANGE => Err(EvalError::CostExceeded),
        V::Int(n) => Ok(V::list((0..*n).map(V::Int).collect())),
        _ => mismatch(),
    }
}

pub(crate) fn add(table: &mut Table) {
    for ty in COMPARABLE {
        let id = |what: &str| -> &'static str { Box::leak(format!("list_{ty}_{what}").into_boxed_str()) };
        table.add("isSorted", id("is_sorted_bool"), &format!("list({ty}).() -> bool"), is_sorted);
        table.add("max", id(&format!("max_{ty}")), &format!("list({ty}).() -> {ty}"), |a| extreme(a, "max", Ordering::Greater));
        table.add("min", id(&format!("min_{ty}")), &format!("list({ty}).() -> {ty}"), |a| extreme(a, "min", Ordering::Less));
        table.add("sort", id(&format!("sort_{ty}")), &format!("list({ty}).() -> list({ty})"), sort);
        table.add("@sortByAssociatedKeys", id("sortByAssociatedKeys"), &format!("list(A).(list({ty})) -> list(A)"), sort);
    }
    table.add("sum", "list_int_sum_int", "list(int).() -> int", |a| sum(a, V::Int(0)));
    table.add("sum", "list_uint_sum_uint", "list(uint).() -> uint", |a| sum(a, V::Uint(0)));
    table.add("sum", "list_double_sum_double", "list(double).() -> double", |a| sum(a, V::Double(0.0)));
    table.add("sum", "list_duration_sum_duration", "list(duration).() -> duration", |a| sum(a, V::Duration(0)));
    table.add("indexOf", "list_a_index_of_int", "list(A).(A) -> int", |a| position(a, false));
    table.add("lastIndexOf", "list_a_last_index_of_int", "list(A).(A) -> int", |a| position(a, true));
    table.add("slice", "list_slice", "list(A).(int, int) -> list(A)", slice);
    table.add("flatten", "list_flatten", "list(list(A)).() -> list(A)", flatten);
    table.add("flatten", "list_flatten_int", "list(dyn).(int) -> list(dyn)", flatten);
    table.add("distinct", "list_distinct", "list(A).() -> list(A)", distinct);
    table.add("reverse", "list_reverse", "list(A).() -> list(A)", reverse);
    table.add("lists.range", "lists_range", "(int) -> list(int)", range);
}
