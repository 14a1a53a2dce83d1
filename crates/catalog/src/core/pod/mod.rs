//! Pods and pod templates.

mod annotations;
mod app_armor;
mod claims;
mod columns;
mod containers;
pub mod defaults;
pub mod disabled;
mod ended;
mod environment;
mod gated;
mod handlers;
mod label_keys;
mod legacy_sources;
mod mounts;
mod parts;
pub mod placement;
pub mod pod_level;
mod pod_level_rules;
mod projected;
pub mod resources;
mod restarts;
mod security;
mod signals;
pub mod sources;
mod spreading;
mod status;
mod status_devices;
mod systems;
mod update;
pub mod validate;
pub mod volume_defaults;
pub mod volumes;
pub mod warnings;
mod windows;

use serde_json::Value;

use crate::columns::{containers, labels, name};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn resource() -> Resource {
    let stream = Verbs { get: true, create: true, ..Verbs::NONE };
    let proxy = Verbs { create: true, delete: true, ..Verbs::PART };
    let mut pod = Resource::new("", "v1", "Pod", "pods", true)
        .short(&["po"])
        .in_all()
        .sub(Subresource::of_kind("attach", "v1", "PodAttachOptions", stream))
        .sub(Subresource::of_kind("binding", "v1", "Binding", Verbs::CREATE))
        .sub(Subresource::part("ephemeralcontainers"))
        .sub(Subresource::of_kind("eviction", "policy/v1", "Eviction", Verbs::CREATE))
        .sub(Subresource::of_kind("exec", "v1", "PodExecOptions", stream))
        .sub(Subresource { verbs: Verbs::GET, ..Subresource::part("log") })
        .sub(Subresource::of_kind("portforward", "v1", "PodPortForwardOptions", stream))
        .sub(Subresource::of_kind("proxy", "v1", "PodProxyOptions", proxy))
        .sub(Subresource::part("resize"))
        .status()
        .gives_deleted()
        .select(&[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ])
        .columns(self::columns::pod_columns(), self::columns::cells);
    pod.rules.default = defaults::pod;
    pod.rules.prepare = prepare;
    pod.rules.prepare_part = |part, object, old, _| {
        if part == "status" {
            disabled::drop_of_status(object, old);
        }
    };
    pod.rules.validate = validate::pod;
    pod.rules.validate_status = status::validate;
    pod.rules.validate_part = Some(parts::validate);
    pod.rules.settle = app_armor::take_over;
    pod.rules.warn = warnings::of_pod;
    pod.rules.warn_status = warnings::of_status;
    pod
}

fn prepare(object: &mut Value, old: Option<&Value>) {
    walk::keep(object, old, "status");
    disabled::drop(object, old, "spec");
    if old.is_none() {
        label_keys::fold(object);
        let class = qos_class(&object["spec"]);
        object["status"] = serde_json::json!({"phase": "Pending", "qosClass": class});
    }
}

/// Upstream: `pkg/apis/core/v1/helper/qos`: only cpu and memory count.
pub fn qos_class(spec: &Value) -> &'static str {
    // Upstream: what is said of the whole pod goes before what its containers say.
    let whole = ["requests", "limits"].iter().any(|list| walk::map(walk::at(spec, "resources"), list).is_some_and(|amounts| !amounts.is_empty()));
    let all = || ["initContainers", "containers"].into_iter().flat_map(|key| walk::list(spec, key)).filter(|_| !whole).chain(Some(spec).filter(|_| whole));
    let amount = |container: &Value, list: &str, resource: &str| {
        let text = match walk::at(container, list).get(resource) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return None,
        };
        text.parse::<quantity::Quantity>().ok().filter(|q| !q.is_zero())
    };
    let (mut any, mut guaranteed) = (false, true);
    for container in all() {
        for resource in ["cpu", "memory"] {
            let (request, limit) = (amount(container, "resources.requests", resource), amount(container, "resources.limits", resource));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

pub fn template() -> Resource {
    Resource::new("", "v1", "PodTemplate", "podtemplates", true).gives_deleted().rules(|rules| {
        rules.generation = true;
        rules.warn = |object, old| {
            let mut told = Vec::new();
            if old.is_none_or(|old| crate::apps::warnings::is_changed(object, old)) {
                warnings::of_template(&mut told, walk::at(object, "template"), "template.");
            }
            told
        };
        rules.default = |object| defaults::template(object, "template");
        rules.prepare = |object, old| disabled::drop(object, old, "template.spec");
        rules.generation = true;
        rules.validate = |object, _| {
            let mut errors = api::field::FieldErrors::new();
            validate::template(&mut errors, walk::at(object, "template"), &api::field::Path::new("template"));
            errors
        };
    }).columns(crate::columns::columns(&["Name", "Containers", "Images", "Pod Labels"]), |object, _| {
        let [names, images] = containers(walk::at(object, "template.spec"));
        vec![name(object), names, images, labels(walk::at(object, "template.metadata.labels"))]
    })
}
