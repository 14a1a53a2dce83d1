//! The quality-of-service class of a pod. Upstream: pkg/apis/core/v1/helper/qos/qos.go.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use quantity::Quantity;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QosClass {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl QosClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

type Sums = BTreeMap<&'static str, Quantity>;

/// Of resources only cpu and memory count. Pod-level resources, where given, replace those of the containers.
pub fn qos_class(pod: &Pod) -> QosClass {
    let Some(spec) = &pod.spec else { return QosClass::BestEffort };
    let (mut requests, mut limits) = (Sums::new(), Sums::new());
    let mut all_limited = true;
    let pod_level = spec.resources.as_ref().filter(|r| r.requests.is_some() || r.limits.is_some());
    if let Some(resources) = pod_level {
        all_limited = add(resources, &mut requests, &mut limits) == 2;
    } else {
        for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
            let limited = container.resources.as_ref().map_or(0, |r| add(r, &mut requests, &mut limits));
            all_limited &= limited == 2;
        }
    }
    if requests.is_empty() && limits.is_empty() {
        return QosClass::BestEffort;
    }
    let equal = requests.len() == limits.len() && requests.iter().all(|(name, value)| limits.get(name) == Some(value));
    if all_limited && equal { QosClass::Guaranteed } else { QosClass::Burstable }
}

/// Adds to the sums; returns how many of the two resources are limited.
fn add(resources: &ResourceRequirements, requests: &mut Sums, limits: &mut Sums) -> usize {
    let mut limited = 0;
    for name in ["cpu", "memory"] {
        let read = |map: &Option<BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>| {
            map.as_ref().and_then(|m| m.get(name)).and_then(|q| q.0.parse::<Quantity>().ok()).filter(|q| q.sign() > 0)
        };
        let limit = read(&resources.limits);
        if let Some(request) = read(&resources.requests).or(limit) {
            let sum = requests.remove(name).map_or(request, |s| s.plus(request));
            requests.insert(name, sum);
        }
        if let Some(limit) = limit {
            limited += 1;
            let sum = limits.remove(name).map_or(limit, |s| s.plus(limit));
            limits.insert(name, sum);
        }
    }
    limited
}
