//! Defaults of volumes.
//!
//! Upstream: `pkg/apis/core/v1/defaults.go` and the `+default` marks of `k8s.io/api/core/v1`.

use serde_json::{Map, Value, json};

use super::defaults::pull_policy;
use crate::walk::{child, fill, fill_text, items};

/// Secrets, config maps and the like: rw-r--r--.
const MODE: i64 = 0o644;
const TOKEN_SECONDS: i64 = 3600;

pub fn volume(volume: &mut Map<String, Value>) {
    if volume.iter().all(|(key, value)| key == "name" || value.is_null()) {
        volume.insert("emptyDir".into(), json!({}));
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = child(volume, kind) {
            fill(source, "defaultMode", MODE);
        }
    }
    if let Some(downward) = child(volume, "downwardAPI") {
        field_references(downward);
    }
    if let Some(projected) = child(volume, "projected") {
        for source in items(projected, "sources") {
            if let Some(token) = child(source, "serviceAccountToken") {
                fill(token, "expirationSeconds", TOKEN_SECONDS);
            }
            if let Some(downward) = child(source, "downwardAPI") {
                field_references(downward);
            }
        }
    }
    if let Some(path) = child(volume, "hostPath") {
        fill(path, "type", "");
    }
    if let Some(spec) = child(volume, "ephemeral").and_then(|e| child(e, "volumeClaimTemplate")).and_then(|t| child(t, "spec")) {
        fill(spec, "volumeMode", "Filesystem");
    }
    if let Some(image) = child(volume, "image") {
        let policy = pull_policy(image.get("reference").and_then(Value::as_str).unwrap_or_default());
        fill_text(image, "pullPolicy", policy);
    }
    source(volume);
}

/// Sources that volumes of pods and persistent volumes share.
pub fn source(of: &mut Map<String, Value>) {
    if let Some(iscsi) = child(of, "iscsi") {
        fill_text(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = child(of, "rbd") {
        fill_text(rbd, "pool", "rbd");
        fill_text(rbd, "user", "admin");
        fill_text(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = child(of, "azureDisk") {
        fill(disk, "cachingMode", "ReadWrite");
        fill(disk, "kind", "Shared");
        fill(disk, "fsType", "ext4");
        fill(disk, "readOnly", false);
    }
    if let Some(scale) = child(of, "scaleIO") {
        fill_text(scale, "storageMode", "ThinProvisioned");
        fill_text(scale, "fsType", "xfs");
    }
}

fn field_references(downward: &mut Map<String, Value>) {
    for item in items(downward, "items") {
        if let Some(reference) = child(item, "fieldRef") {
            fill_text(reference, "apiVersion", "v1");
        }
    }
}
