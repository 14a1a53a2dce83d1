//! A cache of one kind, kept true by list and watch, with indexes and ordered change notices.
//!
//! It never writes to the API. It keeps true: the store changes before its handlers hear of it; handlers hear of every
//! change once and in order; after a broken watch the difference to the new list is told as ordinary changes.

mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use self::store::Store;
use crate::Error;

/// Namespace and name; the namespace is empty for cluster-scoped objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object as it came from the API.
    pub fn of<K: kube::Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self { namespace: meta.namespace.clone().unwrap_or_default(), name: meta.name.clone().unwrap_or_default() }
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// One change of the cache. After a broken watch several changes may arrive as one.
#[derive(Debug)]
pub enum Change<K> {
    Added(Arc<K>),
    Modified { old: Arc<K>, new: Arc<K> },
    Deleted(Arc<K>),
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Added(o) => Self::Added(o.clone()),
            Self::Modified { old, new } => Self::Modified { old: old.clone(), new: new.clone() },
            Self::Deleted(o) => Self::Deleted(o.clone()),
        }
    }
}

impl<K> Change<K> {
    /// The newest state known: the object itself, or what it last was.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Added(o) | Self::Deleted(o) => o,
            Self::Modified { new, .. } => new,
        }
    }

    /// The state before, when there was one and it still was this object.
    pub fn old(&self) -> Option<&Arc<K>> {
        match self {
            Self::Modified { old, .. } => Some(old),
            _ => None,
        }
    }
}

/// How an informer lists and what it keeps.
pub struct InformerOptions<K> {
    /// Field and label selectors, page size.
    pub watch: watcher::Config,
    /// Ask for streaming lists (`sendInitialEvents`) first; a server that refuses them is asked for pages.
    pub streaming: bool,
    /// Removes what nobody reads before the object is kept. managedFields always go.
    pub trim: Option<fn(&mut K)>,
}

impl<K> Default for InformerOptions<K> {
    fn default() -> Self {
        Self { watch: watcher::Config::default(), streaming: true, trim: None }
    }
}

type Handler<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

struct Inner<K> {
    name: String,
    store: RwLock<Store<K>>,
    /// Held while a change is stored and told, so that a new handler misses nothing and hears nothing twice.
    handlers: Mutex<Vec<Handler<K>>>,
    broadcast: Mutex<Option<broadcast::Sender<Change<K>>>>,
    synced: watch::Sender<bool>,
    seen: watch::Sender<u64>,
    ended: AtomicBool,
}

