//! Arithmetic, comparison, membership, `size`. Upstream: cel-go common/stdlib/standard.go, common/types/overflow.go.

use std::cmp::Ordering;

use crate::functions::{Run, Table, fail, mismatch};
use crate::time;
use crate::types::Type;
use crate::value::{Evaluated, Value as V, compare};

const INT: &str = "integer overflow";
const UINT: &str = "unsigned integer overflow";
const DURATION: &str = "duration overflow";

fn int<'a>(value: Option<i64>) -> Evaluated<'a> {
    value.map(V::Int).map_or_else(|| fail(INT), Ok)
}

fn uint<'a>(value: Option<u64>) -> Evaluated<'a> {
    value.map(V::Uint).map_or_else(|| fail(UINT), Ok)
}

fn span<'a>(value: Option<i64>) -> Evaluated<'a> {
    value.map(V::Duration).map_or_else(|| fail(DURATION), Ok)
}

pub(crate) fn plus<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [V::Int(x), V::Int(y)] => int(x.checked_add(*y)),
        [V::Uint(x), V::Uint(y)] => uint(x.checked_add(*y)),
        [V::Double(x), V::Double(y)] => Ok(V::Double(x + y)),
        [V::String(x), V::String(y)] => Ok(V::string([&**x, &**y].concat())),
        [V::Bytes(x), V::Bytes(y)] => Ok(V::Bytes([&**x, &**y].concat().into())),
        [V::List(x), V::List(y)] => x.plus(y).map(V::List),
        [V::Duration(x), V::Duration(y)] => span(x.checked_add(*y)),
        [V::Timestamp(t), V::Duration(d)] | [V::Duration(d), V::Timestamp(t)] => time::add(*t, *d).map(V::Timestamp),
        _ => mismatch(),
    }
}

fn minus<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [V::Int(x), V::Int(y)] => int(x.checked_sub(*y)),
        [V::Uint(x), V::Uint(y)] => uint(x.checked_sub(*y)),
        [V::Double(x), V::Double(y)] => Ok(V::Double(x - y)),
        [V::Duration(x), V::Duration(y)] => span(x.checked_sub(*y)),
        [V::Timestamp(x), V::Timestamp(y)] => time::between(*x, *y).map(V::Duration),
        [V::Timestamp(t), V::Duration(d)] => match d.checked_neg() {
            Some(d) => time::add(*t, d).map(V::Timestamp),
            None => fail("timestamp overflow"),
        },
        _ => mismatch(),
    }
}

fn times<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [V::Int(x), V::Int(y)] => int(x.checked_mul(*y)),
        [V::Uint(x), V::Uint(y)] => uint(x.checked_mul(*y)),
        [V::Double(x), V::Double(y)] => Ok(V::Double(x * y)),
        _ => mismatch(),
    }
}

fn over<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [V::Int(_), V::Int(0)] | [V::Uint(_), V::Uint(0)] => fail("division by zero"),
        [V::Int(x), V::Int(y)] => int(x.checked_div(*y)),
        [V::Uint(x), V::Uint(y)] => uint(x.checked_div(*y)),
        [V::Double(x), V::Double(y)] => Ok(V::Double(x / y)),
        _ => mismatch(),
    }
}

fn modulo<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [V::Int(_), V::Int(0)] | [V::Uint(_), V::Uint(0)] => fail("modulus by zero"),
        [V::Int(x), V::Int(y)] => int(x.checked_rem(*y)),
        [V::Uint(x), V::Uint(y)] => uint(x.checked_rem(*y)),
        _ => mismatch(),
    }
}

fn negate<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [V::Int(x)] => int(x.checked_neg()),
        [V::Double(x)] => Ok(V::Double(-x)),
        [V::Duration(x)] => span(x.checked_neg()),
        _ => mismatch(),
    }
}

fn ordered<'a>(a: &[V<'a>], test: fn(Ordering) -> bool) -> Evaluated<'a> {
    match a {
        [V::Double(x), _] | [_, V::Double(x)] if x.is_nan() => fail("NaN values cannot be ordered"),
        [x, y] => compare(x, y).map_or_else(mismatch, |o| Ok(V::Bool(test(o)))),
        _ => mismatch(),
    }
}

fn contains<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [x, V::List(list)] => Ok(V::Bool(list.contains(x))),
        [x, V::Map(map)] => Ok(V::Bool(map.has(x))),
        _ => mismatch(),
    }
}

fn size<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    a.first().and_then(V::size).map_or_else(mismatch, |n| Ok(V::Int(n as i64)))
}

fn type_of<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    a.first().map_or_else(mismatch, |v| Ok(V::Type(bare(v.ty()))))
}

/// A type value names no parameters.
fn bare(ty: Type) -> Type {
    match ty {
        Type::Type(_) => Type::Type(None),
        other => other,
    }
}

fn index<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [container, key] => crate::access::index(container, key),
        _ => mismatch(),
    }
}

fn insert<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match a {
        [V::Map(map), key, value] => {
            let mut map = map.clone();
            let Some(key) = crate::collection::Key::from(key) else { return fail("unsupported key type") };
            map.insert(key, value.clone())?;
            Ok(V::Map(map))
        }
        [V::Map(map), V::Map(entries)] => {
            let mut map = map.clone();
            for (key, value) in entries.iter() {
                map.insert(key, value?)?;
            }
            Ok(V::Map(map))
        }
        _ => mismatch(),
    }
}

type Rows = &'static [(&'static str, &'static str)];

type Compared = (&'static str, &'static str, fn(Ordering) -> bool, Run);

