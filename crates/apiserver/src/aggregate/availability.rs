//! Whether a registered server can be reached, and what it says it serves.
//!
//! Upstream: kube-aggregator `pkg/controllers/status/remote/remote_available_controller.go`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::walk;
use futures::future::select_ok;
use http::header::IF_NONE_MATCH;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

use super::registrations::Remote;
use super::{Aggregator, front};
use crate::handler::BodyError;
use crate::upstream;
use crate::user::User;
use crate::webhook::{Endpoint, tls_words};

/// Upstream: so long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Upstream: asked so often at once; one good answer is enough.
const ATTEMPTS: usize = 5;
const MAX_BODY: usize = 4 << 20;

/// The condition `Available`, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub status: &'static str,
    pub reason: &'static str,
    pub message: String,
}

/// What a server said it serves.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// Its `APIResourceList`.
    pub resources: Value,
    /// Where it serves OpenAPI v3 of the group and version; none where it does not.
    pub openapi: Option<String>,
}

/// Judges service and endpoints; none where the server itself has to be asked.
pub fn precheck(remote: &Remote, service: Option<&Value>, slices: &[Value]) -> Option<Condition> {
    let (namespace, name, port) = (&remote.service.namespace, &remote.service.name, remote.service.port);
    let failed = |reason, message: String| Some(Condition { status: "False", reason, message });
    let Some(service) = service else { return failed("ServiceNotFound", format!("service/{name} in {namespace:?} is not present")) };
    if walk::text(service, "spec.type") != "ClusterIP" {
        return None;
    }
    let Some(found) = walk::list(service, "spec.ports").iter().find(|p| walk::int(p, "port") == i64::from(port)) else {
        return failed("ServicePortError", format!("service/{name} in {namespace:?} is not listening on port {port}"));
    };
    if slices.is_empty() {
        return failed("EndpointsNotFound", format!("cannot find endpointslices for service/{name} in {namespace:?}"));
    }
    let port_name = walk::text(found, "name");
    let serves = |slice: &Value| {
        let ready = walk::list(slice, "endpoints").iter().any(|e| walk::at(e, "conditions.ready").as_bool() != Some(false));
        ready && walk::list(slice, "ports").iter().any(|p| walk::text(p, "name") == port_name && p.get("port").is_some_and(|p| !p.is_null()))
    };
    if slices.iter().any(serves) {
        return None;
    }
    failed("MissingEndpoints", format!("endpointslices for service/{name} in {namespace:?} have no addresses with port name {port_name:?}"))
}

impl Aggregator {
    /// The condition of a registered server, now, and what it serves.
    pub async fn check(&self, remote: &Remote) -> (Condition, Option<Found>) {
        let (namespace, name) = (&remote.service.namespace, &remote.service.name);
        let service = self.services.service(namespace, name);
        if let Some(condition) = precheck(remote, service.as_ref(), &self.services.slices(namespace, name)) {
            return (condition, None);
        }
        let attempts = (0..ATTEMPTS).map(|_| Box::pin(self.attempt(remote)));
        match select_ok(attempts).await {
            Ok((found, _)) => (Condition { status: "True", reason: "Passed", message: "all checks passed".into() }, Some(found)),
            Err(message) => (Condition { status: "False", reason: "FailedDiscoveryCheck", message }, None),
        }
    }

    async fn attempt(&self, remote: &Remote) -> Result<Found, String> {
        let endpoint = self.services.resolve(&remote.service).map_err(|e| e.message)?;
        let url = format!("https://{}:{}{}", endpoint.host, endpoint.port, remote.path());
        let wrong = |why: String| format!("failing or missing response from {url}: {why}");
        let body = self.get(remote, &endpoint, &remote.path()).await.map_err(wrong)?;
        let resources = serde_json::from_slice(&body).unwrap_or_default();
        let openapi = self.get(remote, &endpoint, "/openapi/v3").await.ok().and_then(|index| {
            let index: Value = serde_json::from_slice(&index).ok()?;
            let place = index["paths"].get(remote.path().trim_start_matches('/'))?;
            Some(walk::text(place, "serverRelativeURL").to_owned()).filter(|url| url.starts_with("/openapi/v3/"))
        });
        Ok(Found { resources, openapi })
    }

    /// Asks as the server itself. Whoever answers is believed: upstream checks no certificate here either.
    async fn get(&self, remote: &Remote, endpoint: &Endpoint, path: &str) -> Result<Bytes, String> {
        let user = User { name: "system:kube-aggregator".into(), groups: vec!["system:masters".into()], ..User::default() };
        let question = Question { path, user: &user, settings: self.front.settings_for(None)?, held: None, patience: PATIENCE, most: MAX_BODY };
        let (head, body) = self.ask(remote, endpoint, question).await?;
        if !head.status.is_success() {
            return Err(format!("bad status from https://{}:{}{path}: {}", endpoint.host, endpoint.port, head.status.as_u16()));
        }
        Ok(body)
    }

