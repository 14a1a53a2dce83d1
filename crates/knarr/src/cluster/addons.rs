//! The objects every cluster of ours has besides what its API server begins with: the DNS service and the default storage class.
//!
//! DNS runs in this process, on the cluster's own link. Its service has no selector; a slice made here leads it there, so pods and the
//! node reach it the same way, through the proxy, and a pod network without a running proxy still answers `kubectl get svc -n kube-system`.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Context;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const MANAGER: &str = "knarr";

pub async fn write(client: &Client, dns_ip: Ipv4Addr, dns_at: SocketAddrV4) -> anyhow::Result<()> {
    let system = |value: Value| value;
    let services: Api<Service> = Api::namespaced(client.clone(), "kube-system");
    apply(&services, "kube-dns", system(dns_service(dns_ip))).await?;
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), "kube-system");
    apply(&slices, "kube-dns-knarr", dns_slice(dns_at)).await?;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    apply(&roles, "system:coredns", dns_role()).await?;
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    apply(&bindings, "system:coredns", dns_binding()).await?;
    let classes: Api<StorageClass> = Api::all(client.clone());
    // Only made when missing: a user may have chosen another default since.
    if classes.get_opt("local-path").await?.is_none() {
        apply(&classes, "local-path", storage_class()).await?;
    }
    Ok(())
}

async fn apply<K>(api: &Api<K>, name: &str, value: Value) -> anyhow::Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let params = PatchParams::apply(MANAGER).force();
    api.patch(name, &params, &Patch::Apply(&value)).await.with_context(|| format!("writing {} {name}", value["kind"].as_str().unwrap_or_default()))?;
    Ok(())
}

fn dns_service(ip: Ipv4Addr) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kube-dns", "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        },
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "type": "ClusterIP", "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        ]},
    })
}

fn dns_slice(at: SocketAddrV4) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns-knarr", "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": "kube-dns", "endpointslice.kubernetes.io/managed-by": "knarr.io"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "dns", "port": at.port(), "protocol": "UDP"}, {"name": "dns-tcp", "port": at.port(), "protocol": "TCP"}],
        "endpoints": [{"addresses": [at.ip()], "conditions": {"ready": true, "serving": true, "terminating": false}}],
    })
}

fn dns_role() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "namespaces", "endpoints", "pods"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    })
}

fn dns_binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}],
    })
}

fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "local-path", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "knarr.io/local-path", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete",
    })
}
