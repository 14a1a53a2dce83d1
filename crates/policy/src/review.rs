//! AdmissionReview: what a webhook is asked and what its answer means.
//!
//! Upstream: apiserver `pkg/admission/plugin/webhook/request/admissionreview.go` and `webhook/errors/statuserror.go`.

use std::collections::BTreeMap;

use api::GroupVersionKind;
use base64::Engine as _;
use catalog::walk;
use serde_json::{Value, json};

use crate::matching::{Form, Subject};

/// What is asked.
pub struct Question<'a> {
    pub uid: &'a str,
    pub subject: &'a Subject,
    pub kind: &'a GroupVersionKind,
    /// The resource and kind in which the objects are sent.
    pub form: &'a Form,
    pub form_kind: &'a GroupVersionKind,
    pub user: &'a Value,
    pub object: &'a Value,
    pub old: &'a Value,
    pub options: &'a Value,
    pub dry_run: bool,
}

fn kind_of(gvk: &GroupVersionKind) -> Value {
    json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind})
}

/// The review in one of the two versions; they differ in name only.
pub fn question(version: &str, q: &Question<'_>) -> Value {
    let subject = q.subject;
    let mut request = json!({
        "uid": q.uid,
        "kind": kind_of(q.form_kind),
        "resource": {"group": q.form.group, "version": q.form.version, "resource": q.form.resource},
        "requestKind": kind_of(q.kind),
        "requestResource": {"group": subject.group, "version": subject.version, "resource": subject.resource},
        "operation": subject.operation,
        "userInfo": q.user,
        "object": q.object,
        "oldObject": q.old,
        "dryRun": q.dry_run,
        "options": q.options,
    });
    for (key, value) in [("subResource", &subject.subresource), ("requestSubResource", &subject.subresource), ("name", &subject.name), ("namespace", &subject.namespace)] {
        if !value.is_empty() {
            request[key] = value.clone().into();
        }
    }
    json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": request})
}

/// A valid answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    pub allowed: bool,
    /// The JSON patch; empty where nothing changes.
    pub patch: Vec<u8>,
    pub result: Value,
    pub warnings: Vec<String>,
    pub annotations: BTreeMap<String, String>,
}

/// Why an answer is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is no review at all.
    Undecodable(String),
    /// A review that breaks the contract.
    Invalid(String),
}

/// Reads an answer to a review of `version`.
pub fn answer(version: &str, uid: &str, mutating: bool, body: &[u8]) -> Result<Answer, Fault> {
    let invalid = |why: String| Fault::Invalid(why);
    let review = decode(body)?;
    let response = &review["response"];
    if !response.is_object() {
        return Err(invalid("webhook response was absent".into()));
    }
    let mut answer = Answer {
        allowed: walk::flag(response, "allowed"),
        patch: patch_of(response)?,
        result: response["status"].clone(),
        warnings: walk::list(response, "warnings").iter().filter_map(|w| w.as_str().map(str::to_owned)).collect(),
        annotations: walk::map(response, "auditAnnotations").into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect(),
    };
    // Upstream: answers of v1beta1 were never checked.
    if version == "v1" {
        let found = walk::text(response, "uid");
        if found != uid {
            return Err(invalid(format!("expected response.uid={uid:?}, got {found:?}")));
        }
        let (group_version, kind) = (walk::text(&review, "apiVersion"), walk::text(&review, "kind"));
        if group_version != "admission.k8s.io/v1" || kind != "AdmissionReview" {
            return Err(invalid(format!("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {group_version}, Kind={kind}")));
        }
        check_patch(response, &answer, mutating)?;
    }
    if !mutating {
        answer.patch.clear();
    }
    Ok(answer)
}

fn decode(body: &[u8]) -> Result<Value, Fault> {
    let review: Value = serde_json::from_slice(body).map_err(|e| Fault::Undecodable(format!("couldn't get version/kind; json parse error: {e}")))?;
    for (field, name) in [("kind", "Kind"), ("apiVersion", "apiVersion")] {
        if walk::text(&review, field).is_empty() {
            return Err(Fault::Undecodable(format!("Object '{name}' is missing in '{}'", String::from_utf8_lossy(body))));
        }
    }
    Ok(review)
}

