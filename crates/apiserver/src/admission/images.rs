//! ImagePolicyWebhook: asks a webhook about the images of pods.

use std::time::{Duration, Instant};

use api::{ApiError, meta};
use bytes::Bytes;
use policy::image_policy::{AUDIT, ImagePolicy, question, refusal, review};
use policy::plugins::Plugins;
use serde_json::Value;

use super::{Operation, is};
use crate::auth::cache::Cache;
use crate::auth::outbound::{Outbound, Reached};
use crate::rest::Call;
use crate::webhook::Services;

pub struct Images {
    settings: ImagePolicy,
    remote: Reached,
    answers: Cache<String, Value>,
}

impl Images {
    /// The webhook of the settings, its kubeconfig read; none where the plug-in is off.
    pub fn new(plugins: &Plugins, services: &Services) -> Result<Option<Self>, String> {
        let Some(settings) = plugins.image_policy.clone().filter(|_| plugins.has("ImagePolicyWebhook")) else { return Ok(None) };
        let file = settings.kubeconfig.display();
        let text = std::fs::read_to_string(&settings.kubeconfig).map_err(|e| format!("ImagePolicyWebhook: {file}: {e}"))?;
        let folder = settings.kubeconfig.parent().unwrap_or(&settings.kubeconfig);
        let remote = Outbound::of_kubeconfig(&text, folder, services).map_err(|why| format!("ImagePolicyWebhook: {file}: {why}"))?.with_pause(settings.retry_backoff);
        Ok(Some(Self { settings, remote, answers: Cache::new() }))
    }

    /// The `status` of the answer.
    async fn ask(&self, spec: Value) -> Result<Value, String> {
        let key = spec.to_string();
        if let Some(known) = self.answers.get(&key, Instant::now()) {
            return Ok(known);
        }
        let bytes = self.remote.post(Bytes::from(review(spec).to_string())).await?;
        let mut answer: Value = serde_json::from_slice(&bytes).map_err(|e| format!("the webhook's answer is no ImageReview: {e}"))?;
        let status = answer["status"].take();
        let life: Duration = if refusal(&status).is_none() { self.settings.allow_ttl } else { self.settings.deny_ttl };
        self.answers.put(key, status.clone(), life, Instant::now());
        Ok(status)
    }
}

pub async fn check(call: &Call, operation: Operation, pod: &Value) -> Result<(), ApiError> {
    let Some(images) = call.server.images.as_ref().filter(|_| is(call, "", "pods") && matches!(operation, Operation::Create | Operation::Update)) else { return Ok(()) };
    let Some(spec) = question(pod, &call.info.subresource, call.namespace()) else { return Ok(()) };
    let refused = |why: String| Err(ApiError::forbidden(&call.resource(), meta::name(pod), why));
    match images.ask(spec).await {
        Ok(status) => {
            for (key, value) in status["auditAnnotations"].as_object().into_iter().flatten() {
                call.notes.annotate(&format!("{AUDIT}{key}"), value.as_str().unwrap_or_default());
            }
            refusal(&status).map_or(Ok(()), refused)
        }
        Err(why) if images.settings.default_allow => {
            tracing::warn!(why, "a webhook about images was not asked; the pod is let in");
            call.notes.annotate(&format!("{AUDIT}failed-open"), "true");
            Ok(())
        }
        Err(why) => refused(why),
    }
}
