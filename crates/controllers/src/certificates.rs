//! Signing requests: those of kubelets approved, those approved signed, old ones removed.
//!
//! Upstream: `pkg/controller/certificates`: approver, signer, cleaner.

mod approve;
mod clean;
mod rules;
mod sign;

use std::sync::Arc;

use client::Shell;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::caches::Caches;

/// The authority that signs for the built-in signers.
pub type Signing = Arc<pki::Authority>;

pub(crate) fn start(caches: &Caches, shell: &Shell, signing: Option<&Signing>, tasks: &mut JoinSet<()>) {
    approve::start(caches, shell, tasks);
    clean::start(caches, shell, tasks);
    if let Some(authority) = signing {
        sign::start(caches, shell, authority.clone(), tasks);
    }
}

fn conditions(request: &CertificateSigningRequest) -> &[CertificateSigningRequestCondition] {
    request.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default()
}

fn has(request: &CertificateSigningRequest, kind: &str) -> bool {
    conditions(request).iter().any(|c| c.type_ == kind)
}

fn certificate(request: &CertificateSigningRequest) -> Option<&[u8]> {
    request.status.as_ref()?.certificate.as_ref().map(|c| c.0.as_slice()).filter(|c| !c.is_empty())
}

/// The request with one more condition.
fn with_condition(request: &CertificateSigningRequest, kind: &str, reason: &str, message: &str, now: Timestamp) -> CertificateSigningRequest {
    let mut request = request.clone();
    let condition = CertificateSigningRequestCondition {
        type_: kind.into(),
        status: "True".into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    request.status.get_or_insert_default().conditions.get_or_insert_default().push(condition);
    request
}
