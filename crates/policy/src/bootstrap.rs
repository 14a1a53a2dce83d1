//! The roles and bindings every cluster begins with.
//!
//! Upstream: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go` decides names and rights. Differs: the controllers
//! share one identity, so one role of ours stands for upstream's role per controller.

use serde_json::{Value, json};

const READ: &str = "get list watch";
const WRITE: &str = "create delete deletecollection patch update";

/// A rule in a short notation: verbs, groups and resources separated by blanks; `core` is the core group.
fn rule(verbs: &str, groups: &str, resources: &str) -> Value {
    json!({"apiGroups": split(groups), "resources": split(resources), "verbs": split(verbs)})
}

fn split(text: &str) -> Vec<&str> {
    text.split_whitespace().map(|t| if t == "core" { "" } else { t }).collect()
}

fn named(verbs: &str, groups: &str, resources: &str, names: &str) -> Value {
    let mut rule = rule(verbs, groups, resources);
    rule["resourceNames"] = json!(names.split_whitespace().collect::<Vec<_>>());
    rule
}

fn paths(paths: &str) -> Value {
    json!({"nonResourceURLs": paths.split_whitespace().collect::<Vec<_>>(), "verbs": ["get"]})
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}, "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    metadata
}

fn cluster_role(name: &str, rules: Vec<Value>) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata(name, None), "rules": rules})
}

fn role(namespace: &str, name: &str, rules: Vec<Value>) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata(name, Some(namespace)), "rules": rules})
}

fn subject(text: &str) -> Value {
    match text.split_once(':') {
        Some(("user", name)) => json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}),
        Some(("account", name)) => {
            let (namespace, name) = name.split_once('/').unwrap_or(("kube-system", name));
            json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
        }
        _ => json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": text.trim_start_matches("group:")}),
    }
}

/// A binding of the cluster role of the same name.
fn bind(name: &str, role: &str, subjects: &[&str]) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": metadata(name, None),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": subjects.iter().map(|s| subject(s)).collect::<Vec<_>>()})
}

fn bind_in(namespace: &str, name: &str, role: &str, subjects: &[&str]) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata(name, Some(namespace)),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}, "subjects": subjects.iter().map(|s| subject(s)).collect::<Vec<_>>()})
}

/// Everything, roles before the bindings that name them.
pub fn objects() -> Vec<Value> {
    let mut all = user_roles();
    all.extend(system_roles());
    all.extend(component_roles());
    all.extend(namespaced_roles());
    all.extend(bindings());
    all
}

/// A role that `clusterrole-aggregation` fills from those with the label; its rules are also written out at once.
fn aggregated(name: &str, from: &[&str], rules: Vec<Value>) -> Value {
    let mut role = cluster_role(name, rules);
    let selectors: Vec<Value> = from.iter().map(|f| json!({"matchLabels": {format!("rbac.authorization.k8s.io/aggregate-to-{f}"): "true"}})).collect();
    role["aggregationRule"] = json!({"clusterRoleSelectors": selectors});
    if name != "admin" {
        let into = if name == "edit" { "admin" } else { "edit" };
        role["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{into}")] = "true".into();
    }
    role
}

fn part(into: &str, rules: Vec<Value>) -> Value {
    let mut role = cluster_role(&format!("system:aggregate-to-{into}"), rules);
    role["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{into}")] = "true".into();
    role
}

const WORKLOADS: &str = "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale";

fn view_rules() -> Vec<Value> {
    vec![
        rule(READ, "core", "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status"),
        rule(READ, "core", "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status namespaces"),
        rule(READ, "discovery.k8s.io", "endpointslices"),
        rule(READ, "apps", "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status"),
        rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
        rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
        rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
        rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    ]
}

