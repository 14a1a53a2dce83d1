//! Compares the table's merge facts with the oracle's and prints each difference. Never changes the table.

use std::path::Path;

use crate::model::{Fld, Model, Ty};

pub fn against(model: &Model, folder: &Path) {
    let lists = std::fs::read_to_string(folder.join("list-types-1.37.tsv")).expect("list types");
    let (mut same, mut different) = (0, 0);
    for line in lists.lines().filter(|l| !l.starts_with('#') && !l.starts_with("__")) {
        let cells: Vec<&str> = line.split('\t').collect();
        let Some(def) = model.defs.get(cells[0]) else {
            println!("merge: no definition {}", cells[0]);
            continue;
        };
        let ours = match cells[1] {
            "" if def.special.is_some() => continue,
            "" if def.atomic => "whole atomic".to_owned(),
            "" => "whole separable".to_owned(),
            field => def.fields.get(field).map_or("absent".into(), describe),
        };
        if ours == cells[2] {
            same += 1;
        } else {
            different += 1;
            println!("list type {line} | ours {ours}");
        }
    }
    let strategic = std::fs::read_to_string(folder.join("strategic-1.37.tsv")).expect("strategies");
    for line in strategic.lines().filter(|l| !l.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        let suffix = format!(".{}", cells[0]);
        let Some((_, def)) = model.defs.iter().find(|(n, _)| n.ends_with(&suffix)) else {
            println!("strategic: no definition {}", cells[0]);
            continue;
        };
        let ours = def.fields.get(cells[1]).map(|f| (f.patch.clone().unwrap_or_default(), f.merge_key.clone().unwrap_or_default())).unwrap_or_default();
        if ours == (cells[2].to_owned(), cells[3].to_owned()) {
            same += 1;
        } else {
            different += 1;
            println!("strategic {line} | ours {ours:?}");
        }
    }
    println!("merge facts: {same} equal, {different} different");
    for (name, def) in &model.defs {
        for (json, fld) in &def.fields {
            if fld.path.is_empty() && def.special.is_none() && json != "apiVersion" && json != "kind" {
                println!("no number: {name}.{json}");
            }
        }
    }
}

fn describe(fld: &Fld) -> String {
    match (&fld.ty, fld.list.as_deref()) {
        (Some(Ty::List(_) | Ty::Wrap(_)), Some("map")) => format!("map by {}", fld.keys.join(",")),
        (Some(Ty::List(_) | Ty::Wrap(_)), Some("set")) => "set".into(),
        (Some(Ty::List(_) | Ty::Wrap(_)), _) => "atomic".into(),
        _ if fld.atomic => "map atomic".into(),
        _ => "map separable".into(),
    }
}
