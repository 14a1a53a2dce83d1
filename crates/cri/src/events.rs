//! containerd's own event stream, on the same socket: it says when a task started, ended or ran out of memory.
//!
//! Only a wake-up: nothing is concluded from an event but that the container is to be looked at again. Events are lost when the
//! connection is; whoever subscribes looks at everything once after each (re)subscription.

use prost::Message as _;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

use crate::{Cri, Error};

/// Something happened to a container or sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Started { id: String },
    /// The first process of the container ended.
    Exited { id: String },
    OutOfMemory { id: String },
    Deleted { id: String },
}

/// An open subscription.
pub struct EventStream(tonic::Streaming<Envelope>);

#[derive(Clone, PartialEq, prost::Message)]
struct SubscribeRequest {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(string, tag = "2")]
    namespace: String,
    #[prost(string, tag = "3")]
    topic: String,
    #[prost(message, optional, tag = "4")]
    event: Option<prost_types::Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TaskEvent {
    #[prost(string, tag = "1")]
    container_id: String,
    /// In an exit this is the process: equal to the container for its first process, another for an exec.
    #[prost(string, tag = "2")]
    id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TaskNamed {
    #[prost(string, tag = "1")]
    container_id: String,
}

impl Cri {
    /// Subscribes to task events of the namespace that the CRI plugin uses.
    pub async fn subscribe(&self) -> Result<EventStream, Error> {
        let filters = ["exit", "oom", "start", "delete"].map(|t| format!("namespace==k8s.io,topic==\"/tasks/{t}\"")).to_vec();
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|e| Error::Unavailable(e.to_string()))?;
        let mut request = tonic::Request::new(SubscribeRequest { filters });
        request.metadata_mut().insert("containerd-namespace", tonic::metadata::MetadataValue::from_static("k8s.io"));
        let path = http::uri::PathAndQuery::from_static("/containerd.services.events.v1.Events/Subscribe");
        let response = grpc.server_streaming(request, path, ProstCodec::default()).await?;
        Ok(EventStream(response.into_inner()))
    }
}

impl EventStream {
    /// The next event; `Ok(None)` when the runtime closed the stream.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        while let Some(envelope) = self.0.message().await? {
            if let Some(event) = parse_event(&envelope) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

fn parse_event(envelope: &Envelope) -> Option<Event> {
    let bytes = envelope.event.as_ref()?.value.as_slice();
    let named = |bytes| TaskNamed::decode(bytes).ok().map(|e| e.container_id);
    match envelope.topic.as_str() {
        "/tasks/start" => named(bytes).map(|id| Event::Started { id }),
        "/tasks/oom" => named(bytes).map(|id| Event::OutOfMemory { id }),
        "/tasks/delete" => named(bytes).map(|id| Event::Deleted { id }),
        "/tasks/exit" => TaskEvent::decode(bytes).ok().filter(|e| e.id == e.container_id || e.id.is_empty()).map(|e| Event::Exited { id: e.container_id }),
        _ => None,
    }
}
