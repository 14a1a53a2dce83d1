//! The pods that the node works on, by uid, and the way to wake their workers.
//!
//! Never calls anyone: a wake sets a flag and the worker looks for itself. Keeps true: a wake is never lost, and many are one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use parking_lot::Mutex;
use pod_lifecycle::Stop;
use tokio::sync::{Notify, watch};

/// What others may know of a pod and tell its worker.
pub struct PodHandle {
    pub uid: String,
    /// From a file of this node rather than from the API.
    pub is_static: bool,
    pod: Mutex<Arc<Pod>>,
    status: Mutex<Option<PodStatus>>,
    stop: Mutex<Option<Stop>>,
    /// Objects that the pod's volumes show have changed.
    objects_changed: AtomicBool,
    /// The API's image of a static pod.
    mirror: Mutex<Option<Arc<Pod>>>,
    notify: Notify,
    /// Counts the looks that the worker took.
    looks: watch::Sender<u64>,
}

impl PodHandle {
    pub fn new(uid: String, pod: Arc<Pod>, is_static: bool) -> Self {
        Self { uid, is_static, pod: Mutex::new(pod), status: Mutex::new(None), stop: Mutex::new(None), objects_changed: AtomicBool::new(false), mirror: Mutex::new(None), notify: Notify::new(), looks: watch::Sender::new(0) }
    }

    /// As its source last said.
    pub fn pod(&self) -> Arc<Pod> {
        self.pod.lock().clone()
    }

    /// With the status that this node last gave it.
    pub fn pod_with_status(&self) -> Pod {
        let mut pod = (*self.pod()).clone();
        if let Some(status) = self.status.lock().clone() {
            pod.status = Some(status);
        }
        pod
    }

    pub fn set_status(&self, status: PodStatus) {
        *self.status.lock() = Some(status);
        self.looks.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Told whenever the worker looked at the runtime.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.looks.subscribe()
    }

    /// Name, restart count and id of what runs.
    pub fn running_containers(&self) -> Vec<(String, u32, String)> {
        let status = self.status.lock();
        let lists = status.iter().flat_map(|s| [&s.init_container_statuses, &s.container_statuses, &s.ephemeral_container_statuses]);
        let running = lists.flatten().flatten().filter(|c| c.state.as_ref().is_some_and(|s| s.running.is_some()));
        running.filter_map(|c| Some((c.name.clone(), u32::try_from(c.restart_count).ok()?, c.container_id.as_deref()?.strip_prefix("containerd://")?.to_owned()))).collect()
    }

    pub fn is_running(&self, id: &str) -> bool {
        self.running_containers().iter().any(|(_, _, running)| running == id)
    }

    pub fn update(&self, pod: Arc<Pod>) {
        *self.pod.lock() = pod;
        self.wake();
    }

    pub fn stop(&self) -> Option<Stop> {
        self.stop.lock().clone()
    }

    /// A later stop may shorten the grace but never undo an earlier one.
    pub fn set_stop(&self, stop: Stop) {
        *self.stop.lock() = Some(stop);
        self.wake();
    }

    pub fn set_mirror(&self, mirror: Option<Arc<Pod>>) {
        *self.mirror.lock() = mirror;
        self.wake();
    }

    pub fn mirror(&self) -> Option<Arc<Pod>> {
        self.mirror.lock().clone()
    }

    /// The API object whose status this pod's is written to; a static pod may have none yet.
    pub fn published_as(&self) -> Option<Arc<Pod>> {
        if self.is_static { self.mirror() } else { Some(self.pod()) }
    }

    pub fn wake(&self) {
        self.notify.notify_one();
    }

    pub async fn woken(&self) {
        self.notify.notified().await;
    }

    /// What the volumes show is to be looked at again with the next round.
    pub fn mark_objects_changed(&self) {
        self.objects_changed.store(true, Ordering::Release);
    }

    pub fn take_objects_changed(&self) -> bool {
        self.objects_changed.swap(false, Ordering::AcqRel)
    }
}

#[derive(Default)]
pub struct Registry {
    pods: Mutex<HashMap<String, Arc<PodHandle>>>,
    /// Runtime ids of sandboxes and containers, to the pod's uid.
    owners: Mutex<HashMap<String, String>>,
}

impl Registry {
    pub fn insert(&self, handle: Arc<PodHandle>) {
        self.pods.lock().insert(handle.uid.clone(), handle);
    }

    pub fn get(&self, uid: &str) -> Option<Arc<PodHandle>> {
        self.pods.lock().get(uid).cloned()
    }

    pub fn remove(&self, uid: &str) {
        self.pods.lock().remove(uid);
        self.owners.lock().retain(|_, owner| owner != uid);
    }

    pub fn all(&self) -> Vec<Arc<PodHandle>> {
        self.pods.lock().values().cloned().collect()
    }

    pub fn find(&self, namespace: &str, name: &str) -> Option<Arc<PodHandle>> {
        let fits = |h: &Arc<PodHandle>| {
            let pod = h.pod();
            pod.metadata.namespace.as_deref() == Some(namespace) && pod.metadata.name.as_deref() == Some(name)
        };
        // Of two with one name the living one counts.
        let mut found: Vec<_> = self.all().into_iter().filter(fits).collect();
        found.sort_by_key(|h| h.stop().is_some());
        found.into_iter().next()
    }

    pub fn own(&self, id: &str, uid: &str) {
        self.owners.lock().insert(id.to_owned(), uid.to_owned());
    }

    pub fn disown(&self, id: &str) {
        self.owners.lock().remove(id);
    }

    pub fn owner(&self, id: &str) -> Option<Arc<PodHandle>> {
        let uid = self.owners.lock().get(id).cloned()?;
        self.get(&uid)
    }

    pub fn wake(&self, uid: &str) {
        if let Some(handle) = self.get(uid) {
            handle.wake();
        }
    }

    pub fn wake_for_objects(&self, uid: &str) {
        if let Some(handle) = self.get(uid) {
            handle.mark_objects_changed();
            handle.wake();
        }
    }
}
