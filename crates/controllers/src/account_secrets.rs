//! A token Secret for every service account, as clusters before 1.24 had: only where the configuration asks for it.
//!
//! It makes the empty Secret and names it in the account; `account_tokens` fills it. A Secret that is deleted, or named no
//! longer, is followed by a new one. Off by default, as upstream is today.

use std::sync::Arc;

use client::{Action, Change, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, owner_reference, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use tokio::task::JoinSet;

use crate::account_tokens::{ACCOUNT, TYPE};
use crate::caches::Caches;
use crate::deployment::{Fnv32, safe_encode};

struct Accounts {
    accounts: Informer<ServiceAccount>,
    client: kube::Client,
}

/// An account, and which of the Secrets that it names are there.
struct Observed {
    account: Arc<ServiceAccount>,
    living: Vec<String>,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, paged: bool, tasks: &mut JoinSet<()>) {
    let controller = Accounts { accounts: caches.informers.get(), client: shell.executor.client().clone() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_account = queue.clone();
    controller.accounts.on_change(move |change| {
        if !matches!(change, Change::Deleted(_)) {
            on_account.add(ObjectKey::of(&**change.object()));
        }
    });
    let watch = kube::runtime::watcher::Config::default().fields(&format!("type={TYPE}"));
    let options = client::InformerOptions { watch, streaming: !paged, trim: None };
    let secrets = Informer::start(Api::<Secret>::all(controller.client.clone()), options, shell.shutdown.clone());
    let on_secret = queue.clone();
    secrets.on_change(move |change| {
        let secret = change.object();
        let account = secret.metadata.annotations.as_ref().and_then(|a| a.get(ACCOUNT));
        if let (Change::Deleted(_), Some(account)) = (&change, account) {
            on_secret.add(ObjectKey { namespace: secret.metadata.namespace.clone().unwrap_or_default(), name: account.clone() });
        }
    });
    let shell = shell.clone();
    tasks.spawn(async move {
        if secrets.wait_synced().await.is_ok() {
            run_controller(controller, queue, shell, 2).await;
        }
    });
}

/// One name for each state of the account: a second try finds the first, a Secret after a deleted one has a new name.
fn secret_name(account: &ServiceAccount) -> String {
    let mut hash = Fnv32::default();
    for part in [&account.metadata.uid, &account.metadata.resource_version] {
        hash.write(part.as_deref().unwrap_or_default().as_bytes());
    }
    let suffix: String = safe_encode(&format!("{:010}", hash.0)).chars().take(5).collect();
    format!("{}-token-{suffix}", account.metadata.name.as_deref().unwrap_or_default())
}

fn token_prefix(account: &ServiceAccount) -> String {
    format!("{}-token-", account.metadata.name.as_deref().unwrap_or_default())
}

impl Controller for Accounts {
    const NAME: &'static str = "service-account-secret";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(account) = self.accounts.get_key(key).filter(|a| a.metadata.deletion_timestamp.is_none()) else { return Ok(None) };
        let mut living = Vec::new();
        // The API's word, not the cache's: the Secret may have been made a moment ago.
        let api = Api::<Secret>::namespaced(self.client.clone(), &key.namespace);
        for name in account.secrets.iter().flatten().filter_map(|s| s.name.as_deref()) {
            if api.get_opt(name).await?.is_some_and(|s| s.metadata.deletion_timestamp.is_none() && s.type_.as_deref() == Some(TYPE)) {
                living.push(name.to_owned());
            }
        }
        Ok(Some(Observed { account, living }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        let Observed { account, living } = observed;
        let prefix = token_prefix(&account);
        let is_gone = |s: &ObjectReference| s.name.as_ref().is_some_and(|n| n.starts_with(&prefix) && !living.contains(n));
        let mut named = (*account).clone();
        let mut references: Vec<ObjectReference> = named.secrets.take().unwrap_or_default();
        references.retain(|s| !is_gone(s));
        let mut actions = Vec::new();
        if living.is_empty() {
            let name = secret_name(&account);
            actions.push(Action::create(&secret(&account, &name)).or_exists());
            references.push(ObjectReference { name: Some(name), ..ObjectReference::default() });
        }
        named.secrets = Some(references).filter(|r| !r.is_empty());
        Plan::of(actions.into_iter().chain(Action::update(&*account, &named)))
    }
}

fn secret(account: &ServiceAccount, name: &str) -> Secret {
    let mut owner = owner_reference(account);
    (owner.controller, owner.block_owner_deletion) = (None, None);
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: account.metadata.namespace.clone(),
            annotations: Some([(ACCOUNT.to_owned(), account.metadata.name.clone().unwrap_or_default())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some(TYPE.into()),
        ..Secret::default()
    }
}
