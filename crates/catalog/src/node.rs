//! The `node.k8s.io` group.

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut class = Resource::new("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false)
        .columns(columns(&["Name", "Handler", "Age"]), |object, now| vec![name(object), walk::text(object, "handler").into(), age(object, now)]);
    class.table = "/registry/runtimeclasses".into();
    vec![class]
}
