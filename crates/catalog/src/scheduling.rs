//! The `scheduling.k8s.io` group.

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut class = Resource::new("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false).short(&["pc"]).rules(|rules| rules.default = |object| {
        if let Some(class) = object.as_object_mut() {
            walk::fill(class, "preemptionPolicy", "PreemptLowerPriority");
        }
    }).columns(
        columns(&["Name", "Value#", "Global-Default", "Age", "PreemptionPolicy"]),
        |object, now| vec![name(object), walk::int(object, "value").into(), walk::flag(object, "globalDefault").into(), age(object, now), walk::text(object, "preemptionPolicy").into()],
    );
    class.table = "/registry/priorityclasses".into();
    vec![class]
}
