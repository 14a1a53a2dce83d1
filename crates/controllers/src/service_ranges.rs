//! ServiceCIDRs: one is ready once it is guarded, and goes only when no address in it would be left without a range.
//!
//! Upstream: pkg/controller/servicecidrs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use tokio::task::JoinSet;

use crate::caches::Caches;

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
const ALLOCATOR: &str = "ipallocator.k8s.io";
/// Upstream: servers may give out addresses of a range for so long until all have heard that it goes.
const GRACE: Duration = Duration::from_secs(10);

struct Ranges {
    ranges: Informer<ServiceCIDR>,
    addresses: Informer<IPAddress>,
}

pub(crate) struct Observed {
    range: Arc<ServiceCIDR>,
    /// Whether some address is in this range and in no other.
    needed: bool,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Ranges { ranges: caches.informers.get(), addresses: caches.informers.get() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    // Any change may free, or be needed by, any range that goes: there are few ranges.
    let (all, on_range) = (controller.ranges.clone(), queue.clone());
    controller.ranges.on_change(move |_| all.list().iter().for_each(|range| on_range.add(ObjectKey::of(&**range))));
    let (all, on_address) = (controller.ranges.clone(), queue.clone());
    controller.addresses.on_change(move |_| {
        let going = all.list().into_iter().filter(|range| range.metadata.deletion_timestamp.is_some());
        going.for_each(|range| on_address.add(ObjectKey::of(&*range)));
    });
    tasks.spawn(run_controller(controller, queue, shell.clone(), 1));
}

/// A network: its first address and how many bits of it count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix(IpAddr, u32);

impl Prefix {
    fn parse(cidr: &str) -> Option<Self> {
        let (ip, bits) = cidr.split_once('/')?;
        let (ip, bits): (IpAddr, u32) = (ip.parse().ok()?, bits.parse().ok()?);
        (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some(Self(ip, bits))
    }

    fn contains(self, ip: IpAddr) -> bool {
        match (self.0, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).checked_shr(32 - self.1).unwrap_or(0) == 0,
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).checked_shr(128 - self.1).unwrap_or(0) == 0,
            _ => false,
        }
    }

    fn covers(self, other: Self) -> bool {
        self.1 <= other.1 && self.contains(other.0)
    }
}

fn prefixes(range: &ServiceCIDR) -> impl Iterator<Item = Prefix> {
    range.spec.iter().flat_map(|spec| spec.cidrs.iter().flatten()).filter_map(|cidr| Prefix::parse(cidr))
}

/// Whether an address would be left without a range if this one went.
fn is_needed(range: &ServiceCIDR, others: &[Arc<ServiceCIDR>], addresses: &[Arc<IPAddress>]) -> bool {
    let others: Vec<Prefix> = others.iter().filter(|other| other.metadata.name != range.metadata.name).flat_map(|other| prefixes(other)).collect();
    if prefixes(range).all(|prefix| others.iter().any(|other| other.covers(prefix))) {
        return false;
    }
    let managed = addresses.iter().filter(|a| a.metadata.labels.as_ref().and_then(|l| l.get(MANAGED_BY)).is_some_and(|by| by == ALLOCATOR));
    let mut ips = managed.filter_map(|address| address.metadata.name.as_ref()?.parse().ok());
    ips.any(|ip: IpAddr| prefixes(range).any(|prefix| prefix.contains(ip)) && !others.iter().any(|other| other.contains(ip)))
}

impl Controller for Ranges {
    const NAME: &'static str = "service-cidr-controller";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(range) = self.ranges.get_key(key) else { return Ok(None) };
        let going = range.metadata.deletion_timestamp.is_some();
        let needed = going && is_needed(&range, &self.ranges.list(), &self.addresses.list());
        Ok(Some(Observed { range, needed }))
    }

    fn plan(Observed { range, needed }: Observed, now: Timestamp) -> Plan {
        let guarded = range.metadata.finalizers.iter().flatten().any(|f| f == FINALIZER);
        let mut after = (*range).clone();
        match &range.metadata.deletion_timestamp {
            Some(_) if needed => Plan::of(with_condition(&range, "False", "Terminating", "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR", now)),
            Some(Time(since)) => {
                let left = GRACE.saturating_sub(now.duration_since(*since).unsigned_abs());
                let mut plan = Plan::default();
                if left > Duration::ZERO {
                    plan.wake_after(left);
                } else if guarded {
                    after.metadata.finalizers.get_or_insert_default().retain(|f| f != FINALIZER);
                    plan = Plan::of(Action::update(&*range, &after));
                }
                plan
            }
            None if !guarded => {
                after.metadata.finalizers.get_or_insert_default().push(FINALIZER.into());
                // Its condition follows when this is seen.
                Plan::of(Action::update(&*range, &after))
            }
            None => Plan::of(with_condition(&range, "True", "", "Kubernetes Service CIDR is ready", now)),
        }
    }
}

/// The condition Ready, where it does not say so already.
fn with_condition(range: &ServiceCIDR, status: &str, reason: &str, message: &str, now: Timestamp) -> Option<Action> {
    let mut after = range.clone();
    let conditions = after.status.get_or_insert_default().conditions.get_or_insert_default();
    let found = conditions.iter().position(|c| c.type_ == "Ready");
    let since = found.map(|at| &conditions[at]).filter(|c| c.status == status).map_or(Time(now), |c| c.last_transition_time.clone());
    let condition = Condition { type_: "Ready".into(), status: status.into(), reason: reason.into(), message: message.into(), last_transition_time: since, observed_generation: None };
    match found {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
    Action::update_status(range, &after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn range(name: &str, cidrs: &[&str]) -> Arc<ServiceCIDR> {
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"cidrs": cidrs}})).expect("a range"))
    }

    fn address(ip: &str) -> Arc<IPAddress> {
        Arc::new(serde_json::from_value(json!({"metadata": {"name": ip, "labels": {MANAGED_BY: ALLOCATOR}}, "spec": {"parentRef": {"name": "s", "resource": "services"}}})).expect("an address"))
    }

    #[test]
    fn a_range_is_needed_while_an_address_has_no_other() {
        let (wide, narrow, other) = (range("wide", &["10.0.0.0/16"]), range("narrow", &["10.0.1.0/24"]), range("other", &["10.9.0.0/24", "fd00::/108"]));
        let all = [wide.clone(), narrow.clone(), other.clone()];
        let addresses = [address("10.0.1.7"), address("fd00::3")];
        assert!(!is_needed(&narrow, &all, &addresses), "the wide one covers it");
        assert!(is_needed(&narrow, &[narrow.clone(), other.clone()], &addresses));
        assert!(!is_needed(&wide, &all, &addresses), "its one address is in the narrow one too");
        assert!(is_needed(&wide, &all, &[address("10.0.2.1")]));
        assert!(is_needed(&other, &all, &addresses), "an address of the second family");
        assert!(!is_needed(&other, &all, &[]));
    }
}
