//! OwnerReferencesPermissionEnforcement: who names owners must be able to delete the object, and the owner where that waits for it.
//!
//! Upstream: `plugin/pkg/admission/gc/gc_admission.go`.

use api::{ApiError, GroupVersionKind, meta};
use catalog::walk;
use serde_json::Value;

use super::{Operation, is};
use crate::auth::authorize::{Attributes, Decision};
use crate::rest::Call;

pub async fn check(call: &Call, operation: Operation, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    // Upstream: the status of pods keeps the owners by its own strategy.
    let looks = matches!(operation, Operation::Create | Operation::Update) && !(is(call, "", "pods") && call.info.subresource == "status");
    let owners = |of: Option<&Value>| of.map(|of| walk::list(of, "metadata.ownerReferences").to_vec()).unwrap_or_default();
    let (new, before) = (owners(Some(object)), owners(old));
    if !looks || new == before {
        return Ok(());
    }
    let refused = |why: String| Err(ApiError::forbidden(&call.resource(), meta::name(object), why));
    let resource = &call.served.resource;
    let deletes = Attributes {
        is_resource: true,
        verb: "delete".into(),
        namespace: call.namespace().into(),
        group: resource.group.to_string(),
        version: resource.version.to_string(),
        resource: resource.plural.to_string(),
        subresource: call.info.subresource.clone(),
        name: call.info.name.clone(),
        ..Attributes::default()
    };
    if let Some(why) = denial(call, &deletes).await {
        return refused(format!("cannot set an ownerRef on a resource you can't delete: {why}"));
    }
    for owner in new.iter().filter(|owner| blocks(owner) && !before.iter().any(|known| known["uid"] == owner["uid"] && blocks(known))) {
        let (version, kind) = (walk::text(owner, "apiVersion"), walk::text(owner, "kind"));
        let gvk = GroupVersionKind::from_api_version(version, kind);
        let Some(served) = call.server.registry().by_kind(&gvk.group, &gvk.version, &gvk.kind).cloned() else {
            let dotted = if gvk.group.is_empty() { String::new() } else { format!("{}/", gvk.group) };
            return refused(format!("cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {version} Kind {kind}: no matches for kind {kind:?} in version \"{dotted}{}\"", gvk.version));
        };
        let finalizes = Attributes {
            is_resource: true,
            verb: "update".into(),
            namespace: if served.resource.namespaced { call.namespace().into() } else { String::new() },
            group: gvk.group.clone(),
            version: gvk.version.clone(),
            resource: served.resource.plural.to_string(),
            subresource: "finalizers".into(),
            name: walk::text(owner, "name").into(),
            ..Attributes::default()
        };
        if let Some(why) = denial(call, &finalizes).await {
            return refused(format!("cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: {why}"));
        }
    }
    Ok(())
}

fn blocks(owner: &Value) -> bool {
    walk::flag(owner, "blockOwnerDeletion")
}

/// `reason, error`, as upstream prints them; none where the request is allowed.
async fn denial(call: &Call, attributes: &Attributes) -> Option<String> {
    match call.server.authorizer.decide(&call.server.store, &call.user, attributes).await {
        Decision::Allow(_) => None,
        Decision::Deny(reason) => Some(format!("{reason}, <nil>")),
        Decision::Failed { reason, error } => Some(format!("{reason}, {error}")),
    }
}
