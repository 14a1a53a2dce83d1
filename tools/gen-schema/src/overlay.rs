//! Lays protobuf numbers, markers and Go facts over the JSON definitions, and adds the definitions that only protobuf knows.
//!
//! Names are matched normalised. What stays without a number is learnt from the fixtures afterwards.

use std::collections::BTreeMap;

use crate::facts::Go;
use crate::fixtures::Fixture;
use crate::model::{Def, Fld, Model, Ty, norm, package, short, special};
use crate::pb_source::{PbField, PbMsg, PbMsgs};

/// Packages of k8s-pb that are no part of the served API.
const SKIPPED: [&str; 2] = ["io.k8s.apimachinery.pkg.apis.testapigroup", "io.k8s.apimachinery.pkg.runtime.unknown"];
/// Inlined structs of types that neither Go facts nor k8s-openapi describe.
const INLINED: [(&str, &str); 3] = [("RuleWithOperations", "rule"), ("NamedRuleWithOperations", "rule_with_operations"), ("EphemeralContainer", "ephemeral_container_common")];
const GROUPS: [(&str, &str); 8] = [
    ("io.k8s.api.extensions", "extensions"),
    ("io.k8s.api.imagepolicy", "imagepolicy.k8s.io"),
    ("io.k8s.api.apidiscovery", "apidiscovery.k8s.io"),
    ("io.k8s.api.admission", "admission.k8s.io"),
    ("io.k8s.api.authentication", "authentication.k8s.io"),
    ("io.k8s.metrics.pkg.apis.metrics", "metrics.k8s.io"),
    ("io.k8s.metrics.pkg.apis.custom_metrics", "custom.metrics.k8s.io"),
    ("io.k8s.metrics.pkg.apis.external_metrics", "external.metrics.k8s.io"),
];
const NO_KINDS: [&str; 6] = ["PodTemplateSpec", "JobTemplateSpec", "PersistentVolumeClaimTemplate", "ResourceClaimTemplateSpec", "CrossVersionObjectReference", "PodTemplateSpecList"];

#[derive(Default)]
struct Spellings(BTreeMap<String, BTreeMap<String, usize>>);

impl Spellings {
    fn count(&mut self, name: &str) {
        *self.0.entry(norm(name)).or_default().entry(name.to_owned()).or_default() += 1;
    }

    fn best(&self, name: &str) -> Option<String> {
        self.0.get(&norm(name))?.iter().max_by_key(|(_, n)| **n).map(|(s, _)| s.clone())
    }
}

fn is_wrapper(message: &PbMsg) -> bool {
    matches!(&message.fields[..], [f] if f.ident == "items" && f.repeated && f.wire == "string")
}

pub fn apply(model: &mut Model, pb: &PbMsgs, go: &Go, fixtures: &[Fixture]) {
    let (mut fields, mut types) = (Spellings::default(), Spellings::default());
    for (name, def) in &model.defs {
        types.count(short(name));
        def.fields.keys().for_each(|f| fields.count(f));
    }
    for (name, list) in go.types.values() {
        types.count(short(name));
        list.iter().filter(|f| !f.inline).for_each(|f| fields.count(&f.json));
    }
    for fixture in fixtures {
        types.count(&fixture.kind);
        fixture.count_keys(&mut |key| fields.count(key));
    }
    add_missing(model, pb, go, &fields, &types);
    let by_norm: BTreeMap<String, String> = model.defs.keys().map(|n| (norm(n), n.clone())).collect();
    for (key, message) in pb {
        let Some(name) = by_norm.get(key) else { continue };
        let def = model.defs.get_mut(name).expect("indexed");
        if def.special.is_none() {
            number(def, message, pb, &[]);
            if marker(&message.docs, "structType").as_deref() == Some("atomic") {
                def.atomic = true;
            }
        }
    }
    for (name, def) in &mut model.defs {
        go_facts(name, def, go);
    }
    add_kinds(model, go, fixtures);
}

