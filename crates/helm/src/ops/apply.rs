//! Objects brought to a cluster: server-side apply, or created and patched from here; what a new revision no longer has is removed.
// Upstream: helm pkg/kube/client.go Create, Update, Delete.

use charts::notice::{Level, Notice};
use http::Method;
use serde_json::{Value, json};

use super::three_way::three_way;
use crate::cluster::{Cluster, Denied, FIELD_OWNER, Object};
use crate::failure::{Failure, Outcome};

/// What is said of an object without a name.
pub const NAMELESS: &str = "resource name may not be empty";
const JSON: &str = "application/json";

/// How objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    pub server_side: bool,
    pub force_conflicts: bool,
    pub force_replace: bool,
    /// Refuse fields that the server does not know.
    pub strict: bool,
}

impl How {
    /// The word that records keep.
    pub fn word(self) -> &'static str {
        if self.server_side { "ssa" } else { "csa" }
    }

    fn query(self) -> String {
        format!("?fieldManager={FIELD_OWNER}&fieldValidation={}", if self.strict { "Strict" } else { "Ignore" })
    }
}

/// Creates all, in the order given.
pub async fn create(cluster: &Cluster, objects: &[Object], how: How) -> Outcome {
    for object in objects {
        create_one(cluster, object, how).await?;
    }
    Ok(())
}

async fn create_one(cluster: &Cluster, object: &Object, how: How) -> Outcome {
    if how.server_side {
        return server_side(cluster, object, how).await;
    }
    let sent = cluster.send(Method::POST, &format!("{}{}", object.collection(), how.query()), JSON, Some(&object.value)).await;
    sent.map(|_| ()).map_err(Failure::from)
}

async fn server_side(cluster: &Cluster, object: &Object, how: How) -> Outcome {
    let path = format!("{}{}&force={}", object.path(), how.query(), how.force_conflicts);
    let sent = cluster.send(Method::PATCH, &path, "application/apply-patch+yaml", Some(&object.value)).await;
    let described = || format!("{}/{} {}", object.namespace.as_deref().unwrap_or_default(), object.name, object.resource.go_name());
    match sent {
        Ok(_) => Ok(()),
        Err(e) if e.is_conflict() => Err(Failure::new(format!("conflict occurred while applying object {}: {}", described(), e.message))),
        Err(e) => Err(Failure::new(format!("server-side apply failed for object {}: {}", described(), e.message))),
    }
}

/// Brings `target` to the cluster, from `original`; what only `original` has is removed, unless its resource policy keeps it.
/// What was created stands in `created`, also after an error.
pub async fn update(cluster: &Cluster, original: &[Object], target: &[Object], how: How, from_client_side: bool, created: &mut Vec<Object>) -> Outcome {
    if how.server_side && how.force_replace {
        return Err(Failure::new("invalid operation: cannot use server-side apply and force replace together"));
    }
    for object in target {
        if object.name.is_empty() {
            return Err(Failure::new(format!("could not get information about the resource: {NAMELESS}")));
        }
        let live = match cluster.get(&object.path()).await {
            Ok(live) => live,
            Err(e) if e.is_not_found() => {
                create_one(cluster, object, how).await.map_err(|e| e.of("failed to create resource"))?;
                created.push(object.clone());
                continue;
            }
            Err(e) => return Err(Failure::new(format!("could not get information about the resource: {}", e.message))),
        };
        match original.iter().find(|o| o.is_same(object)) {
            Some(before) => write_over(cluster, before, object, live, how, from_client_side).await?,
            None => {
                let notice = Notice::new(Level::Warn, "resource exists on cluster but not in original release, using cluster state as baseline");
                eprintln!("{}", notice.about("namespace", object.namespace.clone().unwrap_or_default()).about("name", object.name.as_str()).about("kind", object.kind()));
                let before = Object { value: live.clone(), ..object.clone() };
                write_over(cluster, &before, object, live, how, from_client_side).await?;
            }
        }
    }
    for object in original.iter().filter(|o| !target.iter().any(|t| t.is_same(o))) {
        remove_one(cluster, object).await?;
    }
    Ok(())
}

