//! Parameters of policies: the objects that a binding refers to.
//!
//! Upstream: apiserver `pkg/admission/plugin/policy/generic/policy_dispatcher.go` `CollectParams`.

use api::selector::LabelSelector;
use api::{GroupVersionKind, meta};
use catalog::walk;
use serde_json::Value;

use crate::object;
use crate::registry::Served;
use crate::rest::Call;

/// What there is of parameters: none at all is one evaluation without them.
pub fn collect(call: &Call, kind: Option<&(String, String)>, reference: &Value, namespace: &str) -> Result<Vec<Value>, String> {
    let Some((api_version, name)) = kind.filter(|_| reference.is_object()) else { return Ok(vec![Value::Null]) };
    let gvk = GroupVersionKind::from_api_version(api_version, name);
    let registry = call.server.registry();
    let unknown = || format!("failed to find resource referenced by paramKind: '{}/{}, Kind={}'", gvk.group, gvk.version, gvk.kind);
    let served = registry.by_kind(&gvk.group, &gvk.version, &gvk.kind).cloned().ok_or_else(unknown)?;
    let given = walk::text(reference, "namespace");
    let within = match (served.resource.namespaced, given, namespace) {
        (false, "", _) => "",
        (false, ..) => return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".into()),
        (true, "", "") => return Err("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".into()),
        (true, "", own) => own,
        (true, given, _) => given,
    };
    let found = find(call, &served, reference, within)?;
    if found.is_empty() && walk::text(reference, "parameterNotFoundAction") == "Deny" {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".into());
    }
    Ok(found)
}

fn find(call: &Call, served: &Served, reference: &Value, namespace: &str) -> Result<Vec<Value>, String> {
    let view = call.server.store.view();
    let read = |bytes: &[u8]| {
        let stored = object::parse(bytes);
        match served.resource.conversion {
            Some(conversion) => (conversion.from_stored)(stored),
            None => stored,
        }
    };
    let name = walk::text(reference, "name");
    if !name.is_empty() {
        return Ok(view.get(served.table, &object::key(namespace, name)).map(|r| read(&r.value)).into_iter().collect());
    }
    let selector = LabelSelector::from_value(&reference["selector"])?;
    let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
    let range = view.table(served.table);
    Ok(range.scan(&prefix, "").map(|r| read(&r.value)).filter(|o| selector.matches(|key| meta::label(o, key))).collect())
}
