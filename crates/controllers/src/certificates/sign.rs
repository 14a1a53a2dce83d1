//! Signs approved requests of the built-in signers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client::{Action, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use pki::SigningRequest;
use tokio::task::JoinSet;

use super::{Signing, certificate, has, rules, with_condition};
use crate::caches::Caches;

/// Upstream: `--cluster-signing-duration`.
const LIFE: Duration = Duration::from_secs(365 * 86_400);
/// Upstream: shorter wishes are not granted.
const SHORTEST: Duration = Duration::from_secs(600);

struct Signer {
    requests: Informer<CertificateSigningRequest>,
    authority: Signing,
}

pub(crate) struct Observed {
    request: Arc<CertificateSigningRequest>,
    /// The certificate, or why there is none.
    outcome: Result<String, String>,
}

pub(super) fn start(caches: &Caches, shell: &Shell, authority: Signing, tasks: &mut JoinSet<()>) {
    let controller = Signer { requests: caches.informers.get(), authority };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_request = queue.clone();
    controller.requests.on_change(move |change| on_request.add(ObjectKey::of(&**change.object())));
    tasks.spawn(run_controller(controller, queue, shell.clone(), 1));
}

fn life(request: &CertificateSigningRequest) -> Duration {
    match request.spec.expiration_seconds {
        None => LIFE,
        Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or_default()).clamp(SHORTEST, LIFE),
    }
}

impl Controller for Signer {
    const NAME: &'static str = "certificate-signer";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(request) = self.requests.get_key(key) else { return Ok(None) };
        if !has(&request, "Approved") || has(&request, "Denied") || has(&request, "Failed") || certificate(&request).is_some() {
            return Ok(None);
        }
        let usages = request.spec.usages.clone().unwrap_or_default();
        let parsed = match SigningRequest::parse(&request.spec.request.0) {
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::warn!(name = key.name, %error, "an approved signing request does not parse");
                return Ok(None);
            }
        };
        let Some(judged) = rules::refusal(&request.spec.signer_name, &parsed, &usages) else { return Ok(None) };
        let outcome = judged.and_then(|()| self.authority.sign(&parsed, &usages, life(&request), SystemTime::now()).map_err(|e| e.to_string()));
        Ok(Some(Observed { request, outcome }))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        let request = &*observed.request;
        let signed = match observed.outcome {
            Ok(pem) => {
                let mut signed = request.clone();
                signed.status.get_or_insert_default().certificate = Some(ByteString(pem.into_bytes()));
                signed
            }
            Err(why) => with_condition(request, "Failed", "SignerValidationFailure", &why, now),
        };
        Plan::of(Action::update_status(request, &signed))
    }
}
