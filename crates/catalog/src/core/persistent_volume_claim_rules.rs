//! Validation of claims: what is asked for, what may change, and what is told of a claim that grows.
//!
//! Upstream: `ValidatePersistentVolumeClaim`, its update and its status in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::pod::resources::{is_native, resource_amount};
use crate::{check, walk};

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const CLASS: &str = "volumeAttributesClassName";
const GROWTH: [&str; 5] = ["ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"];
const FIXED: &str = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

/// A claim's spec; also of those in ephemeral volumes and stateful sets.
pub fn spec(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    self::judge(errors, spec, false, path);
}

/// `lenient` where the object before already named a group of its data source.
fn judge(errors: &mut FieldErrors, spec: &Value, lenient: bool, path: &Path) {
    let (modes, at) = (walk::list(spec, "accessModes"), path.child("accessModes"));
    if modes.is_empty() {
        errors.push(FieldError::required(&at, "at least 1 access mode is required"));
    }
    check::label_selector(errors, walk::at(spec, "selector"), &path.child("selector"));
    for mode in modes.iter().filter_map(Value::as_str).filter(|mode| !MODES.contains(mode)) {
        errors.push(FieldError::not_supported(&at, mode, &MODES));
    }
    let has = |wanted: fn(&str) -> bool| modes.iter().filter_map(Value::as_str).any(|mode| MODES.contains(&mode) && wanted(mode));
    if has(|mode| mode == "ReadWriteOncePod") && has(|mode| mode != "ReadWriteOncePod") {
        errors.push(FieldError::forbidden(&at, "may not use ReadWriteOncePod with other access modes"));
    }
    let (storage, at) = (walk::at(spec, "resources.requests.storage"), path.child("resources").key("storage"));
    match check::amount(storage) {
        None => errors.push(FieldError::required(&at, "")),
        Some(amount) if amount.sign() <= 0 => errors.push(FieldError::invalid(&at, storage.clone(), "must be greater than zero")),
        Some(_) => resource_amount(errors, "storage", storage, &at),
    }
    check::optional_name(errors, &path.child("storageClassName"), walk::text(spec, "storageClassName"), names::dns1123_subdomain);
    check::maybe_one_of(errors, &path.child("volumeMode"), walk::text(spec, "volumeMode"), &["Block", "Filesystem"]);
    sources(errors, spec, lenient, path);
    check::optional_name(errors, &path.child(CLASS), walk::text(spec, CLASS), names::dns1123_subdomain);
}

fn sources(errors: &mut FieldErrors, spec: &Value, lenient: bool, path: &Path) {
    let [old, new] = ["dataSource", "dataSourceRef"].map(|key| walk::at(spec, key));
    for (key, source) in [("dataSource", old), ("dataSourceRef", new)] {
        if source.is_object() {
            self::source(errors, source, lenient, &path.child(key));
        }
    }
    if !old.is_object() || !new.is_object() {
        return;
    }
    let same = ["apiGroup", "kind", "name"].iter().all(|key| walk::at(old, key) == walk::at(new, key));
    let fault = match walk::text(new, "namespace").is_empty() {
        false => "may not be specified when dataSourceRef.namespace is specified",
        true if !same => "must match dataSourceRef",
        true => return,
    };
    errors.push(FieldError::invalid(path, path.child("dataSource").as_str(), fault));
}

fn source(errors: &mut FieldErrors, source: &Value, lenient: bool, path: &Path) {
    for key in ["name", "kind"] {
        check::required(errors, source, key, path, "");
    }
    let (group, kind) = (walk::text(source, "apiGroup"), walk::text(source, "kind"));
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        errors.push(FieldError::invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
    }
    if !lenient {
        check::optional_name(errors, &path.child("apiGroup"), group, names::dns1123_subdomain);
    }
    check::optional_name(errors, &path.child("namespace"), walk::text(source, "namespace"), names::dns1123_label);
}

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let named = |old: &Value| ["dataSource", "dataSourceRef"].iter().any(|key| !walk::at(walk::at(old, "spec"), key).get("apiGroup").unwrap_or(&Value::Null).is_null());
    judge(&mut errors, walk::at(object, "spec"), old.is_some_and(named), &Path::new("spec"));
    if let Some(old) = old {
        update(&mut errors, object, old);
    }
    errors
}

