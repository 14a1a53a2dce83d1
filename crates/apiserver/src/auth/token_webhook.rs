//! A webhook that knows tokens: it is sent a TokenReview for each token that nothing here knows, and its answer holds for a while.
//!
//! Upstream: apiserver `plugin/pkg/authenticator/token/webhook`, `pkg/authentication/token/cache`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::outbound::{Outbound, Reached};
use crate::config::TokenWebhookConfig;
use crate::user::User;
use crate::webhook::Services;

/// A user with the audiences that the token is for.
pub type Known = (User, Vec<String>);

pub struct TokenWebhook {
    remote: Reached,
    api_version: String,
    holds: Duration,
    /// By digest of the token and the audiences.
    answers: Cache<[u8; 32], Option<Known>>,
}

impl TokenWebhook {
    pub fn new(config: &TokenWebhookConfig, services: &Services) -> Result<Self, String> {
        if !matches!(config.version.as_str(), "v1" | "v1beta1") {
            return Err(format!("unsupported authentication webhook version {:?}, supported versions are \"v1\", \"v1beta1\"", config.version));
        }
        let remote = Outbound::of_kubeconfig(&config.kubeconfig, &config.folder, services).map_err(|why| format!("--authentication-token-webhook-config-file: {why}"))?;
        Ok(Self { remote, api_version: format!("authentication.k8s.io/{}", config.version), holds: config.cache_ttl, answers: Cache::new() })
    }

    /// The user behind a token; none where the webhook does not know it. `own` are the server's audiences.
    pub async fn user(&self, token: &str, wanted: &[&str], own: &[&str]) -> Result<Option<Known>, String> {
        let mut digest = Sha256::new_with_prefix(token);
        wanted.iter().for_each(|audience| digest.update(format!("\0{audience}")));
        let digest: [u8; 32] = digest.finalize().into();
        if let Some(answer) = self.answers.get(&digest, Instant::now()) {
            return Ok(answer);
        }
        let review = json!({"kind": "TokenReview", "apiVersion": self.api_version, "metadata": {"creationTimestamp": null}, "spec": {"token": token, "audiences": wanted}, "status": {"user": {}}});
        let bytes = self.remote.post(Bytes::from(review.to_string())).await?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(|e| format!("the webhook's answer is no TokenReview: {e}"))?;
        let known = read(&answer["status"], wanted, own)?;
        self.answers.put(digest, known.clone(), self.holds, Instant::now());
        Ok(known)
    }
}

/// What a review's status says.
fn read(status: &Value, wanted: &[&str], own: &[&str]) -> Result<Option<Known>, String> {
    let texts = |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect() };
    let told = texts(&status["audiences"]);
    let got: Vec<&str> = if told.is_empty() { own.to_vec() } else { told.iter().map(String::as_str).collect() };
    let shared: Vec<String> = wanted.iter().filter(|w| got.contains(w)).map(|w| (*w).to_owned()).collect();
    if shared.is_empty() {
        return Ok(None);
    }
    if status["authenticated"] != true {
        return match status["error"].as_str() {
            None | Some("") => Ok(None),
            Some(why) => Err(why.to_owned()),
        };
    }
    let user = &status["user"];
    let text = |key: &str| user[key].as_str().unwrap_or_default().to_owned();
    let extra: BTreeMap<String, Vec<String>> = user["extra"].as_object().into_iter().flatten().map(|(key, values)| (key.clone(), texts(values))).collect();
    let mut known = User { name: text("username"), groups: texts(&user["groups"]), uid: text("uid"), extra };
    known.is_authenticated();
    Ok(Some((known, shared)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_upstream_reads_them() {
        let user = json!({"username": "eva", "uid": "7", "groups": ["a"], "extra": {"k": ["v"]}});
        let good = json!({"authenticated": true, "user": user});
        let (known, audiences) = read(&good, &["x", "y"], &["y"]).unwrap().unwrap();
        assert_eq!((known.name.as_str(), known.groups.join(" "), known.extra["k"][0].as_str(), audiences), ("eva", "a system:authenticated".into(), "v", vec!["y".to_owned()]));
        assert_eq!(read(&good, &["x"], &["y"]), Ok(None));
        assert_eq!(read(&json!({"authenticated": true, "user": user, "audiences": ["x"]}), &["x"], &["y"]).unwrap().unwrap().1, ["x"]);
        assert_eq!(read(&json!({"authenticated": false}), &["y"], &["y"]), Ok(None));
        assert_eq!(read(&json!({"authenticated": false, "error": "gone"}), &["y"], &["y"]), Err("gone".into()));
        assert_eq!(read(&json!(7), &["y"], &["y"]), Ok(None));
    }
}
