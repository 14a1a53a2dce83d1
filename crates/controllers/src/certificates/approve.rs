//! Approves requests of kubelets for their own client certificates, where the requester may ask for them.

use std::sync::Arc;

use client::{Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, request_json, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use pki::SigningRequest;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{certificate, has, rules, with_condition};
use crate::caches::Caches;

struct Approver {
    requests: Informer<CertificateSigningRequest>,
    client: kube::Client,
}

pub(super) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Approver { requests: caches.informers.get(), client: shell.executor.client().clone() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_request = queue.clone();
    controller.requests.on_change(move |change| on_request.add(ObjectKey::of(&**change.object())));
    tasks.spawn(run_controller(controller, queue, shell.clone(), 1));
}

/// The rights of which one suffices, with the words for it.
///
/// Upstream: `pkg/controller/certificates/approver/sarapprove.go`.
fn recognized(request: &CertificateSigningRequest) -> Vec<(&'static str, &'static str)> {
    let usages = request.spec.usages.clone().unwrap_or_default();
    let Ok(parsed) = SigningRequest::parse(&request.spec.request.0) else { return Vec::new() };
    if request.spec.signer_name != rules::KUBELET_CLIENT || rules::kubelet_client(&parsed, &usages).is_err() {
        return Vec::new();
    }
    let mut rights = Vec::new();
    if request.spec.username.as_deref() == Some(parsed.common_name.as_str()) {
        rights.push(("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."));
    }
    rights.push(("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."));
    rights
}

fn question(request: &CertificateSigningRequest, part: &str) -> Value {
    let spec = &request.spec;
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": spec.username, "uid": spec.uid, "groups": spec.groups, "extra": spec.extra,
        "resourceAttributes": {"group": "certificates.k8s.io", "resource": "certificatesigningrequests", "subresource": part, "verb": "create", "version": "*"}}})
}

impl Controller for Approver {
    const NAME: &'static str = "certificate-approver";
    type Key = ObjectKey;
    type Observed = ();

    async fn observe(&self, key: &ObjectKey) -> Result<Option<()>, Error> {
        let Some(request) = self.requests.get_key(key) else { return Ok(None) };
        if certificate(&request).is_some() || has(&request, "Approved") || has(&request, "Denied") {
            return Ok(None);
        }
        for (part, message) in recognized(&request) {
            let answer = request_json(&self.client, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", Some(&question(&request, part))).await?;
            if answer["status"]["allowed"] == true {
                approve(&self.client, &request, message).await?;
                break;
            }
        }
        Ok(None)
    }

    fn plan((): (), _: Timestamp) -> Plan {
        Plan::default()
    }
}

/// The way to `approval` is its own; the shell knows none to it.
async fn approve(client: &kube::Client, request: &Arc<CertificateSigningRequest>, message: &str) -> Result<(), Error> {
    let approved = with_condition(request, "Approved", "AutoApproved", message, Timestamp::now());
    let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{}/approval", request.metadata.name.as_deref().unwrap_or_default());
    let mut body = serde_json::to_value(&approved).unwrap_or_default();
    body["apiVersion"] = "certificates.k8s.io/v1".into();
    body["kind"] = "CertificateSigningRequest".into();
    request_json(client, "PUT", &path, Some(&body)).await?;
    Ok(())
}
