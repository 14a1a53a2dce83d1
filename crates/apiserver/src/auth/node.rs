//! What a kubelet may do: its own node, its own pods, and what those pods refer to.
//!
//! Upstream: `plugin/pkg/auth/authorizer/node`. Rights that need no look at pods come from the role `system:node`,
//! which is not bound to anybody; this authorizer grants them.

use catalog::walk;
use serde_json::Value;
use store::{Store, TableId};

use super::authorize::Attributes;
use crate::object;

pub enum Verdict {
    Allow,
    NoOpinion(String),
}

pub struct NodeAuthorizer {
    pods: TableId,
    claims: TableId,
}

impl NodeAuthorizer {
    pub fn new(store: &Store) -> Self {
        Self { pods: store.table("/registry/pods"), claims: store.table("/registry/persistentvolumeclaims") }
    }

    pub fn decide(&self, store: &Store, node: &str, a: &Attributes) -> Verdict {
        let read = matches!(a.verb.as_str(), "get" | "list" | "watch");
        let refused = |why: &str| Verdict::NoOpinion(why.to_owned());
        let allow_if = |allowed: bool, why: &str| if allowed { Verdict::Allow } else { refused(why) };
        match (a.group.as_str(), a.resource.as_str(), a.subresource.as_str()) {
            ("", "secrets" | "configmaps", "") => {
                if !read || a.name.is_empty() {
                    return refused("can only read resources of this type");
                }
                let refers = self.any_pod(store, node, &a.namespace, |pod| refers_to(pod, &a.resource, &a.name));
                allow_if(refers, &format!("no relationship found between node '{node}' and this object"))
            }
            ("", "persistentvolumeclaims", "" | "status") => {
                let refers = self.any_pod(store, node, &a.namespace, |pod| claims_of(pod).any(|c| c == a.name));
                let may = a.verb == "get" || (a.subresource == "status" && matches!(a.verb.as_str(), "update" | "patch"));
                allow_if(may && refers, &format!("no relationship found between node '{node}' and this object"))
            }
            ("", "persistentvolumes", "") => allow_if(a.verb == "get" && self.uses_volume(store, node, &a.name), &format!("no relationship found between node '{node}' and this object")),
            ("", "serviceaccounts", "token") => {
                let refers = self.any_pod(store, node, &a.namespace, |pod| walk::text(pod, "spec.serviceAccountName") == a.name);
                allow_if(a.verb == "create" && refers, &format!("no relationship found between node '{node}' and this object"))
            }
            ("", "serviceaccounts", "") => allow_if(a.verb == "get" && self.any_pod(store, node, &a.namespace, |pod| walk::text(pod, "spec.serviceAccountName") == a.name), ""),
            ("coordination.k8s.io", "leases", "") => {
                let own = a.namespace == "kube-node-lease" && (a.name == node || a.verb == "create");
                allow_if(own && matches!(a.verb.as_str(), "get" | "create" | "update" | "patch" | "delete"), "can only access node lease with the same name as the requesting node")
            }
            ("", "nodes", "" | "status") => {
                let own = a.name == node || (a.verb == "create" && a.subresource.is_empty());
                allow_if(own && matches!(a.verb.as_str(), "create" | "get" | "list" | "watch" | "update" | "patch"), &format!("node '{node}' cannot read '{}', only its own Node object", a.name))
            }
            ("storage.k8s.io", "csinodes", "") => allow_if(a.name == node || a.verb == "create", "can only access CSINode with the same name as the requesting node"),
            ("", "pods", part) => allow_if(self.own_pod(store, node, a, part), "can only access pods of the requesting node"),
            ("", "services", "") | ("node.k8s.io", "runtimeclasses", "") | ("storage.k8s.io", "csidrivers" | "volumeattachments", "") => allow_if(read, ""),
            ("", "events", "") | ("events.k8s.io", "events", "") => allow_if(matches!(a.verb.as_str(), "create" | "update" | "patch"), ""),
            ("authentication.k8s.io", "tokenreviews", "") | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews", "") => allow_if(a.verb == "create", ""),
            ("certificates.k8s.io", "certificatesigningrequests", "") => allow_if(matches!(a.verb.as_str(), "create" | "get" | "list" | "watch"), ""),
            _ => refused(""),
        }
    }

    /// Upstream: kubelets list pods by their node's name; NodeRestriction keeps writes to their own.
    fn own_pod(&self, store: &Store, node: &str, a: &Attributes, part: &str) -> bool {
        match (a.verb.as_str(), part) {
            ("list" | "watch", "") => true,
            ("create", "") => true,
            ("get" | "delete", "") | ("patch" | "update", "status") | ("create", "eviction") => {
                let record = store.view().get(self.pods, &object::key(&a.namespace, &a.name));
                record.is_none_or(|r| walk::text(&object::parse(&r.value), "spec.nodeName") == node)
            }
            _ => false,
        }
    }

    fn any_pod(&self, store: &Store, node: &str, namespace: &str, holds: impl Fn(&Value) -> bool) -> bool {
        let pods = store.view().table(self.pods);
        let prefix = format!("{namespace}/");
        pods.scan(&prefix, "").map(|r| object::parse(&r.value)).any(|pod| walk::text(&pod, "spec.nodeName") == node && holds(&pod))
    }

    fn uses_volume(&self, store: &Store, node: &str, volume: &str) -> bool {
        let view = store.view();
        let claims = view.table(self.claims);
        claims.scan("", "").map(|r| object::parse(&r.value)).filter(|c| walk::text(c, "spec.volumeName") == volume).any(|claim| {
            let name = api::meta::name(&claim).to_owned();
            self.any_pod(store, node, api::meta::namespace(&claim), |pod| claims_of(pod).any(|c| c == name))
        })
    }
}

fn claims_of(pod: &Value) -> impl Iterator<Item = String> {
    let name = api::meta::name(pod);
    walk::list(pod, "spec.volumes").iter().filter_map(move |v| match walk::text(v, "persistentVolumeClaim.claimName") {
        "" if walk::at(v, "ephemeral").is_object() => Some(format!("{name}-{}", walk::text(v, "name"))),
        "" => None,
        claim => Some(claim.to_owned()),
    })
}

/// Whether a pod names a secret or config map anywhere a kubelet would read it.
fn refers_to(pod: &Value, resource: &str, name: &str) -> bool {
    let secrets = resource == "secrets";
    let (source, env, from, list) = if secrets { ("secret.secretName", "secretKeyRef", "secretRef", "secret.name") } else { ("configMap.name", "configMapKeyRef", "configMapRef", "configMap.name") };
    let volumes = walk::list(pod, "spec.volumes").iter().any(|v| {
        let projected = walk::list(v, "projected.sources").iter().any(|s| walk::text(s, list) == name);
        let others = secrets && ["flexVolume.secretRef.name", "csi.nodePublishSecretRef.name", "cephfs.secretRef.name", "rbd.secretRef.name", "iscsi.secretRef.name"].iter().any(|p| walk::text(v, p) == name);
        walk::text(v, source) == name || projected || others
    });
    let containers = ["initContainers", "containers", "ephemeralContainers"].iter().flat_map(|key| walk::list(walk::at(pod, "spec"), key)).any(|c| {
        walk::list(c, "env").iter().any(|e| walk::text(e, &format!("valueFrom.{env}.name")) == name) || walk::list(c, "envFrom").iter().any(|e| walk::text(e, &format!("{from}.name")) == name)
    });
    let pulls = secrets && walk::list(pod, "spec.imagePullSecrets").iter().any(|s| walk::text(s, "name") == name);
    volumes || containers || pulls
}
