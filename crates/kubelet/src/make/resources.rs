//! Processor and memory: shares, quotas, scores, and the resource fields of the downward API.
//!
//! Upstream: pkg/kubelet/cm/helpers_linux.go, pkg/kubelet/qos/policy.go, pkg/api/v1/resource/helpers.go.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use pod_lifecycle::{Kind, QosClass, containers, qos_class};
use quantity::Quantity;

pub const QUOTA_PERIOD: i64 = 100_000;
const MIN_QUOTA: i64 = 1000;

pub fn cpu_shares(milli: i64) -> i64 {
    if milli == 0 { 2 } else { (milli * 1024 / 1000).clamp(2, 262_144) }
}

/// Zero means without a limit.
pub fn cpu_quota(milli: i64) -> i64 {
    if milli == 0 { 0 } else { (milli * QUOTA_PERIOD / 1000).max(MIN_QUOTA) }
}

type Map = Option<BTreeMap<String, ApiQuantity>>;

pub fn read(map: &Map, name: &str) -> Option<Quantity> {
    map.as_ref()?.get(name)?.0.parse().ok()
}

pub fn request(container: &Container, name: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    read(&resources.requests, name).or_else(|| read(&resources.limits, name))
}

pub fn limit(container: &Container, name: &str) -> Option<Quantity> {
    read(&container.resources.as_ref()?.limits, name)
}

/// What a whole pod asks for and may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodTotals {
    pub cpu_request_milli: i64,
    /// Only when every container has a limit.
    pub cpu_limit_milli: Option<i64>,
    pub memory_limit: Option<i64>,
    pub memory_request: i64,
}

/// Regular containers and sidecars at once, or the largest init container with the sidecars before it; overhead on top.
pub fn pod_totals(pod: &Pod) -> PodTotals {
    let total = |what: fn(&Container) -> i64| -> i64 {
        let (mut sidecars, mut init_peak, mut regular) = (0, 0, 0);
        for one in containers(pod) {
            match one.kind {
                Kind::Sidecar => {
                    sidecars += what(&one.container);
                    init_peak = init_peak.max(sidecars);
                }
                Kind::Init => init_peak = init_peak.max(sidecars + what(&one.container)),
                Kind::Regular => regular += what(&one.container),
                Kind::Ephemeral => {}
            }
        }
        init_peak.max(sidecars + regular)
    };
    let all_limited = |name: &str| containers(pod).iter().filter(|c| c.kind != Kind::Ephemeral).all(|c| limit(&c.container, name).is_some_and(|q| q.sign() > 0));
    let spec = pod.spec.as_ref();
    let pod_level = spec.and_then(|s| s.resources.as_ref());
    let overhead = |name: &str| spec.and_then(|s| read(&s.overhead, name));
    let of_pod = |name: &str, limits: bool| pod_level.and_then(|r| if limits { read(&r.limits, name) } else { read(&r.requests, name).or_else(|| read(&r.limits, name)) });
    let cpu_overhead = overhead("cpu").map_or(0, |q| q.milli_value());
    let memory_overhead = overhead("memory").map_or(0, |q| q.value());
    let cpu_limit = of_pod("cpu", true).map(|q| q.milli_value()).or_else(|| all_limited("cpu").then(|| total(|c| limit(c, "cpu").map_or(0, |q| q.milli_value()))));
    let memory_limit = of_pod("memory", true).map(|q| q.value()).or_else(|| all_limited("memory").then(|| total(|c| limit(c, "memory").map_or(0, |q| q.value()))));
    PodTotals {
        cpu_request_milli: of_pod("cpu", false).map_or_else(|| total(|c| request(c, "cpu").map_or(0, |q| q.milli_value())), |q| q.milli_value()) + cpu_overhead,
        cpu_limit_milli: cpu_limit.map(|m| m + cpu_overhead),
        memory_limit: memory_limit.map(|m| m + memory_overhead),
        memory_request: of_pod("memory", false).map_or_else(|| total(|c| request(c, "memory").map_or(0, |q| q.value())), |q| q.value()) + memory_overhead,
    }
}

pub fn oom_score_adj(pod: &Pod, container: &Container, node_memory: i64) -> i64 {
    let critical = pod.spec.as_ref().is_some_and(|s| s.priority.is_some_and(|p| p >= 2_000_000_000));
    match qos_class(pod) {
        _ if critical => -997,
        QosClass::Guaranteed => -997,
        QosClass::BestEffort => 1000,
        QosClass::Burstable => {
            let asked = request(container, "memory").map_or(0, |q| q.value());
            let score = 1000 - i64::try_from(1000 * i128::from(asked) / i128::from(node_memory.max(1))).unwrap_or(1000);
            score.clamp(3, 999)
        }
    }
}

/// A resource of a container for env and downwardAPI volumes, divided and rounded up.
pub fn resource_field(pod: &Pod, container: &Container, field: &ResourceFieldSelector, allocatable: &dyn Fn(&str) -> Option<Quantity>) -> Result<String, String> {
    let found;
    let container = match field.container_name.as_deref().filter(|n| !n.is_empty() && *n != container.name) {
        None => container,
        Some(name) => {
            found = pod_lifecycle::find_container(pod, name).ok_or_else(|| format!("container {name} not found"))?;
            &found.container
        }
    };
    let (side, name) = field.resource.split_once('.').ok_or_else(|| format!("unsupported container resource : {}", field.resource))?;
    let value = match side {
        // A limit that is not set is what the node has.
        "limits" => limit(container, name).filter(|q| q.sign() > 0).or_else(|| allocatable(name)),
        "requests" => request(container, name),
        _ => return Err(format!("unsupported container resource : {}", field.resource)),
    };
    let Some(value) = value else { return Ok("0".into()) };
    let divisor: Quantity = field.divisor.as_ref().and_then(|d| d.0.parse().ok()).filter(|d: &Quantity| d.sign() > 0).unwrap_or_else(|| Quantity::from_value(1, quantity::Format::DecimalSi));
    let ceil = |a: i64, b: i64| if b <= 0 { a } else { a / b + i64::from(a % b != 0) };
    Ok(if name == "cpu" { ceil(value.milli_value(), divisor.milli_value()) } else { ceil(value.value(), divisor.value()) }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_quotas_are_upstreams() {
        assert_eq!((cpu_shares(0), cpu_shares(1), cpu_shares(100), cpu_shares(2000)), (2, 2, 102, 2048));
        assert_eq!((cpu_quota(0), cpu_quota(5), cpu_quota(500)), (0, 1000, 50_000));
    }
}
