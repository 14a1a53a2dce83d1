//! ImagePolicyWebhook: its configuration, and what it is asked about a pod.
//!
//! Upstream: `plugin/pkg/admission/imagepolicy`.

use std::path::PathBuf;
use std::time::Duration;

use catalog::walk;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What audit annotations of the plug-in begin with.
pub const AUDIT: &str = "imagepolicywebhook.image-policy.k8s.io/";

/// How the webhook is reached, and how long its answers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePolicy {
    pub kubeconfig: PathBuf,
    pub allow_ttl: Duration,
    pub deny_ttl: Duration,
    pub retry_backoff: Duration,
    /// Whether pods are let in while the webhook cannot be asked.
    pub default_allow: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    kube_config_file: String,
    #[serde(rename = "allowTTL")]
    allow_ttl: i64,
    #[serde(rename = "denyTTL")]
    deny_ttl: i64,
    retry_backoff: i64,
    default_allow: bool,
}

impl ImagePolicy {
    pub fn read(configuration: &Value) -> Result<Self, String> {
        let written: Written = serde_json::from_value(configuration["imagePolicy"].clone()).map_err(|e| format!("imagePolicy: {e}"))?;
        if written.kube_config_file.is_empty() {
            return Err("imagePolicy.kubeConfigFile is empty: name the kubeconfig that says how the webhook is reached".into());
        }
        let (second, half_hour) = (Duration::from_secs(1), Duration::from_secs(30 * 60));
        Ok(Self {
            kubeconfig: written.kube_config_file.into(),
            retry_backoff: bounded(written.retry_backoff, Duration::from_millis(1), (Duration::from_nanos(1), Duration::from_secs(300)), Duration::from_millis(500))?,
            allow_ttl: bounded(written.allow_ttl, second, (second, half_hour), Duration::from_secs(300))?,
            deny_ttl: bounded(written.deny_ttl, second, (second, half_hour), Duration::from_secs(30))?,
            default_allow: written.default_allow,
        })
    }
}

/// Upstream: `normalizeConfigDuration`: 0 is the usual, -1 is none.
fn bounded(value: i64, unit: Duration, (least, most): (Duration, Duration), usual: Duration) -> Result<Duration, String> {
    match value {
        -1 => return Ok(Duration::ZERO),
        0 => return Ok(usual),
        _ => {}
    }
    let given = u32::try_from(value).ok().and_then(|value| unit.checked_mul(value));
    given.filter(|given| *given > least && *given <= most).ok_or_else(|| format!("valid value is between {least:?} and {most:?}, got {value} times {unit:?}"))
}

/// The `spec` of the ImageReview of a write to a pod; none where there is nothing to ask.
pub fn question(pod: &Value, subresource: &str, namespace: &str) -> Option<Value> {
    let lists: &[&str] = match subresource {
        "" => &["spec.containers", "spec.initContainers"],
        "ephemeralcontainers" => &["spec.ephemeralContainers"],
        _ => return None,
    };
    let containers: Vec<_> = lists.iter().flat_map(|list| walk::list(pod, list)).map(|c| json!({"image": walk::text(c, "image")})).collect();
    let about: Map<_, _> = walk::map(pod, "metadata.annotations").into_iter().flatten().filter(|(key, _)| key.contains(".image-policy.k8s.io/")).map(|(k, v)| (k.clone(), v.clone())).collect();
    let mut spec = json!({"containers": containers});
    if !about.is_empty() {
        spec["annotations"] = about.into();
    }
    spec["namespace"] = namespace.into();
    Some(spec)
}

/// The whole question.
pub fn review(spec: Value) -> Value {
    json!({"kind": "ImageReview", "apiVersion": "imagepolicy.k8s.io/v1alpha1", "metadata": {}, "spec": spec, "status": {"allowed": false}})
}

/// Why an answer does not let the pod in.
pub fn refusal(status: &Value) -> Option<String> {
    if walk::flag(status, "allowed") {
        return None;
    }
    Some(match walk::text(status, "reason") {
        "" => "one or more images rejected by webhook backend".into(),
        reason => format!("image policy webhook backend denied one or more images: {reason}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_bounded() {
        let read = |more: Value| {
            let mut written = json!({"kubeConfigFile": "k"});
            more.as_object().into_iter().flatten().for_each(|(key, value)| written[key] = value.clone());
            ImagePolicy::read(&json!({"imagePolicy": written}))
        };
        let usual = read(json!({})).unwrap();
        assert_eq!((usual.allow_ttl, usual.deny_ttl, usual.retry_backoff, usual.default_allow), (Duration::from_secs(300), Duration::from_secs(30), Duration::from_millis(500), false));
        let given = read(json!({"allowTTL": 50, "denyTTL": -1, "retryBackoff": 20, "defaultAllow": true})).unwrap();
        assert_eq!((given.allow_ttl, given.deny_ttl, given.retry_backoff, given.default_allow), (Duration::from_secs(50), Duration::ZERO, Duration::from_millis(20), true));
        for bad in [json!({"allowTTL": 1}), json!({"denyTTL": 1801}), json!({"retryBackoff": 300_001}), json!({"allowTTL": -2})] {
            assert!(read(bad.clone()).unwrap_err().starts_with("valid value is between"), "{bad}");
        }
        assert!(ImagePolicy::read(&json!({})).is_err());
    }

    #[test]
    fn questions_hold_images_and_annotations() {
        let pod = json!({"metadata": {"annotations": {"x.image-policy.k8s.io/break-glass": "1", "other": "2"}}, "spec": {"initContainers": [{"image": "i"}], "containers": [{"image": "c"}], "ephemeralContainers": [{"image": "e"}]}});
        assert_eq!(question(&pod, "", "n"), Some(json!({"containers": [{"image": "c"}, {"image": "i"}], "annotations": {"x.image-policy.k8s.io/break-glass": "1"}, "namespace": "n"})));
        assert_eq!(question(&json!({"spec": {"ephemeralContainers": [{"image": "e"}]}}), "ephemeralcontainers", "n"), Some(json!({"containers": [{"image": "e"}], "namespace": "n"})));
        assert_eq!(question(&pod, "status", "n"), None);
        assert_eq!(refusal(&json!({"reason": "old"})).as_deref(), Some("image policy webhook backend denied one or more images: old"));
        assert_eq!(refusal(&json!({"allowed": true})), None);
    }
}
