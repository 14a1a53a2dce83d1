//! Images: whether one is here, pulling it with the pod's secrets, backing off from a registry that refuses.
//!
//! Never logs credentials. Keeps true: one pull of an image at a time, whoever else wants it waits for the same one; a failed pull is
//! not tried again before its backoff ends. Upstream: pkg/kubelet/images/image_manager.go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use cri::{AuthConfig, Cri, Image, ImageSpec, ImageStatusRequest, PodSandboxConfig, PullImageRequest};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use pod_lifecycle::{Backoff, BackoffTimings};

use crate::pod::start::Failure;

/// What happened on the way, as events say it.
#[derive(Debug)]
pub enum Note {
    Normal(&'static str, String),
    Warning(&'static str, String),
}

type Pulls = HashMap<String, Arc<tokio::sync::Mutex<()>>>;

pub struct Images {
    cri: Cri,
    backoff: parking_lot::Mutex<HashMap<String, (Backoff, String)>>,
    pulls: parking_lot::Mutex<Pulls>,
}

impl Images {
    pub fn new(cri: Cri) -> Self {
        Self { cri, backoff: parking_lot::Mutex::default(), pulls: parking_lot::Mutex::default() }
    }

    pub async fn find(&self, image: &str) -> Result<Option<Image>, cri::Error> {
        let spec = ImageSpec { image: image.into(), ..ImageSpec::default() };
        Ok(self.cri.image_status(ImageStatusRequest { image: Some(spec), verbose: false }).await?.image)
    }

    /// Makes the image present by its policy and returns it.
    pub async fn ensure(&self, image: &str, policy: &str, uid: &str, secrets: &[Arc<Secret>], sandbox: &PodSandboxConfig, note: &(dyn Fn(Note) + Sync)) -> Result<Image, Failure> {
        let full = normalize(image).map_err(|why| {
            let message = format!("Failed to apply default image tag {image:?}: couldn't parse image name {image:?}: {why}");
            note(Note::Warning("InspectFailed", message.clone()));
            Failure::waiting("InvalidImageName", message)
        })?;
        let found = self.find(&full).await.map_err(|e| {
            let message = format!("Failed to inspect image {image:?}: {}", e.message());
            note(Note::Warning("InspectFailed", message.clone()));
            Failure::waiting("ImageInspectError", message)
        })?;
        let always = policy == "Always";
        if let Some(found) = found.filter(|_| !always) {
            note(Note::Normal("Pulled", format!("Container image {image:?} already present on machine")));
            return Ok(found);
        }
        if policy == "Never" {
            let message = format!("Container image {image:?} is not present with pull policy of Never");
            note(Note::Warning("ErrImageNeverPull", message.clone()));
            return Err(Failure::waiting("ErrImageNeverPull", message));
        }
        self.pull(image, &full, uid, secrets, sandbox, note).await
    }

    async fn pull(&self, image: &str, full: &str, uid: &str, secrets: &[Arc<Secret>], sandbox: &PodSandboxConfig, note: &(dyn Fn(Note) + Sync)) -> Result<Image, Failure> {
        let key = format!("{uid}_{full}");
        let now = Timestamp::now();
        if let Some((series, last)) = self.backoff.lock().get(&key).cloned() {
            let until = series.updated.saturating_add(series.delay).unwrap_or(now);
            if now < until {
                let message = format!("Back-off pulling image {image:?}");
                note(Note::Normal("BackOff", message.clone()));
                return Err(Failure::waiting("ImagePullBackOff", format!("{message}: {last}")).not_before(until));
            }
        }
        note(Note::Normal("Pulling", format!("Pulling image {image:?}")));
        let asked = Instant::now();
        let turn = self.pulls.lock().entry(full.to_owned()).or_default().clone();
        let guard = turn.lock().await;
        let began = Instant::now();
        let pulled = self.pull_with(full, secrets, sandbox).await;
        drop(guard);
        self.pulls.lock().retain(|_, turn| Arc::strong_count(turn) > 1);
        let found = match pulled {
            Ok(()) => self.find(full).await.ok().flatten(),
            Err(error) => return Err(self.failed(image, key, &error, note)),
        };
        self.backoff.lock().remove(&key);
        let Some(found) = found else {
            return Err(Failure::waiting("ImageInspectError", format!("image {image:?} is gone after its pull")));
        };
        let text = |d: std::time::Duration| format!("{:.3}s", d.as_secs_f64());
        note(Note::Normal("Pulled", format!("Successfully pulled image {image:?} in {} ({} including waiting). Image size: {} bytes.", text(began.elapsed()), text(asked.elapsed()), found.size)));
        Ok(found)
    }

    fn failed(&self, image: &str, key: String, error: &cri::Error, note: &(dyn Fn(Note) + Sync)) -> Failure {
        let text = error.to_string();
        note(Note::Warning("Failed", format!("Failed to pull image {image:?}: {text}")));
        let mut backoff = self.backoff.lock();
        let now = Timestamp::now();
        let series = Backoff::next(backoff.get(&key).map(|(b, _)| b), now, now, BackoffTimings::default());
        backoff.insert(key, (series, format!("ErrImagePull: {text}")));
        // The error itself is shown first; the backoff's own words follow soon after, as upstream's next sync has them.
        Failure::waiting("ErrImagePull", text).not_before(now + SignedDuration::from_secs(2))
    }

    /// Tries each matching credential, or none at all without one.
    async fn pull_with(&self, image: &str, secrets: &[Arc<Secret>], sandbox: &PodSandboxConfig) -> Result<(), cri::Error> {
        let mut credentials: Vec<Option<AuthConfig>> = secrets.iter().flat_map(|s| credentials_for(s, image)).map(Some).collect();
        if credentials.is_empty() {
            credentials.push(None);
        }
        let mut last = cri::Error::NotFound("no credentials".into());
        for auth in credentials {
            let spec = ImageSpec { image: image.into(), ..ImageSpec::default() };
            match self.cri.pull_image(PullImageRequest { image: Some(spec), auth, sandbox_config: Some(sandbox.clone()) }).await {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub fn release(&self, uid: &str) {
        let prefix = format!("{uid}_");
        self.backoff.lock().retain(|key, _| !key.starts_with(&prefix));
    }
}

/// Adds `docker.io/`, `library/` and `:latest` where they are meant; refuses what is not an image name.
pub fn normalize(image: &str) -> Result<String, &'static str> {
    const WRONG: &str = "invalid reference format";
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    if digest.is_some_and(|d| !d.split_once(':').is_some_and(|(a, h)| !a.is_empty() && h.len() >= 32 && h.bytes().all(|b| b.is_ascii_hexdigit()))) {
        return Err(WRONG);
    }
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let tag_ok = |t: &str| !t.is_empty() && t.len() <= 128 && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) && !t.starts_with(['.', '-']);
    if tag.is_some_and(|t| !tag_ok(t)) || name.is_empty() || name.len() > 255 {
        return Err(WRONG);
    }
    let (host, path) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first.to_owned(), path.to_owned()),
        Some(_) => ("docker.io".to_owned(), name.to_owned()),
        None => ("docker.io".to_owned(), format!("library/{name}")),
    };
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("invalid reference format: repository name must be lowercase");
    }
    let part_ok = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-')) && !p.starts_with(['.', '_', '-']) && !p.ends_with(['.', '_', '-']);
    if !path.split('/').all(part_ok) {
        return Err(WRONG);
    }
    Ok(match (tag, digest) {
        (_, Some(digest)) => format!("{host}/{path}@{digest}"),
        (Some(tag), None) => format!("{host}/{path}:{tag}"),
        (None, None) => format!("{host}/{path}:latest"),
    })
}

