//! Tells in the status of each policy which of its expressions do not fit the types that it is about.
//!
//! Upstream: `pkg/controller/validatingadmissionpolicystatus`. A policy is looked at once for each generation.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{ApiError, GroupVersionKind, meta};
use catalog::walk;
use policy::type_check::{Known, MOST_TYPES, decl_of, warnings};
use serde_json::{Value, json};

use crate::bootstrap;
use crate::object;
use crate::rest::update;
use crate::server::Server;
use crate::wire;

/// Follows the policies until the server ends.
pub async fn run(server: Arc<Server>) {
    let table = server.store.table("/registry/validatingadmissionpolicies");
    loop {
        let range = server.store.view().table(table);
        let Ok(mut watch) = server.store.watch(table, range.revision()) else { continue };
        for record in range.scan("", "") {
            look(&server, &object::parse(&record.value)).await;
        }
        loop {
            tokio::select! {
                changes = watch.next(64) => match changes {
                    Ok(changes) => for change in changes.iter().filter(|c| c.change != store::Change::Deleted) {
                        look(&server, &object::parse(&change.record.value)).await;
                    },
                    // History ran ahead of us: begin anew from what is there.
                    Err(_) => break,
                },
                () = server.closing.cancelled() => return,
            }
        }
    }
}

async fn look(server: &Arc<Server>, policy: &Value) {
    let generation = meta::generation(policy);
    if walk::at(policy, "status.observedGeneration").as_i64() == Some(generation) {
        return;
    }
    let found = warnings(policy, &types(server, policy), params(server, policy).as_ref());
    match write(server, policy, generation, found).await {
        Err(error) if error.reason != api::Reason::NotFound => tracing::warn!(%error, "could not write the status of an admission policy"),
        _ => {}
    }
}

fn known(server: &Server, group: &str, version: &str, of: impl Fn(&crate::registry::Served) -> bool) -> Option<Known> {
    let registry = server.registry();
    let served = registry.all.iter().find(|s| s.resource.group == group && s.resource.version == version && of(s))?;
    let name = format!("{}.{}", served.resource.api_version().replace('/', "."), served.resource.kind);
    let decl = Arc::new(decl_of(wire::type_in(served, "")?, &name));
    let words = format!("{}, Kind={}", if group.is_empty() { format!("/{version}") } else { format!("{group}/{version}") }, served.resource.kind);
    Some(Known { words, decl })
}

/// The types that the rules name without wildcards, by group, version and kind.
fn types(server: &Server, policy: &Value) -> Vec<Known> {
    let registry = server.registry();
    let mut kinds = BTreeSet::new();
    'rules: for rule in walk::list(policy, "spec.matchConstraints.resourceRules") {
        let texts = |key: &str| walk::list(rule, key).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect::<Vec<_>>();
        let [groups, versions, resources] = ["apiGroups", "apiVersions", "resources"].map(|key| texts(key).into_iter().collect::<BTreeSet<String>>());
        if groups.iter().chain(&versions).any(|name| name.contains('*')) {
            continue;
        }
        let mut count = 0;
        for (group, version) in groups.iter().flat_map(|group| versions.iter().map(move |version| (group, version))) {
            for plural in resources.iter().filter(|r| !r.contains(['*', '/'])) {
                let Some(served) = registry.all.iter().find(|s| s.resource.group == *group && s.resource.version == *version && s.resource.plural == *plural) else { continue };
                kinds.insert((group.clone(), version.clone(), served.resource.kind.to_string()));
                count += 1;
                if count == MOST_TYPES {
                    break 'rules;
                }
            }
        }
    }
    kinds.iter().filter_map(|(group, version, kind)| known(server, group, version, |s| s.resource.kind == *kind)).collect()
}

fn params(server: &Server, policy: &Value) -> Option<Arc<cel::Decl>> {
    let kind = walk::at(policy, "spec.paramKind");
    let gvk = GroupVersionKind::from_api_version(walk::text(kind, "apiVersion"), walk::text(kind, "kind"));
    known(server, &gvk.group, &gvk.version, |s| s.resource.kind == gvk.kind).map(|k| k.decl)
}

async fn write(server: &Arc<Server>, policy: &Value, generation: i64, found: Vec<Value>) -> Result<(), ApiError> {
    let registry = server.registry();
    let served = registry.find("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies").cloned().ok_or_else(ApiError::no_such_path)?;
    let mut call = bootstrap::call_to(server, served, "", meta::name(policy), "update");
    call.info.subresource = "status".into();
    let checked = if found.is_empty() { json!({}) } else { json!({"expressionWarnings": found}) };
    let change = |old: &Value| {
        let mut new = old.clone();
        if let Some(status) = walk::object_mut(&mut new, "status") {
            status.insert("observedGeneration".into(), generation.into());
            status.insert("typeChecking".into(), checked.clone());
        }
        Ok(new)
    };
    update::update(&call, &change).await.map(|_| ())
}
