//! Amounts of resources: what pods request and nodes offer, as plain integers.
//!
//! Cpu counts in thousandths, everything else in units. Unreadable quantities count as nothing; sums saturate.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Upstream: DefaultMilliCPURequest, DefaultMemoryRequest; what a container without requests counts for in scores.
const NOMINAL_CPU: i64 = 100;
const NOMINAL_MEMORY: i64 = 200 * 1024 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    pub milli_cpu: i64,
    pub memory: i64,
    pub storage: i64,
    /// Everything else by name, sorted.
    pub others: Vec<(Arc<str>, i64)>,
}

type List = BTreeMap<String, Quantity>;

fn parsed(quantity: &Quantity) -> quantity::Quantity {
    quantity.0.parse().unwrap_or_default()
}

impl Amounts {
    pub fn of(list: Option<&List>) -> Self {
        let mut amounts = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            let quantity = parsed(quantity);
            match name.as_str() {
                "cpu" => amounts.milli_cpu = quantity.milli_value(),
                "memory" => amounts.memory = quantity.value(),
                "ephemeral-storage" => amounts.storage = quantity.value(),
                "pods" => {}
                _ => amounts.others.push((name.as_str().into(), quantity.value())),
            }
        }
        amounts
    }

    pub fn other(&self, name: &str) -> i64 {
        self.others.iter().find(|(n, _)| &**n == name).map_or(0, |(_, v)| *v)
    }

    pub fn add(&mut self, more: &Self) {
        self.combine(more, i64::saturating_add);
    }

    pub fn sub(&mut self, less: &Self) {
        self.combine(less, i64::saturating_sub);
    }

    pub fn max(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
        self.milli_cpu = with(self.milli_cpu, other.milli_cpu);
        self.memory = with(self.memory, other.memory);
        self.storage = with(self.storage, other.storage);
        for (name, value) in &other.others {
            match self.others.iter_mut().find(|(n, _)| n == name) {
                Some((_, mine)) => *mine = with(*mine, *value),
                None => self.others.push((name.clone(), with(0, *value))),
            }
        }
    }
}

/// What a pod requests: the larger of what its containers need together and what its initialisation needs, plus overhead.
/// Upstream: component-helpers/resource PodRequests.
pub fn requests(spec: &PodSpec) -> Amounts {
    total(spec, |resources| Amounts::of(resources.and_then(|r| r.requests.as_ref())))
}

/// What a pod is limited to, by the same sums.
pub fn limits(spec: &PodSpec) -> Amounts {
    total(spec, |resources| Amounts::of(resources.and_then(|r| r.limits.as_ref())))
}

/// The same with a nominal size for containers that request nothing; for scores only.
pub fn nominal_requests(spec: &PodSpec) -> Amounts {
    total(spec, |resources| {
        let list = resources.and_then(|r| r.requests.as_ref());
        let mut amounts = Amounts::of(list);
        let has = |name: &str| list.is_some_and(|l| l.contains_key(name));
        amounts.milli_cpu = if has("cpu") { amounts.milli_cpu } else { NOMINAL_CPU };
        amounts.memory = if has("memory") { amounts.memory } else { NOMINAL_MEMORY };
        amounts
    })
}

fn total(spec: &PodSpec, of: impl Fn(Option<&ResourceRequirements>) -> Amounts) -> Amounts {
    let of = |container: &Container| of(container.resources.as_ref());
    let mut sum = Amounts::default();
    for container in &spec.containers {
        sum.add(&of(container));
    }
    // Sidecars run beside everything that starts after them.
    let (mut sidecars, mut starting) = (Amounts::default(), Amounts::default());
    for container in spec.init_containers.iter().flatten() {
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&of(container));
            starting.max(&sidecars);
        } else {
            let mut step = of(container);
            step.add(&sidecars);
            starting.max(&step);
        }
    }
    sum.add(&sidecars);
    sum.max(&starting);
    // Pod-level requests stand for the containers' where they are given.
    if let Some(list) = spec.resources.as_ref().and_then(|r| r.requests.as_ref()) {
        let whole = Amounts::of(Some(list));
        for name in list.keys() {
            match name.as_str() {
                "cpu" => sum.milli_cpu = whole.milli_cpu,
                "memory" => sum.memory = whole.memory,
                name if name.starts_with("hugepages-") => {
                    sum.others.retain(|(n, _)| &**n != name);
                    sum.others.push((name.into(), whole.other(name)));
                }
                _ => {}
            }
        }
    }
    sum.add(&Amounts::of(spec.overhead.as_ref()));
    sum.others.sort();
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(cpu: &str, memory: &str, sidecar: bool) -> Container {
        let list = [("cpu".to_owned(), Quantity(cpu.into())), ("memory".to_owned(), Quantity(memory.into()))].into();
        Container { resources: Some(ResourceRequirements { requests: Some(list), ..Default::default() }), restart_policy: sidecar.then(|| "Always".into()), ..Default::default() }
    }

    #[test]
    fn the_larger_of_running_and_starting_counts() {
        let mut spec = PodSpec { containers: vec![container("100m", "1Gi", false), container("0.2", "10M", false)], ..Default::default() };
        assert_eq!((requests(&spec).milli_cpu, requests(&spec).memory), (300, 1024 * 1024 * 1024 + 10_000_000));
        spec.init_containers = Some(vec![container("50m", "1Mi", true), container("2", "1Mi", false)]);
        spec.overhead = Some([("cpu".to_owned(), Quantity("10m".into()))].into());
        assert_eq!(requests(&spec).milli_cpu, 2060);
    }
}
