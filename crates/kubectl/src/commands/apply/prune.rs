//! `apply --prune`: objects that apply made, of the types and labels asked for, and that are no longer given, are deleted.
// Upstream: kubectl pkg/cmd/apply/prune.go, pkg/util/prune/prune.go (the default types).

use std::rc::Rc;

use serde_json::{Value, json};

use super::Apply;
use crate::call::Call;
use crate::change::LAST_APPLIED;
use crate::client::with_query;
use crate::commands::delete;
use crate::discovery::Resource;
use crate::failure::{Failure, Outcome, fail};
use crate::print::DryRun;

const DEFAULT: [(&str, &str, &str); 16] = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Endpoints"),
    ("", "v1", "Namespace"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "PersistentVolume"),
    ("", "v1", "Pod"),
    ("", "v1", "ReplicationController"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("batch", "v1", "Job"),
    ("batch", "v1", "CronJob"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("apps", "v1", "DaemonSet"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "ReplicaSet"),
    ("apps", "v1", "StatefulSet"),
];

/// The types named on the command line.
pub fn allowed(call: &Call) -> Vec<String> {
    call.flags.list("prune-allowlist")
}

/// The types that are pruned.
pub async fn types(call: &Call) -> Outcome<Vec<Rc<Resource>>> {
    let allowed = allowed(call);
    let mut out = Vec::new();
    if allowed.is_empty() {
        for (group, version, kind) in DEFAULT {
            let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
            out.extend(call.served().await?.of_kind(&api_version, kind));
        }
        return Ok(out);
    }
    for word in allowed {
        let parts: Vec<&str> = word.split('/').collect();
        let [group, version, kind] = parts[..] else { return fail(format!("invalid GroupVersionKind format: {word}, please follow <group/version/kind>")) };
        let api_version = if group == "core" || group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        match call.resource_of_kind(&api_version, kind).await? {
            Some(resource) => out.push(resource),
            None => return fail(format!("no matches for kind {kind:?} in version {api_version:?}")),
        }
    }
    Ok(out)
}

pub async fn run(call: &Call, apply: &Apply) -> Outcome {
    let types = types(call).await?;
    for namespace in &apply.namespaces {
        for resource in types.iter().filter(|r| r.namespaced) {
            one_type(call, apply, resource, namespace).await.map_err(|e| about(e, "namespaced", resource))?;
        }
    }
    for resource in types.iter().filter(|r| !r.namespaced) {
        one_type(call, apply, resource, "").await.map_err(|e| about(e, "nonNamespaced", resource))?;
    }
    Ok(())
}

fn about(failure: Failure, scope: &str, r: &Resource) -> Failure {
    Failure::Text(format!("error pruning {scope} object {}/{}, Kind={}: {}", r.group, r.version, r.kind, failure.message()))
}

async fn one_type(call: &Call, apply: &Apply, resource: &Rc<Resource>, namespace: &str) -> Outcome {
    let api = call.api().await?;
    let selector = call.flags.text("selector");
    let pairs: Vec<(&str, &str)> = if selector.is_empty() { Vec::new() } else { vec![("labelSelector", selector)] };
    let list = api.get(&with_query(&resource.collection(namespace), &pairs)).await?;
    for object in list["items"].as_array().into_iter().flatten() {
        if api::meta::annotation(object, LAST_APPLIED).is_none() || apply.uids.contains(api::meta::uid(object)) {
            continue;
        }
        let mut object = object.clone();
        crate::select::with_type(&mut object, &resource.api_version(), &resource.kind);
        delete(call, apply, resource, &object).await?;
    }
    Ok(())
}

/// Deletes an object and says so; on a dry run it only says so.
pub async fn delete(call: &Call, apply: &Apply, resource: &Resource, object: &Value) -> Outcome {
    if apply.change.dry != DryRun::Client {
        let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": delete::cascade(call)?});
        if apply.change.dry == DryRun::Server {
            options["dryRun"] = json!(["All"]);
        }
        if call.flags.int("grace-period") >= 0 {
            options["gracePeriodSeconds"] = call.flags.int("grace-period").into();
        }
        call.api().await?.delete(&resource.path(api::meta::namespace(object), api::meta::name(object)), &options).await?;
    }
    apply.print(call, "pruned", object)
}
