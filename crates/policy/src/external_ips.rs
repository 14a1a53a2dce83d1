//! DenyServiceExternalIPs: nobody draws traffic of other addresses to a service of his (CVE-2020-8554).
//!
//! Addresses that a service has already may stay. Upstream: `plugin/pkg/admission/network/denyserviceexternalips`.

use catalog::walk;
use serde_json::Value;

/// Why the service is refused, if it is.
pub fn refusal(service: &Value, old: Option<&Value>) -> Option<&'static str> {
    let before = old.map(|old| walk::list(old, "spec.externalIPs")).unwrap_or_default();
    let added = walk::list(service, "spec.externalIPs").iter().any(|ip| !before.contains(ip));
    added.then_some("Use of external IPs is denied by admission control.")
}
