//! Writes the table: `types.tsv` (definitions, fields, kinds) and `descriptions.bin` (deflated prose, one block a package).
//!
//! Output order is sorted and the compression is fixed, so that regenerating without a change changes no byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::model::{Fld, Model, Ty, package, short};

pub fn write(model: &Model, out: &Path) {
    let ids: BTreeMap<&str, usize> = model.defs.keys().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
    let mut table = String::new();
    for ((group, version, kind), name) in &model.kinds {
        if let Some(id) = ids.get(name.as_str()) {
            let _ = writeln!(table, "K\t{group}\t{version}\t{kind}\t{id}");
        }
    }
    for (name, def) in &model.defs {
        let special = def.special.map(String::from).unwrap_or_default();
        let order = if def.go_order.is_empty() { String::new() } else { format!("\t{}", def.go_order.join(",")) };
        let _ = writeln!(table, "T\t{name}\t{}\t{special}{order}", if def.atomic { "a" } else { "" });
        for (json, fld) in &def.fields {
            let _ = writeln!(table, "{json}\t{}", field(model, &ids, fld));
        }
    }
    std::fs::write(out.join("types.tsv"), table).expect("write the table");
    std::fs::write(out.join("descriptions.bin"), descriptions(model)).expect("write the descriptions");
}

fn field(model: &Model, ids: &BTreeMap<&str, usize>, fld: &Fld) -> String {
    let path: Vec<String> = fld.path.iter().map(u32::to_string).collect();
    let mut flags = String::new();
    for (set, flag) in [(fld.required, 'r'), (fld.pointer, 'p'), (fld.always, 'z'), (fld.atomic, 'a')] {
        if set {
            flags.push(flag);
        }
    }
    let mut out = format!("{}\t{}\t{flags}", path.join("."), expression(model, ids, fld.ty.as_ref().expect("typed")));
    if let Some(list) = &fld.list {
        let _ = write!(out, "\tl={list}");
    }
    if !fld.keys.is_empty() {
        let _ = write!(out, "\tk={}", fld.keys.join(","));
    }
    if let Some(patch) = &fld.patch {
        let _ = write!(out, "\ts={patch}");
    }
    if let Some(key) = &fld.merge_key {
        let _ = write!(out, "\tm={key}");
    }
    if let Some(default) = &fld.default {
        let _ = write!(out, "\td={default}");
    }
    out
}

fn expression(model: &Model, ids: &BTreeMap<&str, usize>, ty: &Ty) -> String {
    match ty {
        Ty::Scalar(c) => c.to_string(),
        Ty::List(inner) => format!("[{}", expression(model, ids, inner)),
        Ty::Map(inner) => format!("{{{}", expression(model, ids, inner)),
        Ty::Wrap(inner) => format!("({}", expression(model, ids, inner)),
        Ty::Ref(name) => {
            let def = model.defs.get(name).unwrap_or_else(|| panic!("no definition {name}"));
            match def.special {
                // Those of apiextensions refer to their schema type, so they stay references.
                Some('a' | 'o' | 'g' | 'A' | 'O' | 'G') | None => format!("#{}", ids[name.as_str()]),
                Some(c) => c.to_string(),
            }
        }
    }
}

/// Per package: `u32 name length, name, u32 deflated length, deflated "Type\tfield\ttext" lines` (little endian).
fn descriptions(model: &Model) -> Vec<u8> {
    let mut packages: BTreeMap<&str, String> = BTreeMap::new();
    for (name, def) in &model.defs {
        let text = packages.entry(package(name)).or_default();
        let clean = |d: &str| d.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
        let _ = writeln!(text, "{}\t\t{}", short(name), clean(&def.desc));
        for (json, fld) in def.fields.iter().filter(|(_, f)| !f.desc.is_empty()) {
            let _ = writeln!(text, "\t{json}\t{}", clean(&fld.desc));
        }
    }
    let mut out = Vec::new();
    for (name, text) in packages {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).expect("in memory");
        let packed = encoder.finish().expect("in memory");
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend((packed.len() as u32).to_le_bytes());
        out.extend(packed);
    }
    out
}
