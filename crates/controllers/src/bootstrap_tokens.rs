//! Bootstrap tokens: the cluster's public facts signed for each of them, and those that have ended removed.
//!
//! Off by default, as upstream's are. Upstream: `pkg/controller/bootstrap/bootstrapsigner.go`, `tokencleaner.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Action, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, runtime::watcher};
use tokio::task::JoinSet;

const TYPE: &str = "bootstrap.kubernetes.io/token";
const INFO: &str = "cluster-info";
const INFO_NAMESPACE: &str = "kube-public";
const SIGNATURE: &str = "jws-kubeconfig-";

pub(crate) fn start(shell: &Shell, paged: bool, tasks: &mut JoinSet<()>) {
    let client = shell.executor.client();
    let options = |fields: String| watcher::Config::default().fields(&fields);
    let watch = client::InformerOptions { watch: options(format!("type={TYPE}")), streaming: !paged, trim: None };
    let tokens = Informer::start(Api::<Secret>::namespaced(client.clone(), "kube-system"), watch, shell.shutdown.clone());
    let watch = client::InformerOptions { watch: options(format!("metadata.name={INFO}")), streaming: !paged, trim: None };
    let info = Informer::start(Api::<ConfigMap>::namespaced(client.clone(), INFO_NAMESPACE), watch, shell.shutdown.clone());

    let cleaning: WorkQueue<ObjectKey> = WorkQueue::default();
    let signing: WorkQueue<ObjectKey> = WorkQueue::default();
    let (to_clean, to_sign) = (cleaning.clone(), signing.clone());
    tokens.on_change(move |change| {
        to_clean.add(ObjectKey::of(&**change.object()));
        to_sign.add(ObjectKey::new(INFO_NAMESPACE, INFO));
    });
    let to_sign = signing.clone();
    info.on_change(move |change| to_sign.add(ObjectKey::of(&**change.object())));
    let (cleaner, signer, shell) = (Cleaner { tokens: tokens.clone() }, Signer { tokens: tokens.clone(), info: info.clone() }, shell.clone());
    tasks.spawn(async move {
        if tokens.wait_synced().await.is_ok() && info.wait_synced().await.is_ok() {
            tokio::join!(run_controller(cleaner, cleaning, shell.clone(), 1), run_controller(signer, signing, shell, 1));
        }
    });
}

fn data(token: &Secret, key: &str) -> String {
    let bytes = token.data.as_ref().and_then(|data| data.get(key)).map(|b| b.0.clone());
    bytes.and_then(|b| String::from_utf8(b).ok()).unwrap_or_default()
}

/// When a token ends; what cannot be read has ended.
fn ends(token: &Secret) -> Option<Timestamp> {
    let text = data(token, "expiration");
    (!text.is_empty()).then(|| text.parse().unwrap_or(Timestamp::MIN))
}

struct Cleaner {
    tokens: Informer<Secret>,
}

impl Controller for Cleaner {
    const NAME: &'static str = "token-cleaner";
    type Key = ObjectKey;
    type Observed = Arc<Secret>;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Self::Observed>, Error> {
        Ok(self.tokens.get_key(key))
    }

    fn plan(token: Self::Observed, now: Timestamp) -> Plan {
        match ends(&token) {
            Some(end) if end <= now => Plan::of([Action::delete(&*token)]),
            Some(end) => {
                let mut plan = Plan::default();
                plan.wake_after(end.duration_since(now).unsigned_abs());
                plan
            }
            None => Plan::default(),
        }
    }
}

struct Signer {
    tokens: Informer<Secret>,
    info: Informer<ConfigMap>,
}

pub(crate) struct Facts {
    info: Arc<ConfigMap>,
    tokens: Vec<Arc<Secret>>,
}

/// Id and secret of a token that may sign. Upstream: `pkg/controller/bootstrap/util.go`, `validateSecretForSigning`.
fn signing(token: &Secret, now: Timestamp) -> Option<(String, String)> {
    let id = token.metadata.name.as_deref()?.strip_prefix("bootstrap-token-")?.to_owned();
    let secret = data(token, "token-secret");
    let may = data(token, "token-id") == id && !secret.is_empty() && data(token, "usage-bootstrap-signing") == "true" && ends(token).is_none_or(|end| end > now);
    may.then_some((id, secret))
}

impl Controller for Signer {
    const NAME: &'static str = "bootstrap-signer";
    type Key = ObjectKey;
    type Observed = Facts;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Facts>, Error> {
        Ok(self.info.get_key(key).map(|info| Facts { info, tokens: self.tokens.list() }))
    }

    fn plan(facts: Facts, now: Timestamp) -> Plan {
        let Some(data) = &facts.info.data else { return Plan::default() };
        let Some(content) = data.get("kubeconfig") else { return Plan::default() };
        let mut signed: BTreeMap<String, String> = data.iter().filter(|(key, _)| !key.starts_with(SIGNATURE)).map(|(k, v)| (k.clone(), v.clone())).collect();
        for (id, secret) in facts.tokens.iter().filter_map(|token| signing(token, now)) {
            signed.insert(format!("{SIGNATURE}{id}"), pki::detached_signature(content, &id, &secret));
        }
        let mut right = (*facts.info).clone();
        right.data = Some(signed);
        let mut plan = Plan::of(Action::update(&*facts.info, &right));
        if let Some(next) = facts.tokens.iter().filter_map(|t| ends(t)).filter(|end| *end > now).min() {
            plan.wake_after(next.duration_since(now).unsigned_abs());
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    fn token(changes: &[(&str, &str)]) -> Arc<Secret> {
        let all = [("token-id", "abcdef"), ("token-secret", "s"), ("usage-bootstrap-signing", "true")];
        let data = all.iter().chain(changes).map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec()))).collect();
        let metadata = ObjectMeta { name: Some("bootstrap-token-abcdef".into()), namespace: Some("kube-system".into()), ..ObjectMeta::default() };
        Arc::new(Secret { metadata, data: Some(data), ..Secret::default() })
    }

    #[test]
    fn tokens_go_when_they_have_ended() {
        let now = Timestamp::from_second(1_000_000_000).unwrap_or_default();
        let told = |end: &str| Cleaner::plan(token(&[("expiration", end)]), now).to_text();
        assert!(told("2001-09-09T01:46:40Z").contains("delete") && told("soon").contains("delete"));
        assert!(!told("2001-09-09T01:46:41Z").contains("delete"));
        assert_eq!(Cleaner::plan(token(&[]), now).to_text(), Plan::default().to_text());
    }

    #[test]
    fn facts_are_signed_for_tokens_that_may() {
        let now = Timestamp::from_second(1_000_000_000).unwrap_or_default();
        let data = [("kubeconfig", "facts"), ("jws-kubeconfig-gone00", "old")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let info = Arc::new(ConfigMap { data: Some(data.into()), ..ConfigMap::default() });
        let told = |token: Arc<Secret>| Signer::plan(Facts { info: info.clone(), tokens: vec![token] }, now).to_text();
        let good = told(token(&[]));
        assert!(good.contains(&pki::detached_signature("facts", "abcdef", "s")) && good.contains("\"jws-kubeconfig-gone00\":null"), "{good}");
        for wrong in [("usage-bootstrap-signing", "no"), ("token-id", "other0"), ("expiration", "2001-09-09T01:46:40Z")] {
            assert!(!told(token(&[wrong])).contains("jws-kubeconfig-abcdef"), "{wrong:?}");
        }
    }
}
