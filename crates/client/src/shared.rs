//! One informer per kind, shared by all who run in one component.
//!
//! Never starts two watches of one kind. Keeps the progress of every cache by kind, so that the shell can wait for its own writes.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kube::Api;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::informer::{Informer, InformerOptions, Progress};
use crate::{Error, Kind, Served, Written};

type Waiting = Box<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

type Alive = Arc<dyn Fn(&str, &str, &str) -> bool + Send + Sync>;

/// What the shell needs to know of a cache without knowing its type.
#[derive(Clone)]
struct Cache {
    progress: Progress,
    /// Is the object of this namespace, name and uid there and not being deleted?
    alive: Alive,
}

#[derive(Default)]
struct Registry {
    informers: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    caches: HashMap<(String, String), Cache>,
    waiting: Vec<Waiting>,
}

/// The set of shared informers; clones share it.
#[derive(Clone)]
pub struct Informers {
    client: kube::Client,
    shutdown: CancellationToken,
    streaming: bool,
    served: Option<Arc<Served>>,
    registry: Arc<Mutex<Registry>>,
}

impl Informers {
    pub fn new(client: kube::Client, shutdown: CancellationToken) -> Self {
        Self { client, shutdown, streaming: true, served: None, registry: Arc::default() }
    }

    /// The same with paged lists, for servers without streaming lists.
    #[must_use]
    pub fn paged(mut self) -> Self {
        self.streaming = false;
        self
    }

    /// The same for a server that may not have every kind: the cache of one that it lacks is empty.
    #[must_use]
    pub fn of(mut self, served: Served) -> Self {
        self.served = Some(Arc::new(served));
        self
    }

    /// Whether the server has this kind, as far as it was asked.
    pub fn has<K: kube::Resource<DynamicType = ()>>(&self) -> bool {
        self.served.as_ref().is_none_or(|served| served.has::<K>())
    }

    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// The informer over all namespaces of `K`, started on first use.
    pub fn get<K>(&self) -> Informer<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    {
        self.get_trimmed(None)
    }

    /// The same; `trim` counts only for who comes first.
    pub fn get_trimmed<K>(&self, trim: Option<fn(&mut K)>) -> Informer<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    {
        let mut registry = self.registry.lock();
        if let Some(known) = registry.informers.get(&TypeId::of::<K>()).and_then(|any| any.downcast_ref::<Informer<K>>()) {
            return known.clone();
        }
        let informer = if self.has::<K>() {
            let options = InformerOptions { streaming: self.streaming, trim, ..InformerOptions::default() };
            Informer::start(Api::<K>::all(self.client.clone()), options, self.shutdown.clone())
        } else {
            tracing::warn!(version = %K::api_version(&()), kind = %K::kind(&()), "the server does not have this kind; what works on it has nothing to do");
            Informer::fixed([])
        };
        registry.informers.insert(TypeId::of::<K>(), Box::new(informer.clone()));
        let looked = informer.clone();
        let cache = Cache {
            progress: informer.progress(),
            alive: Arc::new(move |namespace, name, uid| {
                looked.get(namespace, name).is_some_and(|o| o.meta().uid.as_deref() == Some(uid) && o.meta().deletion_timestamp.is_none())
            }),
        };
        registry.caches.insert((K::group(&()).into_owned(), K::kind(&()).into_owned()), cache);
        let waited = informer.clone();
        registry.waiting.push(Box::new(move || {
            let waited = waited.clone();
            Box::pin(async move { waited.wait_synced().await })
        }));
        informer
    }

    /// Waits until every informer asked for so far has its first list.
    pub async fn wait_synced(&self) -> Result<(), Error> {
        let all: Vec<_> = self.registry.lock().waiting.iter().map(|wait| wait()).collect();
        futures::future::try_join_all(all).await.map(|_| ())
    }

    /// Waits until the caches show these writes; false when `limit` passed first. Kinds without a cache are not waited for.
    pub async fn wait_written(&self, writes: &[Written], limit: Duration) -> bool {
        if writes.is_empty() {
            return true;
        }
        let all = writes.iter().map(|write| async move {
            match write {
                Written::Revision { kind, revision } => match self.cache(kind) {
                    Some(cache) => cache.progress.wait(*revision, limit).await,
                    None => true,
                },
                Written::Gone { target } => match (self.cache(&target.kind), &target.uid) {
                    (Some(cache), Some(uid)) => cache.progress.wait_until(|| !(cache.alive)(&target.namespace, &target.name, uid), limit).await,
                    _ => true,
                },
            }
        });
        futures::future::join_all(all).await.into_iter().all(|seen| seen)
    }

    fn cache(&self, kind: &Kind) -> Option<Cache> {
        self.registry.lock().caches.get(&(kind.group.to_string(), kind.kind.to_string())).cloned()
    }
}
