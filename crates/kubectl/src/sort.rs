//! `--sort-by`: objects and table rows by the value at a path.
//!
//! Equal ones keep their order; numbers compare as numbers, texts by their natural order, quantities by their size.
// Upstream: kubectl pkg/cmd/get/sorter.go.

use std::cmp::Ordering;

use serde_json::Value;

use crate::failure::{Failure, Outcome, fail};

fn relaxed(field: &str) -> String {
    jsonpath::relaxed(field).unwrap_or_else(|_| field.to_owned())
}

fn template(field: &str) -> Outcome<jsonpath::Template> {
    jsonpath::Template::parse(&relaxed(field)).map_err(|e| Failure::Text(e.to_string()))
}

fn value_at(template: &jsonpath::Template, object: &Value) -> Outcome<Option<Value>> {
    let found = template.find(object, true).map_err(|e| Failure::Text(e.to_string()))?;
    Ok(found.into_iter().next().and_then(|group| group.into_iter().next()).map(std::borrow::Cow::into_owned))
}

fn sorted<T>(items: Vec<(Option<Value>, T)>) -> Vec<T> {
    let mut items = items;
    items.sort_by(|(a, _), (b, _)| compare(a.as_ref(), b.as_ref()));
    items.into_iter().map(|(_, item)| item).collect()
}

/// Sorts things by a field of their objects; fails where none has it.
fn by_field<T>(items: &mut Vec<T>, field: &str, object: impl Fn(&T) -> &Value) -> Outcome {
    let template = template(field)?;
    let keys = items.iter().map(|item| value_at(&template, object(item))).collect::<Outcome<Vec<_>>>()?;
    if !keys.is_empty() && keys.iter().all(Option::is_none) {
        return fail(format!("couldn't find any field with path {:?} in the list of objects", relaxed(field)));
    }
    *items = sorted(keys.into_iter().zip(std::mem::take(items)).collect());
    Ok(())
}

/// Sorts objects; fails where none has the field.
pub fn objects(objects: &mut Vec<Value>, field: &str) -> Outcome {
    by_field(objects, field, |object| object)
}

/// Sorts the rows of each table by their objects.
// Upstream: RuntimeSorter passes over the fault of a single table; its rows are then lost, but for a lone one.
pub fn tables(tables: &mut Vec<Value>, field: &str) -> Outcome {
    if tables.iter().any(|t| t["kind"] != "Table") {
        return if tables.iter().all(|t| t["kind"] != "Table") { if tables.len() > 1 { objects(tables, field) } else { Ok(()) } } else { fail("sorting is not supported on mixed Table and non-Table object lists") };
    }
    let single = tables.len() == 1;
    for table in tables.iter_mut() {
        let Some(rows) = table["rows"].as_array_mut() else { continue };
        if let Err(fault) = by_field(rows, field, |row| &row["object"]) {
            if !single {
                return Err(fault);
            }
            if rows.len() > 1 {
                rows.clear();
            }
        }
    }
    Ok(())
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        (Some(Value::String(a)), Some(Value::String(b))) => match (a.parse::<quantity::Quantity>(), b.parse::<quantity::Quantity>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => natural(a, b),
        },
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.iter().zip(b).map(|(a, b)| compare(Some(a), Some(b))).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => Ordering::Equal,
    }
}

/// Runs of digits compare as numbers.
// Upstream: fvbommel/sortorder NaturalLess.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.is_empty(), b.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, _) => return Ordering::Less,
            (_, true) => return Ordering::Greater,
            _ => {}
        }
        let digits = |t: &str| t.len() - t.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (da, db) = (digits(a), digits(b));
        if da > 0 && db > 0 {
            let (na, nb) = (a[..da].trim_start_matches('0'), b[..db].trim_start_matches('0'));
            let order = na.len().cmp(&nb.len()).then_with(|| na.cmp(nb)).then_with(|| da.cmp(&db));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[da..], &b[db..]);
            continue;
        }
        let (ca, cb) = (a.chars().next().unwrap_or_default(), b.chars().next().unwrap_or_default());
        if ca != cb {
            return ca.cmp(&cb);
        }
        (a, b) = (&a[ca.len_utf8()..], &b[cb.len_utf8()..]);
    }
}
