//! What every cluster begins with: namespaces, roles, priority classes, the `kubernetes` service.

use std::sync::Arc;

use api::{ApiError, Reason, meta};
use bytes::Bytes;
use catalog::walk;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::admission::notes::Notes;
use api::request::Info;
use api::query::Query;
use crate::registry::Served;
use crate::respond::Accept;
use crate::rest::{Call, create, update};
use crate::server::Server;
use crate::user::User;

/// Upstream: roles with this annotation are brought up to date at each start.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
/// Upstream: the same for the configuration of priority and fairness.
const AUTOUPDATE_FLOW: &str = "apf.kubernetes.io/autoupdate-spec";

pub async fn write(server: &Arc<Server>) -> Result<(), ApiError> {
    for name in ["kube-system", "kube-public", "kube-node-lease", "default"] {
        ensure(server, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await?;
    }
    for object in policy::bootstrap::objects() {
        ensure(server, object).await?;
    }
    for object in policy::flow_defaults::levels().into_iter().chain(policy::flow_defaults::schemas()) {
        ensure(server, object).await?;
    }
    for (name, value, description) in [
        ("system-cluster-critical", 2_000_000_000, "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
        ("system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."),
    ] {
        let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value, "description": description, "preemptionPolicy": "PreemptLowerPriority"});
        ensure(server, class).await?;
    }
    ensure(
        server,
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "knarr.io/local-path", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete",
            "metadata": {"name": "local-path", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}),
    )
    .await?;
    publish_authorities(server).await?;
    if server.config.access.bootstrap_tokens {
        ensure(server, cluster_info(server)).await?;
    }
    service_range(server).await?;
    kubernetes_service(server).await?;
    crate::admission::service::repair(server).await
}

/// What other servers must know to believe the same clients.
pub async fn publish_authorities(server: &Arc<Server>) -> Result<(), ApiError> {
    replace(server, server.authenticator.certificates().published()).await
}

/// The range of cluster addresses, as an object. Upstream: `pkg/controlplane/controller/defaultservicecidr`.
async fn service_range(server: &Arc<Server>) -> Result<(), ApiError> {
    let range = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"}, "spec": {"cidrs": [server.config.service_cidr]}});
    ensure(server, range.clone()).await?;
    let mut call = call_about(server, &range, "update")?;
    let Ok(record) = call.record() else { return Ok(()) };
    let found = call.read(&record);
    if found["spec"] != range["spec"] {
        tracing::warn!(stored = %found["spec"]["cidrs"], configured = %server.config.service_cidr, "the default ServiceCIDR is not that of the settings");
        return Ok(());
    }
    if meta::is_deleting(&found) || walk::list(&found, "status.conditions").iter().any(|c| walk::text(c, "type") == "Ready") {
        return Ok(());
    }
    call.info.subresource = "status".into();
    let change = |old: &Value| {
        let mut new = old.clone();
        new["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready", "lastTransitionTime": api::time::rfc3339(jiff::Timestamp::now())}]);
        Ok(new)
    };
    update::update(&call, &change).await.map(|_| ())
}

/// What a machine with nothing but a bootstrap token learns of the cluster; the controllers sign it for each token.
///
/// Upstream: kubeadm makes it, `cmd/kubeadm/app/phases/bootstraptoken/clusterinfo`.
fn cluster_info(server: &Arc<Server>) -> Value {
    use base64::Engine as _;
    let ca = base64::prelude::BASE64_STANDARD.encode(server.ca_pem());
    let port = server.config.listen.map_or(6443, |l| l.port());
    let at = std::net::SocketAddr::new(server.config.advertise, port);
    let kubeconfig = format!("apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {ca}\n    server: https://{at}\n  name: \"\"\ncontexts: null\ncurrent-context: \"\"\nkind: Config\npreferences: {{}}\nusers: null\n");
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster-info", "namespace": "kube-public"}, "data": {"kubeconfig": kubeconfig}})
}

