//! Quantities. Upstream: k8s.io/apiserver/pkg/cel/library/quantity.go.

use std::cmp::Ordering;
use std::sync::Arc;

use quantity::{Format, ParseError, Quantity};

use crate::functions::{Run, Table, fail, mismatch};
use crate::value::{Evaluated, Value as V};

fn parse<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let V::String(s) = &a[0] else { return mismatch() };
    parse_text(s).map_or_else(fail, |q| Ok(V::Quantity(Arc::new(q))))
}

pub(crate) fn parse_text(text: &str) -> Result<Quantity, String> {
    match text.parse::<Quantity>() {
        // A suffix alone is no quantity.
        Ok(_) if !text.bytes().any(|b| b.is_ascii_digit()) => Err(ParseError::Numeric.to_string()),
        parsed => parsed.map_err(|e| e.to_string()),
    }
}

fn compare<'a>(a: &[V<'a>], answer: fn(Ordering) -> V<'static>) -> Evaluated<'a> {
    match a {
        [V::Quantity(x), V::Quantity(y)] => Ok(answer((**x).cmp(y))),
        _ => mismatch(),
    }
}

fn sum<'a>(a: &[V<'a>], subtract: bool) -> Evaluated<'a> {
    let (V::Quantity(x), other) = (&a[0], &a[1]) else { return mismatch() };
    let y = match other {
        V::Quantity(y) => **y,
        V::Int(i) => Quantity::from_value(*i, Format::DecimalExponent),
        _ => return mismatch(),
    };
    Ok(V::Quantity(Arc::new(if subtract { x.minus(y) } else { x.plus(y) })))
}

/// The value as an integer if nothing is lost.
fn whole(q: &Quantity) -> Option<i64> {
    let value = q.value();
    (q.is_integer() && Quantity::from_value(value, Format::DecimalSi) == *q).then_some(value)
}

pub(crate) fn add(table: &mut Table) {
    const TYPE: &str = "kubernetes.Quantity";
    table.add("quantity", "string_to_quantity", "(string) -> kubernetes.Quantity", parse);
    table.add("isQuantity", "is_quantity_string", "(string) -> bool", |a| Ok(V::Bool(parse(a).is_ok())));
    let sign: Run = |a| match &a[0] {
        V::Quantity(q) => Ok(V::Int(i64::from(q.sign()))),
        _ => mismatch(),
    };
    table.add("sign", "quantity_sign", "(kubernetes.Quantity) -> int", sign);
    table.add_method("sign", "quantity_get_sign", TYPE, "", "int", sign);
    table.add_method("isGreaterThan", "quantity_is_greater_than", TYPE, TYPE, "bool", |a| compare(a, |o| V::Bool(o.is_gt())));
    table.add_method("isLessThan", "quantity_is_less_than", TYPE, TYPE, "bool", |a| compare(a, |o| V::Bool(o.is_lt())));
    table.add_method("compareTo", "quantity_compare_to", TYPE, TYPE, "int", |a| compare(a, |o| V::Int(o as i64)));
    table.add_method("asApproximateFloat", "quantity_get_float", TYPE, "", "double", |a| match &a[0] {
        V::Quantity(q) => Ok(V::Double(q.approximate())),
        _ => mismatch(),
    });
    table.add_method("asInteger", "quantity_get_int", TYPE, "", "int", |a| match &a[0] {
        V::Quantity(q) => whole(q).map_or_else(|| fail("cannot convert value to integer"), |i| Ok(V::Int(i))),
        _ => mismatch(),
    });
    table.add_method("isInteger", "quantity_is_integer", TYPE, "", "bool", |a| match &a[0] {
        V::Quantity(q) => Ok(V::Bool(whole(q).is_some())),
        _ => mismatch(),
    });
    table.add_method("add", "quantity_add", TYPE, TYPE, TYPE, |a| sum(a, false));
    table.add_method("add", "quantity_add_int", TYPE, "int", TYPE, |a| sum(a, false));
    table.add_method("sub", "quantity_sub", TYPE, TYPE, TYPE, |a| sum(a, true));
    table.add_method("sub", "quantity_sub_int", TYPE, "int", TYPE, |a| sum(a, true));
}
