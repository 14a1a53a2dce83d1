//! The events of one kind, by a streaming list where the server can, by pages where it refuses.
//!
//! Never gives up: the stream ends with its reader. Upstream's reflectors fall back in the same way.

use futures::stream::{self, BoxStream, StreamExt as _};
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Error, Event, watcher};
use serde::de::DeserializeOwned;

/// A server before 1.32, or one told so, forbids what a streaming list asks for.
fn is_refused(error: &Error) -> bool {
    let (Error::WatchStartFailed(kube::Error::Api(status)) | Error::InitialListFailed(kube::Error::Api(status)) | Error::WatchError(status)) = error else { return false };
    status.code == 422 && ["sendInitialEvents", "resourceVersionMatch"].iter().any(|field| status.message.contains(field))
}

/// What the cluster has and what changes, for ever.
pub fn follow<K>(api: Api<K>, config: watcher::Config, streaming: bool) -> BoxStream<'static, watcher::Result<Event<K>>>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    if !streaming {
        return watcher(api, config).default_backoff().boxed();
    }
    let first = watcher(api.clone(), config.clone().streaming_lists()).default_backoff().boxed();
    let events = stream::unfold((first, Some((api, config))), |(mut events, mut paged)| async move {
        loop {
            let event = events.next().await?;
            if let Err(error) = &event
                && is_refused(error)
                && let Some((api, config)) = paged.take()
            {
                tracing::debug!(resource = api.resource_url(), "the server does not stream lists; pages are asked for");
                events = watcher(api, config).default_backoff().boxed();
                continue;
            }
            return Some((event, (events, paged)));
        }
    });
    events.boxed()
}
