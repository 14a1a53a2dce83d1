//! Learns protobuf numbers from upstream's wire fixtures: every field is set, with values that name their field.
//!
//! Only fills what no other source told; prints what it could not place.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::model::{Fld, Model, Ty, package, short};

pub struct Fixture {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub json: Value,
    pub pb: Vec<u8>,
}

impl Fixture {
    pub fn count_keys(&self, count: &mut impl FnMut(&str)) {
        fn walk(value: &Value, count: &mut impl FnMut(&str)) {
            match value {
                Value::Object(map) => map.iter().for_each(|(k, v)| {
                    if !k.ends_with("Key") {
                        count(k);
                    }
                    walk(v, count);
                }),
                Value::Array(items) => items.iter().for_each(|v| walk(v, count)),
                _ => {}
            }
        }
        walk(&self.json, count);
    }
}

pub fn load(folder: &Path) -> Vec<Fixture> {
    let mut out = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("wire fixtures").flatten().map(|e| e.path()).collect();
    files.sort();
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "json")) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (rest, kind) = stem.rsplit_once('.').expect("group.version.Kind");
        let (group, version) = rest.rsplit_once('.').expect("group.version");
        let json = serde_json::from_slice(&std::fs::read(path).expect("fixture")).expect("JSON fixture");
        let pb = std::fs::read(path.with_extension("pb")).expect("protobuf fixture");
        let group = if group == "core" { "" } else { group };
        out.push(Fixture { group: group.into(), version: version.into(), kind: kind.into(), json, pb });
    }
    out
}

#[derive(Clone, Debug)]
enum Wire<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut out = 0u64;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        out |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(out);
        }
    }
    None
}

fn message(mut bytes: &[u8]) -> Option<BTreeMap<u32, Vec<Wire<'_>>>> {
    let mut out: BTreeMap<u32, Vec<Wire>> = BTreeMap::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => {
                let (head, rest) = bytes.split_at_checked(8)?;
                bytes = rest;
                Wire::Fixed(u64::from_le_bytes(head.try_into().ok()?))
            }
            2 => {
                let length = varint(&mut bytes)? as usize;
                let (head, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Wire::Bytes(head)
            }
            _ => return None,
        };
        out.entry((key >> 3) as u32).or_default().push(value);
    }
    Some(out)
}

pub fn learn(model: &mut Model, fixtures: &[Fixture]) {
    for fixture in fixtures {
        let key = (fixture.group.clone(), fixture.version.clone(), fixture.kind.clone());
        let meta = format!("io.k8s.apimachinery.pkg.apis.meta.v1.{}", fixture.kind);
        let Some(name) = model.kinds.get(&key).cloned().or_else(|| model.defs.contains_key(&meta).then_some(meta)) else {
            println!("no definition for fixture {key:?}");
            continue;
        };
        let unknown = message(&fixture.pb[4..]).expect("envelope");
        let (Some(Wire::Bytes(raw)), Value::Object(json)) = (unknown.get(&2).map(|v| v[0].clone()), &fixture.json) else { continue };
        learn_message(model, &name, json, raw);
    }
}

fn learn_message(model: &mut Model, name: &str, json: &Map<String, Value>, bytes: &[u8]) {
    let Some(fields) = message(bytes) else { return println!("{name}: bytes are no message") };
    adopt_from_sibling(model, name, json);
    let Some(def) = model.defs.get(name) else { return };
    let known: Vec<u32> = def.fields.values().filter_map(|f| f.path.first().copied()).collect();
    let mut open: Vec<String> = json.keys().filter(|k| def.fields.get(*k).is_some_and(|f| f.path.is_empty())).cloned().collect();
    let mut learnt = Vec::new();
    for (tag, payload) in fields.iter().filter(|(t, _)| !known.contains(t)) {
        let fit = open.iter().position(|key| def.fields.get(key).and_then(|f| f.ty.as_ref()).is_some_and(|ty| fits(model, ty, &json[key], &payload[0], *tag)));
        match fit {
            Some(at) => learnt.push((open.remove(at), *tag)),
            None => println!("{name}: nothing fits tag {tag} {payload:?} of {open:?}"),
        }
    }
    open.retain(|k| k != "apiVersion" && k != "kind");
    if !open.is_empty() {
        println!("{name}: no number for {open:?}");
    }
    let def = model.defs.get_mut(name).expect("present above");
    for (key, tag) in learnt {
        def.fields.get_mut(&key).expect("came from there").path = vec![tag];
    }
    let typed: Vec<(Ty, Vec<u32>, Value)> = json.iter().filter_map(|(k, v)| def.fields.get(k).and_then(|f| Some((f.ty.clone()?, f.path.clone(), v.clone())))).collect();
    for (ty, path, value) in typed {
        let mut at = fields.clone();
        for step in path.iter().take(path.len().saturating_sub(1)) {
            at = match at.get(step).and_then(|v| v.first()) {
                Some(Wire::Bytes(inner)) => message(inner).unwrap_or_default(),
                _ => BTreeMap::new(),
            };
        }
        for payload in path.last().and_then(|t| at.get(t)).into_iter().flatten().take(1) {
            descend(model, &ty, &value, payload);
        }
    }
}

