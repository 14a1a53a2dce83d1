//! Watches the metadata of every resource and keeps the graph true; follows definitions as they come and go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use client::{Kind, Shell, WorkQueue, run_controller};
use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::{Config, Event};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::graph::Graph;
use super::observe::Collector;
use crate::discovery::{Resource, resources};

/// Definitions come in bursts; each is served by the time its event is here.
const SETTLE: Duration = Duration::from_millis(100);
/// Between looks when the API cannot be asked.
const RETRY: Duration = Duration::from_secs(5);

pub(crate) type Uid = Arc<str>;

#[derive(Clone)]
pub(crate) struct Shared {
    pub graph: Arc<Mutex<Graph>>,
    pub queue: WorkQueue<Uid>,
    /// Told when the set of resources may have changed.
    rediscover: Arc<Notify>,
    on_counted: OnCounted,
}

/// Hears of every object that is new or gone, of whatever resource: resource and namespace.
pub(crate) type OnCounted = Arc<dyn Fn(&Kind, &str) + Send + Sync>;

impl Shared {
    pub fn look_at(&self, uids: impl IntoIterator<Item = Uid>) {
        for uid in uids {
            self.queue.add(uid);
        }
    }
}

pub(crate) fn start(shell: &Shell, paged: bool, on_counted: OnCounted, tasks: &mut JoinSet<()>) {
    let shared = Shared { graph: Arc::default(), queue: WorkQueue::default(), rediscover: Arc::default(), on_counted };
    let collector = Collector { shared: shared.clone(), client: shell.executor.client().clone(), recorder: shell.executor.recorder().named("garbage-collector-controller") };
    let shell = shell.clone();
    tasks.spawn(async move {
        tokio::join!(run_controller(collector, shared.queue.clone(), shell.clone(), 8), follow(shared, shell, paged));
    });
}

/// Keeps one watch per resource.
async fn follow(shared: Shared, shell: Shell, paged: bool) {
    let client = shell.executor.client().clone();
    let mut watches: HashMap<Kind, CancellationToken> = HashMap::new();
    loop {
        match resources(&client).await {
            Ok(found) => {
                let found: Vec<Arc<Resource>> = found.into_iter().map(Arc::new).collect();
                shared.graph.lock().set_resources(&found);
                let wanted: HashSet<&Kind> = found.iter().filter(|r| r.watchable() && !is_ignored(&r.kind)).map(|r| &r.kind).collect();
                watches.retain(|kind, token| {
                    let keep = wanted.contains(kind);
                    if !keep {
                        token.cancel();
                        let gone = shared.graph.lock().uids_of(kind);
                        for uid in gone {
                            let look = shared.graph.lock().remove(&uid);
                            shared.look_at(look);
                        }
                    }
                    keep
                });
                for resource in found.iter().filter(|r| wanted.contains(&r.kind)) {
                    if !watches.contains_key(&resource.kind) {
                        let token = shell.shutdown.child_token();
                        watches.insert(resource.kind.clone(), token.clone());
                        tokio::spawn(watch(shared.clone(), client.clone(), resource.clone(), token, paged));
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "resources could not be discovered");
                shared.rediscover.notify_one();
                tokio::select! { () = tokio::time::sleep(RETRY) => {}, () = shell.shutdown.cancelled() => return }
            }
        }
        tokio::select! { () = shared.rediscover.notified() => {}, () = shell.shutdown.cancelled() => return }
        tokio::select! { () = tokio::time::sleep(SETTLE) => {}, () = shell.shutdown.cancelled() => return }
    }
}

/// Events own nothing and are owned by nothing, but there are many.
fn is_ignored(kind: &Kind) -> bool {
    kind.kind == "Event" && (kind.group.is_empty() || kind.group == "events.k8s.io")
}

/// Changes of these change what resources there are.
fn defines_resources(kind: &Kind) -> bool {
    kind.kind == "CustomResourceDefinition" || kind.kind == "APIService"
}

async fn watch(shared: Shared, client: kube::Client, resource: Arc<Resource>, token: CancellationToken, paged: bool) {
    let kind = &resource.kind;
    let api_resource = ApiResource { group: kind.group.to_string(), version: kind.version.to_string(), api_version: kind.api_version(), kind: kind.kind.to_string(), plural: kind.plural.to_string() };
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &api_resource);
    let mut events = client::follow(api, Config::default(), !paged);
    let mut listed: HashSet<Uid> = HashSet::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = token.cancelled() => return,
        };
        let changed = match event {
            None => return,
            Some(Err(error)) => {
                tracing::debug!(resource = %kind.plural, %error, "metadata watch broke and was started again");
                continue;
            }
            Some(Ok(Event::Init)) => {
                listed.clear();
                continue;
            }
            Some(Ok(Event::InitApply(object))) => {
                listed.extend(object.metadata.uid.as_deref().map(Uid::from));
                shared.graph.lock().put(&resource, &object.metadata)
            }
            Some(Ok(Event::Apply(object))) => {
                if defines_resources(kind) {
                    shared.rediscover.notify_one();
                }
                let mut graph = shared.graph.lock();
                let new = graph.get(object.metadata.uid.as_deref().unwrap_or_default()).is_none_or(|n| !n.seen);
                let look = graph.put(&resource, &object.metadata);
                drop(graph);
                if new {
                    (shared.on_counted)(kind, object.metadata.namespace.as_deref().unwrap_or_default());
                }
                look
            }
            Some(Ok(Event::Delete(object))) => {
                if defines_resources(kind) {
                    shared.rediscover.notify_one();
                }
                let look = shared.graph.lock().remove(object.metadata.uid.as_deref().unwrap_or_default());
                (shared.on_counted)(kind, object.metadata.namespace.as_deref().unwrap_or_default());
                look
            }
            Some(Ok(Event::InitDone)) => {
                let mut graph = shared.graph.lock();
                let gone: Vec<Uid> = graph.uids_of(kind).into_iter().filter(|uid| !listed.contains(uid)).collect();
                listed = HashSet::new();
                gone.iter().flat_map(|uid| graph.remove(uid)).collect()
            }
        };
        shared.look_at(changed);
    }
}