/// Shared handle on a cache; clones see the same cache. The watch ends with the token given at the start.
pub struct Informer<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K> Informer<K>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    /// Starts watching `api`. Returns at once; see [`Informer::wait_synced`].
    pub fn start(api: Api<K>, options: InformerOptions<K>, shutdown: CancellationToken) -> Self {
        let inner = Arc::new(Inner {
            name: api.resource_url().to_string(),
            store: RwLock::new(Store::new()),
            handlers: Mutex::new(Vec::new()),
            broadcast: Mutex::new(None),
            synced: watch::Sender::new(false),
            seen: watch::Sender::new(0),
            ended: AtomicBool::new(false),
        });
        let informer = Self { inner: inner.clone() };
        tokio::spawn(async move {
            tokio::select! {
                () = fill(&inner, api, options) => {}
                () = shutdown.cancelled() => {}
            }
            inner.ended.store(true, Ordering::Release);
            // Read first: the guard of `borrow` must be gone before the write.
            let synced = *inner.synced.borrow();
            inner.synced.send_replace(synced);
        });
        informer
    }

    /// An informer that watches nothing and is full already: for kinds that a server does not have, and for tests.
    pub fn fixed(objects: impl IntoIterator<Item = K>) -> Self {
        let mut store = Store::new();
        for object in objects {
            store.put(Arc::new(object));
        }
        Self {
            inner: Arc::new(Inner {
                name: "fixed".into(),
                store: RwLock::new(store),
                handlers: Mutex::new(Vec::new()),
                broadcast: Mutex::new(None),
                synced: watch::Sender::new(true),
                seen: watch::Sender::new(u64::MAX),
                ended: AtomicBool::new(false),
            }),
        }
    }

    /// Waits until the first list is in the cache.
    pub async fn wait_synced(&self) -> Result<(), Error> {
        let mut synced = self.inner.synced.subscribe();
        loop {
            if *synced.borrow_and_update() {
                return Ok(());
            }
            if self.inner.ended.load(Ordering::Acquire) || synced.changed().await.is_err() {
                return Err(Error::NotSynced(self.inner.name.clone()));
            }
        }
    }

    pub fn is_synced(&self) -> bool {
        *self.inner.synced.borrow()
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.inner.store.read().get(namespace, name)
    }

    pub fn get_key(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.get(&key.namespace, &key.name)
    }

    /// Every object, ordered by namespace and name.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.inner.store.read().list()
    }

    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.inner.store.read().list_namespace(namespace)
    }

    pub fn len(&self) -> usize {
        self.inner.store.read().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an index over everything cached now and later. `keys` must be a pure function of the object.
    pub fn index(&self, keys: impl Fn(&K) -> Vec<String> + Send + Sync + 'static) -> Index<K> {
        let slot = self.inner.store.write().add_index(Box::new(keys));
        Index { inner: self.inner.clone(), slot }
    }

    /// Calls `handler` with `Added` for all that is cached and then with every change, in order, on the watching task:
    /// it must be quick and must not call back into `on_change`.
    pub fn on_change(&self, handler: impl Fn(&Change<K>) + Send + Sync + 'static) {
        let mut handlers = self.inner.handlers.lock();
        for object in self.list() {
            handler(&Change::Added(object));
        }
        handlers.push(Box::new(handler));
    }

    /// Changes from now on as a bounded channel; a reader that lags is told so and must read the store again.
    pub fn subscribe(&self) -> broadcast::Receiver<Change<K>> {
        self.inner.broadcast.lock().get_or_insert_with(|| broadcast::channel(1024).0).subscribe()
    }

    /// How far the watch has come; see [`Progress`].
    pub fn progress(&self) -> Progress {
        Progress { seen: self.inner.seen.subscribe() }
    }
}

/// The newest resourceVersion that a cache has seen.
#[derive(Clone)]
pub struct Progress {
    seen: watch::Receiver<u64>,
}

impl Progress {
    /// Waits until the cache has seen `revision`, at most `limit`. False when time ran out.
    pub async fn wait(&self, revision: u64, limit: Duration) -> bool {
        let mut seen = self.seen.clone();
        matches!(tokio::time::timeout(limit, seen.wait_for(|now| *now >= revision)).await, Ok(Ok(_)))
    }

    /// Waits until `reached` holds, asked again after each change of the cache, at most `limit`.
    pub async fn wait_until(&self, reached: impl Fn() -> bool, limit: Duration) -> bool {
        let mut seen = self.seen.clone();
        seen.mark_changed();
        let waited = async {
            while seen.changed().await.is_ok() {
                if reached() {
                    return true;
                }
            }
            false
        };
        matches!(tokio::time::timeout(limit, waited).await, Ok(true))
    }
}

/// A view of the cache by computed keys.
pub struct Index<K> {
    inner: Arc<Inner<K>>,
    slot: usize,
}

impl<K> Clone for Index<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), slot: self.slot }
    }
}

impl<K: kube::Resource> Index<K> {
    /// The objects under `key`, ordered by namespace and name.
    pub fn get(&self, key: &str) -> Vec<Arc<K>> {
        self.inner.store.read().indexed(self.slot, key)
    }
}

