//! How many pods each replica set should have: surge and unavailability, proportional scaling, scaling down the old. Pure.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::revision::{MAX, int_annotation};

/// The sizes that the rest is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub replicas: i32,
    pub surge: i32,
    pub unavailable: i32,
    pub rolling: bool,
}

impl Bounds {
    pub fn of(deployment: &Deployment) -> Self {
        let replicas = deployment.spec.replicas.unwrap_or(1).max(0);
        let strategy = deployment.spec.strategy.as_ref();
        let rolling = strategy.and_then(|s| s.type_.as_deref()) != Some("Recreate");
        if !rolling {
            return Self { replicas, surge: 0, unavailable: 0, rolling };
        }
        let bounds = strategy.and_then(|s| s.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".into());
        let surge = resolve(bounds.and_then(|b| b.max_surge.as_ref()).unwrap_or(&quarter), replicas, true);
        let mut unavailable = resolve(bounds.and_then(|b| b.max_unavailable.as_ref()).unwrap_or(&quarter), replicas, false);
        // Both zero would be a standstill: one pod may be missing. Upstream: ResolveFenceposts.
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        Self { replicas, surge, unavailable: unavailable.min(replicas.max(1)).min(if replicas == 0 { 0 } else { i32::MAX }), rolling }
    }

    pub fn max_total(&self) -> i32 {
        self.replicas.saturating_add(self.surge)
    }

    pub fn min_available(&self) -> i32 {
        if self.rolling { self.replicas - self.unavailable } else { 0 }
    }
}

/// A number or a percentage of `total`.
pub(crate) fn resolve(value: &IntOrString, total: i32, round_up: bool) -> i32 {
    match value {
        IntOrString::Int(number) => (*number).max(0),
        IntOrString::String(text) => {
            let Some(percent) = text.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()) else { return 0 };
            let scaled = percent.saturating_mul(i64::from(total));
            let result = if round_up { scaled.saturating_add(99) / 100 } else { scaled / 100 };
            i32::try_from(result.max(0)).unwrap_or(i32::MAX)
        }
    }
}

pub(crate) fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

pub(crate) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0)
}

pub(crate) fn total(sizes: &[i32]) -> i32 {
    sizes.iter().fold(0i32, |sum, size| sum.saturating_add(*size))
}

/// The size of the newest set when `current` pods exist in all sets together. Upstream: NewRSNewReplicas.
pub(crate) fn newest_size(bounds: &Bounds, newest: i32, current: i32) -> i32 {
    if !bounds.rolling {
        return bounds.replicas;
    }
    if current >= bounds.max_total() {
        return newest;
    }
    newest + (bounds.max_total() - current).min(bounds.replicas - newest)
}

/// New sizes of the old sets (oldest first) during a rolling update. Upstream: reconcileOldReplicaSets.
pub(crate) fn shrink_old(bounds: &Bounds, newest: &ReplicaSet, newest_size: i32, old: &[&ReplicaSet]) -> Vec<i32> {
    let mut sizes: Vec<i32> = old.iter().map(|s| size(s)).collect();
    let all = total(&sizes).saturating_add(newest_size);
    let newest_unavailable = newest_size - available(newest);
    let may_shrink = all - bounds.min_available() - newest_unavailable;
    if total(&sizes) == 0 || may_shrink <= 0 {
        return sizes;
    }
    // The unhealthy ones go first: they are not missed.
    let mut cleaned = 0;
    for (set, size) in old.iter().zip(&mut sizes) {
        if cleaned >= may_shrink {
            break;
        }
        let down = (may_shrink - cleaned).min(*size - available(set)).max(0);
        *size -= down;
        cleaned += down;
    }
    let all_available = old.iter().map(|s| available(s)).fold(available(newest), i32::saturating_add);
    let mut left = all_available - bounds.min_available();
    for size in &mut sizes {
        let down = left.min(*size).max(0);
        *size -= down;
        left -= down;
    }
    sizes
}

/// New sizes when a deployment is scaled during a rollout: each set keeps its share. `sets` are the active ones.
/// Upstream: dc.scale, GetReplicaSetProportion.
pub(crate) fn proportional(bounds: &Bounds, status_replicas: i32, sets: &[&ReplicaSet]) -> Vec<i32> {
    let sizes: Vec<i32> = sets.iter().map(|s| size(s)).collect();
    let allowed = if bounds.replicas > 0 { bounds.max_total() } else { 0 };
    let to_add = allowed - total(&sizes);
    let mut order: Vec<usize> = (0..sets.len()).collect();
    let age = |i: &usize| (sets[*i].metadata.creation_timestamp.as_ref().map(|t| t.0), sets[*i].metadata.name.clone());
    // The largest first; of equal ones the newer when growing, the older when shrinking.
    order.sort_by(|a, b| sizes[*b].cmp(&sizes[*a]).then_with(|| if to_add > 0 { age(b).cmp(&age(a)) } else { age(a).cmp(&age(b)) }));
    let mut result = sizes.clone();
    let mut added = 0;
    if to_add != 0 {
        for &i in &order {
            let share = share(bounds, status_replicas, sets[i], to_add, added);
            result[i] = sizes[i] + share;
            added += share;
        }
        if let Some(&largest) = order.first() {
            result[largest] = (result[largest] + to_add - added).max(0);
        }
    }
    result
}

fn share(bounds: &Bounds, status_replicas: i32, set: &ReplicaSet, to_add: i32, added: i32) -> i32 {
    let size = size(set);
    if size == 0 || to_add == added {
        return 0;
    }
    let fraction = if bounds.replicas == 0 {
        -size
    } else {
        let before = int_annotation(set, MAX).unwrap_or(status_replicas);
        if before == 0 {
            return 0;
        }
        let grown = f64::from(size) * f64::from(bounds.max_total()) / f64::from(before);
        grown.round() as i32 - size
    };
    let allowed = to_add - added;
    if to_add > 0 { fraction.min(allowed) } else { fraction.max(allowed) }
}
