//! StorageClasses.

use super::{resource as of_group, truth};
use crate::columns::{age, columns};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    of_group("StorageClass", "storageclasses", false).short(&["sc"]).rules(|rules| rules.default = |object| {
        if let Some(class) = object.as_object_mut() {
            walk::fill(class, "reclaimPolicy", "Delete");
            walk::fill(class, "volumeBindingMode", "Immediate");
        }
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
