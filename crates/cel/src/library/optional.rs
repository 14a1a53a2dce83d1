//! Optional values. Upstream: cel-go cel/library.go (OptionalTypes, all versions).

use crate::access;
use crate::functions::{Table, fail, mismatch};
use crate::value::{Evaluated, Value as V};

fn index<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [container, key] => access::index(container, key),
        _ => mismatch(),
    }
}

fn index_optional<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [container, key] => access::index_optional(container, key),
        _ => mismatch(),
    }
}

fn is_zero(value: &V<'_>) -> bool {
    match value {
        V::Null => true,
        V::Bool(b) => !b,
        V::Int(i) => *i == 0,
        V::Uint(u) => *u == 0,
        V::Double(d) => *d == 0.0,
        V::String(s) => s.is_empty(),
        V::Bytes(b) => b.is_empty(),
        V::Duration(d) => *d == 0,
        V::Timestamp(t) => t.seconds == -62_135_596_800 && t.nanos == 0,
        V::List(list) => list.is_empty(),
        V::Map(map) => map.is_empty(),
        V::Object(crate::collection::Object::Json(map, _)) => map.is_empty(),
        V::Object(crate::collection::Object::Built(built)) => built.fields.is_empty(),
        V::Optional(o) => o.is_none(),
        _ => false,
    }
}

fn unwrap<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let [V::List(list)] = a else { return mismatch() };
    let mut items = Vec::new();
    for value in list.iter() {
        match value? {
            V::Optional(Some(inner)) => items.push((*inner).clone()),
            V::Optional(None) => {}
            _ => return fail("value is not an optional type"),
        }
    }
    Ok(V::list(items))
}

fn end<'a>(a: &[V<'a>], last: bool) -> Evaluated<'a> {
    let [V::List(list)] = a else { return mismatch() };
    let at = if last { list.len().wrapping_sub(1) } else { 0 };
    Ok(match list.get(at) {
        None => V::Optional(None),
        Some(value) => value?.some(),
    })
}

pub(crate) fn add(table: &mut Table) {
    table.add("optional.of", "optional_of", "(A) -> optional(A)", |a| Ok(a[0].clone().some()));
    table.add("optional.none", "optional_none", "() -> optional(A)", |_| Ok(V::Optional(None)));
    table.add("optional.ofNonZeroValue", "optional_ofNonZeroValue", "(A) -> optional(A)", |a| Ok(if is_zero(&a[0]) { V::Optional(None) } else { a[0].clone().some() }));
    table.add("value", "optional_value", "optional(A).() -> A", |a| match &a[0] {
        V::Optional(Some(inner)) => Ok((**inner).clone()),
        V::Optional(None) => fail("optional.none() dereference"),
        _ => mismatch(),
    });
    table.add("hasValue", "optional_hasValue", "optional(A).() -> bool", |a| match &a[0] {
        V::Optional(inner) => Ok(V::Bool(inner.is_some())),
        _ => mismatch(),
    });
    // Evaluated lazily by the interpreter; here for their types.
    table.add("or", "optional_or_optional", "optional(A).(optional(A)) -> optional(A)", |_| mismatch());
    table.add("orValue", "optional_orValue_value", "optional(A).(A) -> A", |_| mismatch());
    table.add("_?._", "select_optional_field", "(dyn, string) -> optional(A)", |_| mismatch());
    table.add("_[?_]", "list_optindex_optional_int", "(list(A), int) -> optional(A)", index_optional);
    table.add("_[?_]", "optional_list_optindex_optional_int", "(optional(list(A)), int) -> optional(A)", index_optional);
    table.add("_[?_]", "map_optindex_optional_value", "(map(A, B), A) -> optional(B)", index_optional);
    table.add("_[?_]", "optional_map_optindex_optional_value", "(optional(map(A, B)), A) -> optional(B)", index_optional);
    table.add("_[_]", "optional_list_index_int", "(optional(list(A)), int) -> optional(A)", index);
    table.add("_[_]", "optional_map_index_value", "(optional(map(A, B)), A) -> optional(B)", index);
    table.add("optional.unwrap", "optional_unwrap", "(list(optional(A))) -> list(A)", unwrap);
    table.add("unwrapOpt", "optional_unwrapOpt", "list(optional(A)).() -> list(A)", unwrap);
    table.add("first", "list_first", "list(A).() -> optional(A)", |a| end(a, false));
    table.add("last", "list_last", "list(A).() -> optional(A)", |a| end(a, true));
}
