//! The authorizer's functions. Upstream: k8s.io/apiserver/pkg/cel/library/authz.go.

use crate::functions::{Table, mismatch};
use crate::value::{Evaluated, Value as V};

fn step<'a>(a: &[V<'a>], function: &str) -> Evaluated<'a> {
    match a {
        [V::Authorization(on), V::String(arg)] => on.step(function, arg, "").map(V::Authorization),
        [V::Authorization(on), V::String(arg), V::String(second)] => on.step(function, arg, second).map(V::Authorization),
        _ => mismatch(),
    }
}

fn answer<'a>(a: &[V<'a>], of: fn(crate::authorizer::Answer) -> V<'static>) -> Evaluated<'a> {
    match a {
        [V::Authorization(on)] => Ok(of(on.answer())),
        _ => mismatch(),
    }
}

const AUTHORIZER: &str = "kubernetes.authorization.Authorizer";

pub(crate) fn add(table: &mut Table) {
    let group = "kubernetes.authorization.GroupCheck";
    let path = "kubernetes.authorization.PathCheck";
    let resource = "kubernetes.authorization.ResourceCheck";
    let decision = "kubernetes.authorization.Decision";
    // A receiver's name holds dots, so the signature is written around it.
    let mut method = |function, id, on: &str, args: &str, result: &str, run| table.add_method(function, id, on, args, result, run);
    method("path", "authorizer_path", AUTHORIZER, "string", path, |a| step(a, "path"));
    method("group", "authorizer_group", AUTHORIZER, "string", group, |a| step(a, "group"));
    method("serviceAccount", "authorizer_serviceaccount", AUTHORIZER, "string, string", AUTHORIZER, |a| step(a, "serviceAccount"));
    method("resource", "groupcheck_resource", group, "string", resource, |a| step(a, "resource"));
    method("subresource", "resourcecheck_subresource", resource, "string", resource, |a| step(a, "subresource"));
    method("namespace", "resourcecheck_namespace", resource, "string", resource, |a| step(a, "namespace"));
    method("name", "resourcecheck_name", resource, "string", resource, |a| step(a, "name"));
    method("fieldSelector", "authorizer_fieldselector", resource, "string", resource, |a| step(a, "fieldSelector"));
    method("labelSelector", "authorizer_labelselector", resource, "string", resource, |a| step(a, "labelSelector"));
    method("check", "pathcheck_check", path, "string", decision, |a| step(a, "check"));
    method("check", "resourcecheck_check", resource, "string", decision, |a| step(a, "check"));
    method("errored", "decision_errored", decision, "", "bool", |a| answer(a, |d| V::Bool(d.error.is_some())));
    method("error", "decision_error", decision, "", "string", |a| answer(a, |d| V::string(d.error.unwrap_or_default())));
    method("allowed", "decision_allowed", decision, "", "bool", |a| answer(a, |d| V::Bool(d.allowed)));
    method("reason", "decision_reason", decision, "", "string", |a| answer(a, |d| V::string(d.reason)));
}
