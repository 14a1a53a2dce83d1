//! The pod and the claims of one ordinal. Pure. Upstream: stateful_set_utils.go.

use client::owner_reference;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume};

use crate::history::POD_LABEL;
use crate::pods;

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

pub(crate) fn name_of(set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{ordinal}", set.metadata.name.as_deref().unwrap_or_default())
}

/// The ordinal in a pod's name, if it is one of this set.
pub(crate) fn ordinal_of(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let rest = pod.metadata.name.as_deref()?.strip_prefix(set.metadata.name.as_deref()?)?.strip_prefix('-')?;
    rest.parse().ok().filter(|n: &i32| *n >= 0 && rest == n.to_string())
}

pub(crate) fn revision_of(pod: &Pod) -> &str {
    pod.metadata.labels.as_ref().and_then(|l| l.get(POD_LABEL)).map_or("", String::as_str)
}

fn claim_name(template: &PersistentVolumeClaim, pod: &str) -> String {
    format!("{}-{pod}", template.metadata.name.as_deref().unwrap_or_default())
}

pub(crate) fn claims_of(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let pod = name_of(set, ordinal);
    let selected = set.spec.selector.match_labels.clone().unwrap_or_default();
    let templates = set.spec.volume_claim_templates.iter().flatten();
    templates
        .map(|template| {
            let mut claim = template.clone();
            claim.metadata.name = Some(claim_name(template, &pod));
            claim.metadata.namespace.clone_from(&set.metadata.namespace);
            claim.metadata.labels.get_or_insert_default().extend(selected.clone());
            claim.status = None;
            claim
        })
        .collect()
}

pub(crate) fn pod_of(set: &StatefulSet, template: &PodTemplateSpec, ordinal: i32, revision: &str) -> Pod {
    let name = name_of(set, ordinal);
    let mut pod = pods::from_template(template, set.metadata.namespace.as_deref().unwrap_or_default(), &name, owner_reference(set));
    pod.metadata.generate_name = None;
    pod.metadata.name = Some(name.clone());
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(POD_NAME.into(), name.clone());
    labels.insert(POD_INDEX.into(), ordinal.to_string());
    labels.insert(POD_LABEL.into(), revision.to_owned());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(name.clone());
    spec.subdomain = set.spec.service_name.clone().filter(|s| !s.is_empty());
    for template in set.spec.volume_claim_templates.iter().flatten() {
        let volume_name = template.metadata.name.clone().unwrap_or_default();
        let volumes = spec.volumes.get_or_insert_default();
        volumes.retain(|v| v.name != volume_name);
        let source = PersistentVolumeClaimVolumeSource { claim_name: claim_name(template, &name), read_only: None };
        volumes.push(Volume { name: volume_name, persistent_volume_claim: Some(source), ..Volume::default() });
    }
    pod
}
