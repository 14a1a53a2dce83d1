//! The `admissionregistration.k8s.io` group.

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

fn resource(kind: &'static str, plural: &'static str) -> Resource {
    let mut resource = Resource::new("admissionregistration.k8s.io", "v1", kind, plural, false).rules(|rules| rules.generation = true);
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
        policy(resource("ValidatingAdmissionPolicy", "validatingadmissionpolicies")).status(),
        binding(resource("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")),
        webhooks(resource("ValidatingWebhookConfiguration", "validatingwebhookconfigurations")),
    ]
}