fn update(errors: &mut FieldErrors, object: &Value, old: &Value) {
    let (new_spec, old_spec, path) = (walk::at(object, "spec"), walk::at(old, "spec"), Path::new("spec"));
    let mut munged = new_spec.clone();
    if walk::text(old_spec, "volumeName").is_empty() {
        walk::keep(&mut munged, Some(old_spec), "volumeName");
    }
    class(errors, &mut munged, object, old);
    if walk::text(object, "status.phase") == "Bound" {
        if let Some(requests) = walk::existing_mut(&mut munged, "resources.requests")
            && let Some(before) = walk::at(old_spec, "resources.requests").get("storage")
        {
            requests.insert("storage".into(), before.clone());
        }
        walk::keep(&mut munged, Some(old_spec), CLASS);
    }
    if munged != *old_spec {
        // Differs: upstream appends a difference in Go's own notation.
        errors.push(FieldError::forbidden(&path, FIXED));
    }
    size(errors, new_spec, old, &path);
    check::immutable(errors, &Path::new("volumeMode"), walk::at(new_spec, "volumeMode"), walk::at(old_spec, "volumeMode"));
    attributes(errors, new_spec, old, &path.child(CLASS));
}

/// A class may be named later where none was, and move from the annotation into the field.
fn class(errors: &mut FieldErrors, munged: &mut Value, object: &Value, old: &Value) {
    let annotation = |object| api::meta::annotation(object, BETA_CLASS);
    let (was, is) = (annotation(old), annotation(object));
    let named = |object| walk::at(object, "spec.storageClassName").as_str();
    let fresh = named(old).is_none().then(|| named(object)).flatten();
    let moved = was.is_some() && fresh == was && (is.is_none() || is == was);
    if !moved && is != was {
        let path = Path::new("metadata.annotations").child(BETA_CLASS);
        errors.push(FieldError::invalid(&path, is.unwrap_or_default(), check::IMMUTABLE));
    }
    if fresh.is_some() && (was.is_none() || fresh == was) {
        walk::keep(munged, Some(walk::at(old, "spec")), "storageClassName");
    }
}

/// A claim that grew in vain may ask for less again, but for more than it has.
fn size(errors: &mut FieldErrors, spec: &Value, old: &Value, path: &Path) {
    let size = |spec: &Value| check::amount(walk::at(spec, "resources.requests.storage"));
    let (Some(new), Some(before)) = (size(spec), size(walk::at(old, "spec"))) else { return };
    let held = check::amount(walk::at(old, "status.capacity.storage"));
    if new < before && (held.is_some_and(|held| new <= held) || (held.is_none() && new.sign() <= 0)) {
        errors.push(FieldError::forbidden(&path.child("resources").child("requests").child("storage"), "field can not be less than status.capacity"));
    }
}

fn attributes(errors: &mut FieldErrors, spec: &Value, old: &Value, path: &Path) {
    if walk::at(spec, CLASS) == walk::at(walk::at(old, "spec"), CLASS) || walk::at(old, "status.currentVolumeAttributesClassName").is_null() {
        return;
    }
    let what = match walk::at(spec, CLASS).as_str() {
        None => "nil",
        Some("") => "empty string",
        Some(_) => return,
    };
    errors.push(FieldError::forbidden(path, format!("update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil")));
}

pub fn validate_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (status, path) = (walk::at(object, "status"), Path::new("status"));
    let valid = |errors: &mut FieldErrors, value: &Value, path: &Path| {
        let negative = check::amount(value).filter(|amount| amount.value() < 0);
        errors.extend(negative.map(|amount| FieldError::invalid(path, amount.value(), "must be a valid resource quantity")));
        negative.is_none()
    };
    for (name, value) in walk::map(status, "capacity").into_iter().flatten() {
        valid(&mut errors, value, &path.child("capacity").key(name));
    }
    for (name, state) in walk::map(status, "allocatedResourceStatuses").into_iter().flatten() {
        let path = path.child("allocatedResourceStatuses");
        resource_key(&mut errors, name, &path);
        if !state.as_str().is_some_and(|state| GROWTH.contains(&state)) {
            let mut known = GROWTH;
            known.sort_unstable();
            errors.push(FieldError::not_supported(&path, name.as_str(), &known));
        }
    }
    for (name, value) in walk::map(status, "allocatedResources").into_iter().flatten() {
        let path = path.child("allocatedResources");
        if resource_key(&mut errors, name, &path) && valid(&mut errors, value, &path.key(name)) {
            resource_amount(&mut errors, "storage", value, &path.key(name));
        }
    }
    errors
}

/// Of Kubernetes' own names only `storage` is a claim's to hold.
fn resource_key(errors: &mut FieldErrors, name: &str, path: &Path) -> bool {
    let faults = names::qualified_name(name);
    let fits = faults.is_empty() && (!is_native(name) || name == "storage");
    if faults.is_empty() && !fits {
        errors.push(FieldError::not_supported(path, name, &["storage"]));
    }
    check::syntax(errors, path, name, faults);
    fits
}
