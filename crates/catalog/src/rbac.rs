//! The `rbac.authorization.k8s.io` group.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::check;
use crate::columns::{age, columns, name};
use crate::go_form::{self, Field, Form, Zero};
use crate::resource::{Column, Resource};
use crate::walk;

const GROUP: &str = "rbac.authorization.k8s.io";
const ROLE: &[Field] = &[("APIGroup", "apiGroup", Zero::Text, Form::Json), ("Kind", "kind", Zero::Text, Form::Json), ("Name", "name", Zero::Text, Form::Json)];

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
        resource.rules.validate = validate_role;
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
    let of_cluster = walk::text(object, "kind") == "ClusterRoleBinding";
    group(&mut errors, walk::text(role, "apiGroup"), GROUP, &path.child("apiGroup"));
    let kinds: &[&str] = if of_cluster { &["ClusterRole"] } else { &["Role", "ClusterRole"] };
    if !kinds.contains(&walk::text(role, "kind")) {
        errors.push(FieldError::not_supported(&path.child("kind"), walk::text(role, "kind"), kinds));
    }
    check::required_name(&mut errors, &path.child("name"), walk::text(role, "name"), api::names::path_segment);
    for (i, subject) in walk::list(object, "subjects").iter().enumerate() {
        validate_subject(&mut errors, subject, of_cluster, &Path::new("subjects").index(i));
    }
    if let Some(old) = old
        && walk::at(old, "roleRef") != role
    {
        errors.push(FieldError::invalid(&path, Value::Null, "cannot change roleRef").shown_as(go_form::object(role, ROLE)));
    }
    errors
}

fn group(errors: &mut FieldErrors, given: &str, wanted: &str, path: &Path) {
    if given != wanted {
        errors.push(FieldError::not_supported(path, given, &[wanted]));
    }
}

fn validate_subject(errors: &mut FieldErrors, subject: &Value, of_cluster: bool, path: &Path) {
    let (kind, name) = (walk::text(subject, "kind"), walk::text(subject, "name"));
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    match kind {
        "ServiceAccount" => {
            check::optional_name(errors, &path.child("name"), name, api::names::dns1123_subdomain);
            group(errors, walk::text(subject, "apiGroup"), "", &path.child("apiGroup"));
            if of_cluster && walk::text(subject, "namespace").is_empty() {
                errors.push(FieldError::required(&path.child("namespace"), ""));
            }
        }
        "User" | "Group" => group(errors, walk::text(subject, "apiGroup"), GROUP, &path.child("apiGroup")),
        other => errors.push(FieldError::not_supported(&path.child("kind"), other, &["ServiceAccount", "User", "Group"])),
    }
}

fn validate_role(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let namespaced = walk::text(object, "kind") == "Role";
    for (i, rule) in walk::list(object, "rules").iter().enumerate() {
        validate_rule(&mut errors, rule, namespaced, &Path::new("rules").index(i));
    }
    if namespaced || !walk::at(object, "aggregationRule").is_object() {
        return errors;
    }
    let (selectors, path) = (walk::list(object, "aggregationRule.clusterRoleSelectors"), Path::new("aggregationRule.clusterRoleSelectors"));
    if selectors.is_empty() {
        errors.push(FieldError::required(&path, "at least one clusterRoleSelector required if aggregationRule is non-nil"));
    }
    let is_bad = |selector: &Value| {
        let mut errors = FieldErrors::new();
        check::label_selector(&mut errors, selector, &Path::default());
        !errors.is_empty()
    };
    let any_value = old.is_some_and(|old| walk::list(old, "aggregationRule.clusterRoleSelectors").iter().any(is_bad));
    for (i, selector) in selectors.iter().enumerate() {
        check::selector(&mut errors, selector, &path.index(i), any_value);
        // Upstream: what it would select by is told, and that is nothing.
        if is_bad(selector) {
            errors.push(FieldError::invalid(&path.index(i), Value::Null, "invalid label selector."));
        }
    }
    errors
}

fn validate_rule(errors: &mut FieldErrors, rule: &Value, namespaced: bool, path: &Path) {
    let given = |key: &str| !walk::list(rule, key).is_empty();
    if !given("verbs") {
        errors.push(FieldError::required(&path.child("verbs"), "verbs must contain at least one value"));
    }
    if given("nonResourceURLs") {
        let (urls, path) = (walk::at(rule, "nonResourceURLs"), path.child("nonResourceURLs"));
        if namespaced {
            errors.push(FieldError::invalid(&path, urls.clone(), "namespaced rules cannot apply to non-resource URLs"));
        }
        if given("apiGroups") || given("resources") || given("resourceNames") {
            errors.push(FieldError::invalid(&path, urls.clone(), "rules cannot apply to both regular resources and non-resource URLs"));
        }
        return;
    }
    if !given("apiGroups") {
        errors.push(FieldError::required(&path.child("apiGroups"), "resource rules must supply at least one api group"));
    }
    if !given("resources") {
        errors.push(FieldError::required(&path.child("resources"), "resource rules must supply at least one resource"));
    }
}
