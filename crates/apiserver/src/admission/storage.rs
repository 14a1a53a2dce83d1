//! DefaultStorageClass and StorageObjectInUseProtection.

use api::meta;
use catalog::walk;
use serde_json::{Value, json};

use super::{Operation, is};
use crate::object;
use crate::rest::Call;

pub fn mutate(call: &Call, operation: Operation, object: &mut Value) {
    if operation != Operation::Create {
        return;
    }
    let claim = is(call, "", "persistentvolumeclaims");
    protect(object, if claim { "kubernetes.io/pvc-protection" } else { "kubernetes.io/pv-protection" });
    if claim && walk::at(object, "spec.storageClassName").is_null() && meta::annotation(object, "volume.beta.kubernetes.io/storage-class").is_none() {
        if let (Some(class), Some(spec)) = (default_class(call), walk::object_mut(object, "spec")) {
            spec.insert("storageClassName".into(), class.into());
        }
    }
}

fn protect(object: &mut Value, finalizer: &str) {
    if meta::finalizers(object).any(|f| f == finalizer) {
        return;
    }
    if let Some(list) = meta::metadata_mut(object).entry("finalizers").or_insert_with(|| json!([])).as_array_mut() {
        list.push(finalizer.into());
    }
}

/// Upstream: of several defaults the youngest counts, then the first by name.
fn default_class(call: &Call) -> Option<String> {
    let table = call.server.store.table("/registry/storageclasses");
    let all = call.server.store.view().table(table);
    let mut defaults: Vec<_> = all
        .scan("", "")
        .map(|r| object::parse(&r.value))
        .filter(|c| ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"].iter().any(|a| meta::annotation(c, a) == Some("true")))
        .map(|c| (std::cmp::Reverse(meta::text(&c, "creationTimestamp").to_owned()), meta::name(&c).to_owned()))
        .collect();
    defaults.sort();
    defaults.into_iter().next().map(|(_, name)| name)
}