fn edit_rules() -> Vec<Value> {
    vec![
        rule(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
        rule("impersonate", "core", "serviceaccounts"),
        rule(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
        rule("create", "core", "pods/eviction"),
        rule(WRITE, "core", "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy"),
        rule("create", "core", "serviceaccounts/token"),
        rule(WRITE, "apps", WORKLOADS),
        rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
        rule(WRITE, "batch", "cronjobs jobs"),
        rule(WRITE, "policy", "poddisruptionbudgets"),
        rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
        rule("create delete deletecollection get list patch update watch", "coordination.k8s.io", "leases"),
    ]
}

fn admin_rules() -> Vec<Value> {
    vec![
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
        rule("create delete deletecollection get list patch update watch", "rbac.authorization.k8s.io", "rolebindings roles"),
    ]
}

fn user_roles() -> Vec<Value> {
    let everything = json!({"nonResourceURLs": ["*"], "verbs": ["*"]});
    let edit: Vec<Value> = edit_rules().into_iter().chain(view_rules()).collect();
    let admin: Vec<Value> = admin_rules().into_iter().chain(edit.iter().cloned()).collect();
    vec![
        cluster_role("cluster-admin", vec![rule("*", "*", "*"), everything]),
        part("admin", admin_rules()),
        part("edit", edit_rules()),
        part("view", view_rules()),
        aggregated("admin", &["admin"], admin),
        aggregated("edit", &["edit"], edit),
        aggregated("view", &["view"], view_rules()),
    ]
}

const DISCOVERY: &str = "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/";
const PUBLIC: &str = "/healthz /livez /readyz /version /version/";

fn system_roles() -> Vec<Value> {
    vec![
        cluster_role("system:discovery", vec![paths(DISCOVERY)]),
        cluster_role("system:public-info-viewer", vec![paths(PUBLIC)]),
        cluster_role("system:monitoring", vec![paths("/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")]),
        cluster_role(
            "system:basic-user",
            vec![rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"), rule("create", "authentication.k8s.io", "selfsubjectreviews")],
        ),
        cluster_role("system:service-account-issuer-discovery", vec![paths("/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/")]),
        cluster_role("system:auth-delegator", vec![rule("create", "authentication.k8s.io", "tokenreviews"), rule("create", "authorization.k8s.io", "subjectaccessreviews")]),
        cluster_role("system:kube-aggregator", vec![rule(READ, "core", "endpoints services")]),
        cluster_role("system:kubelet-api-admin", vec![rule(READ, "core", "nodes"), rule("proxy", "core", "nodes"), rule("*", "core", "nodes/log nodes/metrics nodes/proxy nodes/stats nodes/healthz nodes/pods nodes/configz")]),
        cluster_role("system:node-bootstrapper", vec![rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests")]),
        cluster_role("system:certificates.k8s.io:certificatesigningrequests:nodeclient", vec![rule("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient")]),
        cluster_role("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", vec![rule("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient")]),
        cluster_role("system:heapster", vec![rule(READ, "core", "events namespaces nodes pods"), rule(READ, "extensions", "deployments")]),
        cluster_role("system:node-problem-detector", vec![rule("get", "core", "nodes"), rule("patch", "core", "nodes/status"), rule("create patch update", "core events.k8s.io", "events")]),
        cluster_role(
            "system:persistent-volume-provisioner",
            vec![
                rule("create delete get list watch", "core", "persistentvolumes"),
                rule("get list update watch", "core", "persistentvolumeclaims"),
                rule(READ, "storage.k8s.io", "storageclasses"),
                rule("watch", "core", "events"),
                rule("create patch update", "core events.k8s.io", "events"),
            ],
        ),
    ]
}

fn component_roles() -> Vec<Value> {
    let events = || rule("create patch update", "core events.k8s.io", "events");
    vec![
        cluster_role("system:node", node_rules()),
        cluster_role(
            "system:node-proxier",
            vec![
                rule("list watch", "core", "endpoints services"),
                rule(READ, "core", "nodes"),
                rule("list watch", "discovery.k8s.io", "endpointslices"),
                rule("list watch", "networking.k8s.io", "servicecidrs"),
                events(),
                // Differs: host ports are ours to forward too, so the proxy reads the pods of its node.
                rule("list watch", "core", "pods"),
            ],
        ),
        cluster_role("system:kube-dns", vec![rule("list watch", "core", "endpoints services namespaces pods"), rule("list watch", "discovery.k8s.io", "endpointslices")]),
        cluster_role("system:kube-scheduler", scheduler_rules(events())),
        cluster_role("system:volume-scheduler", vec![rule("get list patch update watch", "core", "persistentvolumes"), rule(READ, "storage.k8s.io", "storageclasses"), rule("get list patch update watch", "core", "persistentvolumeclaims")]),
        cluster_role("system:kube-controller-manager", vec![rule("*", "*", "*"), json!({"nonResourceURLs": ["*"], "verbs": ["get"]})]),
    ]
}

fn scheduler_rules(events: Value) -> Vec<Value> {
    vec![
        events,
        rule("create get list watch", "coordination.k8s.io", "leases"),
        named("get update patch", "coordination.k8s.io", "leases", "kube-scheduler"),
        rule(READ, "core", "nodes namespaces"),
        rule("delete get list watch", "core", "pods"),
        rule("create", "core", "bindings pods/binding"),
        rule("patch update", "core", "pods/status"),
        rule(READ, "core", "replicationcontrollers services persistentvolumeclaims persistentvolumes"),
        rule(READ, "apps", "replicasets statefulsets"),
        rule(READ, "batch", "jobs"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "storage.k8s.io", "csidrivers csinodes csistoragecapacities storageclasses volumeattachments"),
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    ]
}

fn node_rules() -> Vec<Value> {
    vec![
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
        rule(READ, "core", "services"),
        rule("create get list watch", "core", "nodes"),
        rule("patch update", "core", "nodes nodes/status"),
        rule("create patch update", "core", "events"),
        rule("create delete get list watch", "core", "pods"),
        rule("patch update", "core", "pods/status"),
        rule("create", "core", "pods/eviction"),
        rule(READ, "core", "configmaps secrets"),
        rule("get", "core", "persistentvolumeclaims persistentvolumes endpoints"),
        rule("create delete get patch update", "coordination.k8s.io", "leases"),
        rule("create", "core", "serviceaccounts/token"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule(READ, "node.k8s.io", "runtimeclasses"),
    ]
}

fn namespaced_roles() -> Vec<Value> {
    vec![
        role(
            "kube-system",
            "extension-apiserver-authentication-reader",
            vec![named(READ, "core", "configmaps", "extension-apiserver-authentication")],
        ),
        role("kube-system", "system:controller:bootstrap-signer", vec![rule(READ, "core", "secrets")]),
        role("kube-system", "system:controller:token-cleaner", vec![rule("delete get list watch", "core", "secrets"), rule("create patch update", "core events.k8s.io", "events")]),
        role("kube-system", "system::leader-locking-kube-controller-manager", vec![rule("watch", "core", "configmaps"), named("get update", "core", "configmaps", "kube-controller-manager")]),
        role("kube-system", "system::leader-locking-kube-scheduler", vec![rule("watch", "core", "configmaps"), named("get update", "core", "configmaps", "kube-scheduler")]),
        role("kube-public", "system:controller:bootstrap-signer", vec![rule(READ, "core", "configmaps"), named("update", "core", "configmaps", "cluster-info"), rule("create patch update", "core events.k8s.io", "events")]),
        bind_in("kube-system", "system:extension-apiserver-authentication-reader", "extension-apiserver-authentication-reader", &["user:system:kube-controller-manager", "user:system:kube-scheduler"]),
        bind_in("kube-system", "system::leader-locking-kube-scheduler", "system::leader-locking-kube-scheduler", &["user:system:kube-scheduler"]),
    ]
}

fn bindings() -> Vec<Value> {
    vec![
        bind("cluster-admin", "cluster-admin", &["group:system:masters"]),
        bind("system:discovery", "system:discovery", &["group:system:authenticated"]),
        bind("system:basic-user", "system:basic-user", &["group:system:authenticated"]),
        bind("system:public-info-viewer", "system:public-info-viewer", &["group:system:authenticated", "group:system:unauthenticated"]),
        bind("system:monitoring", "system:monitoring", &["group:system:monitoring"]),
        bind("system:node-proxier", "system:node-proxier", &["user:system:kube-proxy"]),
        bind("system:kube-controller-manager", "system:kube-controller-manager", &["user:system:kube-controller-manager"]),
        bind("system:kube-scheduler", "system:kube-scheduler", &["user:system:kube-scheduler"]),
        bind("system:volume-scheduler", "system:volume-scheduler", &["user:system:kube-scheduler"]),
        bind("system:kube-dns", "system:kube-dns", &["account:kube-system/coredns", "account:kube-system/kube-dns"]),
        bind("system:service-account-issuer-discovery", "system:service-account-issuer-discovery", &["group:system:serviceaccounts"]),
        // Upstream: the role stays unbound; the node authorizer grants what it holds.
        bind("system:node", "system:node", &[]),
    ]
}
