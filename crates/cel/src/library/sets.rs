//! Lists as sets. Upstream: cel-go ext/sets.go.

use crate::collection::List;
use crate::functions::{Table, mismatch};
use crate::value::{Evaluated, Value as V};

fn both<'a>(a: &[V<'a>], test: fn(&List<'_>, &List<'_>) -> bool) -> Evaluated<'a> {
    match a {
        [V::List(x), V::List(y)] => Ok(V::Bool(test(x, y))),
        _ => mismatch(),
    }
}

fn contains(x: &List<'_>, y: &List<'_>) -> bool {
    y.iter().all(|v| v.is_ok_and(|v| x.iter().any(|w| w.is_ok_and(|w| w == v))))
}

fn intersects(x: &List<'_>, y: &List<'_>) -> bool {
    y.iter().any(|v| v.is_ok_and(|v| x.iter().any(|w| w.is_ok_and(|w| w == v))))
}

pub(crate) fn add(table: &mut Table) {
    table.add("sets.contains", "list_sets_contains_list", "(list(A), list(A)) -> bool", |a| both(a, contains));
    table.add("sets.equivalent", "list_sets_equivalent_list", "(list(A), list(A)) -> bool", |a| both(a, |x, y| contains(x, y) && contains(y, x)));
    table.add("sets.intersects", "list_sets_intersects_list", "(list(A), list(A)) -> bool", |a| both(a, intersects));
}
