//! StorageClasses.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::{resource as of_group, truth};
use crate::check;
use crate::columns::{age, columns};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    of_group("StorageClass", "storageclasses", false).short(&["sc"]).gives_deleted().rules(|rules| {
        rules.validate = validate;
        rules.warn = warn;
        rules.default = |object| {
        if let Some(class) = object.as_object_mut() {
            walk::fill(class, "reclaimPolicy", "Delete");
            walk::fill(class, "volumeBindingMode", "Immediate");
        }
        };
    }).columns(
        columns(&["Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"]),
        |object, now| {
            let default = api::meta::annotation(object, "storageclass.kubernetes.io/is-default-class") == Some("true");
            let shown = if default { format!("{} (default)", api::meta::name(object)) } else { api::meta::name(object).to_owned() };
            vec![
                shown.into(),
                walk::text(object, "provisioner").into(),
                walk::text(object, "reclaimPolicy").into(),
                walk::text(object, "volumeBindingMode").into(),
                truth(object, "allowVolumeExpansion"),
                age(object, now),
            ]
        },
    )
}

/// Upstream: `pkg/api/storage/util.go`.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    for (i, topology) in walk::list(object, "allowedTopologies").iter().enumerate() {
        for (j, expression) in walk::list(topology, "matchLabelExpressions").iter().enumerate() {
            let why = crate::node_labels::deprecated(walk::text(expression, "key"));
            told.extend(why.map(|why| format!("allowedTopologies[{i}].matchLabelExpressions[{j}].key: {why}")));
        }
    }
    told
}

/// Upstream: `pkg/apis/storage/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    super::rules::provisioner(&mut errors, object, "provisioner");
    super::rules::parameters(&mut errors, walk::at(object, "parameters"), &Path::new("parameters"));
    check::maybe_one_of(&mut errors, &Path::new("reclaimPolicy"), walk::text(object, "reclaimPolicy"), &["Delete", "Retain"]);
    check::maybe_one_of(&mut errors, &Path::new("volumeBindingMode"), walk::text(object, "volumeBindingMode"), &["Immediate", "WaitForFirstConsumer"]);
    super::topologies::validate(&mut errors, walk::list(object, "allowedTopologies"), &Path::new("allowedTopologies"));
    let Some(old) = old else { return errors };
    for key in ["parameters", "provisioner", "reclaimPolicy"] {
        if walk::at(object, key) != walk::at(old, key) {
            errors.push(FieldError::forbidden(&Path::new(key), "updates to ".to_owned() + key + " are forbidden."));
        }
    }
    check::immutable(&mut errors, &Path::new("volumeBindingMode"), walk::at(object, "volumeBindingMode"), walk::at(old, "volumeBindingMode"));
    errors
}