/// Definitions for messages that no JSON schema describes: old groups, options, reviews, lists.
fn add_missing(model: &mut Model, pb: &PbMsgs, go: &Go, fields: &Spellings, types: &Spellings) {
    let mut names: BTreeMap<String, String> = model.defs.keys().map(|n| (norm(n), n.clone())).collect();
    let mut missing = Vec::new();
    for (key, message) in pb {
        if names.contains_key(key) || is_wrapper(message) || SKIPPED.iter().any(|s| norm(&message.name).starts_with(&norm(s))) {
            continue;
        }
        let spelt = go.types.get(key).map(|(n, _)| n.clone());
        let spelt = spelt.unwrap_or_else(|| format!("{}.{}", package(&message.name), types.best(short(&message.name)).unwrap_or_else(|| short(&message.name).to_owned())));
        names.insert(key.clone(), spelt.clone());
        missing.push((spelt, message));
    }
    for (name, message) in missing {
        let mut def = Def { desc: prose(&message.docs), special: special(&name), ..Def::default() };
        if def.special.is_none() {
            flatten(&mut def, message, pb, go, fields, &names, &[]);
        }
        model.defs.insert(name, def);
    }
}

fn flatten(def: &mut Def, message: &PbMsg, pb: &PbMsgs, go: &Go, fields: &Spellings, names: &BTreeMap<String, String>, prefix: &[u32]) {
    let facts = go.types.get(&norm(&message.name)).map(|(_, f)| &f[..]).unwrap_or_default();
    for field in &message.fields {
        let fact = facts.iter().find(|f| f.number == field.tag);
        let inline = fact.is_some_and(|f| f.inline) || INLINED.contains(&(short(&message.name), field.ident.as_str()));
        let path = [prefix, &[field.tag]].concat();
        if let (true, Some(inner)) = (inline, field.target.as_ref().and_then(|t| pb.get(t))) {
            flatten(def, inner, pb, go, fields, names, &path);
            continue;
        }
        let json = fact.map(|f| f.json.clone()).or_else(|| fields.best(&field.ident)).unwrap_or_else(|| camel(&field.ident));
        let fld = Fld { ty: Some(pb_type(field, pb, names)), desc: prose(&field.docs), ..Fld::default() };
        def.fields.insert(json, fld);
    }
}

fn camel(ident: &str) -> String {
    let mut out = String::new();
    for (i, part) in ident.split('_').enumerate() {
        let mut chars = part.chars();
        match chars.next() {
            Some(c) if i > 0 => out.extend(c.to_uppercase().chain(chars)),
            Some(c) => out.extend(std::iter::once(c).chain(chars)),
            None => {}
        }
    }
    out
}

fn pb_type(field: &PbField, pb: &PbMsgs, names: &BTreeMap<String, String>) -> Ty {
    let wire = field.wire.rsplit([',', ' ']).next().unwrap_or(&field.wire);
    let single = match wire {
        "bool" => Ty::Scalar('b'),
        "int32" => Ty::Scalar('i'),
        "int64" => Ty::Scalar('l'),
        "double" => Ty::Scalar('d'),
        "bytes" => Ty::Scalar('y'),
        "message" => {
            let target = field.target.clone().unwrap_or_default();
            match pb.get(&target) {
                Some(message) if is_wrapper(message) => Ty::Wrap(Box::new(Ty::Scalar('s'))),
                _ => Ty::Ref(names.get(&target).unwrap_or_else(|| panic!("{}: no definition {target}", field.ident)).clone()),
            }
        }
        _ => Ty::Scalar('s'),
    };
    match (field.map, field.repeated) {
        (true, _) => Ty::Map(Box::new(single)),
        (_, true) => Ty::List(Box::new(single)),
        _ => single,
    }
}

fn number(def: &mut Def, message: &PbMsg, pb: &PbMsgs, prefix: &[u32]) {
    for field in &message.fields {
        let path = [prefix, &[field.tag]].concat();
        let json = def.fields.iter().find(|(json, f)| norm(json) == norm(&field.ident) && (f.path.is_empty() || f.path == path)).map(|(j, _)| j.clone());
        let target = field.target.as_ref().and_then(|t| pb.get(t));
        let Some(json) = json else {
            let known = |inner: &PbMsg| inner.fields.iter().all(|f| def.fields.keys().any(|j| norm(j) == norm(&f.ident)) || f.target.is_some());
            match target {
                Some(inner) if !field.repeated && !field.map && known(inner) => number(def, inner, pb, &path),
                _ if prefix.is_empty() => println!("no JSON field for {}.{}", message.name, field.ident),
                _ => {}
            }
            continue;
        };
        let fld = def.fields.get_mut(&json).expect("found above");
        fld.path = path;
        if target.is_some_and(is_wrapper) {
            fld.ty = fld.ty.take().map(wrap);
        }
        markers(fld, &field.docs);
    }
}

