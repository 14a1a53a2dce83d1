//! DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize.

use api::{ApiError, meta};
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
    let plugins = &call.server.plugins;
    if plugins.has("StorageObjectInUseProtection") {
        protect(object, if claim { "kubernetes.io/pvc-protection" } else { "kubernetes.io/pv-protection" });
    }
    if claim && plugins.has("DefaultStorageClass") && walk::at(object, "spec.storageClassName").is_null() && meta::annotation(object, "volume.beta.kubernetes.io/storage-class").is_none() {
        if let (Some(class), Some(spec)) = (default_class(call), walk::object_mut(object, "spec")) {
            spec.insert("storageClassName".into(), class.into());
        }
    }
}

/// Only a bound claim grows, and only where its class lets it.
///
/// Upstream: `plugin/pkg/admission/storage/persistentvolume/resize`.
pub fn check_resize(call: &Call, new: &Value, old: &Value) -> Result<(), ApiError> {
    let size = |claim: &Value| catalog::check::amount(&claim["spec"]["resources"]["requests"]["storage"]);
    let grows = matches!((size(new), size(old)), (Some(new), Some(old)) if new > old);
    if !grows {
        return Ok(());
    }
    let refused = |why: &str| Err(ApiError::forbidden(&call.resource(), meta::name(new), why));
    if walk::text(old, "status.phase") != "Bound" {
        return refused("Only bound persistent volume claims can be expanded");
    }
    let class_of = |claim: &Value| meta::annotation(claim, "volume.beta.kubernetes.io/storage-class").unwrap_or_else(|| walk::text(claim, "spec.storageClassName")).to_owned();
    let (class, before) = (class_of(new), class_of(old));
    let table = call.server.store.table("/registry/storageclasses");
    let expands = !class.is_empty() && class == before && call.server.store.view().get(table, &class).is_some_and(|r| walk::flag(&object::parse(&r.value), "allowVolumeExpansion"));
    if expands { Ok(()) } else { refused("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize") }
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
