//! The `certificates.k8s.io` group.

use serde_json::{Value, json};

use crate::columns::{age, columns, name, or_none};
use crate::resource::{Resource, Subresource, Verbs};
use crate::{certificates_rules, pod_certificates, walk};

pub fn resources() -> Vec<Resource> {
    let approval = Subresource { verbs: Verbs::PART, ..Subresource::part("approval") };
    let mut csr = Resource::new("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", false)
        .short(&["csr"])
        .sub(approval)
        .status_only()
        .select(&["spec.signerName"])
        .rules(|rules| {
            // Upstream: a request may be called anything that a path may hold.
            rules.name = |_| Vec::new();
            rules.validate = certificates_rules::signing_request;
            rules.validate_status = |object, old| certificates_rules::signing_request_part("status", object, old);
            rules.validate_part = Some(certificates_rules::signing_request_part);
            rules.prepare = |object, old| walk::own_status(object, old, json!({}));
            rules.prepare_part = settle_conditions;
        })
        .columns(columns(&["Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"]), |object, now| {
            let duration = walk::at(object, "spec.expirationSeconds").as_i64().map_or("<none>".to_owned(), api::time::human_duration);
            vec![name(object), age(object, now), or_none(walk::text(object, "spec.signerName")), walk::text(object, "spec.username").into(), duration.into(), condition(object).into()]
        });
    csr.table = "/registry/certificatesigningrequests".into();
    vec![csr, trust_bundle(), pod_request()]
}

/// Decisions are made by `approval` alone; conditions tell when they came.
///
/// Upstream: `preserveConditionInstances`, `populateConditionTimestamps` in `pkg/registry/certificates/certificates/strategy.go`.
fn settle_conditions(part: &str, object: &mut Value, old: &Value, now: jiff::Timestamp) {
    let before = walk::list(old, "status.conditions");
    if part == "status" {
        for kind in ["Approved", "Denied"] {
            let is = |condition: &&Value| walk::text(condition, "type") == kind;
            let kept: Vec<&Value> = before.iter().filter(is).collect();
            if walk::list(object, "status.conditions").iter().filter(is).count() != kept.len() {
                continue;
            }
            let same = walk::list_mut(object, "status.conditions").iter_mut().filter(|condition| walk::text(condition, "type") == kind);
            same.zip(kept).for_each(|(condition, kept)| condition.clone_from(kept));
        }
    }
    let now = api::time::rfc3339(now);
    for condition in walk::list_mut(object, "status.conditions") {
        let Some(fields) = condition.as_object_mut() else { continue };
        let lacks = |fields: &serde_json::Map<String, Value>, key: &str| fields.get(key).is_none_or(Value::is_null);
        if lacks(fields, "lastUpdateTime") {
            fields.insert("lastUpdateTime".into(), now.as_str().into());
        }
        if lacks(fields, "lastTransitionTime") {
            let same = before.iter().find(|old| ["type", "status"].iter().all(|key| old.get(*key) == fields.get(*key)));
            let since = same.and_then(|old| old.get("lastTransitionTime")).filter(|time| !time.is_null()).cloned();
            fields.insert("lastTransitionTime".into(), since.unwrap_or_else(|| now.as_str().into()));
        }
    }
}

fn trust_bundle() -> Resource {
    let mut bundle = Resource::new("certificates.k8s.io", "v1", "ClusterTrustBundle", "clustertrustbundles", false)
        .select(&["spec.signerName"])
        .rules(|rules| {
            // The signer decides how a bundle may be called.
            rules.name = |_| Vec::new();
            rules.validate = certificates_rules::trust_bundle;
        })
        .columns(columns(&["Name", "SignerName"]), |object, _| vec![name(object), or_none(walk::text(object, "spec.signerName"))]);
    bundle.table = "/registry/clustertrustbundles".into();
    bundle
}

fn pod_request() -> Resource {
    let mut request = Resource::new("certificates.k8s.io", "v1", "PodCertificateRequest", "podcertificaterequests", true)
        .status()
        .select(&["spec.signerName", "spec.podName", "spec.nodeName"])
        .rules(|rules| {
            rules.default = |object| {
                if let Some(spec) = walk::existing_mut(object, "spec") {
                    walk::fill(spec, "maxExpirationSeconds", 86_400);
                }
            };
            rules.validate = pod_certificates::pod_request;
            rules.validate_status = |object, old| pod_certificates::pod_request_status(object, old, jiff::Timestamp::now());
            rules.prepare = |object, old| walk::own_status(object, old, json!({}));
        });
    request.table = "/registry/podcertificaterequests".into();
    request
}

fn condition(object: &Value) -> String {
    let has = |kind: &str| walk::list(object, "status.conditions").iter().any(|c| walk::text(c, "type") == kind);
    let mut words = vec![if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }];
    if has("Failed") {
        words.push("Failed");
    }
    if !walk::text(object, "status.certificate").is_empty() {
        words.push("Issued");
    }
    words.join(",")
}
