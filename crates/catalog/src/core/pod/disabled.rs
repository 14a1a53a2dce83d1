//! Fields of pods behind feature gates that are off in 1.37: what a client says there is lost, unless the object had it.
//!
//! Upstream: `dropDisabledFields` and `dropDisabledPodStatusFields` in `pkg/api/pod/util.go`.

use serde_json::{Map, Value};

use crate::walk;

/// GenericWorkload and EvictionRequestAPI.
const OF_SPEC: [&str; 2] = ["schedulingGroup", "evictionResponders"];
/// DRANodeAllocatableResources and CSIVolumeHealth.
const OF_STATUS: [&str; 2] = ["nodeAllocatableResourceClaimStatuses", "volumeHealth"];
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
/// GRPCContainerProbeTLS.
const TLS: &str = "mode";

/// Of the pod spec that stands at `path`.
pub fn drop(object: &mut Value, old: Option<&Value>, path: &str) {
    let old = old.map(|old| walk::at(old, path));
    let Some(spec) = walk::existing_mut(object, path) else { return };
    remove_unless_had(spec, old, &OF_SPEC);
    if old.is_some_and(speaks_tls) {
        return;
    }
    for list in ["containers", "initContainers"] {
        for container in walk::items(spec, list) {
            for probe in PROBES {
                if let Some(call) = walk::child(container, probe).and_then(|probe| walk::child(probe, "grpc")) {
                    call.remove(TLS);
                }
            }
        }
    }
}

/// Of a pod's status.
pub fn drop_of_status(object: &mut Value, old: &Value) {
    if let Some(status) = walk::existing_mut(object, "status") {
        remove_unless_had(status, Some(walk::at(old, "status")), &OF_STATUS);
    }
}

fn remove_unless_had(map: &mut Map<String, Value>, old: Option<&Value>, keys: &[&str]) {
    for key in keys.iter().filter(|key| old.is_none_or(|old| walk::at(old, key).is_null())) {
        map.remove(*key);
    }
}

fn speaks_tls(spec: &Value) -> bool {
    let containers = ["containers", "initContainers"].into_iter().flat_map(|list| walk::list(spec, list));
    containers.flat_map(|container| PROBES.map(|probe| walk::at(container, probe))).any(|probe| !walk::at(walk::at(probe, "grpc"), TLS).is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_off_is_lost_unless_it_was_there() {
        let group = json!({"spec": {"schedulingGroup": {"podGroupName": "g"}, "containers": [{"name": "c", "livenessProbe": {"grpc": {"port": 1, "mode": "TLS"}}}]}});
        let mut made = group.clone();
        drop(&mut made, None, "spec");
        assert_eq!(made, json!({"spec": {"containers": [{"name": "c", "livenessProbe": {"grpc": {"port": 1}}}]}}));
        let mut kept = group.clone();
        drop(&mut kept, Some(&group), "spec");
        assert_eq!(kept, group);
    }
}