async fn fill<K>(inner: &Inner<K>, api: Api<K>, options: InformerOptions<K>)
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let mut events = crate::follow(api, options.watch, options.streaming);
    let mut listing: Option<Vec<Arc<K>>> = None;
    while let Some(event) = events.next().await {
        let keep = |mut object: K| {
            object.meta_mut().managed_fields = None;
            if let Some(trim) = options.trim {
                trim(&mut object);
            }
            Arc::new(object)
        };
        match event {
            Ok(Event::Init) => listing = Some(Vec::new()),
            Ok(Event::InitApply(object)) => listing.get_or_insert_default().push(keep(object)),
            Ok(Event::InitDone) => inner.replace(listing.take().unwrap_or_default()),
            Ok(Event::Apply(object)) => inner.put(keep(object)),
            Ok(Event::Delete(object)) => inner.remove(keep(object)),
            Err(error) if *inner.synced.borrow() => tracing::debug!(resource = %inner.name, %error, "watch broke and was started again"),
            // Nothing works before the first list: worth more than a whisper.
            Err(error) => tracing::warn!(resource = %inner.name, %error, "cache could not be filled yet"),
        }
    }
}

impl<K: kube::Resource> Inner<K> {
    fn put(&self, object: Arc<K>) {
        let handlers = self.handlers.lock();
        let revision = revision_of(&*object);
        let old = self.store.write().put(object.clone());
        self.advance(revision);
        match old {
            // A deletion and a new creation of the same name that the watch told as one.
            Some(old) if old.meta().uid != object.meta().uid => {
                self.tell(&handlers, Change::Deleted(old));
                self.tell(&handlers, Change::Added(object));
            }
            Some(old) => self.tell(&handlers, Change::Modified { old, new: object }),
            None => self.tell(&handlers, Change::Added(object)),
        }
    }

    fn remove(&self, last: Arc<K>) {
        let handlers = self.handlers.lock();
        let revision = revision_of(&*last);
        let known = self.store.write().remove(&*last);
        self.advance(revision);
        if known.is_some() {
            self.tell(&handlers, Change::Deleted(last));
        }
    }

    /// Makes the cache equal to a fresh list and tells the difference.
    fn replace(&self, objects: Vec<Arc<K>>) {
        let handlers = self.handlers.lock();
        let newest = objects.iter().map(|o| revision_of(&**o)).max().unwrap_or(0);
        let changes = self.store.write().replace(objects);
        self.advance(newest);
        // Synced before telling: a handler that wakes a worker must find it willing to work.
        self.synced.send_replace(true);
        for change in changes {
            self.tell(&handlers, change);
        }
    }

    fn advance(&self, revision: u64) {
        self.seen.send_if_modified(|seen| {
            let newer = revision > *seen;
            if newer {
                *seen = revision;
            }
            newer
        });
    }

    fn tell(&self, handlers: &[Handler<K>], change: Change<K>) {
        for handler in handlers {
            handler(&change);
        }
        if let Some(sender) = &*self.broadcast.lock() {
            let _ = sender.send(change);
        }
    }
}

fn revision_of<K: kube::Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn map(name: &str, uid: &str, revision: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.namespace = Some("ns".into());
        map.metadata.name = Some(name.into());
        map.metadata.uid = Some(uid.into());
        map.metadata.resource_version = Some(revision.into());
        map
    }

    #[test]
    fn a_new_list_is_told_as_ordinary_changes() {
        let informer = Informer::fixed([map("gone", "1", "1"), map("same", "2", "2"), map("newer", "3", "3"), map("reborn", "4", "4")]);
        let by_uid = informer.index(|m: &ConfigMap| m.metadata.uid.clone().into_iter().collect());
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = told.clone();
        informer.on_change(move |change| {
            let word = match change {
                Change::Added(_) => "added",
                Change::Modified { .. } => "modified",
                Change::Deleted(_) => "deleted",
            };
            sink.lock().push(format!("{word} {}", ObjectKey::of(&**change.object())));
        });
        told.lock().clear();
        informer.inner.replace([map("same", "2", "2"), map("newer", "3", "9"), map("reborn", "5", "8")].into_iter().map(Arc::new).collect());
        assert_eq!(*told.lock(), ["deleted ns/gone", "modified ns/newer", "deleted ns/reborn", "added ns/reborn"]);
        assert_eq!(by_uid.get("4").len() + by_uid.get("1").len(), 0);
        assert_eq!(by_uid.get("5").len(), 1);
    }
}
