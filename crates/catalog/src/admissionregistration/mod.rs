//! The `admissionregistration.k8s.io` group.

use serde_json::{Map, Value, json};

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub mod expressions;
mod policies;
mod rules;
pub mod webhooks;

fn resource(kind: &'static str, plural: &'static str) -> Resource {
    let mut resource = Resource::new("admissionregistration.k8s.io", "v1", kind, plural, false).rules(|rules| {
        rules.generation = true;
        rules.warn = warn;
        rules.default = if kind.ends_with("WebhookConfiguration") { default_webhooks } else { default_policy };
        rules.validate = match kind {
            _ if kind.ends_with("WebhookConfiguration") => webhooks::validate,
            _ if kind.ends_with("Binding") => policies::validate_binding,
            _ => policies::validate,
        };
    });
    resource.table = format!("/registry/{plural}").into();
    resource
}

pub fn resources() -> Vec<Resource> {
    let webhooks = |resource: Resource| resource.columns(columns(&["Name", "Webhooks#", "Age"]), |object, now| vec![name(object), walk::list(object, "webhooks").len().into(), age(object, now)]);
    let binding = |resource: Resource| {
        resource.columns(columns(&["Name", "PolicyName", "ParamRef", "Age"]), |object, now| {
            let param = match (walk::text(object, "spec.paramRef.namespace"), walk::text(object, "spec.paramRef.name")) {
                (_, "") if walk::at(object, "spec.paramRef").is_object() => "*".to_owned(),
                (_, "") => "<unset>".to_owned(),
                ("", name) => format!("*/{name}"),
                (namespace, name) => format!("{namespace}/{name}"),
            };
            vec![name(object), walk::text(object, "spec.policyName").into(), param.into(), age(object, now)]
        })
    };
    let policy = |resource: Resource| {
        resource.columns(columns(&["Name", "Validations#", "ParamKind", "Age"]), |object, now| {
            let kind = match walk::text(object, "spec.paramKind.kind") {
                "" => "<unset>".to_owned(),
                kind => format!("{}/{kind}", walk::text(object, "spec.paramKind.apiVersion")),
            };
            let count = walk::list(object, "spec.validations").len() + walk::list(object, "spec.mutations").len();
            vec![name(object), count.into(), kind.into(), age(object, now)]
        })
    };
    vec![
        policy(resource("MutatingAdmissionPolicy", "mutatingadmissionpolicies")),
        binding(resource("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings")),
        webhooks(resource("MutatingWebhookConfiguration", "mutatingwebhookconfigurations")),
        policy(resource("ValidatingAdmissionPolicy", "validatingadmissionpolicies")).status().rules(|rules| rules.validate_status = policies::validate_status),
        binding(resource("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")),
        webhooks(resource("ValidatingWebhookConfiguration", "validatingwebhookconfigurations")),
    ]
}

/// Names kept for what is configured by files. Upstream: `WarningsForStaticSuffix`, while ManifestBasedAdmissionControlConfig is off.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    const RESERVED: &str = ".static.k8s.io";
    if !api::meta::name(object).ends_with(RESERVED) {
        return Vec::new();
    }
    vec![format!("metadata.name: names ending with {RESERVED:?} are reserved for static manifest-based configurations and cannot be managed via the API")]
}

/// Upstream: `pkg/apis/admissionregistration/v1/defaults.go`.
fn default_webhooks(object: &mut Value) {
    let mutating = walk::text(object, "kind") == "MutatingWebhookConfiguration";
    for hook in object.get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        walk::fill(hook, "failurePolicy", "Fail");
        walk::fill(hook, "matchPolicy", "Equivalent");
        walk::fill(hook, "namespaceSelector", json!({}));
        walk::fill(hook, "objectSelector", json!({}));
        walk::fill(hook, "timeoutSeconds", 10);
        if mutating {
            walk::fill(hook, "reinvocationPolicy", "Never");
        }
        default_scopes(hook, "rules");
        if let Some(service) = walk::child(hook, "clientConfig").and_then(|c| walk::child(c, "service")) {
            walk::fill(service, "port", 443);
        }
    }
}

fn default_scopes(owner: &mut Map<String, Value>, list: &str) {
    for rule in walk::items(owner, list) {
        walk::fill(rule, "scope", "*");
    }
}

/// Policies and their bindings.
fn default_policy(object: &mut Value) {
    let is_policy = walk::text(object, "kind").ends_with("Policy");
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    if is_policy {
        walk::fill(spec, "failurePolicy", "Fail");
    }
    for key in ["matchConstraints", "matchResources"] {
        let Some(resources) = walk::child(spec, key) else { continue };
        walk::fill(resources, "matchPolicy", "Equivalent");
        walk::fill(resources, "namespaceSelector", json!({}));
        walk::fill(resources, "objectSelector", json!({}));
        default_scopes(resources, "resourceRules");
        default_scopes(resources, "excludeResourceRules");
    }
}