/// The service through which pods reach this server, with its endpoints.
async fn kubernetes_service(server: &Arc<Server>) -> Result<(), ApiError> {
    let (Some(listen), Some(ip)) = (server.config.listen, server.config.kubernetes_ip()) else { return Ok(()) };
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    ensure(
        server,
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
            "spec": {"clusterIP": ip.to_string(), "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": listen.port()}], "type": "ClusterIP", "sessionAffinity": "None"}}),
    )
    .await?;
    if server.config.advertise.is_loopback() {
        // Endpoints may not point there: every pod has a loopback of its own. Who serves so serves this host only.
        return Ok(());
    }
    let address = server.config.advertise.to_string();
    let ports = json!([{"name": "https", "port": listen.port(), "protocol": "TCP"}]);
    let skip = "endpointslice.kubernetes.io/skip-mirror";
    replace(
        server,
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "kubernetes", "namespace": "default", "labels": {skip: "true"}},
            "subsets": [{"addresses": [{"ip": address}], "ports": ports}]}),
    )
    .await?;
    replace(
        server,
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": [address], "conditions": {"ready": true}}]}),
    )
    .await
}

/// A request of the server itself about an object.
pub fn call_about(server: &Arc<Server>, object: &Value, verb: &'static str) -> Result<Call, ApiError> {
    let gvk = api::GroupVersionKind::from_api_version(walk::text(object, "apiVersion"), walk::text(object, "kind"));
    let registry = server.registry();
    let served = registry.by_kind(&gvk.group, &gvk.version, &gvk.kind).cloned().ok_or_else(|| ApiError::internal(format!("{gvk} is not registered")))?;
    Ok(call_to(server, served, meta::namespace(object), meta::name(object), verb))
}

/// A request of the server itself to an object of a resource.
pub fn call_to(server: &Arc<Server>, served: Arc<Served>, namespace: &str, name: &str, verb: &'static str) -> Call {
    let resource = &served.resource;
    let info = Info {
        is_resource: true,
        verb,
        group: resource.group.to_string(),
        version: resource.version.to_string(),
        namespace: namespace.to_owned(),
        resource: resource.plural.to_string(),
        name: name.to_owned(),
        ..Info::default()
    };
    let mut headers = HeaderMap::new();
    headers.insert(http::header::USER_AGENT, http::HeaderValue::from_static("kube-apiserver"));
    Call {
        server: server.clone(),
        user: User::new("system:apiserver", &["system:masters"]),
        method: Method::POST,
        info,
        query: Query::default(),
        headers,
        accept: Accept::default(),
        served,
        body: Bytes::new(),
        notes: Arc::new(Notes::unasked()),
    }
}

/// Creates what is absent; brings roles that follow the release up to date.
async fn ensure(server: &Arc<Server>, object: Value) -> Result<(), ApiError> {
    let call = call_about(server, &object, "create")?;
    let Ok(record) = call.record() else {
        return match create::create(&call, object).await {
            Err(error) if error.reason != Reason::AlreadyExists => Err(error),
            _ => Ok(()),
        };
    };
    let found = call.read(&record);
    let follows = [AUTOUPDATE, AUTOUPDATE_FLOW].iter().any(|key| meta::annotation(&found, key) == Some("true"));
    if !follows || ["rules", "subjects", "spec"].iter().all(|key| found.get(*key) == object.get(*key)) {
        return Ok(());
    }
    replace(server, object).await
}

/// Creates an object, or brings all but its metadata to the given state.
async fn replace(server: &Arc<Server>, object: Value) -> Result<(), ApiError> {
    let call = call_about(server, &object, "update")?;
    if call.record().is_err() {
        return create::create(&call, object).await.map(|_| ());
    }
    let change = |old: &Value| {
        let mut new = old.clone();
        for (key, value) in object.as_object().into_iter().flatten().filter(|(key, _)| *key != "metadata") {
            new[key] = value.clone();
        }
        Ok(new)
    };
    update::update(&call, &change).await.map(|_| ())
}