fn patch_of(response: &Value) -> Result<Vec<u8>, Fault> {
    let encoded = walk::text(response, "patch");
    base64::prelude::BASE64_STANDARD.decode(encoded).map_err(|e| Fault::Undecodable(format!("illegal base64 data in response.patch: {e}")))
}

fn check_patch(response: &Value, answer: &Answer, mutating: bool) -> Result<(), Fault> {
    let kind = response.get("patchType").filter(|k| !k.is_null());
    let why = match (mutating, answer.patch.is_empty(), kind.map(|k| k.as_str().unwrap_or_default())) {
        (true, false, None) => "webhook returned response.patch but not response.patchType".to_owned(),
        (true, true, Some(_)) => "webhook returned response.patchType but not response.patch".to_owned(),
        (true, false, Some("")) => "webhook returned invalid response.patchType of \"\"".to_owned(),
        (true, false, Some(other)) if other != "JSONPatch" => format!("unsupported patch type {other:?}"),
        (false, false, _) => "validating webhook may not return response.patch".to_owned(),
        (false, true, Some(_)) => "validating webhook may not return response.patchType".to_owned(),
        _ => return Ok(()),
    };
    Err(Fault::Invalid(why))
}

/// The Status of a denial: what the webhook said, made to be a failure.
pub fn denial(hook: &str, result: &Value) -> Value {
    let denied = format!("admission webhook {hook:?} denied the request");
    let (said, reason) = (walk::text(result, "message"), walk::text(result, "reason"));
    let message = match (said, reason) {
        ("", "") => format!("{denied} without explanation"),
        ("", why) | (why, _) => format!("{denied}: {why}"),
    };
    let status = match walk::text(result, "status") {
        "" | "Success" => "Failure",
        other => other,
    };
    let mut told = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": status, "message": message});
    for key in ["reason", "details"] {
        if let Some(value) = result.get(key).filter(|v| !v.is_null() && *v != "") {
            told[key] = value.clone();
        }
    }
    told["code"] = walk::int(result, "code").max(400).into();
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_held_to_their_contract() {
        let read = |version, mutating, review: Value| answer(version, "u", mutating, review.to_string().as_bytes());
        let review = |response: Value| json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response});
        assert_eq!(read("v1", true, review(json!({"uid": "u", "allowed": true, "patch": "W10=", "patchType": "JSONPatch"}))).unwrap().patch, b"[]");
        let why = |result: Result<Answer, Fault>| match result {
            Err(Fault::Invalid(why) | Fault::Undecodable(why)) => why,
            Ok(answer) => format!("{answer:?}"),
        };
        assert_eq!(why(read("v1", false, review(json!({"uid": "x"})))), "expected response.uid=\"u\", got \"x\"");
        assert_eq!(why(read("v1", false, review(json!({"uid": "u", "patch": "W10="})))), "validating webhook may not return response.patch");
        assert_eq!(why(read("v1", true, review(json!({"uid": "u", "patch": "W10="})))), "webhook returned response.patch but not response.patchType");
        assert_eq!(why(read("v1", true, review(Value::Null))), "webhook response was absent");
        assert_eq!(why(read("v1", true, json!({"apiVersion": "v1"}))), "Object 'Kind' is missing in '{\"apiVersion\":\"v1\"}'");
        assert!(read("v1beta1", false, review(json!({"allowed": true, "patch": "W10="}))).is_ok_and(|a| a.allowed && a.patch.is_empty()));
    }

    #[test]
    fn denials_are_failures_with_the_hooks_words() {
        let told = denial("a.b.c", &json!({"code": 200, "status": "Success", "reason": "Because"}));
        assert_eq!((walk::int(&told, "code"), walk::text(&told, "status"), walk::text(&told, "message")), (400, "Failure", "admission webhook \"a.b.c\" denied the request: Because"));
        assert_eq!(denial("a", &Value::Null)["message"], "admission webhook \"a\" denied the request without explanation");
        assert_eq!(denial("a", &json!({"message": "no", "reason": "X", "code": 418}))["code"], 418);
    }
}
