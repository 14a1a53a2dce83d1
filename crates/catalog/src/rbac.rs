//! The `rbac.authorization.k8s.io` group.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::check;
use crate::columns::{age, columns, name};
use crate::resource::{Column, Resource};
use crate::walk;

const GROUP: &str = "rbac.authorization.k8s.io";

pub fn resources() -> Vec<Resource> {
    vec![
        role("ClusterRoleBinding", "clusterrolebindings", false).columns(binding_columns(), binding_cells),
        role("ClusterRole", "clusterroles", false),
        role("RoleBinding", "rolebindings", true).columns(binding_columns(), binding_cells),
        role("Role", "roles", true),
    ]
}

fn role(kind: &'static str, plural: &'static str, namespaced: bool) -> Resource {
    let mut resource = Resource::new(GROUP, "v1", kind, plural, namespaced);
    resource.table = format!("/registry/{plural}").into();
    // Upstream: RBAC names may be anything that fits a path.
    resource.rules.name = api::names::path_segment;
    if kind.ends_with("Binding") {
        resource.rules.default = default_binding;
        resource.rules.validate = validate_binding;
    }
    if kind.ends_with("Role") {
        let mut shown = columns(&["Name", "Created At"]);
        shown[1].kind = "date".into();
        resource.rules.columns = shown;
    }
    resource
}

fn binding_columns() -> Vec<Column> {
    columns(&["Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"])
}

fn binding_cells(object: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let of_kind = |kind: &str| {
        let subjects = walk::list(object, "subjects").iter().filter(|s| walk::text(s, "kind") == kind);
        let shown = subjects.map(|s| if kind == "ServiceAccount" { format!("{}/{}", walk::text(s, "namespace"), walk::text(s, "name")) } else { walk::text(s, "name").to_owned() });
        Value::from(shown.collect::<Vec<_>>().join(", "))
    };
    let role = format!("{}/{}", walk::text(object, "roleRef.kind"), walk::text(object, "roleRef.name"));
    vec![name(object), role.into(), age(object, now), of_kind("User"), of_kind("Group"), of_kind("ServiceAccount")]
}

/// Upstream: `pkg/apis/rbac/v1/defaults.go`.
fn default_binding(object: &mut Value) {
    if let Some(role) = walk::existing_mut(object, "roleRef") {
        walk::fill_text(role, "apiGroup", GROUP);
    }
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        if subject.get("kind").is_some_and(|kind| kind == "User" || kind == "Group") {
            walk::fill_text(subject, "apiGroup", GROUP);
        }
    }
}

/// Upstream: `pkg/apis/rbac/validation/validation.go`.
fn validate_binding(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (role, path) = (walk::at(object, "roleRef"), Path::new("roleRef"));
    check::maybe_one_of(&mut errors, &path.child("apiGroup"), walk::text(role, "apiGroup"), &[GROUP]);
    let kinds: &[&str] = if walk::text(object, "kind") == "ClusterRoleBinding" { &["ClusterRole"] } else { &["Role", "ClusterRole"] };
    if !kinds.contains(&walk::text(role, "kind")) {
        errors.push(FieldError::not_supported(&path.child("kind"), walk::text(role, "kind"), kinds));
    }
    check::required_name(&mut errors, &path.child("name"), walk::text(role, "name"), api::names::path_segment);
    for (i, subject) in walk::list(object, "subjects").iter().enumerate() {
        let path = Path::new("subjects").index(i);
        if walk::text(subject, "name").is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        }
        match walk::text(subject, "kind") {
            "ServiceAccount" => {
                check::optional_name(&mut errors, &path.child("name"), walk::text(subject, "name"), api::names::dns1123_subdomain);
                if walk::text(subject, "namespace").is_empty() {
                    errors.push(FieldError::required(&path.child("namespace"), ""));
                }
            }
            "User" | "Group" => check::maybe_one_of(&mut errors, &path.child("apiGroup"), walk::text(subject, "apiGroup"), &[GROUP]),
            other => errors.push(FieldError::not_supported(&path.child("kind"), other, &["ServiceAccount", "User", "Group"])),
        }
    }
    if let Some(old) = old
        && walk::at(old, "roleRef") != role
    {
        errors.push(FieldError::invalid(&path, role.clone(), "cannot change roleRef"));
    }
    errors
}