    /// One answer of a registered server, whatever it is.
    pub(super) async fn ask(&self, remote: &Remote, endpoint: &Endpoint, question: Question<'_>) -> Result<(http::response::Parts, Bytes), String> {
        let (host, port) = (&endpoint.host, endpoint.port);
        let url = format!("https://{host}:{port}{}", question.path);
        let failed = |why: String| format!("Get {url:?}: {why}");
        let asked = async {
            let name = ServerName::try_from(format!("{}.{}.svc", remote.service.name, remote.service.namespace)).map_err(|e| failed(e.to_string()))?;
            let stream = upstream::dial(&self.services.egress, host, port).await.map_err(failed)?;
            let stream = TlsConnector::from(question.settings).connect(name, stream).await.map_err(|e| failed(tls_words(&e)))?;
            let mut request = Request::get(question.path).header("host", format!("{host}:{port}")).header("accept", "application/json");
            if let Some(headers) = request.headers_mut() {
                front::name_user(headers, question.user);
                headers.extend(question.held.map(|tag| (IF_NONE_MATCH, tag.clone())));
            }
            let request = request.body(Full::new(Bytes::new()).map_err(BodyError::from).boxed_unsync()).map_err(|e| failed(e.to_string()))?;
            let (head, body) = upstream::exchange(stream, request).await.map_err(|e| failed(e.message))?.into_parts();
            let body = Limited::new(body, question.most).collect().await.map_err(|e| failed(e.to_string()))?;
            Ok((head, body.to_bytes()))
        };
        let late = failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".into());
        tokio::time::timeout(question.patience, asked).await.unwrap_or(Err(late))
    }
}

/// What a registered server is asked, as whom, and what its answer may cost.
pub(super) struct Question<'a> {
    pub path: &'a str,
    pub user: &'a User,
    pub settings: Arc<ClientConfig>,
    /// The tag of the answer that is known.
    pub held: Option<&'a HeaderValue>,
    pub patience: Duration,
    pub most: usize,
}

/// The object with the condition, and when it last changed; the same object where nothing did.
pub fn with_condition(object: &Value, condition: &Condition, now: &str) -> Value {
    let mut object = object.clone();
    let old = walk::list(&object, "status.conditions").iter().find(|c| walk::text(c, "type") == "Available").cloned().unwrap_or_default();
    if walk::text(&old, "status") == condition.status && walk::text(&old, "reason") == condition.reason && walk::text(&old, "message") == condition.message {
        return object;
    }
    let since = if walk::text(&old, "status") == condition.status { walk::text(&old, "lastTransitionTime").to_owned() } else { now.to_owned() };
    let new = json!({"type": "Available", "status": condition.status, "lastTransitionTime": since, "reason": condition.reason, "message": condition.message});
    let Some(status) = walk::object_mut(&mut object, "status") else { return object };
    match status.entry("conditions").or_insert_with(|| json!([])) {
        Value::Array(list) => {
            list.retain(|c| walk::text(c, "type") != "Available");
            list.push(new);
        }
        other => *other = json!([new]),
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::ServicePort;

    #[test]
    fn services_are_judged_in_upstreams_words() {
        let service = ServicePort { namespace: "n".into(), name: "s".into(), port: 443 };
        let remote = Remote { name: "v1.g".into(), group: "g".into(), version: "v1".into(), service, ca_bundle: Vec::new(), insecure: false, priority: (1, 1), available: false };
        let told = |service: Option<&Value>, slices: &[Value]| precheck(&remote, service, slices).map(|c| format!("{} {}", c.reason, c.message));
        assert_eq!(told(None, &[]).unwrap(), "ServiceNotFound service/s in \"n\" is not present");
        let service = |port| json!({"spec": {"type": "ClusterIP", "ports": [{"name": "https", "port": port}]}});
        assert_eq!(told(Some(&service(80)), &[]).unwrap(), "ServicePortError service/s in \"n\" is not listening on port 443");
        assert_eq!(told(Some(&service(443)), &[]).unwrap(), "EndpointsNotFound cannot find endpointslices for service/s in \"n\"");
        let slice = |ready| json!({"ports": [{"name": "https", "port": 8443}], "endpoints": [{"conditions": {"ready": ready}}]});
        assert_eq!(told(Some(&service(443)), &[slice(false)]).unwrap(), "MissingEndpoints endpointslices for service/s in \"n\" have no addresses with port name \"https\"");
        assert_eq!(told(Some(&service(443)), &[slice(true)]), None);
    }

    #[test]
    fn the_time_of_a_condition_changes_with_its_status() {
        let condition = |status, message: &str| Condition { status, reason: "R", message: message.into() };
        let first = with_condition(&json!({}), &condition("False", "a"), "t1");
        let second = with_condition(&first, &condition("False", "b"), "t2");
        assert_eq!(second["status"]["conditions"][0], json!({"type": "Available", "status": "False", "lastTransitionTime": "t1", "reason": "R", "message": "b"}));
        assert_eq!(with_condition(&second, &condition("True", "b"), "t3")["status"]["conditions"][0]["lastTransitionTime"], "t3");
    }
}
