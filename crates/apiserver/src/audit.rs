//! The record of who did what: events of `audit.k8s.io/v1`, in a file that is rotated, and sent to a webhook.
//!
//! Bounded, and lossless where nobody asks otherwise: a request whose events cannot be queued waits with its answer. Contents of
//! Secrets and tokens are never recorded, whatever the policy says.

mod backends;
mod file;
mod legacy;
mod settings;
mod webhook;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use policy::audit::{Level, Policy, Request, Verdict};
use serde_json::{Value, json};

use api::request::Info;
use crate::admission::notes::Named;
use crate::user::User;
pub use backends::AuditLog;
pub use settings::{AuditConfig, AuditLogConfig, AuditWebhookConfig, Batch as AuditBatch, Delivery as AuditDelivery, Mode as AuditMode};

/// The policy of a configuration.
pub fn policy(config: &AuditConfig) -> Result<Policy, String> {
    let Some(path) = &config.policy else { return Policy::read(&Policy::default_rules()).map_err(|f| f.join("; ")) };
    let named = |why: &dyn std::fmt::Display| format!("audit policy {}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| named(&e))?;
    let value = codec::decode_yaml(&text, codec::Strictness::Collect).map_err(|e| named(&e))?.value;
    Policy::read(&value).map_err(|faults| named(&faults.join("; ")))
}

/// One request on its way into the record.
pub struct Entry {
    verdict: Verdict,
    event: Value,
    secret: bool,
    /// What the answer says of itself.
    status: Option<Value>,
}

impl Entry {
    /// Adds what admission noted.
    pub fn annotate(&mut self, notes: Vec<(String, String)>) {
        for (key, value) in notes {
            self.event["annotations"][key] = value.into();
        }
    }

    /// None where the policy records nothing of such a request.
    pub fn begin(policy: &Policy, user: &User, info: &Info, headers: &HeaderMap, uri: &str, source: Option<std::net::IpAddr>, id: &HeaderValue) -> Option<Self> {
        let request = Request {
            user: &user.name,
            groups: &user.groups,
            verb: info.verb,
            group: &info.group,
            resource: &info.resource,
            subresource: &info.subresource,
            name: &info.name,
            namespace: &info.namespace,
            path: (!info.is_resource).then_some(&info.path),
        };
        let verdict = policy.judge(&request);
        if verdict.level == Level::None {
            return None;
        }
        let mut event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": verdict.level.name(), "auditID": id.to_str().unwrap_or_default(),
            "requestURI": uri, "verb": info.verb, "user": described(user), "userAgent": text(headers, "user-agent"), "requestReceivedTimestamp": micro_now()});
        if let Some(source) = source {
            event["sourceIPs"] = json!([source.to_string()]);
        }
        if info.is_resource {
            event["objectRef"] = object_ref(info);
        }
        let secret = info.resource == "secrets" || info.subresource == "token" || info.group == "authentication.k8s.io";
        Some(Self { verdict, event, secret, status: None })
    }

    /// How much is recorded, in the policy's words.
    pub fn level(&self) -> &'static str {
        self.verdict.level.name()
    }

    pub fn wants_request(&self) -> bool {
        self.verdict.level >= Level::Request && !self.secret
    }

    pub fn wants_response(&self) -> bool {
        self.verdict.level >= Level::RequestResponse && !self.secret
    }

    /// Who really asks, where somebody acts as another.
    pub fn impersonates(&mut self, real: &User, acting: &User) {
        self.event["impersonatedUser"] = described(acting);
        self.event["user"] = described(real);
    }

    pub fn request(&mut self, body: &Bytes) {
        self.put("requestObject", body);
    }

    pub fn response(&mut self, body: &Bytes) {
        self.put("responseObject", body);
    }

    /// What the address left out about the object stands in it. Upstream: `LogRequestObject` in apiserver `pkg/audit/request.go`.
    pub fn names(&mut self, named: Named) {
        let reference = &mut self.event["objectRef"];
        if !reference.is_object() || !reference["subresource"].is_null() {
            return;
        }
        let said = [("name", named.name), ("namespace", named.namespace), ("uid", named.uid), ("resourceVersion", named.resource_version)];
        for (field, text) in said {
            if !text.is_empty() && reference[field].is_null() {
                reference[field] = text.into();
            }
        }
    }

    /// Upstream: an answer that is a Status is recorded as one at every level, `LogResponseObject`.
    pub fn failed(&mut self, body: &Bytes) {
        let Some(object) = as_json(body).filter(|object| object["kind"] == "Status") else { return };
        let mut status = json!({"metadata": {}});
        // What is wrong with a Secret may quote it.
        let fields: &[&str] = if self.secret { &["status", "reason", "code"] } else { &["status", "message", "reason", "details", "code"] };
        for field in fields.iter().copied() {
            if let Some(value) = object.get(field).filter(|value| !value.is_null()) {
                status[field] = value.clone();
            }
        }
        self.status = Some(status);
    }

    pub fn decided(&mut self, allowed: bool, reason: &str) {
        let decision = if allowed { "allow" } else { "forbid" };
        self.event["annotations"] = json!({"authorization.k8s.io/decision": decision, "authorization.k8s.io/reason": reason});
    }

    fn put(&mut self, field: &str, body: &Bytes) {
        let Some(mut object) = as_json(body) else { return };
        if self.verdict.omit_managed_fields
            && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("managedFields");
        }
        self.event[field] = object;
    }

    /// The event of a stage; none where the policy leaves the stage out.
    pub fn event(&self, stage: &str, code: Option<StatusCode>) -> Option<Value> {
        self.verdict.records(stage).then(|| staged(self.event.clone(), stage, code.map(|code| self.answer(code))))
    }

    /// The last event.
    pub fn last_event(mut self, stage: &str, code: StatusCode) -> Option<Value> {
        let answer = self.answer(code);
        self.verdict.records(stage).then(|| staged(self.event.take(), stage, Some(answer)))
    }

    fn answer(&self, code: StatusCode) -> Value {
        self.status.clone().unwrap_or_else(|| json!({"metadata": {}, "code": code.as_u16()}))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

fn described(user: &User) -> Value {
    let mut value = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        value["uid"] = user.uid.clone().into();
    }
    if !user.extra.is_empty() {
        value["extra"] = json!(user.extra);
    }
    value
}

fn object_ref(info: &Info) -> Value {
    let mut reference = json!({"apiVersion": info.version, "resource": info.resource});
    for (key, value) in [("namespace", &info.namespace), ("name", &info.name), ("apiGroup", &info.group), ("subresource", &info.subresource)] {
        if !value.is_empty() {
            reference[key] = value.clone().into();
        }
    }
    reference
}

fn staged(mut event: Value, stage: &str, answer: Option<Value>) -> Value {
    event["stage"] = stage.into();
    event["stageTimestamp"] = micro_now().into();
    if let Some(answer) = answer {
        event["responseStatus"] = answer;
    }
    event
}

/// A body as JSON; none for what is neither JSON nor an object in protobuf.
fn as_json(body: &Bytes) -> Option<Value> {
    if body.starts_with(codec::MAGIC) {
        let object = codec::decode_proto(body).ok()?;
        let mut value = object.value;
        value["kind"] = object.kind.into();
        value["apiVersion"] = object.api_version.into();
        return Some(value);
    }
    serde_json::from_slice(body).ok()
}

fn micro_now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
