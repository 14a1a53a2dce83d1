//! Versions of APIs that are on their way out, and what to use instead.
// Upstream: the lifecycle methods of k8s.io/api (zz_generated.prerelease-lifecycle.go) as of Kubernetes 1.37, and the words of
// k8s.io/apiserver/pkg/endpoints/deprecation.

/// (version, kinds, minor version of Kubernetes from which they are deprecated, from which they are gone or 0, version instead)
type Row = (&'static str, &'static str, u32, u32, &'static str);

const ROWS: [Row; 54] = [
    ("v1", "ComponentStatus", 19, 0, ""),
    ("v1", "Endpoints", 33, 0, "discovery.k8s.io/v1"),
    ("extensions/v1beta1", "Ingress", 14, 22, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "NetworkPolicy", 9, 16, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "Deployment DaemonSet ReplicaSet", 8, 16, "apps/v1"),
    ("extensions/v1beta1", "Scale", 2, 16, ""),
    ("extensions/v1beta1", "DeploymentRollback", 8, 16, ""),
    ("apps/v1beta1", "Deployment StatefulSet ControllerRevision DeploymentRollback", 8, 16, "apps/v1"),
    ("apps/v1beta1", "Scale", 8, 16, "autoscaling/v1"),
    ("apps/v1beta2", "Deployment DaemonSet ReplicaSet StatefulSet ControllerRevision", 9, 16, "apps/v1"),
    ("apps/v1beta2", "Scale", 9, 16, "autoscaling/v1"),
    ("policy/v1beta1", "PodDisruptionBudget", 21, 25, "policy/v1"),
    ("policy/v1beta1", "Eviction", 22, 25, ""),
    ("networking.k8s.io/v1beta1", "Ingress IngressClass", 19, 22, "networking.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "IPAddress ServiceCIDR", 34, 37, ""),
    ("batch/v1beta1", "CronJob", 21, 25, "batch/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "Role RoleBinding ClusterRole ClusterRoleBinding", 17, 22, "rbac.authorization.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "StorageClass VolumeAttachment CSIDriver", 19, 22, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "CSINode", 17, 22, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 24, 27, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "VolumeAttributesClass", 34, 37, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1alpha1", "VolumeAttachment", 21, 24, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1alpha1", "CSIStorageCapacity", 21, 24, "storage.k8s.io/v1beta1"),
    ("storage.k8s.io/v1alpha1", "VolumeAttributesClass", 32, 35, "storage.k8s.io/v1"),
    ("admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration ValidatingWebhookConfiguration", 16, 22, "admissionregistration.k8s.io/v1"),
    ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding", 31, 34, ""),
    ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding", 37, 40, "admissionregistration.k8s.io/v1"),
    ("admissionregistration.k8s.io/v1alpha1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding", 29, 32, ""),
    ("admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding", 35, 38, ""),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest", 19, 22, "certificates.k8s.io/v1"),
    ("certificates.k8s.io/v1beta1", "ClusterTrustBundle PodCertificateRequest", 37, 40, "certificates.k8s.io/v1"),
    ("certificates.k8s.io/v1alpha1", "ClusterTrustBundle", 34, 37, ""),
    ("coordination.k8s.io/v1beta1", "Lease", 19, 22, "coordination.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", "LeaseCandidate", 36, 39, ""),
    ("coordination.k8s.io/v1alpha2", "LeaseCandidate", 35, 38, ""),
    ("discovery.k8s.io/v1beta1", "EndpointSlice", 21, 25, "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", "Event", 22, 25, ""),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema PriorityLevelConfiguration", 23, 26, "flowcontrol.apiserver.k8s.io/v1beta3"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema PriorityLevelConfiguration", 26, 29, "flowcontrol.apiserver.k8s.io/v1beta3"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema PriorityLevelConfiguration", 29, 32, "flowcontrol.apiserver.k8s.io/v1"),
    ("node.k8s.io/v1beta1", "RuntimeClass", 22, 25, ""),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", 14, 22, "scheduling.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", "Workload PodGroup", 40, 43, ""),
    ("resource.k8s.io/v1alpha3", "DeviceTaintRule", 36, 39, ""),
    ("resource.k8s.io/v1alpha3", "ResourcePoolStatusRequest", 39, 42, ""),
    ("resource.k8s.io/v1beta1", "ResourceClaim ResourceClaimTemplate ResourceSlice DeviceClass", 35, 38, ""),
    ("resource.k8s.io/v1beta2", "ResourceClaim ResourceClaimTemplate ResourceSlice DeviceClass", 36, 39, ""),
    ("resource.k8s.io/v1beta2", "DeviceTaintRule", 39, 42, ""),
    ("storagemigration.k8s.io/v1beta1", "StorageVersionMigration", 37, 40, "storagemigration.k8s.io/v1"),
    ("authentication.k8s.io/v1beta1", "TokenReview", 19, 22, "authentication.k8s.io/v1"),
    ("authentication.k8s.io/v1beta1", "SelfSubjectReview", 30, 33, ""),
    ("authentication.k8s.io/v1alpha1", "SelfSubjectReview", 29, 32, ""),
    ("authorization.k8s.io/v1beta1", "SubjectAccessReview SelfSubjectAccessReview LocalSubjectAccessReview SelfSubjectRulesReview", 19, 22, "authorization.k8s.io/v1"),
    ("lifecycle.k8s.io/v1alpha1", "Eviction", 40, 43, ""),
];

/// Kinds that have no lists.
const SINGLE: [&str; 8] = ["Scale", "DeploymentRollback", "Eviction", "TokenReview", "SelfSubjectReview", "SubjectAccessReview", "LocalSubjectAccessReview", "SelfSubjectAccessReview"];

/// What is said of an object of a version and kind in a cluster of Kubernetes 1.`minor`.
pub fn notice(api_version: &str, kind: &str, minor: u32) -> Option<String> {
    let single = kind.strip_suffix("List").filter(|k| !SINGLE.contains(k) && *k != "SelfSubjectRulesReview").unwrap_or(kind);
    let (_, _, deprecated, removed, instead) = *ROWS.iter().find(|row| row.0 == api_version && row.1.split(' ').any(|k| k == single)).filter(|row| row.2 <= minor)?;
    let mut text = format!("{api_version} {kind} is deprecated in v1.{deprecated}+");
    if removed > 0 {
        text += &format!(", unavailable in v1.{removed}+");
    }
    if !instead.is_empty() {
        text += &format!("; use {instead} {}", replacement(api_version, single, kind));
    }
    Some(text)
}

/// The kind to use instead: mostly the same.
fn replacement(api_version: &str, single: &str, kind: &str) -> String {
    match (api_version, single) {
        ("v1", "Endpoints") => kind.replace("Endpoints", "EndpointSlice"),
        // Upstream: so it is declared.
        ("networking.k8s.io/v1beta1", "IngressClass") => "IngressClassList".into(),
        ("storage.k8s.io/v1beta1", "CSINode") | ("discovery.k8s.io/v1beta1", "EndpointSlice") => single.into(),
        _ => kind.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::notice;

    #[test]
    fn old_versions_are_told_with_what_to_use_instead() {
        let told = |api_version, kind| notice(api_version, kind, 37).unwrap_or_default();
        assert_eq!(told("networking.k8s.io/v1beta1", "Ingress"), "networking.k8s.io/v1beta1 Ingress is deprecated in v1.19+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress");
        assert_eq!(told("v1", "EndpointsList"), "v1 EndpointsList is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSliceList");
        assert_eq!(told("v1", "ComponentStatus"), "v1 ComponentStatus is deprecated in v1.19+");
        assert_eq!(notice("networking.k8s.io/v1beta1", "Ingress", 18), None);
        assert_eq!(notice("apps/v1", "Deployment", 37), None);
    }
}
