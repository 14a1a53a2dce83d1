//! Resources of a running container that its spec has changed since it started. Upstream: KEP-1287, in-place resize.
//!
//! Keeps true: what is not known to run with other resources is left alone.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use quantity::Quantity;

use crate::observed::Container;
use crate::spec::SpecContainer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    None,
    Resize,
    Restart,
}

pub(crate) fn step(one: &SpecContainer, found: &Container) -> Step {
    let Some(applied) = &found.applied else { return Step::None };
    let none = ResourceRequirements::default();
    let wanted = one.container.resources.as_ref().unwrap_or(&none);
    let mut step = Step::None;
    for name in ["cpu", "memory"] {
        if read(&wanted.requests, name) == read(&applied.requests, name) && read(&wanted.limits, name) == read(&applied.limits, name) {
            continue;
        }
        let restarts = one.container.resize_policy.iter().flatten().any(|p| p.resource_name == name && p.restart_policy == "RestartContainer");
        if restarts {
            return Step::Restart;
        }
        step = Step::Resize;
    }
    step
}

fn read(map: &Option<BTreeMap<String, ApiQuantity>>, name: &str) -> Option<Quantity> {
    map.as_ref()?.get(name)?.0.parse().ok()
}
