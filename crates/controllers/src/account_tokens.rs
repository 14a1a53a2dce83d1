//! Fills hand-made Secrets of type `kubernetes.io/service-account-token`, and removes those whose account is gone.
//!
//! It signs nothing: the token is asked of the API server, bound to the Secret, so that it dies with it.
// Differs: upstream's tokens in Secrets never end; these last as long as the server grants.

use std::sync::Arc;

use client::{Action, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, request_json, run_controller};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use serde_json::json;
use tokio::task::JoinSet;

use crate::caches::Caches;

pub(crate) const TYPE: &str = "kubernetes.io/service-account-token";
pub(crate) const ACCOUNT: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
const YEARS_TEN: u32 = 315_360_000;

struct Tokens {
    secrets: Informer<Secret>,
    accounts: Informer<ServiceAccount>,
    client: kube::Client,
    pem: Arc<str>,
}

pub(crate) struct Observed {
    secret: Arc<Secret>,
    account: Option<Arc<ServiceAccount>>,
    token: Option<String>,
    pem: Arc<str>,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, pem: &str, paged: bool, tasks: &mut JoinSet<()>) {
    let watch = kube::runtime::watcher::Config::default().fields(&format!("type={TYPE}"));
    let options = client::InformerOptions { watch, streaming: !paged, trim: None };
    let secrets = Informer::start(kube::Api::<Secret>::all(caches.informers.client().clone()), options, shell.shutdown.clone());
    let controller = Tokens { secrets, accounts: caches.informers.get(), client: shell.executor.client().clone(), pem: pem.into() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_secret = queue.clone();
    controller.secrets.on_change(move |change| on_secret.add(ObjectKey::of(&**change.object())));
    let (on_account, known) = (queue.clone(), controller.secrets.clone());
    controller.accounts.on_change(move |change| {
        let account = change.object();
        for secret in known.list_namespace(account.metadata.namespace.as_deref().unwrap_or_default()) {
            if account_of(&secret) == account.metadata.name.as_deref() {
                on_account.add(ObjectKey::of(&*secret));
            }
        }
    });
    let shell = shell.clone();
    tasks.spawn(async move {
        if controller.secrets.wait_synced().await.is_ok() {
            run_controller(controller, queue, shell, 1).await;
        }
    });
}

fn account_of(secret: &Secret) -> Option<&str> {
    secret.metadata.annotations.as_ref()?.get(ACCOUNT).map(String::as_str)
}

fn is_filled(secret: &Secret, account: &ServiceAccount) -> bool {
    let has = |key: &str| secret.data.as_ref().and_then(|d| d.get(key)).is_some_and(|v| !v.0.is_empty());
    let uid = secret.metadata.annotations.as_ref().and_then(|a| a.get(ACCOUNT_UID));
    has("token") && has("namespace") && has("ca.crt") && uid == account.metadata.uid.as_ref()
}

impl Controller for Tokens {
    const NAME: &'static str = "service-account-token";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(secret) = self.secrets.get_key(key).filter(|s| s.metadata.deletion_timestamp.is_none()) else { return Ok(None) };
        let Some(name) = account_of(&secret) else { return Ok(None) };
        let mut account = self.accounts.get(&key.namespace, name);
        if account.is_none() {
            // The last word is the API's: the account may have been made a moment ago.
            account = kube::Api::<ServiceAccount>::namespaced(self.client.clone(), &key.namespace).get_opt(name).await?.map(Arc::new);
        }
        let mut token = None;
        if account.as_ref().is_some_and(|a| !is_filled(&secret, a)) {
            let path = format!("/api/v1/namespaces/{}/serviceaccounts/{name}/token", key.namespace);
            let bound = json!({"kind": "Secret", "apiVersion": "v1", "name": key.name, "uid": secret.metadata.uid});
            let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [], "expirationSeconds": YEARS_TEN, "boundObjectRef": bound}});
            let answer = request_json(&self.client, "POST", &path, Some(&body)).await?;
            token = answer["status"]["token"].as_str().map(str::to_owned);
        }
        Ok(Some(Observed { secret, account, token, pem: self.pem.clone() }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        let secret = &*observed.secret;
        let Some(account) = observed.account else { return Plan::of([Action::delete(secret)]) };
        let Some(token) = observed.token else { return Plan::default() };
        let mut filled = secret.clone();
        let data = filled.data.get_or_insert_default();
        data.insert("token".into(), ByteString(token.into_bytes()));
        data.insert("ca.crt".into(), ByteString(observed.pem.as_bytes().to_vec()));
        data.insert("namespace".into(), ByteString(secret.metadata.namespace.clone().unwrap_or_default().into_bytes()));
        filled.metadata.annotations.get_or_insert_default().insert(ACCOUNT_UID.into(), account.metadata.uid.clone().unwrap_or_default());
        Plan::of(Action::update(secret, &filled))
    }
}
