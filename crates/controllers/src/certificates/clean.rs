//! Removes requests that nobody looks at any more.
//!
//! Upstream: `pkg/controller/certificates/cleaner/cleaner.go`.

use std::sync::Arc;

use client::{Action, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use tokio::task::JoinSet;

use super::{certificate, conditions};
use crate::caches::Caches;

/// Upstream: approved and denied requests stay an hour, those that wait a day.
const SETTLED: SignedDuration = SignedDuration::from_hours(1);
const PENDING: SignedDuration = SignedDuration::from_hours(24);

struct Cleaner {
    requests: Informer<CertificateSigningRequest>,
}

pub(super) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Cleaner { requests: caches.informers.get() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_request = queue.clone();
    controller.requests.on_change(move |change| on_request.add(ObjectKey::of(&**change.object())));
    tasks.spawn(run_controller(controller, queue, shell.clone(), 1));
}

/// When a request is due to go.
pub(crate) fn due(request: &CertificateSigningRequest) -> Option<Timestamp> {
    let settled = |kinds: &[&str]| conditions(request).iter().filter(|c| kinds.contains(&c.type_.as_str())).filter_map(|c| c.last_update_time.as_ref().map(|t| t.0 + SETTLED)).min();
    let issued = certificate(request).is_some();
    let has_word = !conditions(request).is_empty();
    let pending = (!issued && !has_word).then(|| request.metadata.creation_timestamp.as_ref().map(|t| t.0 + PENDING)).flatten();
    let kinds: &[&str] = if issued { &["Approved", "Denied", "Failed"] } else { &["Denied", "Failed"] };
    settled(kinds).or(pending)
}

impl Controller for Cleaner {
    const NAME: &'static str = "certificate-cleaner";
    type Key = ObjectKey;
    type Observed = Arc<CertificateSigningRequest>;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Self::Observed>, Error> {
        Ok(self.requests.get_key(key))
    }

    fn plan(request: Self::Observed, now: Timestamp) -> Plan {
        let Some(due) = due(&request) else { return Plan::default() };
        if due <= now {
            return Plan::of([Action::delete(&*request)]);
        }
        let mut plan = Plan::default();
        plan.wake_after(due.duration_since(now).unsigned_abs());
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::with_condition;

    #[test]
    fn requests_go_when_their_time_is_over() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap_or_default();
        let mut request = CertificateSigningRequest::default();
        request.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
        assert_eq!(due(&request), Some(at(86_400)));
        assert_eq!(due(&with_condition(&request, "Denied", "", "", at(100))), Some(at(3_700)));
        assert_eq!(due(&with_condition(&request, "Approved", "", "", at(100))), None);
    }
}
