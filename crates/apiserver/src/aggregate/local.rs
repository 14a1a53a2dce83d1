//! The registrations of what this server serves itself: built-in groups and those of custom resources.
//!
//! Upstream: kube-aggregator `pkg/controllers/autoregister`, `pkg/controlplane/controller/crdregistration`. Those of built-in
//! groups are brought to their form at each start; those of custom resources come and go with the definitions.

use std::collections::BTreeMap;

use api::meta;
use catalog::{api_registration, walk};
use serde_json::{Value, json};

/// Upstream: who made a registration, and how closely it is kept.
pub const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
pub const ON_START: &str = "onstart";
pub const ALWAYS: &str = "true";

/// The group's own registration would be circular.
pub fn is_registered(group: &str) -> bool {
    group != "apiregistration.k8s.io"
}

/// The registration of a group and version.
pub fn registration(group: &str, version: &str, managed: &str) -> Value {
    let (of_group, of_version) = if managed == ALWAYS { (1000, 100) } else { api_registration::priority(group, version) };
    let mut spec = json!({"version": version, "groupPriorityMinimum": of_group, "versionPriority": of_version});
    if !group.is_empty() {
        spec["group"] = group.into();
    }
    json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": format!("{version}.{group}"), "labels": {MANAGED: managed}}, "spec": spec})
}

/// What is done so that registrations are as they should be.
#[derive(Debug, PartialEq)]
pub enum Action {
    Create(Value),
    /// Bring labels and spec back.
    Mend(Value),
    Delete(String),
}

/// `wanted` by name; `at_start` also brings back what somebody changed of the built-in ones.
pub fn plan(wanted: &BTreeMap<String, Value>, present: &[Value], at_start: bool) -> Vec<Action> {
    let found: BTreeMap<&str, &Value> = present.iter().map(|o| (meta::name(o), o)).collect();
    let mut actions = Vec::new();
    for (name, object) in wanted {
        let managed = meta::label(object, MANAGED).unwrap_or_default();
        match found.get(name.as_str()) {
            None => actions.push(Action::Create(object.clone())),
            // Upstream: what a person registered is left alone.
            Some(found) if meta::label(found, MANAGED).is_none() => {}
            Some(found) if found["spec"] != object["spec"] && (at_start || managed == ALWAYS) => actions.push(Action::Mend(object.clone())),
            Some(_) => {}
        }
    }
    for object in present {
        let gone = meta::label(object, MANAGED) == Some(ALWAYS) && !wanted.contains_key(meta::name(object));
        if gone {
            actions.push(Action::Delete(meta::name(object).to_owned()));
        }
    }
    actions
}

/// The registrations of definitions: one a served version.
pub fn of_definitions<'a>(definitions: impl Iterator<Item = &'a Value>) -> impl Iterator<Item = Value> {
    let served = |definition: &'a Value| {
        let group = walk::text(definition, "spec.group");
        walk::list(definition, "spec.versions").iter().filter(|v| walk::flag(v, "served")).map(move |v| registration(group, walk::text(v, "name"), ALWAYS))
    };
    definitions.flat_map(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_come_and_go_with_definitions() {
        let definition = json!({"spec": {"group": "x.org", "versions": [{"name": "v1", "served": true}, {"name": "v2", "served": false}]}});
        let custom: Vec<Value> = of_definitions(std::iter::once(&definition)).collect();
        let apps = registration("apps", "v1", ON_START);
        let wanted: BTreeMap<String, Value> = custom.iter().chain([&apps]).map(|o| (meta::name(o).to_owned(), o.clone())).collect();
        assert_eq!(wanted.keys().collect::<Vec<_>>(), ["v1.apps", "v1.x.org"]);
        let mut changed = apps.clone();
        changed["spec"]["versionPriority"] = 1.into();
        let gone = registration("y.org", "v1", ALWAYS);
        let mut own = custom[0].clone();
        own["metadata"]["labels"] = json!({});
        own["spec"]["service"] = json!({"name": "s", "namespace": "n"});
        assert_eq!(plan(&wanted, &[changed.clone(), gone.clone(), own.clone()], false), [Action::Delete("v1.y.org".into())]);
        assert_eq!(plan(&wanted, &[changed, own], true), [Action::Mend(apps.clone())]);
        assert_eq!(plan(&wanted, &[apps], false), [Action::Create(custom[0].clone())]);
    }
}