fn wrap(ty: Ty) -> Ty {
    match ty {
        Ty::Map(inner) => Ty::Map(Box::new(wrap(*inner))),
        Ty::List(inner) if matches!(*inner, Ty::List(_)) => Ty::List(Box::new(wrap(*inner))),
        Ty::List(inner) => Ty::Wrap(inner),
        other => other,
    }
}

fn markers(fld: &mut Fld, docs: &[String]) {
    fld.list = marker(docs, "listType");
    fld.keys = docs.iter().filter_map(|d| d.trim().strip_prefix("+listMapKey=").or(d.trim().strip_prefix("+k8s:listMapKey="))).map(|k| k.trim().to_owned()).collect();
    let mut seen = Vec::new();
    fld.keys.retain(|k| !seen.contains(k) && { seen.push(k.clone()); true });
    fld.atomic = marker(docs, "structType").as_deref() == Some("atomic") || marker(docs, "mapType").as_deref() == Some("atomic");
    fld.patch = marker(docs, "patchStrategy");
    fld.merge_key = marker(docs, "patchMergeKey");
    fld.default = marker(docs, "default").filter(|d| !d.starts_with("ref("));
}

fn marker(docs: &[String], name: &str) -> Option<String> {
    docs.iter().find_map(|d| {
        let d = d.trim().strip_prefix('+')?;
        let value = d.strip_prefix("k8s:").unwrap_or(d).strip_prefix(name)?.strip_prefix('=')?;
        Some(value.trim().to_owned())
    })
}

fn prose(docs: &[String]) -> String {
    let kept: Vec<&str> = docs.iter().map(|d| d.trim()).take_while(|d| *d != "---").filter(|d| !d.starts_with('+')).collect();
    kept.join("\n").replace('<', "").replace('>', "").trim().replace("\n\n", "\u{1}").replace('\n', " ").replace('\u{1}', "\n\n")
}

fn go_facts(name: &str, def: &mut Def, go: &Go) {
    let mut facts = BTreeMap::new();
    let key = norm(name);
    let sibling = || go.types.iter().find(|(_, (n, _))| short(n) == short(name) && package(package(n)) == package(package(name))).map(|(k, _)| k.clone());
    // A version younger than the facts took its fields over from an older one.
    let key = if go.types.contains_key(&key) { key } else { sibling().unwrap_or(key) };
    collect_facts(&key, go, &mut facts, 0);
    for (json, fld) in &mut def.fields {
        let Some(fact) = facts.get(json) else {
            let scalar = matches!(fld.ty, Some(Ty::Scalar('b' | 'i' | 'l' | 'd' | 'f')));
            fld.pointer = scalar && !fld.required;
            let metadata = json == "metadata" && matches!(&fld.ty, Some(Ty::Ref(r)) if r.ends_with("Meta"));
            fld.always = fld.required || metadata;
            continue;
        };
        fld.go_known = true;
        fld.pointer = fact.pointer;
        let structure = matches!(fld.ty, Some(Ty::Ref(_))) && fact.plain;
        fld.always = (!fact.omitempty && !fact.pointer) || structure;
    }
    if name.ends_with("meta.v1.ObjectMeta") {
        // Since 1.34 Go leaves a zero creation time out.
        def.fields.get_mut("creationTimestamp").expect("ObjectMeta").always = false;
    }
    for (json, pb_name) in [("apiVersion", ""), ("kind", "")] {
        if let Some(fld) = def.fields.get_mut(json).filter(|f| f.path.is_empty()) {
            fld.always = !pb_name.is_empty();
        }
    }
}

fn collect_facts<'a>(key: &str, go: &'a Go, out: &mut BTreeMap<String, &'a crate::facts::GoField>, depth: u8) {
    let Some((spelt, fields)) = go.types.get(key) else { return };
    for field in fields {
        if field.inline && depth < 3 {
            let target = field.json.trim_start_matches('*');
            let target = match target.rsplit_once('.') {
                Some(("metav1", t)) => format!("io.k8s.apimachinery.pkg.apis.meta.v1.{t}"),
                Some((_, t)) => format!("io.k8s.api.core.v1.{t}"),
                None => format!("{}.{target}", package(spelt)),
            };
            collect_facts(&norm(&target), go, out, depth + 1);
        } else {
            out.entry(field.json.clone()).or_insert(field);
        }
    }
}

