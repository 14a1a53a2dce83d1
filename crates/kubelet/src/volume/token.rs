//! Service-account tokens for projected volumes: asked for once per pod and audience, renewed at four fifths of their life.
//!
//! Never logs a token. Upstream: pkg/kubelet/token/token_manager.go.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;

type Key = (String, Option<String>, i64);

#[derive(Clone)]
struct Held {
    token: String,
    renew_at: Timestamp,
    expires: Timestamp,
}

pub struct Tokens {
    client: kube::Client,
    held: parking_lot::Mutex<HashMap<Key, Held>>,
}

impl Tokens {
    pub fn new(client: kube::Client) -> Self {
        Self { client, held: parking_lot::Mutex::default() }
    }

    /// The token and when to ask again.
    pub async fn get(&self, pod: &Pod, audience: Option<&str>, seconds: i64) -> Result<(String, Timestamp), String> {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let key = (uid.clone(), audience.map(str::to_owned), seconds);
        let now = Timestamp::now();
        let held = self.held.lock().get(&key).cloned();
        if let Some(held) = held.as_ref().filter(|h| now < h.renew_at) {
            return Ok((held.token.clone(), held.renew_at));
        }
        match self.request(pod, &uid, audience, seconds).await {
            Ok(fresh) => {
                self.held.lock().insert(key, fresh.clone());
                Ok((fresh.token, fresh.renew_at))
            }
            // An old token that still counts is better than none.
            Err(error) => match held.filter(|h| now < h.expires) {
                Some(held) => {
                    tracing::warn!(%error, "service-account token was not renewed");
                    Ok((held.token, now + SignedDuration::from_secs(60)))
                }
                None => Err(error),
            },
        }
    }

    async fn request(&self, pod: &Pod, uid: &str, audience: Option<&str>, seconds: i64) -> Result<Held, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let account = pod.spec.as_ref().and_then(|s| s.service_account_name.as_deref()).filter(|n| !n.is_empty()).unwrap_or("default");
        let bound = BoundObjectReference { api_version: Some("v1".into()), kind: Some("Pod".into()), name: pod.metadata.name.clone(), uid: Some(uid.to_owned()) };
        let spec = TokenRequestSpec { audiences: Some(audience.map(str::to_owned).into_iter().collect()), bound_object_ref: Some(bound), expiration_seconds: Some(seconds), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let answer = api.create_token_request(account, &PostParams::default(), &request).await.map_err(|e| format!("failed to fetch token: {}", client::api_message(&e)))?;
        let status = answer.status.unwrap_or_default();
        let token = status.token.ok_or("failed to fetch token: the answer holds none")?;
        let now = Timestamp::now();
        let expires = status.expiration_timestamp.map_or(now, |t| t.0);
        let life = expires.duration_since(now);
        let renew_at = now + (life * 4 / 5).min(SignedDuration::from_hours(24)).max(SignedDuration::from_secs(1));
        Ok(Held { token, renew_at, expires })
    }

    pub fn release(&self, uid: &str) {
        self.held.lock().retain(|(of, _, _), _| of != uid);
    }
}
