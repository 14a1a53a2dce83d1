//! A webhook that judges: it is sent a SubjectAccessReview, and its answer holds for a while.
//!
//! Upstream: apiserver `plugin/pkg/authorizer/webhook/webhook.go`.

use std::time::{Duration, Instant};

use access::authorization::WebhookLink;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::authorize::{Attributes, Opinion, Verdict};
use super::cache::Cache;
use super::counts::Judged;
use super::outbound::{Outbound, Reached};
use super::selection::Of;
use crate::user::User;
use crate::webhook::Services;

/// Upstream: of questions that are longer than this no answer is kept.
const MAX_KEPT: usize = 10_000;

pub struct WebhookAuthorizer {
    link: WebhookLink,
    remote: Reached,
    answers: Cache<[u8; 32], Opinion>,
    counts: Judged,
}

impl WebhookAuthorizer {
    pub fn new(link: WebhookLink, services: &Services, counts: Judged) -> Result<Self, String> {
        let file = link.kubeconfig.display();
        let text = std::fs::read_to_string(&link.kubeconfig).map_err(|e| format!("{file}: {e}"))?;
        let folder = link.kubeconfig.parent().unwrap_or(&link.kubeconfig);
        let remote = Outbound::of_kubeconfig(&text, folder, services).map_err(|why| format!("{file}: {why}"))?;
        Ok(Self { link, remote, answers: Cache::new(), counts })
    }

    pub fn name(&self) -> &str {
        &self.link.name
    }

    pub async fn decide(&self, user: &User, attributes: &Attributes) -> Opinion {
        let spec = spec(user, attributes);
        if !self.link.conditions.is_empty() {
            let begin = Instant::now();
            let holds = self.link.conditions.hold(&full(&spec));
            self.counts.judged_conditions(&self.link.name, begin.elapsed(), &holds);
            match holds {
                Ok(true) => {}
                Ok(false) => return Opinion::none(),
                Err(why) => return self.failed(why),
            }
        }
        let text = spec.to_string();
        let digest: [u8; 32] = Sha256::digest(&text).into();
        if let Some(known) = self.answers.get(&digest, Instant::now()) {
            return known;
        }
        let begin = Instant::now();
        let asked = self.ask(spec).await;
        self.counts.called(&self.link.name, asked.as_ref().err().map(String::as_str), begin.elapsed(), !self.link.denies_on_failure);
        match asked {
            Ok(opinion) => {
                let life = if opinion.verdict == Verdict::Allow { self.link.authorized } else { self.link.unauthorized };
                self.answers.put(digest, opinion.clone(), if text.len() < MAX_KEPT { life } else { Duration::ZERO }, Instant::now());
                opinion
            }
            Err(why) => self.failed(why),
        }
    }

    async fn ask(&self, spec: Value) -> Result<Opinion, String> {
        let mut review = json!({"kind": "SubjectAccessReview", "apiVersion": format!("authorization.k8s.io/{}", self.link.version), "metadata": {"creationTimestamp": null}, "spec": spec, "status": {"allowed": false}});
        if self.link.version == "v1beta1"
            && let Some(spec) = review["spec"].as_object_mut()
            && let Some(groups) = spec.remove("groups")
        {
            // Upstream: the older version has another name for them.
            spec.insert("group".into(), groups);
        }
        let bytes = self.remote.post_within(Bytes::from(review.to_string()), self.link.timeout).await?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(|e| format!("the webhook's answer is no SubjectAccessReview: {e}"))?;
        Ok(read(&answer["status"]))
    }

    fn failed(&self, why: String) -> Opinion {
        tracing::warn!(webhook = %self.link.name, why, "a webhook that judges was not asked");
        let verdict = if self.link.denies_on_failure { Verdict::Deny } else { Verdict::NoOpinion };
        Opinion { verdict, reason: String::new(), error: Some(why) }
    }
}

fn read(status: &Value) -> Opinion {
    let is = |key: &str| status[key] == true;
    let reason = status["reason"].as_str().unwrap_or_default().to_owned();
    let (verdict, error) = match (is("denied"), is("allowed")) {
        (true, true) => (Verdict::Deny, Some("webhook subject access review returned both allow and deny response".to_owned())),
        (true, false) => (Verdict::Deny, None),
        (false, true) => (Verdict::Allow, None),
        (false, false) => (Verdict::NoOpinion, None),
    };
    Opinion { verdict, reason, error }
}

