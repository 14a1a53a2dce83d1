//! A token Secret for every service account, as clusters before 1.24 had: only where the configuration asks for it.
//!
//! It makes the empty Secret and names it in the account; `account_tokens` fills it. Off by default, as upstream is today.

use std::sync::Arc;

use client::{Action, Change, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, owner_reference, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::task::JoinSet;

use crate::account_tokens::{ACCOUNT, TYPE};
use crate::caches::Caches;
use crate::deployment::{Fnv32, safe_encode};

struct Accounts {
    accounts: Informer<ServiceAccount>,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Accounts { accounts: caches.informers.get() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_account = queue.clone();
    controller.accounts.on_change(move |change| {
        if !matches!(change, Change::Deleted(_)) {
            on_account.add(ObjectKey::of(&**change.object()));
        }
    });
    tasks.spawn(run_controller(controller, queue, shell.clone(), 2));
}

/// One name per account, so that a second try finds the first.
fn secret_name(account: &ServiceAccount) -> String {
    let mut hash = Fnv32::default();
    hash.write(account.metadata.uid.as_deref().unwrap_or_default().as_bytes());
    let suffix: String = safe_encode(&format!("{:010}", hash.0)).chars().take(5).collect();
    format!("{}-token-{suffix}", account.metadata.name.as_deref().unwrap_or_default())
}

impl Controller for Accounts {
    const NAME: &'static str = "service-account-secret";
    type Key = ObjectKey;
    type Observed = Arc<ServiceAccount>;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Arc<ServiceAccount>>, Error> {
        Ok(self.accounts.get_key(key).filter(|a| a.metadata.deletion_timestamp.is_none()))
    }

    fn plan(account: Arc<ServiceAccount>, _now: Timestamp) -> Plan {
        let name = secret_name(&account);
        if account.secrets.iter().flatten().any(|s| s.name.as_ref() == Some(&name)) {
            return Plan::default();
        }
        let mut owner = owner_reference(&*account);
        (owner.controller, owner.block_owner_deletion) = (None, None);
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: account.metadata.namespace.clone(),
                annotations: Some([(ACCOUNT.to_owned(), account.metadata.name.clone().unwrap_or_default())].into()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.into()),
            ..Secret::default()
        };
        let mut named = (*account).clone();
        named.secrets.get_or_insert_default().push(ObjectReference { name: Some(name), ..ObjectReference::default() });
        Plan::of([Action::create(&secret).or_exists()].into_iter().chain(Action::update(&*account, &named)))
    }
}
