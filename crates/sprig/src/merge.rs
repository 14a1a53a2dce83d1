//! Deep merging of maps. Upstream: mergo, with and without overwriting.
//!
//! What the target has wins unless it is empty (zero, "", false, nil, no elements), or everything is overwritten; maps on both
//! sides are merged. A map that only the source has is shared, not copied, as upstream does.

use gotemplate::{Failure, Kind, Map, Value};

use crate::cast::empty;

/// mergo's `isEmptyValue`: structs are empty only when all zero, which ours never are.
fn is_empty(value: &Value) -> bool {
    empty(value)
}

fn is_slice(value: &Value) -> bool {
    value.kind() == Kind::Slice
}

pub fn into(target: &Map, source: &Map, overwrite: bool) -> Result<(), Failure> {
    if gotemplate::stack::exhausted() {
        return Err("maps are nested too deeply to merge: one may hold itself".into());
    }
    if target.same(source) {
        return Ok(());
    }
    let entries: Vec<_> = source.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for (key, new) in entries {
        let old = target.get(&key);
        if new.is_nil() {
            if overwrite {
                target.set(key, new);
            }
            continue;
        }
        match (&old, &new) {
            (Some(Value::Map(inner)), Value::Map(from)) => into(inner, from, overwrite)?,
            (_, list) if is_slice(list) => {
                let kept = match &old {
                    Some(old) if !old.is_nil() => old.clone(),
                    _ => Value::list(Vec::new()),
                };
                let replaced = overwrite || target.is_empty();
                target.set(key.clone(), if replaced { list.clone() } else { kept });
            }
            _ => {}
        }
        let filled = old.as_ref().is_some_and(|old| !is_empty(old));
        let same_shape = match (&old, new.kind()) {
            (Some(old), Kind::Map) => old.kind() == Kind::Map,
            (Some(old), Kind::Slice) => old.kind() == Kind::Slice,
            _ => false,
        };
        if filled && same_shape {
            continue;
        }
        if overwrite || !filled {
            target.set(key, new);
        }
    }
    Ok(())
}
