//! Nobody grants what he does not hold.
//!
//! Upstream: the policy-based storage of roles and bindings; `escalate` and `bind` let one past.

use api::{ApiError, meta};
use catalog::walk;
use serde_json::Value;

use crate::auth::authorize::{Attributes, Decision};
use crate::rest::Call;

pub fn check(call: &Call, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let (authorizer, store, user) = (&call.server.authorizer, &call.server.store, &call.user);
    let binding = call.served.resource.kind.ends_with("Binding");
    if old.is_some_and(|old| if binding { old["roleRef"] == object["roleRef"] && old["subjects"] == object["subjects"] } else { old["rules"] == object["rules"] }) {
        return Ok(());
    }
    let verb = if binding { "bind" } else { "escalate" };
    let reference = &object["roleRef"];
    let (resource, name) = if binding {
        (if walk::text(reference, "kind") == "ClusterRole" { "clusterroles" } else { "roles" }, walk::text(reference, "name"))
    } else {
        (&*call.served.resource.plural, meta::name(object))
    };
    let attributes = Attributes {
        is_resource: true,
        verb: verb.into(),
        group: "rbac.authorization.k8s.io".into(),
        resource: resource.into(),
        namespace: call.namespace().into(),
        name: name.into(),
        ..Attributes::default()
    };
    if matches!(authorizer.decide_now(store, user, &attributes), Decision::Allow(_)) {
        return Ok(());
    }
    let rules = if binding { authorizer.rules_of_role(store, reference, call.namespace()) } else { walk::list(object, "rules").to_vec() };
    let missing = authorizer.missing(store, user, call.namespace(), &rules);
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("user {:?} (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{}", user.name, user.groups, missing.join("\n"));
    Err(ApiError::forbidden(&call.resource(), meta::name(object), why))
}