async fn write_over(cluster: &Cluster, before: &Object, object: &Object, live: Value, how: How, from_client_side: bool) -> Outcome {
    if how.force_replace {
        let mut value = object.value.clone();
        value["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        let sent = cluster.send(Method::PUT, &format!("{}{}", object.path(), how.query()), JSON, Some(&value)).await;
        return sent.map(|_| ()).map_err(|e| Failure::new(format!("failed to replace object: {}", e.message)));
    }
    if how.server_side {
        if from_client_side {
            take_fields(cluster, object, &live).await.map_err(|e| Failure::new(format!("failed to upgrade object to server-side apply: {}", e.message)))?;
        }
        return server_side(cluster, object, how).await;
    }
    let (content_type, patch) = three_way(&before.value, &object.value, &live).map_err(|e| Failure::new(format!("failed to create patch: {e}")))?;
    if patch.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(());
    }
    let sent = cluster.send(Method::PATCH, &format!("{}{}", object.path(), how.query()), content_type, Some(&patch)).await;
    sent.map(|_| ()).map_err(|e| Failure::new(format!("cannot patch {:?} with kind {}: {}", object.name, object.kind(), e.message)))
}

/// Makes fields that were owned by updates of Helm's owned by its applies, so that what a new revision leaves out goes.
// Upstream: client-go util/csaupgrade.
async fn take_fields(cluster: &Cluster, object: &Object, live: &Value) -> Result<(), Denied> {
    let Some(entries) = live["metadata"]["managedFields"].as_array() else { return Ok(()) };
    let is_ours = |e: &&Value| e["manager"] == FIELD_OWNER && e["subresource"].as_str().unwrap_or_default().is_empty();
    if !entries.iter().filter(is_ours).any(|e| e["operation"] == "Update") {
        return Ok(());
    }
    let mut fields = json!({});
    entries.iter().filter(is_ours).for_each(|e| unite(&mut fields, &e["fieldsV1"]));
    let mut kept: Vec<Value> = entries.iter().filter(|e| !is_ours(e)).cloned().collect();
    let mut own = entries.iter().find(is_ours).cloned().unwrap_or_default();
    own["operation"] = "Apply".into();
    own["fieldsV1"] = fields;
    kept.insert(0, own);
    let patch = json!([
        { "op": "replace", "path": "/metadata/managedFields", "value": kept },
        { "op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"] },
    ]);
    cluster.send(Method::PATCH, &object.path(), "application/json-patch+json", Some(&patch)).await.map(|_| ())
}

fn unite(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        for (key, value) in from {
            unite(into.entry(key.clone()).or_insert_with(|| json!({})), value);
        }
    }
}

async fn remove_one(cluster: &Cluster, object: &Object) -> Outcome {
    let live = match cluster.get(&object.path()).await {
        Ok(live) => live,
        Err(e) if e.is_not_found() => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    if live["metadata"]["annotations"]["helm.sh/resource-policy"].as_str().is_some_and(keeps) {
        return Ok(());
    }
    match delete_one(cluster, object, "Background").await {
        Err(e) if !e.is_not_found() => Err(e.into()),
        _ => Ok(()),
    }
}

/// Whether a resource policy says that the object stays.
pub fn keeps(policy: &str) -> bool {
    policy.trim().eq_ignore_ascii_case("keep")
}

async fn delete_one(cluster: &Cluster, object: &Object, propagation: &str) -> Result<(), Denied> {
    if object.name.is_empty() {
        // The path without a name is that of all objects of the kind.
        return Err(Denied { code: 0, reason: String::new(), message: NAMELESS.into() });
    }
    let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation });
    cluster.send(Method::DELETE, &object.path(), JSON, Some(&options)).await.map(|_| ())
}

/// Deletes all; gives the errors of those that could not be.
pub async fn delete(cluster: &Cluster, objects: &[Object], propagation: &str) -> Vec<Failure> {
    let mut faults = Vec::new();
    for object in objects {
        match delete_one(cluster, object, propagation).await {
            Err(e) if !e.is_not_found() => faults.push(e.into()),
            _ => {}
        }
    }
    faults
}