/// A field that only another version's definition describes is taken from there.
fn adopt_from_sibling(model: &mut Model, name: &str, json: &Map<String, Value>) {
    let Some(def) = model.defs.get(name) else { return };
    let unknown: Vec<&String> = json.keys().filter(|k| !def.fields.contains_key(*k)).collect();
    for key in unknown {
        let sibling = model.defs.iter().find(|(n, d)| {
            short(n) == short(name) && package(package(n)) == package(package(name)) && d.fields.contains_key(key)
        });
        match sibling.map(|(_, d)| Fld { path: Vec::new(), ..d.fields[key].clone() }) {
            Some(fld) => {
                model.defs.get_mut(name).expect("present").fields.insert(key.clone(), fld);
                return adopt_from_sibling(model, name, json);
            }
            None => println!("{name}: fixture has unknown field {key}"),
        }
    }
}

fn descend(model: &mut Model, ty: &Ty, value: &Value, payload: &Wire) {
    match (ty, value, payload) {
        (Ty::Ref(name), Value::Object(json), Wire::Bytes(bytes)) if model.defs.get(name).is_some_and(|d| d.special.is_none()) => learn_message(model, &name.clone(), json, bytes),
        (Ty::List(inner), Value::Array(items), _) if !items.is_empty() => descend(model, inner, &items[0], payload),
        (Ty::Map(inner), Value::Object(map), Wire::Bytes(bytes)) => {
            if let (Some(first), Some(entry)) = (map.values().next(), message(bytes).and_then(|m| m.get(&2).map(|v| v[0].clone()))) {
                descend(model, inner, first, &entry);
            }
        }
        _ => {}
    }
}

fn fits(model: &Model, ty: &Ty, value: &Value, payload: &Wire, tag: u32) -> bool {
    match (ty, value, payload) {
        (Ty::Scalar('s'), Value::String(s), Wire::Bytes(b)) => s.as_bytes() == *b,
        (Ty::Scalar('y'), _, Wire::Bytes(b)) => u32::from(b[0]) == tag && b.len() == 1,
        (Ty::Scalar('J'), _, Wire::Bytes(_)) => true,
        (Ty::Wrap(inner), Value::Array(items), Wire::Bytes(b)) => {
            items.first().zip(message(b)).is_some_and(|(v, m)| m.get(&1).is_some_and(|p| fits(model, inner, v, &p[0], 1)))
        }
        (Ty::Scalar('b'), Value::Bool(v), Wire::Number(n)) => u64::from(*v) == *n,
        (Ty::Scalar('i' | 'l'), Value::Number(v), Wire::Number(n)) => v.as_i64() == Some(*n as i64),
        (Ty::Scalar('d' | 'f'), Value::Number(_), Wire::Fixed(_)) => true,
        (Ty::List(inner), Value::Array(items), _) => items.first().is_some_and(|v| fits(model, inner, v, payload, tag)),
        (Ty::Map(inner), Value::Object(map), Wire::Bytes(b)) => {
            let Some(entry) = message(b) else { return false };
            let key = matches!((entry.get(&1).map(|v| &v[0]), map.keys().next()), (Some(Wire::Bytes(k)), Some(key)) if key.as_bytes() == *k);
            key && entry.get(&2).zip(map.values().next()).is_some_and(|(v, j)| fits(model, inner, j, &v[0], 2))
        }
        (Ty::Ref(name), _, Wire::Bytes(b)) => match (model.defs.get(name).and_then(|d| d.special), value) {
            (Some('T' | 'M'), Value::String(s)) => s.starts_with(&format!("{}", 2000 + tag)),
            (Some('Q'), Value::String(s)) => b.get(2..) == Some(s.as_bytes()),
            (Some(_), _) => true,
            (None, Value::Object(json)) => {
                let Some(found) = message(b) else { return false };
                let texts = json.values().filter_map(Value::as_str).filter(|s| s.ends_with("Value"));
                found.len() == json.len() && texts.into_iter().all(|t| b.windows(t.len().max(1)).any(|w| w == t.as_bytes()))
            }
            _ => false,
        },
        _ => false,
    }
}
