//! The `coordination.k8s.io` group.

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut lease = Resource::new("coordination.k8s.io", "v1", "Lease", "leases", true)
        .rules(|rules| rules.unconditional_update = false)
        .columns(columns(&["Name", "Holder", "Age"]), |object, now| vec![name(object), walk::text(object, "spec.holderIdentity").into(), age(object, now)]);
    lease.table = "/registry/leases".into();
    vec![lease]
}
