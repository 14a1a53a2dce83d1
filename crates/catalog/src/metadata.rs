//! Rules that hold for `metadata` of every kind.
//!
//! Upstream: apimachinery `pkg/api/validation/objectmeta.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::{meta, names};
use serde_json::Value;

use crate::resource::Resource;
use crate::walk;

/// All annotations together, keys and values.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// Faults of an object's metadata when it is created.
pub fn validate(object: &Value, resource: &Resource) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("metadata");
    let (name, generate) = (meta::name(object), meta::text(object, "generateName"));
    let check = |errors: &mut FieldErrors, key: &str, value: &str, shown: &str| {
        errors.extend((resource.rules.name)(value).into_iter().map(|fault| FieldError::invalid(&path.child(key), shown, fault)));
    };
    if !generate.is_empty() {
        // A prefix may end where a whole name may not: what is generated follows it.
        check(&mut errors, "generateName", &format!("{}a", generate.trim_end_matches('-')), generate);
    }
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), "name or generateName is required"));
    } else {
        check(&mut errors, "name", name, name);
    }
    let namespace = meta::namespace(object);
    match (resource.namespaced, namespace.is_empty()) {
        (true, true) => errors.push(FieldError::required(&path.child("namespace"), "")),
        (true, false) => errors.extend(names::dns1123_label(namespace).into_iter().map(|f| FieldError::invalid(&path.child("namespace"), namespace, f))),
        (false, false) => errors.push(FieldError::forbidden(&path.child("namespace"), "not allowed on this type")),
        (false, true) => {}
    }
    validate_common(object, &path, &mut errors);
    validate_finalizers(object, resource, &path, &mut errors);
    errors
}

/// Faults of an object's metadata when it replaces `old`.
pub fn validate_update(object: &Value, old: &Value, resource: &Resource) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("metadata");
    if meta::is_deleting(old) {
        let added: Vec<_> = meta::finalizers(object).filter(|f| !meta::finalizers(old).any(|o| o == *f)).map(|f| format!("{f:?}")).collect();
        if !added.is_empty() {
            let detail = format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}", added.join(", "));
            errors.push(FieldError::forbidden(&path.child("finalizers"), detail));
        }
    }
    for key in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (new, was) = (walk::at(object, "metadata").get(key), walk::at(old, "metadata").get(key));
        if new != was {
            errors.push(FieldError::invalid(&path.child(key), new.cloned().unwrap_or_default(), "field is immutable"));
        }
    }
    validate_common(object, &path, &mut errors);
    validate_finalizers(object, resource, &path, &mut errors);
    errors
}

/// Kinds whose metadata is judged as that of any object is. Upstream: those whose validation does not call
/// `ValidateObjectMeta` of `pkg/apis/core/validation`.
const GENERIC: [(&str, &str); 6] = [
    ("admissionregistration.k8s.io", ""), ("apiextensions.k8s.io", ""), ("apiregistration.k8s.io", ""), ("coordination.k8s.io", ""), ("node.k8s.io", ""), ("policy", "poddisruptionbudgets"),
];

/// Finalizers without a domain are those that Kubernetes itself began with.
fn validate_finalizers(object: &Value, resource: &Resource, path: &Path, errors: &mut FieldErrors) {
    let is_generic = GENERIC.iter().any(|(group, plural)| resource.group == *group && (plural.is_empty() || resource.plural == *plural));
    if resource.custom.is_some() || is_generic {
        return;
    }
    for (i, name) in meta::finalizers(object).enumerate().filter(|(_, name)| !name.contains('/')) {
        if !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
            errors.push(FieldError::invalid(&path.child("finalizers").index(i), name, "name is neither a standard finalizer name nor is it fully qualified"));
        }
    }
}

/// Faults of labels; also of those in pod templates.
pub fn validate_labels(labels: &Value, path: &Path) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        errors.extend(names::qualified_name(key).into_iter().map(|f| FieldError::invalid(path, key.as_str(), f)));
        let value = value.as_str().unwrap_or_default();
        errors.extend(names::label_value(value).into_iter().map(|f| FieldError::invalid(path, value, f)));
    }
    errors
}

pub fn validate_annotations(annotations: &Value, path: &Path) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        errors.extend(names::qualified_name(&key.to_lowercase()).into_iter().map(|f| FieldError::invalid(path, key.as_str(), f)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long(path, MAX_ANNOTATIONS));
    }
    errors
}

/// What a pod tells those who sign its certificates: keys with a domain each. Upstream: `ValidateUserAnnotations`.
pub fn validate_user_annotations(annotations: &Value, path: &Path) -> FieldErrors {
    let (mut errors, mut size) = (FieldErrors::new(), 0);
    for (key, value) in annotations.as_object().into_iter().flatten() {
        let lower = key.to_lowercase();
        let faults = names::qualified_name(&lower);
        if faults.is_empty() && !lower.contains('/') {
            errors.push(FieldError::invalid(path, lower.as_str(), "must be a domain-prefixed key (such as \"acme.io/foo\")"));
        }
        errors.extend(faults.into_iter().map(|fault| FieldError::invalid(path, lower.as_str(), fault)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long(path, MAX_ANNOTATIONS));
    }
    errors
}

fn validate_common(object: &Value, path: &Path, errors: &mut FieldErrors) {
    let generation = meta::generation(object);
    if generation < 0 {
        errors.push(FieldError::invalid(&path.child("generation"), generation, "must be greater than or equal to 0"));
    }
    errors.extend(validate_labels(walk::at(object, "metadata.labels"), &path.child("labels")));
    errors.extend(validate_annotations(walk::at(object, "metadata.annotations"), &path.child("annotations")));
    validate_owners(object, &path.child("ownerReferences"), errors);
    let path = path.child("finalizers");
    for finalizer in meta::finalizers(object) {
        errors.extend(names::qualified_name(finalizer).into_iter().map(|f| FieldError::invalid(&path, finalizer, f)));
    }
    let has = |name: &str| meta::finalizers(object).any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.push(FieldError::invalid(&path, walk::at(object, "metadata.finalizers").clone(), "finalizer orphan and foregroundDeletion cannot be both set"));
    }
}

fn validate_owners(object: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut controller: Option<String> = None;
    let owners = walk::at(object, "metadata.ownerReferences");
    for owner in owners.as_array().into_iter().flatten() {
        let text = |key| walk::text(owner, key);
        let (_, version) = api::resource::split_api_version(text("apiVersion"));
        if version.is_empty() {
            errors.push(FieldError::invalid(&path.child("apiVersion"), text("apiVersion"), "version must not be empty"));
        }
        for key in ["kind", "name", "uid"] {
            if text(key).is_empty() {
                errors.push(FieldError::invalid(&path.child(key), "", "must not be empty"));
            }
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            errors.push(FieldError::invalid(path, owner.clone(), "/v1, Kind=Event is disallowed from being an owner"));
        }
        if walk::flag(owner, "controller") {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => {
                    let detail = format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}");
                    errors.push(FieldError::invalid(path, owners.clone(), detail));
                }
                None => controller = Some(this),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn tells_every_fault() {
        let pods = crate::builtin().into_iter().find(|r| r.plural == "pods").unwrap();
        let object = json!({"metadata": {"name": "A", "labels": {"": "x y"}, "finalizers": ["orphan", "a.io/b", "mine"], "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a"}]}});
        let fields: Vec<_> = super::validate(&object, &pods).into_iter().map(|e| e.field).collect();
        assert_eq!(fields, ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.labels", "metadata.labels", "metadata.ownerReferences.uid", "metadata.finalizers[2]"]);
    }
}
