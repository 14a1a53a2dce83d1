//! Functions on maps: `set`, `unset` and the merges change their first map in place.

use gotemplate::{Failure, Functions, List, Map, Outcome, Signature, Str, Type, Value};

use crate::args::{any, map, text};
use crate::cast::strval;
use crate::merge;

use Type::{Any, Map as Dict, String as Text};

const DT: Signature = Signature::fixed(&[Dict, Text]);
const DTS: Signature = Signature::variadic(&[Dict, Text]);
const DICTS: Signature = Signature::variadic(&[Dict, Dict]);
const ANYS: Signature = Signature::variadic(&[Any]);

pub fn register(f: &mut Functions) {
    f.add("dict", ANYS, dict);
    f.add("get", DT, |a| Ok(map(a, 0).get(&text(a, 1)).unwrap_or_else(|| Value::str(""))));
    f.add("set", Signature::fixed(&[Dict, Text, Any]), set);
    f.add("unset", DT, |a| {
        map(a, 0).remove(&text(a, 1));
        Ok(any(a, 0))
    });
    f.add("hasKey", DT, |a| Ok(Value::Bool(map(a, 0).get(&text(a, 1)).is_some())));
    f.add("pluck", Signature::variadic(&[Text, Dict]), |a| {
        let key = text(a, 0);
        Ok(Value::list((1..a.len()).filter_map(|at| map(a, at).get(&key)).collect()))
    });
    // Differs: upstream's order is by chance; here keys come sorted.
    f.add("keys", Signature::variadic(&[Dict]), |a| {
        let keys = (0..a.len()).flat_map(|at| map(a, at).borrow().keys().cloned().collect::<Vec<_>>());
        Ok(Value::strings(keys))
    });
    f.add("values", Signature::fixed(&[Dict]), |a| Ok(Value::list(map(a, 0).borrow().values().cloned().collect())));
    f.add("pick", DTS, |a| {
        let from = map(a, 0);
        Ok(Value::map((1..a.len()).filter_map(|at| from.get(&text(a, at)).map(|value| (text(a, at), value)))))
    });
    f.add("omit", DTS, |a| {
        let omitted: Vec<Str> = (1..a.len()).map(|at| text(a, at)).collect();
        let from = map(a, 0);
        let kept: Vec<_> = from.borrow().iter().filter(|(key, _)| !omitted.contains(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Value::map(kept))
    });
    for (name, overwrite) in [("merge", false), ("mustMerge", false), ("mergeOverwrite", true), ("mustMergeOverwrite", true)] {
        f.add(name, DICTS, if overwrite { |a| merged(a, true) } else { |a| merged(a, false) });
    }
    for name in ["deepCopy", "mustDeepCopy"] {
        f.add(name, Signature::fixed(&[Any]), |a| match &a[0] {
            Value::Nil => Err("reflect: call of reflect.Value.Type on zero Value".into()),
            value => deep_copy(value),
        });
    }
    f.add("dig", ANYS, dig);
}

fn dict(args: &[Value]) -> Outcome {
    let made = Map::empty();
    for pair in args.chunks(2) {
        made.set(strval(&pair[0])?, pair.get(1).cloned().unwrap_or_else(|| Value::str("")));
    }
    Ok(Value::Map(made))
}

fn set(args: &[Value]) -> Outcome {
    let target = map(args, 0);
    if target.is_nil() {
        return Err("assignment to entry in nil map".into());
    }
    target.set(text(args, 1), any(args, 2));
    Ok(Value::Map(target))
}

fn merged(args: &[Value], overwrite: bool) -> Outcome {
    let mut target = map(args, 0);
    for at in 1..args.len() {
        let source = map(args, at);
        if target.is_nil() && !source.is_nil() {
            target = Map::empty();
        }
        merge::into(&target, &source, overwrite)?;
    }
    Ok(Value::Map(target))
}

pub fn deep_copy(value: &Value) -> Outcome {
    if gotemplate::stack::exhausted() {
        return Err("value is nested too deeply to copy: it may hold itself".into());
    }
    Ok(match value {
        Value::List(list) if !list.is_nil() => {
            let items: Result<Vec<Value>, Failure> = list.items().iter().map(deep_copy).collect();
            Value::List(List::new(list.elem(), items?))
        }
        Value::Map(map) if !map.is_nil() => {
            let mut entries = std::collections::BTreeMap::new();
            for (key, value) in map.borrow().iter() {
                entries.insert(key.clone(), deep_copy(value)?);
            }
            Value::Map(Map::new(map.kind(), entries))
        }
        other => other.clone(),
    })
}

fn conversion(value: &Value, wanted: &str) -> Failure {
    let found = if value.is_nil() { "nil".into() } else { value.type_name() };
    Failure::new(format!("interface conversion: interface {{}} is {found}, not {wanted}"))
}

fn dig(args: &[Value]) -> Outcome {
    let [keys @ .., fallback, last] = args else { return Err("dig needs at least three arguments".into()) };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let plain = |value: &Value| match value {
        Value::Map(map) if map.kind() == gotemplate::MapType::Any => Ok(map.clone()),
        other => Err(conversion(other, "map[string]interface {}")),
    };
    let mut dict = plain(last)?;
    let keys: Result<Vec<&Str>, Failure> = keys.iter().map(|key| key.as_str().ok_or_else(|| conversion(key, "string"))).collect();
    let keys = keys?;
    for (at, key) in keys.iter().enumerate() {
        let Some(step) = dict.get(key) else { return Ok(fallback.clone()) };
        if at + 1 == keys.len() {
            return Ok(step);
        }
        dict = plain(&step)?;
    }
    Ok(fallback.clone())
}
