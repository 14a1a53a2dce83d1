//! What client-side apply left behind, taken over by server-side apply: its annotation is kept, its fields change their owner.
// Upstream: kubectl pkg/cmd/apply/apply.go, client-go util/csaupgrade/upgrade.go.

use std::collections::BTreeSet;

use patch::Set;
use serde_json::{Value, json};

use super::{Apply, Info};
use crate::call::Call;
use crate::change;
use crate::client::{APPLY_PATCH, JSON, JSON_PATCH, request};
use crate::complain;
use crate::failure::Outcome;
use crate::print::compact;

/// The default manager of server-side apply. Servers keep the annotation up to date for it alone.
pub const MANAGER: &str = "kubectl";
const LAST_APPLIED_MANAGER: &str = "kubectl-last-applied";
/// How often a patch is made anew for an object that somebody changed meanwhile.
const TRIES: usize = 5;
const LATER: &str = "This is non-fatal and will be retried next time you apply. Error:";

/// Whether somebody else's turn changed the object, so that it must be applied once more. Faults are only told.
pub async fn migrate(apply: &Apply, call: &Call, info: &mut Info) -> bool {
    if let Err(failure) = keep_annotation(apply, call, info).await {
        complain!("Warning: failed to migrate kubectl.kubernetes.io/last-applied-configuration for Server-Side Apply. {LATER} {}", failure.message());
        return false;
    }
    match take_over(apply, call, info).await {
        Ok(moved) => moved,
        Err(failure) => {
            complain!("Warning: server rejected managed fields migration to Server-Side Apply. {LATER} {}", failure.message());
            false
        }
    }
}

/// The annotation gets an owner of its own, so that it does not go with the fields that are given up.
async fn keep_annotation(apply: &Apply, call: &Call, info: &mut Info) -> Outcome {
    let Some(annotation) = api::meta::annotation(&info.object, change::LAST_APPLIED).filter(|_| apply.change.manager() == MANAGER) else { return Ok(()) };
    if owners(&info.object, "Apply").next().is_some() {
        return Ok(());
    }
    let mut alone = json!({"apiVersion": info.object["apiVersion"], "kind": info.object["kind"], "metadata": {"name": info.name, "annotations": {change::LAST_APPLIED: annotation}}});
    if !info.namespace.is_empty() {
        alone["metadata"]["namespace"] = info.namespace.as_str().into();
    }
    let change = apply.change.clone().managed_by(LAST_APPLIED_MANAGER);
    info.object = send(call, &change.query(&change::sub_path(call, info)), APPLY_PATCH, &alone).await?;
    Ok(())
}

async fn take_over(apply: &Apply, call: &Call, info: &mut Info) -> Outcome<bool> {
    let from: BTreeSet<String> = owners(&info.object, "Update").filter_map(|entry| entry["manager"].as_str().map(str::to_owned)).collect();
    let path = change::sub_path(call, info);
    let mut tries = 0;
    loop {
        let Some(patch) = handed_over(&info.object, &from, apply.change.manager()) else { return Ok(false) };
        tries += 1;
        match send(call, &apply.change.query(&path), JSON_PATCH, &patch).await {
            Ok(object) => {
                info.object = object;
                return Ok(true);
            }
            Err(failure) if failure.reason() != "Conflict" || tries == TRIES => return Err(failure),
            Err(_) => info.object = call.api().await?.get(&info.path()).await?,
        }
    }
}

async fn send(call: &Call, path: &str, media: &'static str, patch: &Value) -> Outcome<Value> {
    call.api().await?.json(request(http::Method::PATCH, path, JSON, Some((media, compact(patch).into_bytes())))).await
}

fn entries(object: &Value) -> &[Value] {
    object["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The entries that own the annotation of client-side apply.
fn owners<'a>(object: &'a Value, operation: &'a str) -> impl Iterator<Item = &'a Value> {
    let annotation = format!("f:{}", change::LAST_APPLIED);
    let owns = move |entry: &&Value| entry["operation"] == operation && !entry["fieldsV1"]["f:metadata"]["f:annotations"][annotation.as_str()].is_null();
    entries(object).iter().filter(owns)
}

/// The patch that gives one manager what others have; none where they have nothing.
fn handed_over(object: &Value, from: &BTreeSet<String>, to: &str) -> Option<Value> {
    let before = entries(object);
    let after = from.iter().fold(before.to_vec(), |entries, from| merged(entries, from, to));
    (after != before).then(|| {
        json!([{"op": "replace", "path": "/metadata/managedFields", "value": after}, {"op": "replace", "path": "/metadata/resourceVersion", "value": object["metadata"]["resourceVersion"]}])
    })
}

fn merged(mut entries: Vec<Value>, from: &str, to: &str) -> Vec<Value> {
    let is = |entry: &Value, manager: &str, operation: &str| {
        entry["manager"] == manager && entry["operation"] == operation && entry["subresource"].as_str().is_none_or(str::is_empty)
    };
    let at = match entries.iter().position(|entry| is(entry, to, "Apply")) {
        Some(at) => at,
        None => {
            // The newest one becomes the applier's.
            let Some(at) = entries.iter().position(|entry| is(entry, from, "Update")) else { return entries };
            (entries[at]["operation"], entries[at]["manager"]) = ("Apply".into(), to.into());
            at
        }
    };
    let of_version = entries.iter().position(|entry| is(entry, from, "Update") && entry["apiVersion"] == entries[at]["apiVersion"]);
    let fields = |entry: &Value| Set::from_fields_v1(&entry["fieldsV1"]).unwrap_or_default();
    if let Some(other) = of_version {
        entries[at]["fieldsV1"] = fields(&entries[at]).union(&fields(&entries[other])).to_fields_v1();
    }
    entries.retain(|entry| !is(entry, from, "Update"));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn object(entries: &[Value]) -> Value {
        json!({"metadata": {"resourceVersion": "7", "managedFields": entries}})
    }

    #[test]
    fn fields_change_their_owner() {
        let annotated = json!({"f:metadata": {"f:annotations": {".": {}, format!("f:{}", change::LAST_APPLIED): {}}}, "f:data": {"f:a": {}}});
        let client = entry("kubectl-client-side-apply", "Update", annotated.clone());
        let other = entry("other", "Update", json!({"f:data": {"f:z": {}}}));
        let before = object(&[client.clone(), other.clone()]);
        let from: BTreeSet<String> = owners(&before, "Update").filter_map(|e| e["manager"].as_str().map(str::to_owned)).collect();
        assert_eq!(from, ["kubectl-client-side-apply".to_owned()].into());
        assert!(owners(&before, "Apply").next().is_none());
        // The only one is renamed.
        let patch = handed_over(&before, &from, "kubectl").expect("there is something to move");
        assert_eq!(patch[0]["value"], json!([entry("kubectl", "Apply", annotated.clone()), other]));
        assert_eq!(patch[1]["value"], "7");
        // Beside an applier it is put into its fields.
        let applier = entry("kubectl", "Apply", json!({"f:data": {"f:b": {}}}));
        let patch = handed_over(&object(&[applier, client]), &from, "kubectl").expect("there is something to move");
        let mut both = annotated;
        both["f:data"]["f:b"] = json!({});
        assert_eq!(patch[0]["value"], json!([entry("kubectl", "Apply", both)]));
        assert!(handed_over(&object(&[other]), &from, "kubectl").is_none());
    }
}
