//! Laws of the table: every reference resolves, numbers are unique, and what the API server leans on is there.

use std::collections::HashSet;

use schema::{ListKind, Of, Type, WireTarget};

fn walk(of: &Of, seen: &mut HashSet<String>) {
    match of {
        Of::Object(target) => visit(target.get(), seen),
        Of::List(list) => walk(&list.item, seen),
        Of::Map(map) => walk(&map.value, seen),
        _ => {}
    }
}

fn visit(of: &Type, seen: &mut HashSet<String>) {
    assert!(!of.name.is_empty(), "a reference leads nowhere");
    if !seen.insert(of.name.to_string()) {
        return;
    }
    for field in &of.fields {
        if let Of::List(list) = &field.of {
            assert!(list.kind != ListKind::Map || !list.keys.is_empty(), "{}.{}", of.name, field.name);
        }
        walk(&field.of, seen);
    }
    let numbered = of.fields.iter().filter(|f| !f.number.is_empty()).count();
    assert_eq!(leaves(&of.wire), numbered, "{}: two fields share a number", of.name);
}

fn leaves(wire: &[schema::WireField]) -> usize {
    wire.iter().map(|w| match &w.target { WireTarget::Field(_) => 1, WireTarget::Inline(inner) => leaves(inner) }).sum()
}

#[test]
fn every_kind_is_whole() {
    let mut seen = HashSet::new();
    for kind in schema::kinds() {
        visit(kind.of(), &mut seen);
        assert!(kind.of().field("kind").is_some(), "{kind:?} has no kind field");
    }
    assert!(seen.len() > 1000, "{} types", seen.len());
}

#[test]
fn facts_of_well_known_fields() {
    let deployment = schema::by_name("io.k8s.api.apps.v1.DeploymentSpec").expect("DeploymentSpec");
    assert!(deployment.field("replicas").is_some_and(|f| f.pointer && f.number == [1]));
    assert!(deployment.field("minReadySeconds").is_some_and(|f| !f.pointer && !f.always));
    let service = schema::by_name("io.k8s.api.core.v1.ServicePort").expect("ServicePort");
    assert_eq!(service.field("protocol").and_then(|f| f.default.clone()), Some("TCP".into()));
    assert!(schema::by_kind("apps", "v1", "DeploymentList").is_some());
    assert!(schema::by_kind("apps", "v1", "DeleteOptions").is_some());
    assert!(schema::by_kind("apps", "v1", "Nothing").is_none());
}

#[test]
fn descriptions_are_inflated_by_package() {
    let core = schema::descriptions("io.k8s.api.core.v1");
    assert!(core.get("Pod", "").is_some_and(|d| d.starts_with("Pod is a collection of containers")));
    assert!(core.get("PodSpec", "containers").is_some());
    assert!(schema::descriptions("io.k8s.nothing").get("Pod", "").is_none());
}

/// Upstream's own tables of list types and patch strategies say the same as ours.
#[test]
fn merge_facts_equal_the_oracle() {
    let Some(oracle) = std::env::var_os("KNARR_ORACLE") else {
        println!("skipped: KNARR_ORACLE is not set");
        return;
    };
    let mut root = std::path::PathBuf::from(oracle);
    if root.is_relative() && !root.exists() {
        root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(root);
    }
    let read = |name: &str| std::fs::read_to_string(root.join("merge").join(name)).expect("merge oracle");
    let (mut same, mut different) = (0, Vec::new());
    for line in read("list-types-1.37.tsv").lines().filter(|l| !l.starts_with(['#', '_'])) {
        let cells: Vec<&str> = line.split('\t').collect();
        // Types of versions that are not served any more have fields which only the newest version describes.
        let Some(of) = schema::by_name(cells[0]).filter(|of| of.special.is_none()) else { continue };
        let ours = match of.field(cells[1]) {
            None if cells[1].is_empty() => if of.atomic { "whole atomic" } else { "whole separable" }.to_owned(),
            None => "absent".to_owned(),
            Some(field) => match &field.of {
                Of::List(list) if list.kind == ListKind::Map => format!("map by {}", list.keys.join(",")),
                Of::List(list) if list.kind == ListKind::Set => "set".to_owned(),
                Of::List(_) => "atomic".to_owned(),
                _ if field.atomic => "map atomic".to_owned(),
                _ => "map separable".to_owned(),
            },
        };
        if ours == cells[2] { same += 1 } else { different.push(format!("{line}: ours {ours}")) }
    }
    for line in read("strategic-1.37.tsv").lines().filter(|l| !l.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        let suffix = format!(".{}", cells[0]);
        let Some(field) = schema::names().find(|n| n.ends_with(&suffix)).and_then(schema::by_name).and_then(|of| of.field(cells[1])) else { continue };
        let ours = (field.patch_strategy.as_deref().unwrap_or_default(), field.merge_key.as_deref().unwrap_or_default());
        if ours == (cells[2], cells[3]) { same += 1 } else { different.push(format!("{line}: ours {ours:?}")) }
    }
    println!("merge facts: {same} equal");
    assert!(different.is_empty() && same > 690, "{same} equal, {}", different.join("\n"));
}
