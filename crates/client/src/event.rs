//! Records events: core/v1 Events, with upstream's correlation so that a loop cannot flood the API.
//!
//! Recording never waits and never fails the caller: a full queue drops the event. Keeps true: the same event again
//! raises a count; ten different messages of one reason within ten minutes become one; one object has 25 at once, then one per 5 min.
//! Upstream: client-go tools/record/events_cache.go.

mod correlate;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::correlate::{Correlator, Verdict};
use crate::error::is_not_found;

const WAITING: usize = 1000;
const ATTEMPTS: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    Normal,
    Warning,
}

impl EventType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Occurrence {
    pub regarding: ObjectReference,
    pub kind: EventType,
    pub reason: Cow<'static, str>,
    pub message: String,
    pub component: Arc<str>,
    pub at: Timestamp,
}

/// Records events for one component; clones share the correlation.
#[derive(Clone)]
pub struct Recorder {
    component: Arc<str>,
    sender: mpsc::Sender<Occurrence>,
}

impl Recorder {
    /// `host` is the node for the kubelet, empty for others.
    pub fn new(client: kube::Client, component: &str, host: &str, shutdown: CancellationToken) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let sink = Sink { client, host: host.to_owned(), correlator: Correlator::default() };
        tokio::spawn(async move {
            tokio::select! {
                () = sink.run(receiver) => {}
                () = shutdown.cancelled() => {}
            }
        });
        Self { component: component.into(), sender }
    }

    /// A recorder that tells nobody: for tests.
    pub fn silent() -> Self {
        Self { component: "".into(), sender: mpsc::channel(1).0 }
    }

    /// The same queue under another component's name.
    #[must_use]
    pub fn named(&self, component: &str) -> Self {
        Self { component: component.into(), sender: self.sender.clone() }
    }

    pub fn event(&self, regarding: &ObjectReference, kind: EventType, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        let occurrence = Occurrence { regarding: regarding.clone(), kind, reason: reason.into(), message: message.into(), component: self.component.clone(), at: Timestamp::now() };
        if let Err(error) = self.sender.try_send(occurrence) {
            tracing::debug!(%error, "event was dropped");
        }
    }
}

struct Sink {
    client: kube::Client,
    host: String,
    correlator: Correlator,
}

impl Sink {
    async fn run(mut self, mut receiver: mpsc::Receiver<Occurrence>) {
        while let Some(occurrence) = receiver.recv().await {
            match self.correlator.judge(&occurrence) {
                Verdict::Drop => {}
                Verdict::Create { key, message } => self.create(&occurrence, key, message, 1, occurrence.at).await,
                Verdict::Again { key, name, message, count, first } => {
                    let namespace = namespace_of(&occurrence.regarding);
                    let patch = serde_json::json!({"count": count, "lastTimestamp": Time(occurrence.at), "message": message});
                    let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
                    match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
                        Ok(_) => {}
                        // It expired: the series goes on in a new object.
                        Err(error) if is_not_found(&error) => self.create(&occurrence, key, message, count, first).await,
                        Err(error) => tracing::debug!(%error, "event was not counted"),
                    }
                }
            }
        }
    }

    async fn create(&mut self, occurrence: &Occurrence, key: String, message: String, count: i32, first: Timestamp) {
        let namespace = namespace_of(&occurrence.regarding);
        let stamp = u64::try_from(occurrence.at.as_nanosecond()).unwrap_or_default();
        let name = format!("{}.{stamp:x}", occurrence.regarding.name.as_deref().unwrap_or_default());
        let event = Event {
            metadata: ObjectMeta { name: Some(name.clone()), namespace: Some(namespace.clone()), ..ObjectMeta::default() },
            involved_object: occurrence.regarding.clone(),
            type_: Some(occurrence.kind.as_str().into()),
            reason: Some(occurrence.reason.to_string()),
            message: Some(message),
            count: Some(count),
            first_timestamp: Some(Time(first)),
            last_timestamp: Some(Time(occurrence.at)),
            source: Some(EventSource { component: Some(occurrence.component.to_string()), host: Some(self.host.clone()).filter(|h| !h.is_empty()) }),
            reporting_component: Some(occurrence.component.to_string()),
            reporting_instance: Some(self.host.clone()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        for attempt in 0..ATTEMPTS {
            match api.create(&PostParams::default(), &event).await {
                Ok(_) => return self.correlator.remember(key, name),
                // The server spoke: the namespace ends, the event is wrong. Asking again changes nothing.
                Err(kube::Error::Api(status)) => {
                    tracing::debug!(message = %status.message, "event was refused");
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "event could not be sent");
                    let base = std::time::Duration::from_millis(250 << attempt);
                    tokio::time::sleep(base.mul_f64(1.0 + rand::random::<f64>())).await;
                }
            }
        }
    }
}

fn namespace_of(regarding: &ObjectReference) -> String {
    regarding.namespace.clone().filter(|n| !n.is_empty()).unwrap_or_else(|| "default".into())
}