fn add_kinds(model: &mut Model, go: &Go, fixtures: &[Fixture]) {
    for (package, group) in GROUPS {
        model.groups.entry(package.to_owned()).or_insert_with(|| group.to_owned());
    }
    let known: Vec<String> = model.kinds.values().cloned().collect();
    let mut found = Vec::new();
    for (name, def) in &model.defs {
        let (version, kind) = (short(package(name)), short(name));
        let Some(group) = model.groups.get(package(package(name))) else { continue };
        let has_meta = go.types.get(&norm(name)).map(|(_, f)| f.iter().any(|f| f.inline && f.json.ends_with("TypeMeta")));
        let metadata = def.fields.get("metadata").is_some_and(|f| matches!(&f.ty, Some(Ty::Ref(r)) if r.ends_with("Meta")));
        let in_fixtures = fixtures.iter().any(|f| f.kind == kind && f.group == *group && f.version == version);
        let is_kind = in_fixtures || has_meta.unwrap_or(metadata && !NO_KINDS.contains(&kind));
        if is_kind && !known.contains(name) && !kind.ends_with("Meta") {
            found.push(((group.clone(), version.to_owned(), kind.to_owned()), name.clone()));
        }
    }
    model.kinds.extend(found);
    let missing: Vec<_> = model
        .kinds
        .iter()
        .filter(|((_, _, kind), def)| !kind.ends_with("List") && !model.defs.contains_key(&format!("{def}List")) && model.defs.get(*def).is_some_and(|d| d.fields.contains_key("metadata")))
        .map(|(k, d)| (k.clone(), d.clone()))
        .collect();
    for ((group, version, kind), item) in missing {
        let name = format!("{item}List");
        model.defs.insert(name.clone(), list_of(&kind, &item));
        model.kinds.insert((group, version, format!("{kind}List")), name);
    }
    for (_, _, kind) in model.kinds.keys().cloned().collect::<Vec<_>>() {
        debug_assert!(!kind.is_empty());
    }
    let kinds: Vec<String> = model.kinds.values().cloned().collect();
    for name in kinds {
        let Some(def) = model.defs.get_mut(&name) else { continue };
        for (json, desc) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            def.fields.entry(json.to_owned()).or_insert_with(|| Fld { ty: Some(Ty::Scalar('s')), desc: desc.to_owned(), ..Fld::default() });
        }
    }
}

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

fn list_of(kind: &str, item: &str) -> Def {
    let metadata = Fld { path: vec![1], ty: Some(Ty::Ref("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta".into())), always: true, desc: "Standard list metadata.".into(), ..Fld::default() };
    let items = Fld { path: vec![2], ty: Some(Ty::List(Box::new(Ty::Ref(item.to_owned())))), required: true, always: true, desc: format!("items is the list of {kind} objects."), ..Fld::default() };
    Def { desc: format!("{kind}List is a list of {kind} objects."), fields: [("metadata".to_owned(), metadata), ("items".to_owned(), items)].into(), ..Def::default() }
}

/// `definition <tab> field <tab> what=value ...`: facts of fields younger than every other source.
pub fn apply_young(model: &mut Model, table: &str) {
    for line in table.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        let mut cells = line.split('\t');
        let (Some(definition), Some(field)) = (cells.next(), cells.next()) else { continue };
        let Some(def) = model.defs.get_mut(definition) else { panic!("young.tsv: no definition {definition}") };
        if field.is_empty() {
            def.atomic = true;
            continue;
        }
        let rest: Vec<&str> = cells.collect();
        if rest.contains(&"new=s") {
            def.fields.insert(field.to_owned(), Fld { ty: Some(Ty::Scalar('s')), ..Fld::default() });
        }
        let fld = def.fields.get_mut(field).unwrap_or_else(|| panic!("young.tsv: no field {definition}.{field}"));
        for fact in rest {
            match fact.split_once('=').unwrap_or((fact, "")) {
                ("list", kind) => fld.list = Some(kind.to_owned()),
                ("keys", keys) => fld.keys = keys.split(',').map(str::to_owned).collect(),
                ("patch", strategy) => fld.patch = Some(strategy.to_owned()),
                ("key", key) => fld.merge_key = Some(key.to_owned()),
                ("proto", path) => fld.path = path.split('.').map(|n| n.parse().expect("number")).collect(),
                ("pointer", yes) => fld.pointer = yes != "no",
                ("always", yes) => fld.always = yes != "no",
                ("new", _) => {}
                ("wrap", _) => fld.ty = fld.ty.take().map(wrap),
                ("atomic", _) => fld.atomic = true,
                ("separable", _) => fld.atomic = false,
                ("default", json) => fld.default = Some(json.to_owned()),
                (other, _) => panic!("young.tsv: {other}"),
            }
        }
    }
}
