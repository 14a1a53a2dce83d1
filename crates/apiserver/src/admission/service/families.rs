//! The families of a service's addresses, worked out from what the user said and what the cluster has: IPv4 alone.
//!
//! Upstream: `initIPFamilyFields` in `pkg/registry/core/service/storage/alloc.go`.

use api::{FieldError, Path};
use catalog::core::service_addresses;
use catalog::{ip, walk};
use serde_json::{Map, Value, json};

/// The one family that the cluster gives addresses of.
const OURS: &str = "IPv4";
const SINGLE: &str = "SingleStack";
const BOTH: &str = "RequireDualStack";

/// Fills in families and their policy; what cannot be is told.
pub fn settle(service: &mut Value, old: Option<&Value>) -> Vec<FieldError> {
    let before = old.map(|old| walk::at(old, "spec"));
    let path = Path::new("spec");
    let Some(spec) = walk::object_mut(service, "spec") else { return Vec::new() };
    fill_policy(spec, before);
    let mut errors = Vec::new();
    service_addresses::validate(&mut errors, walk::at(service, "spec"), before, &path);
    if !errors.is_empty() {
        return errors;
    }
    let Some(spec) = walk::object_mut(service, "spec") else { return errors };
    if let Some(before) = before {
        shrink(spec, before, &path, &mut errors);
    }
    of_addresses(spec, &path, &mut errors);
    if !errors.is_empty() {
        return errors;
    }
    let plain = |key: &str| walk::at(walk::at(service, "spec"), key).as_object().is_none_or(Map::is_empty);
    let unselected = walk::text(service, "spec.clusterIP") == "None" && plain("selector");
    let Some(spec) = walk::object_mut(service, "spec") else { return errors };
    if !unselected {
        in_this_cluster(spec, &path, &mut errors);
    }
    if errors.is_empty() {
        fill_families(spec, unselected);
    }
    errors
}

fn list<'a>(spec: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    spec.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn policy(spec: &Map<String, Value>) -> &str {
    spec.get("ipFamilyPolicy").and_then(Value::as_str).unwrap_or_default()
}

/// Who does not say keeps what was; a new service has one family, unless others write all of its endpoints.
fn fill_policy(spec: &mut Map<String, Value>, old: Option<&Value>) {
    if !policy(spec).is_empty() {
        return;
    }
    let before = old.map(|old| walk::text(old, "ipFamilyPolicy")).filter(|policy| !policy.is_empty());
    let unselected = spec.get("clusterIP").is_some_and(|ip| ip == "None") && spec.get("selector").and_then(Value::as_object).is_none_or(Map::is_empty);
    let policy = before.unwrap_or(if unselected { BOTH } else { SINGLE });
    spec.insert("ipFamilyPolicy".into(), policy.into());
}

/// To ask for one family lets the second go; to leave the second out without asking is a fault.
fn shrink(spec: &mut Map<String, Value>, old: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    for (key, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let before = walk::list(old, key);
        let now = list(spec, key).len();
        if policy(spec) == SINGLE {
            if list(spec, key) == before && now > 1 {
                let first = before[0].clone();
                spec.insert(key.into(), json!([first]));
            }
        } else if now > 0 && now < before.len() {
            let fault = format!("must be 'SingleStack' to release the secondary {what}");
            errors.push(FieldError::invalid(&path.child("ipFamilyPolicy"), policy(spec), fault));
        }
    }
}

/// Addresses tell their families where nobody else did.
fn of_addresses(spec: &mut Map<String, Value>, path: &Path, errors: &mut Vec<FieldError>) {
    for (key, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if policy(spec) == SINGLE && list(spec, key).len() == 2 {
            let fault = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            errors.push(FieldError::invalid(&path.child("ipFamilyPolicy"), policy(spec), fault));
        }
    }
    let addresses = list(spec, "clusterIPs").to_vec();
    let mut families = list(spec, "ipFamilies").to_vec();
    for (i, address) in addresses.iter().filter_map(Value::as_str).enumerate().take_while(|(_, address)| *address != "None") {
        if i >= families.len() {
            if ip::is_v6(address) {
                errors.push(FieldError::invalid(&path.child("clusterIPs").index(i), addresses.clone(), "IPv6 is not configured on this cluster"));
            } else {
                families.push(OURS.into());
            }
        }
    }
    if !families.is_empty() {
        spec.insert("ipFamilies".into(), families.into());
    }
}

fn in_this_cluster(spec: &Map<String, Value>, path: &Path, errors: &mut Vec<FieldError>) {
    if policy(spec) == BOTH {
        errors.push(FieldError::invalid(&path.child("ipFamilyPolicy"), BOTH, "this cluster is not configured for dual-stack services"));
    }
    for (i, family) in list(spec, "ipFamilies").iter().enumerate().filter(|(_, family)| *family != OURS) {
        errors.push(FieldError::invalid(&path.child("ipFamilies").index(i), family.clone(), "not configured on this cluster"));
    }
}

/// A headless service without a selector may have both families in any cluster.
fn fill_families(spec: &mut Map<String, Value>, unselected: bool) {
    let mut families = list(spec, "ipFamilies").to_vec();
    if families.is_empty() {
        families.push(OURS.into());
    }
    if unselected && families.len() < 2 && policy(spec) != SINGLE {
        let other = if families[0] == "IPv4" { "IPv6" } else { "IPv4" };
        families.push(other.into());
    }
    spec.insert("ipFamilies".into(), families.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(spec: Value, old: Option<Value>) -> String {
        let mut service = json!({"spec": spec});
        let old = old.map(|old| json!({"spec": old}));
        let errors = settle(&mut service, old.as_ref());
        match errors.as_slice() {
            [] => format!("{} {}", service["spec"]["ipFamilyPolicy"].as_str().unwrap(), service["spec"]["ipFamilies"]),
            errors => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }

    #[test]
    fn one_family_unless_asked() {
        assert_eq!(settled(json!({}), None), "SingleStack [\"IPv4\"]");
        assert_eq!(settled(json!({"ipFamilyPolicy": "PreferDualStack"}), None), "PreferDualStack [\"IPv4\"]");
        assert_eq!(settled(json!({"clusterIP": "None", "clusterIPs": ["None"], "selector": {"a": "b"}}), None), "SingleStack [\"IPv4\"]");
        assert_eq!(settled(json!({"clusterIP": "None", "clusterIPs": ["None"]}), None), "RequireDualStack [\"IPv4\",\"IPv6\"]");
        assert_eq!(settled(json!({"clusterIP": "None", "clusterIPs": ["None"], "ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"}), None), "SingleStack [\"IPv6\"]");
    }

    #[test]
    fn what_the_cluster_has_not_is_told() {
        let both = "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services";
        assert_eq!(settled(json!({"ipFamilyPolicy": "RequireDualStack"}), None), both);
        assert_eq!(settled(json!({"ipFamilies": ["IPv6"]}), None), "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster");
        assert_eq!(settled(json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}), None), "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster");
        assert!(settled(json!({"ipFamilies": ["IPv4", "IPv6"]}), None).contains("must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"));
    }

    #[test]
    fn a_second_family_goes_when_asked() {
        let old = json!({"clusterIP": "None", "clusterIPs": ["None"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"});
        let with = |key: &str, value: Value| {
            let mut spec = old.clone();
            spec[key] = value;
            settled(spec, Some(old.clone()))
        };
        assert_eq!(with("ipFamilyPolicy", json!("SingleStack")), "SingleStack [\"IPv4\"]");
        assert!(with("ipFamilies", json!(["IPv4"])).contains("must be 'SingleStack' to release the secondary IP family"));
    }
}
