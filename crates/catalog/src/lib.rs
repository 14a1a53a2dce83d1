//! Every built-in resource, registered once: names, scope, rules, columns.
//!
//! From this list the API server derives routes, discovery, OpenAPI, storage keys, tables and RBAC's universe. Nothing
//! here does IO or knows the time but through arguments. A CustomResourceDefinition builds the same value at run time.

pub mod check;
pub mod columns;
pub mod metadata;
pub mod resource;
pub mod walk;

pub mod admissionregistration;
pub mod api_registration;
pub mod apps;
pub mod authentication;
pub mod autoscaling;
pub mod autoscaling_rules;
mod autoscaling_v1;
pub mod batch;
pub mod certificates;
pub mod certificates_rules;
pub mod coordination;
pub mod core;
pub mod custom;
pub mod devices;
pub mod discovery;
pub mod events;
pub mod extension;
pub mod flowcontrol;
mod flowcontrol_fixed;
mod flowcontrol_rules;
mod go_form;
pub mod ip;
pub mod migration;
pub mod networking;
pub mod node;
mod node_labels;
mod pod_certificates;
pub mod policy;
pub mod rbac;
pub mod scheduling;
pub mod storage;
pub mod webhook_client;

pub use resource::{Column, Conversion, GarbagePolicy, Resource, Rules, Subresource, Verbs};

/// All built-in resources, in the order discovery shows them.
pub fn builtin() -> Vec<Resource> {
    let groups = [
        core::resources,
        admissionregistration::resources,
        extension::resources,
        api_registration::resources,
        apps::resources,
        authentication::resources,
        autoscaling::resources,
        batch::resources,
        certificates::resources,
        coordination::resources,
        discovery::resources,
        devices::resources,
        events::resources,
        flowcontrol::resources,
        networking::resources,
        node::resources,
        policy::resources,
        rbac::resources,
        scheduling::resources,
        storage::resources,
        migration::resources,
    ];
    groups.into_iter().flat_map(|resources| resources()).collect()
}

#[cfg(test)]
mod laws {
    //! Laws that every resource of the list keeps.

    use serde_json::json;

    #[test]
    fn names_are_unique_and_columns_equal_cells() {
        let all = super::builtin();
        let mut seen = std::collections::HashSet::new();
        for resource in &all {
            assert!(seen.insert((resource.group.clone(), resource.version.clone(), resource.plural.clone())), "{} twice", resource.plural);
            if !resource.verbs.get && !resource.verbs.list {
                continue;
            }
            let object = json!({"metadata": {"name": "x"}});
            let cells = (resource.rules.cells)(&object, jiff::Timestamp::UNIX_EPOCH);
            assert_eq!(cells.len(), resource.rules.columns.len(), "{}: cells and columns differ", resource.plural);
        }
    }

    #[test]
    fn defaulting_is_idempotent_and_rules_survive_anything() {
        let odd = [json!({}), json!({"spec": 1, "status": []}), json!({"metadata": [], "spec": {"containers": {"a": 1}, "template": "x", "ports": [1]}})];
        for resource in super::builtin() {
            for object in &odd {
                let mut once = object.clone();
                (resource.rules.default)(&mut once);
                let mut twice = once.clone();
                (resource.rules.default)(&mut twice);
                assert_eq!(once, twice, "{}: defaulting is not idempotent", resource.plural);
                let _ = (resource.rules.validate)(&once, None);
                let _ = (resource.rules.validate)(&once, Some(object));
                let _ = ((resource.rules.warn)(&once, None), (resource.rules.warn)(&once, Some(object)), (resource.rules.warn_status)(&once));
                let _ = (resource.rules.cells)(&once, jiff::Timestamp::UNIX_EPOCH);
            }
        }
    }

    /// A case: the resource, the object, and for an update a line `====` and the old one (`==== status`: an update of
    /// the status alone). Told: what defaulting and preparing make of it, or all its faults.
    #[test]
    fn cases() {
        casefile::run("cases", |given| {
            let (plural, rest) = given.split_once('\n').unwrap();
            let (told, of) = rest.split_once("\n==== status\n").map_or((None, rest), |(new, old)| (Some(new), old));
            let (new, old) = of.split_once("\n====\n").map_or((told.unwrap_or(of), told.map(|_| of)), |(new, old)| (new, Some(old)));
            let rules = super::builtin().into_iter().find(|r| r.plural == plural).unwrap().rules;
            let read = |text: &str| {
                let mut object: serde_json::Value = serde_json::from_str(text).unwrap();
                (rules.default)(&mut object);
                object
            };
            let (mut new, old) = (read(new), old.map(read));
            let faults = match &old {
                Some(old) if told.is_some() => (rules.validate_status)(&new, old),
                _ => {
                    (rules.prepare)(&mut new, old.as_ref());
                    (rules.validate)(&new, old.as_ref())
                }
            };
            if faults.is_empty() { serde_json::to_string_pretty(&new).unwrap() } else { faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") }
        });
    }

    /// Given as above, and told what a writer is warned of: one line each.
    #[test]
    fn warnings() {
        casefile::run("cases/warnings", |given| {
            let (plural, rest) = given.split_once('\n').unwrap();
            let (part, of) = rest.split_once("\n==== status\n").map_or(("", rest), |(new, _)| ("status", new));
            let (new, old) = of.split_once("\n====\n").map_or((of, None), |(new, old)| (new, Some(old)));
            let resource = super::builtin().into_iter().find(|r| r.plural == plural).unwrap();
            let read = |text: &str| {
                let mut object: serde_json::Value = serde_json::from_str(text).unwrap();
                resource.default(&mut object);
                object
            };
            resource.warnings(part, &read(new), old.map(read).as_ref()).join("\n")
        });
    }
}
