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