/// Every entry of a pull secret that fits the image's registry.
fn credentials_for(secret: &Secret, image: &str) -> Vec<AuthConfig> {
    let data = secret.data.iter().flatten();
    let mut found = Vec::new();
    for (key, bytes) in data {
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&bytes.0) else { continue };
        let auths = match key.as_str() {
            ".dockerconfigjson" => json.get("auths").cloned(),
            ".dockercfg" => Some(json),
            _ => None,
        };
        for (server, entry) in auths.as_ref().and_then(|a| a.as_object()).into_iter().flatten() {
            if matches_registry(server, image) {
                found.push(auth_config(entry));
            }
        }
    }
    found
}

fn matches_registry(server: &str, image: &str) -> bool {
    let plain = server.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let plain = plain.strip_suffix("/v1").or_else(|| plain.strip_suffix("/v2")).unwrap_or(plain);
    let plain = if plain == "index.docker.io" { "docker.io" } else { plain };
    let (pattern_host, pattern_path) = plain.split_once('/').unwrap_or((plain, ""));
    let (host, path) = image.split_once('/').unwrap_or((image, ""));
    let host_fits = match pattern_host.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
        None => host == pattern_host,
    };
    host_fits && path.starts_with(pattern_path)
}

fn auth_config(entry: &serde_json::Value) -> AuthConfig {
    let text = |name: &str| entry.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    // The server's address stays out: the runtime would read it as a URL, and the entry was chosen for this image already.
    let mut auth = AuthConfig { username: text("username"), password: text("password"), identity_token: text("identitytoken"), registry_token: text("registrytoken"), ..AuthConfig::default() };
    if auth.username.is_empty() {
        let decoded = base64::engine::general_purpose::STANDARD.decode(text("auth")).ok().and_then(|b| String::from_utf8(b).ok());
        if let Some((user, password)) = decoded.as_deref().and_then(|d| d.split_once(':')) {
            (auth.username, auth.password) = (user.to_owned(), password.to_owned());
        }
    }
    auth
}

/// The policy when the spec has none: the API server's own default.
pub fn default_policy(image: &str) -> &'static str {
    if normalize(image).is_ok_and(|full| full.ends_with(":latest")) { "Always" } else { "IfNotPresent" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_or_refused() {
        for (given, expected) in [
            ("busybox", Ok("docker.io/library/busybox:latest")),
            ("a/b:1", Ok("docker.io/a/b:1")),
            ("localhost:5000/x", Ok("localhost:5000/x:latest")),
            ("k8s.gcr.io/pause:3.2", Ok("k8s.gcr.io/pause:3.2")),
            ("Bad", Err("invalid reference format: repository name must be lowercase")),
            ("a:b:c", Err("invalid reference format")),
            ("", Err("invalid reference format")),
        ] {
            assert_eq!(normalize(given).as_deref().map_err(|e| *e), expected, "{given}");
        }
        assert!(matches_registry("https://index.docker.io/v1/", "docker.io/library/x:1"));
        assert!(matches_registry("*.example.org/team", "eu.example.org/team/x:1"));
        assert!(!matches_registry("example.org", "other.org/x:1"));
    }
}
