//! The ConfigMap `kube-root-ca.crt` of every namespace: what pods verify the API server with.
//!
//! Hand edits are put right. Upstream: pkg/controller/certificates/rootcacertpublisher.

use std::sync::Arc;

use client::{Action, Change, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::task::JoinSet;

use crate::caches::Caches;
use crate::namespace::is_terminating;

const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";

struct Publisher {
    namespaces: Informer<Namespace>,
    maps: Informer<ConfigMap>,
    pem: Arc<str>,
}

pub(crate) struct Observed {
    namespace: Arc<Namespace>,
    map: Option<Arc<ConfigMap>>,
    pem: Arc<str>,
}

/// Only this one ConfigMap of each namespace is watched, not all that users have.
pub(crate) fn start(caches: &Caches, shell: &Shell, pem: &str, paged: bool, tasks: &mut JoinSet<()>) {
    let watch = kube::runtime::watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let options = client::InformerOptions { watch, streaming: !paged, trim: None };
    let maps = Informer::start(kube::Api::<ConfigMap>::all(caches.informers.client().clone()), options, shell.shutdown.clone());
    let controller = Publisher { namespaces: caches.informers.get(), maps, pem: pem.into() };
    let queue: WorkQueue<String> = WorkQueue::default();
    let on_namespace = queue.clone();
    controller.namespaces.on_change(move |change| {
        if !matches!(change, Change::Deleted(_)) {
            on_namespace.add(change.object().metadata.name.clone().unwrap_or_default());
        }
    });
    let on_map = queue.clone();
    controller.maps.on_change(move |change| on_map.add(ObjectKey::of(&**change.object()).namespace));
    let shell = shell.clone();
    tasks.spawn(async move {
        if controller.maps.wait_synced().await.is_ok() {
            run_controller(controller, queue, shell, 1).await;
        }
    });
}

impl Controller for Publisher {
    const NAME: &'static str = "root-ca-certificate-publisher";
    type Key = String;
    type Observed = Observed;

    async fn observe(&self, key: &String) -> Result<Option<Observed>, Error> {
        let Some(namespace) = self.namespaces.get("", key) else { return Ok(None) };
        Ok(Some(Observed { namespace, map: self.maps.get(key, NAME), pem: self.pem.clone() }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        if is_terminating(&observed.namespace) {
            return Plan::default();
        }
        let words = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
        let data = Some([(KEY.to_owned(), observed.pem.to_string())].into());
        let Some(map) = observed.map else {
            let metadata = ObjectMeta {
                name: Some(NAME.into()),
                namespace: observed.namespace.metadata.name.clone(),
                annotations: Some([(DESCRIPTION.to_owned(), words.to_owned())].into()),
                ..ObjectMeta::default()
            };
            return Plan::of([Action::create(&ConfigMap { metadata, data, ..ConfigMap::default() }).or_exists()]);
        };
        let mut right = (*map).clone();
        right.data = data;
        right.metadata.annotations.get_or_insert_default().insert(DESCRIPTION.into(), words.into());
        Plan::of(Action::update(&*map, &right))
    }
}
