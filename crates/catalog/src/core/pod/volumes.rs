//! Validation of a pod's volumes.
//!
//! Upstream: `ValidateVolumes` in `pkg/apis/core/validation/validation.go`.

use std::collections::{HashMap, HashSet};

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::legacy_sources::{LONG_PORTAL, PORTAL};
use super::sources::{self, Owner};
use crate::check::required_name;
use crate::walk;

/// Kinds of sources in the order upstream looks at them, each with the name under which one too many is told.
const SOURCES: [(&str, &str); 30] = [
    ("emptyDir", ""), ("hostPath", ""), ("gitRepo", ""), ("gcePersistentDisk", ""), ("awsElasticBlockStore", ""), ("secret", ""), ("nfs", ""), ("iscsi", ""), ("glusterfs", ""), ("flocker", ""),
    ("persistentVolumeClaim", ""), ("rbd", ""), ("cinder", ""), ("cephfs", "cephFS"), ("quobyte", ""), ("downwardAPI", "downwarAPI"), ("fc", ""), ("flexVolume", ""), ("configMap", ""), ("azureFile", ""),
    ("vsphereVolume", ""), ("photonPersistentDisk", ""), ("portworxVolume", ""), ("azureDisk", ""), ("storageos", ""), ("projected", ""), ("scaleIO", ""), ("csi", ""), ("ephemeral", ""), ("image", ""),
];

/// The good volumes by name.
pub type Volumes<'a> = HashMap<&'a str, &'a Value>;

/// Checks the volumes of a pod, or of a template where the pod has no name yet.
pub fn volumes<'a>(errors: &mut FieldErrors, spec: &'a Value, pod: &str, path: &Path) -> Volumes<'a> {
    let (all, mut good) = (walk::list(spec, "volumes"), Volumes::new());
    let made: HashSet<String> = all.iter().filter(|volume| !pod.is_empty() && walk::at(volume, "ephemeral").is_object()).map(|volume| format!("{pod}-{}", walk::text(volume, "name"))).collect();
    for (i, volume) in all.iter().enumerate() {
        let (path, name) = (path.index(i), walk::text(volume, "name"));
        let before = errors.len();
        source(errors, volume, pod, &path);
        required_name(errors, &path.child("name"), name, names::dns1123_label);
        if good.contains_key(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        if errors.len() == before {
            good.insert(name, volume);
        }
        let claim = walk::text(volume, "persistentVolumeClaim.claimName");
        if made.contains(claim) {
            errors.push(FieldError::invalid(&path.child("persistentVolumeClaim").child("claimName"), claim, "must not reference a PVC that gets created for an ephemeral volume"));
        }
    }
    good
}

/// Tokens of an account need one; templates may still get theirs.
pub fn tokens(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    if !walk::text(spec, "serviceAccountName").is_empty() {
        return;
    }
    for (i, volume) in walk::list(spec, "volumes").iter().enumerate() {
        for (j, part) in walk::list(volume, "projected.sources").iter().enumerate() {
            if part["serviceAccountToken"].is_object() {
                let path = path.child("volumes").index(i).child("projected").child("sources").index(j).child("serviceAccountToken");
                errors.push(FieldError::forbidden(&path, "must not be specified when serviceAccountName is not set"));
            }
        }
    }
}

fn source(errors: &mut FieldErrors, volume: &Value, pod: &str, path: &Path) {
    let (name, mut given) = (walk::text(volume, "name"), 0);
    for (kind, shown) in SOURCES {
        let source = walk::at(volume, kind);
        if !source.is_object() {
            continue;
        }
        given += 1;
        if given > 1 {
            errors.push(FieldError::forbidden(&path.child(if shown.is_empty() { kind } else { shown }), "may not specify more than 1 volume type"));
        } else {
            sources::one(errors, kind, source, Owner::Pod, path);
        }
        match kind {
            "iscsi" if walk::at(source, "initiatorName").is_string() && name.len() + 1 + walk::text(source, "targetPortal").len() > PORTAL => {
                errors.push(FieldError::invalid(&path.child("name"), name, LONG_PORTAL));
            }
            "ephemeral" if given == 1 && !pod.is_empty() && !name.is_empty() => {
                let claim = format!("{pod}-{name}");
                errors.extend(names::dns1123_subdomain(&claim).into_iter().map(|fault| FieldError::invalid(&path.child("name"), name, format!("PVC name {claim:?}: {fault}"))));
            }
            _ => {}
        }
    }
    if given == 0 {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}