/// The question, without what is empty.
fn spec(user: &User, attributes: &Attributes) -> Value {
    let mut spec = json!({});
    let put = |spec: &mut Value, key: &str, value: Value| {
        let is_empty = value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty);
        if !is_empty {
            spec[key] = value;
        }
    };
    let a = attributes;
    if a.is_resource {
        let mut resource = json!({});
        let fields = [("namespace", &a.namespace), ("verb", &a.verb), ("group", &a.group), ("version", &a.version), ("resource", &a.resource), ("subresource", &a.subresource), ("name", &a.name)];
        fields.into_iter().for_each(|(key, value)| put(&mut resource, key, value.clone().into()));
        for (key, selection, of) in [("fieldSelector", &a.fields, Of::Fields), ("labelSelector", &a.labels, Of::Labels)] {
            let requirements = selection.requirements(of);
            if !requirements.is_empty() {
                resource[key] = json!({"requirements": requirements});
            }
        }
        spec["resourceAttributes"] = resource;
    } else {
        spec["nonResourceAttributes"] = json!({"path": a.path, "verb": a.verb});
    }
    put(&mut spec, "user", user.name.clone().into());
    put(&mut spec, "groups", json!(user.groups));
    put(&mut spec, "extra", json!(user.extra));
    put(&mut spec, "uid", user.uid.clone().into());
    spec
}

/// The same as conditions see it: with what is empty.
fn full(spec: &Value) -> Value {
    let mut full = spec.clone();
    let text = |of: &mut Value, keys: &[&str]| {
        for key in keys {
            if of[*key].is_null() {
                of[*key] = "".into();
            }
        }
    };
    text(&mut full, &["user", "uid"]);
    for (key, empty) in [("groups", json!([])), ("extra", json!({}))] {
        if full[key].is_null() {
            full[key] = empty;
        }
    }
    if full["resourceAttributes"].is_object() {
        text(&mut full["resourceAttributes"], &["namespace", "verb", "group", "version", "resource", "subresource", "name"]);
        for key in ["fieldSelector", "labelSelector"] {
            let Some(selector) = full["resourceAttributes"].get_mut(key) else { continue };
            text(selector, &["rawSelector"]);
            for requirement in selector["requirements"].as_array_mut().into_iter().flatten() {
                if requirement["values"].is_null() {
                    requirement["values"] = json!([]);
                }
            }
        }
    } else if let Some(map) = full.as_object_mut() {
        map.remove("resourceAttributes");
    }
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_upstream_reads_them() {
        let verdict = |status: Value| read(&status).verdict;
        assert_eq!(verdict(json!({"allowed": true})), Verdict::Allow);
        assert_eq!(verdict(json!({"allowed": false})), Verdict::NoOpinion);
        assert_eq!(verdict(json!({"denied": true})), Verdict::Deny);
        let both = read(&json!({"denied": true, "allowed": true, "reason": "r"}));
        assert!(both.verdict == Verdict::Deny && both.error.is_some() && both.reason == "r");
        assert_eq!(verdict(json!("?")), Verdict::NoOpinion);
    }

    #[test]
    fn questions_are_short_and_conditions_see_all() {
        let user = User::new("eva", &[]);
        let path = Attributes { path: "/metrics".into(), verb: "get".into(), ..Attributes::default() };
        assert_eq!(spec(&user, &path), json!({"user": "eva", "groups": ["system:authenticated"], "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}));
        assert_eq!(full(&spec(&user, &path)).get("resourceAttributes"), None);
        let pods = Attributes { is_resource: true, verb: "list".into(), resource: "pods".into(), version: "v1".into(), ..Attributes::default() };
        let asked = spec(&user, &pods);
        assert_eq!(asked["resourceAttributes"], json!({"verb": "list", "version": "v1", "resource": "pods"}));
        assert_eq!((&full(&asked)["resourceAttributes"]["namespace"], &full(&asked)["extra"]), (&json!(""), &json!({})));
    }
}