const COMPARED: [Compared; 4] = [
    ("_<_", "less", Ordering::is_lt, |a| ordered(a, Ordering::is_lt)),
    ("_<=_", "less_equals", Ordering::is_le, |a| ordered(a, Ordering::is_le)),
    ("_>_", "greater", Ordering::is_gt, |a| ordered(a, Ordering::is_gt)),
    ("_>=_", "greater_equals", Ordering::is_ge, |a| ordered(a, Ordering::is_ge)),
];

fn add_comparisons(table: &mut Table) {
    const SAME: [(&str, &str); 8] =
        [("bool", "bool"), ("int64", "int"), ("uint64", "uint"), ("double", "double"), ("string", "string"), ("bytes", "bytes"), ("timestamp", "timestamp"), ("duration", "duration")];
    const NUMBERS: [(&str, &str); 3] = [("int64", "int"), ("uint64", "uint"), ("double", "double")];
    for (function, prefix, _, run) in COMPARED {
        for (suffix, ty) in SAME {
            table.add(function, leak(format!("{prefix}_{suffix}")), &format!("({ty}, {ty}) -> bool"), run);
        }
        for (left, left_ty) in NUMBERS {
            for (right, right_ty) in NUMBERS.into_iter().filter(|r| r.0 != left) {
                table.add(function, leak(format!("{prefix}_{left}_{right}")), &format!("({left_ty}, {right_ty}) -> bool"), run);
            }
        }
    }
}

/// The table is built once in the process's life, so its composed names may live as long.
fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}

pub(crate) fn add(table: &mut Table) {
    let arithmetic: [(&'static str, Run, Rows); 6] = [
        (
            "_+_",
            plus,
            &[
                ("add_bytes", "(bytes, bytes) -> bytes"),
                ("add_double", "(double, double) -> double"),
                ("add_duration_duration", "(duration, duration) -> duration"),
                ("add_duration_timestamp", "(duration, timestamp) -> timestamp"),
                ("add_timestamp_duration", "(timestamp, duration) -> timestamp"),
                ("add_int64", "(int, int) -> int"),
                ("add_list", "(list(A), list(A)) -> list(A)"),
                ("add_string", "(string, string) -> string"),
                ("add_uint64", "(uint, uint) -> uint"),
            ],
        ),
        (
            "_-_",
            minus,
            &[
                ("subtract_double", "(double, double) -> double"),
                ("subtract_duration_duration", "(duration, duration) -> duration"),
                ("subtract_int64", "(int, int) -> int"),
                ("subtract_timestamp_duration", "(timestamp, duration) -> timestamp"),
                ("subtract_timestamp_timestamp", "(timestamp, timestamp) -> duration"),
                ("subtract_uint64", "(uint, uint) -> uint"),
            ],
        ),
        ("_*_", times, &[("multiply_double", "(double, double) -> double"), ("multiply_int64", "(int, int) -> int"), ("multiply_uint64", "(uint, uint) -> uint")]),
        ("_/_", over, &[("divide_double", "(double, double) -> double"), ("divide_int64", "(int, int) -> int"), ("divide_uint64", "(uint, uint) -> uint")]),
        ("_%_", modulo, &[("modulo_int64", "(int, int) -> int"), ("modulo_uint64", "(uint, uint) -> uint")]),
        ("-_", negate, &[("negate_double", "(double) -> double"), ("negate_int64", "(int) -> int")]),
    ];
    for (function, run, rows) in arithmetic {
        for (id, signature) in rows {
            table.add(function, id, signature, run);
        }
    }
    add_comparisons(table);
    table.add("_==_", "equals", "(A, A) -> bool", |a| Ok(V::Bool(a[0] == a[1])));
    table.add("_!=_", "not_equals", "(A, A) -> bool", |a| Ok(V::Bool(a[0] != a[1])));
    table.add("@in", "in_list", "(A, list(A)) -> bool", contains);
    table.add("@in", "in_map", "(A, map(A, B)) -> bool", contains);
    for (id, ty) in [("size_bytes", "bytes"), ("size_list", "list(A)"), ("size_map", "map(A, B)"), ("size_string", "string")] {
        table.add("size", id, &format!("({ty}) -> int"), size);
    }
    for (id, ty) in [("bytes_size", "bytes"), ("list_size", "list(A)"), ("map_size", "map(A, B)"), ("string_size", "string")] {
        table.add("size", id, &format!("{ty}.() -> int"), size);
    }
    table.add("_[_]", "index_list", "(list(A), int) -> A", index);
    table.add("_[_]", "index_map", "(map(A, B), A) -> B", index);
    // These five are evaluated by the interpreter itself; the table knows their types.
    table.add("_?_:_", "conditional", "(bool, A, A) -> A", |_| mismatch());
    table.add("_&&_", "logical_and", "(bool, bool) -> bool", |_| mismatch());
    table.add("_||_", "logical_or", "(bool, bool) -> bool", |_| mismatch());
    table.add("!_", "logical_not", "(bool) -> bool", |a| a[0].as_bool().map_or_else(mismatch, |b| Ok(V::Bool(!b))));
    table.add("@not_strictly_false", "not_strictly_false", "(bool) -> bool", |_| mismatch());
    table.add("type", "type", "(A) -> type(A)", type_of);
    table.add("dyn", "to_dyn", "(A) -> dyn", |a| Ok(a[0].clone()));
    table.add("cel.@mapInsert", "@mapInsert_map_key_value", "(map(A, B), A, B) -> map(A, B)", insert);
    table.add("cel.@mapInsert", "@mapInsert_map_map", "(map(A, B), map(A, B)) -> map(A, B)", insert);
}
