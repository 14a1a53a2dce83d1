//! Single objects that pods refer to (config maps, secrets), each watched by name while a pod refers to it.
//!
//! Never lists a namespace: the node authorizer allows only names. Keeps true: the last pod that lets go ends the watch; a change
//! wakes exactly the pods that refer to the object.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use client::{Change, Informer, InformerOptions};
use kube::Api;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::pod::registry::Registry;

/// Upstream waits so long for a first sync before it says that the object cannot be had.
const FIRST_LIST: Duration = Duration::from_secs(10);

type Key = (String, String);

struct Entry<K> {
    informer: Informer<K>,
    pods: Arc<parking_lot::Mutex<BTreeSet<String>>>,
    stop: CancellationToken,
}

pub struct Referenced<K> {
    client: kube::Client,
    streaming: bool,
    registry: Arc<Registry>,
    what: &'static str,
    entries: parking_lot::Mutex<HashMap<Key, Entry<K>>>,
}

impl<K> Referenced<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    pub fn new(client: kube::Client, streaming: bool, registry: Arc<Registry>, what: &'static str) -> Self {
        Self { client, streaming, registry, what, entries: parking_lot::Mutex::default() }
    }

    /// The object as the watch knows it, for the pod `uid`, which from now on hears of its changes.
    pub async fn get(&self, namespace: &str, name: &str, uid: &str) -> Result<Option<Arc<K>>, String> {
        let informer = self.refer(namespace, name, uid);
        match tokio::time::timeout(FIRST_LIST, informer.wait_synced()).await {
            Ok(Ok(())) => Ok(informer.get(namespace, name)),
            _ => Err(format!("failed to sync {} cache: timed out waiting for the condition", self.what)),
        }
    }

    fn refer(&self, namespace: &str, name: &str, uid: &str) -> Informer<K> {
        let mut entries = self.entries.lock();
        let entry = entries.entry((namespace.to_owned(), name.to_owned())).or_insert_with(|| self.start(namespace, name));
        entry.pods.lock().insert(uid.to_owned());
        entry.informer.clone()
    }

    fn start(&self, namespace: &str, name: &str) -> Entry<K> {
        let stop = CancellationToken::new();
        let options = InformerOptions { watch: watcher::Config::default().fields(&format!("metadata.name={name}")), streaming: self.streaming, trim: None };
        let informer = Informer::start(Api::namespaced(self.client.clone(), namespace), options, stop.clone());
        let pods: Arc<parking_lot::Mutex<BTreeSet<String>>> = Arc::default();
        let (told, registry) = (pods.clone(), self.registry.clone());
        informer.on_change(move |_: &Change<K>| {
            for uid in told.lock().iter() {
                registry.wake_for_objects(uid);
            }
        });
        Entry { informer, pods, stop }
    }

    /// The pod is gone: what nobody else refers to is no longer watched.
    pub fn release(&self, uid: &str) {
        self.entries.lock().retain(|_, entry| {
            let mut pods = entry.pods.lock();
            pods.remove(uid);
            let used = !pods.is_empty();
            if !used {
                entry.stop.cancel();
            }
            used
        });
    }
}
