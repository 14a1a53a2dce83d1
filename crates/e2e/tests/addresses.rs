//! Cluster addresses as objects: each service's IPAddress, and ranges that come and go.
//!
//! Upstream: KEP-1880, `test/e2e/network/service_cidrs.go`.

use e2e::Cluster;
use serde_json::{Value, json};

fn service(name: &str, spec: Value) -> String {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}).to_string()
}

#[test]
fn an_address_is_claimed_as_long_as_its_service_has_it() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-addresses");
    let name = &space.name;
    cluster.kubectl_with(&format!("create -n {name} -f -"), &service("web", json!({"ports": [{"port": 80}]}))).ok();
    let ip = cluster.kubectl(&format!("get service web -n {name} -o jsonpath={{.spec.clusterIP}}")).ok();
    let claim = cluster.object(&format!("get ipaddress {ip}"));
    assert_eq!(claim["spec"]["parentRef"], json!({"group": "", "resource": "services", "namespace": name, "name": "web"}));
    assert_eq!(claim["metadata"]["labels"], json!({"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}));
    assert!(cluster.kubectl("get ipaddresses").ok().contains(&format!("services/{name}/web")));
    // Nobody else gets it, and a failed or dry write takes none.
    let again = cluster.kubectl_with(&format!("create -n {name} -f -"), &service("other", json!({"clusterIP": ip, "ports": [{"port": 80}]}))).fails();
    assert!(again.contains(&format!("failed to allocate IP {ip}: provided IP is already allocated")), "{again}");
    let count = || cluster.kubectl("get ipaddresses -o name").ok().lines().count();
    let before = count();
    cluster.kubectl_with(&format!("create -n {name} -f -"), &service("web", json!({"ports": [{"port": 80}]}))).fails();
    cluster.kubectl_with(&format!("create -n {name} --dry-run=server -f -"), &service("dry", json!({"ports": [{"port": 80}]}))).ok();
    let outside = cluster.kubectl_with(&format!("create -n {name} -f -"), &service("far", json!({"clusterIP": "192.0.2.7", "ports": [{"port": 80}]}))).fails();
    assert!(outside.contains("failed to allocate IP 192.0.2.7: the provided network does not match the current range"), "{outside}");
    // A service that becomes a name has no address any more.
    cluster.kubectl(&format!("patch service web -n {name} -p '{{\"spec\":{{\"type\":\"ExternalName\",\"externalName\":\"example.com\",\"clusterIP\":\"\",\"clusterIPs\":null}}}}'")).ok();
    assert!(cluster.kubectl(&format!("get ipaddress {ip}")).fails().contains("not found"));
    // The name that was taken let its second claim go, a moment after it was told so.
    cluster.kubectl_with(&format!("create -n {name} -f -"), &service("back", json!({"clusterIP": ip, "ports": [{"port": 80}]}))).ok();
    cluster.kubectl(&format!("delete service back -n {name}")).ok();
    assert!(count() < before + 1, "{} claims, {before} before", count());
}

#[test]
fn a_range_goes_when_no_address_needs_it() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-ranges");
    let name = &space.name;
    cluster.kubectl("delete servicecidr e2e-range --ignore-not-found").ok();
    let default = cluster.object("get servicecidr kubernetes");
    assert_eq!(default["metadata"]["finalizers"], json!(["networking.k8s.io/service-cidr-finalizer"]));
    assert_eq!(default["status"]["conditions"][0]["type"], "Ready");
    let range = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "e2e-range"}, "spec": {"cidrs": ["10.144.7.0/24"]}});
    cluster.kubectl_with("create -f -", &range.to_string()).ok();
    cluster.kubectl("wait servicecidr/e2e-range --for=condition=Ready --timeout=30s").ok();
    cluster.kubectl_with(&format!("create -n {name} -f -"), &service("inside", json!({"clusterIP": "10.144.7.9", "ports": [{"port": 80}]}))).ok();
    cluster.kubectl("delete servicecidr e2e-range --wait=false").ok();
    cluster.kubectl("wait servicecidr/e2e-range --for=condition=Ready=False --timeout=30s").ok();
    let told = cluster.kubectl("get servicecidr e2e-range -o jsonpath={.status.conditions[0].reason}").ok();
    assert_eq!(told, "Terminating");
    let refused = cluster.kubectl_with(&format!("create -n {name} -f -"), &service("late", json!({"clusterIP": "10.144.7.10", "ports": [{"port": 80}]}))).fails();
    assert!(refused.contains("does not match the current range"), "{refused}");
    cluster.kubectl(&format!("delete service inside -n {name}")).ok();
    cluster.kubectl("wait servicecidr/e2e-range --for=delete --timeout=60s").ok();
}
