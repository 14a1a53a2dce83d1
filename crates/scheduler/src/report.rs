//! Tells what came of a try: the pod's condition and nominated node, and the events.

use client::{EventType, Recorder, reference, request_json};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams};
use scheduling::pod::PodFacts;
use serde_json::json;

pub(crate) struct Reporter {
    pub client: kube::Client,
    pub recorder: Recorder,
    pub scheduler_name: String,
}

impl Reporter {
    pub fn scheduled(&self, pod: &PodFacts, node: &str) {
        let text = format!("Successfully assigned {}/{} to {node}", pod.namespace(), pod.name());
        self.recorder.event(&reference(&*pod.pod), EventType::Normal, "Scheduled", text);
    }

    /// `reason` of the condition: Unschedulable, or SchedulerError when something broke.
    pub async fn failed(&self, pod: &PodFacts, reason: &str, message: &str, nominated: Option<&str>) {
        self.recorder.event(&reference(&*pod.pod), EventType::Warning, "FailedScheduling", message);
        let status = pod.pod.status.as_ref();
        let known = status.iter().flat_map(|s| s.conditions.iter().flatten()).find(|c| c.type_ == "PodScheduled");
        let same = known.is_some_and(|c| c.status == "False" && c.reason.as_deref() == Some(reason) && c.message.as_deref() == Some(message));
        let before = status.and_then(|s| s.nominated_node_name.as_deref());
        if same && nominated.is_none_or(|n| Some(n) == before) {
            return;
        }
        let since = known.filter(|c| c.status == "False").and_then(|c| c.last_transition_time.clone()).unwrap_or(Time(Timestamp::now()));
        let mut condition = json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": message, "lastProbeTime": null, "lastTransitionTime": since});
        if let Some(generation) = pod.pod.metadata.generation {
            condition["observedGeneration"] = json!(generation);
        }
        let mut body = json!({"metadata": {"uid": pod.uid()}, "status": {"conditions": [condition]}});
        if let Some(node) = nominated {
            body["status"]["nominatedNodeName"] = json!(node);
        }
        self.patch_status(pod, body).await;
    }

    pub async fn clear_nomination(&self, pod: &PodFacts) {
        self.patch_status(pod, json!({"metadata": {"uid": pod.uid()}, "status": {"nominatedNodeName": null}})).await;
    }

    async fn patch_status(&self, pod: &PodFacts, body: serde_json::Value) {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), pod.namespace());
        if let Err(error) = api.patch_status(pod.name(), &PatchParams::default(), &Patch::Strategic(body)).await {
            tracing::debug!(pod = pod.name(), error = %client::api_message(&error), "pod status was not written");
        }
    }

    /// Marks and deletes one victim.
    pub async fn evict(&self, victim: &PodFacts, preemptor: &PodFacts, node: &str) {
        let message = format!("{}: preempting to accommodate a higher priority pod", self.scheduler_name);
        let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": message, "lastProbeTime": null, "lastTransitionTime": Time(Timestamp::now())});
        self.patch_status(victim, json!({"metadata": {"uid": victim.uid()}, "status": {"conditions": [condition]}})).await;
        let path = format!("/api/v1/namespaces/{}/pods/{}", victim.namespace(), victim.name());
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": victim.uid()}});
        match request_json(&self.client, "DELETE", &path, Some(&options)).await {
            Ok(_) => {
                let text = format!("Preempted by pod {} on node {node}", preemptor.uid());
                self.recorder.event(&reference(&*victim.pod), EventType::Normal, "Preempted", text);
            }
            Err(error) => tracing::debug!(pod = victim.name(), error = %client::api_message(&error), "victim was not deleted"),
        }
    }
}
