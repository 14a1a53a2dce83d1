//! The service account `default` of every namespace: there as long as the namespace lives, made again when deleted.
//!
//! It makes no tokens. Upstream: pkg/controller/serviceaccount/serviceaccounts_controller.go.

use std::sync::Arc;

use client::{Action, Change, Controller, Error, Informer, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::task::JoinSet;

use crate::caches::Caches;
use crate::namespace::is_terminating;

const NAME: &str = "default";

struct Accounts {
    namespaces: Informer<Namespace>,
    accounts: Informer<ServiceAccount>,
}

pub(crate) struct Observed {
    namespace: Arc<Namespace>,
    exists: bool,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Accounts { namespaces: caches.informers.get(), accounts: caches.informers.get() };
    let queue: WorkQueue<String> = WorkQueue::default();
    let on_namespace = queue.clone();
    controller.namespaces.on_change(move |change| {
        if !matches!(change, Change::Deleted(_)) {
            on_namespace.add(change.object().metadata.name.clone().unwrap_or_default());
        }
    });
    let on_account = queue.clone();
    controller.accounts.on_change(move |change| {
        if matches!(change, Change::Deleted(account) if account.metadata.name.as_deref() == Some(NAME)) {
            on_account.add(change.object().metadata.namespace.clone().unwrap_or_default());
        }
    });
    tasks.spawn(run_controller(controller, queue, shell.clone(), 1));
}

impl Controller for Accounts {
    const NAME: &'static str = "serviceaccount";
    type Key = String;
    type Observed = Observed;

    async fn observe(&self, key: &String) -> Result<Option<Observed>, Error> {
        let exists = self.accounts.get(key, NAME).is_some();
        Ok(self.namespaces.get("", key).map(|namespace| Observed { namespace, exists }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        if observed.exists || is_terminating(&observed.namespace) {
            return Plan::default();
        }
        let metadata = ObjectMeta { name: Some(NAME.into()), namespace: observed.namespace.metadata.name.clone(), ..ObjectMeta::default() };
        Plan::of([Action::create(&ServiceAccount { metadata, ..ServiceAccount::default() }).or_exists()])
    }
}
