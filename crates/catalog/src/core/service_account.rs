//! ServiceAccounts.

use crate::columns::{age, columns, name};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true)
        .short(&["sa"])
        .sub(Subresource::of_kind("token", "authentication.k8s.io/v1", "TokenRequest", Verbs::CREATE))
        .columns(columns(&["Name", "Secrets", "Age"]), |object, now| vec![name(object), walk::list(object, "secrets").len().into(), age(object, now)])
}
