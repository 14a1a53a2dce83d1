//! DefaultIngressClass: a new ingress that names no class gets the default one.
//!
//! Upstream: `plugin/pkg/admission/network/defaultingressclass`.

use api::meta;
use catalog::walk;
use serde_json::Value;

use super::Operation;
use crate::object;
use crate::rest::Call;

pub fn mutate(call: &Call, operation: Operation, ingress: &mut Value) {
    let named = !walk::at(ingress, "spec.ingressClassName").is_null() || meta::annotation(ingress, "kubernetes.io/ingress.class").is_some();
    if operation != Operation::Create || named {
        return;
    }
    let table = call.server.store.table("/registry/ingressclasses");
    let all = call.server.store.view().table(table);
    // Of several the youngest, then the first by name.
    let default = all
        .scan("", "")
        .map(|r| object::parse(&r.value))
        .filter(|c| meta::annotation(c, "ingressclass.kubernetes.io/is-default-class") == Some("true"))
        .min_by_key(|c| (std::cmp::Reverse(meta::text(c, "creationTimestamp").to_owned()), meta::name(c).to_owned()));
    if let (Some(class), Some(spec)) = (default, walk::object_mut(ingress, "spec")) {
        spec.insert("ingressClassName".into(), meta::name(&class).into());
    }
}
