//! Requests for tokens of service accounts. Nothing of them is stored.
//!
//! Upstream: `pkg/registry/core/serviceaccount/storage/token.go`, `pkg/serviceaccount/claims.go`.

use api::{ApiError, FieldError, GroupResource, GroupVersionKind, Path, meta};
use catalog::walk;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Call;
use crate::admission::extension;
use crate::config::AccountTokens;
use crate::respond::{self, Body};
use crate::wire;

const MIN_SECONDS: i64 = 600;
const MAX_SECONDS: i64 = 1 << 32;
const USUAL_SECONDS: i64 = 3600;
/// What admission asks for when it gives pods their tokens. Upstream: `WarnOnlyBoundTokenExpirationSeconds`.
const PROJECTED_SECONDS: i64 = 3607;
/// How long such tokens really hold. Upstream: `ExpirationExtensionSeconds`.
const EXTENDED_SECONDS: i64 = 365 * 24 * 3600;

pub async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    let expected = GroupVersionKind::from_api_version("authentication.k8s.io/v1", "TokenRequest");
    let mut request = wire::decode_object(call, expected)?;
    for (field, wanted, why) in [("name", &call.info.name, "must match the service account name if specified"), ("namespace", &call.info.namespace, "must match the service account namespace if specified")] {
        let said = walk::text(&request["metadata"], field);
        if !said.is_empty() && said != wanted {
            return Err(invalid(&call.info.name, &[FieldError::invalid(&Path::new("metadata").child(field), said, why)]));
        }
    }
    let account = call.read(&*call.record()?);
    let (uid, said) = (meta::uid(&account), meta::uid(&request));
    if !said.is_empty() && said != uid {
        let why = format!("the UID in the token request ({said}) does not match the UID of the service account ({uid})");
        return Err(ApiError::conflict(&GroupResource::new("authentication.k8s.io", "TokenRequest"), &call.info.name, why));
    }
    let now = Timestamp::now();
    complete(call, &mut request, uid, now);
    let faults = validate(&request);
    if !faults.is_empty() {
        return Err(invalid("", &faults));
    }
    extension::post(call, &mut request).await?;
    let bound = bound_objects(call, &request)?;
    let life = Life::of(&call.server.config.accounts, &request, bound.contains_key("pod"));
    if life.asked > life.seconds {
        call.notes.warn(format!("requested expiration of {} seconds shortened to {} seconds", life.asked, life.seconds));
    }
    let id = uuid::Uuid::new_v4().to_string();
    let claims = claims(call, &request, uid, bound, &life, now.as_second(), &id);
    let token = call.server.authenticator.sign(&claims).map_err(|e| ApiError::internal(format!("failed to generate token: {e}")))?;
    request["spec"]["expirationSeconds"] = life.seconds.into();
    let expiration = Timestamp::from_second(now.as_second() + life.seconds).map(api::time::rfc3339).unwrap_or_default();
    request["status"] = json!({"token": token, "expirationTimestamp": expiration});
    call.notes.annotate("authentication.kubernetes.io/issued-credential-id", &format!("JTI={id}"));
    Ok(respond::encoded(StatusCode::CREATED, &request, call.accept.form))
}

fn invalid(name: &str, faults: &[FieldError]) -> ApiError {
    ApiError::invalid("authentication.k8s.io", "TokenRequest", name, faults)
}

/// What the request leaves out.
fn complete(call: &Call, request: &mut Value, uid: &str, now: Timestamp) {
    if walk::list(request, "spec.audiences").is_empty() {
        request["spec"]["audiences"] = json!(call.server.config.accounts.audiences());
    }
    if walk::at(request, "spec.expirationSeconds").is_null() {
        request["spec"]["expirationSeconds"] = USUAL_SECONDS.into();
    }
    request["status"] = json!({"token": "", "expirationTimestamp": null});
    let uid = uid.to_owned();
    meta::set(request, "name", call.info.name.clone());
    meta::set(request, "namespace", call.info.namespace.clone());
    meta::set(request, "uid", uid);
    meta::set(request, "creationTimestamp", api::time::rfc3339(now));
}

/// Upstream: `pkg/apis/authentication/validation/validation.go`.
fn validate(request: &Value) -> Vec<FieldError> {
    let seconds = seconds_of(request);
    let path = Path::new("spec.expirationSeconds");
    let mut faults = Vec::new();
    if seconds < MIN_SECONDS {
        faults.push(FieldError::invalid(&path, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > MAX_SECONDS {
        faults.push(FieldError::invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    faults
}

fn seconds_of(request: &Value) -> i64 {
    walk::at(request, "spec.expirationSeconds").as_i64().unwrap_or(USUAL_SECONDS)
}

/// How long a token holds.
#[derive(Debug, PartialEq, Eq)]
struct Life {
    asked: i64,
    /// What the client is told.
    seconds: i64,
    /// What the token says: more, where the client should renew it but need not.
    held: i64,
    warn_after: Option<i64>,
}

impl Life {
    fn of(settings: &AccountTokens, request: &Value, of_pod: bool) -> Self {
        let asked = seconds_of(request);
        let seconds = settings.max_seconds.map_or(asked, |max| asked.min(max));
        let for_server = walk::list(request, "spec.audiences").iter().all(|a| settings.audiences().iter().any(|own| a == own));
        let extended = settings.extend && of_pod && seconds == PROJECTED_SECONDS && for_server;
        Self { asked, seconds, held: if extended { EXTENDED_SECONDS } else { seconds }, warn_after: extended.then_some(seconds) }
    }
}

fn claims(call: &Call, request: &Value, uid: &str, bound: Map<String, Value>, life: &Life, now: i64, id: &str) -> Value {
    let (namespace, name) = (&call.info.namespace, &call.info.name);
    let mut private = bound;
    private.insert("namespace".into(), json!(namespace));
    private.insert("serviceaccount".into(), json!({"name": name, "uid": uid}));
    if let Some(after) = life.warn_after {
        private.insert("warnafter".into(), (now + after).into());
    }
    json!({
        "iss": call.server.config.accounts.issuer(), "sub": format!("system:serviceaccount:{namespace}:{name}"), "aud": walk::at(request, "spec.audiences"),
        "iat": now, "nbf": now, "exp": now + life.held, "jti": id, "kubernetes.io": private,
    })
}

/// The object whose life bounds the token's, by the claim that names it; with a pod its node.
fn bound_objects(call: &Call, request: &Value) -> Result<Map<String, Value>, ApiError> {
    let reference = walk::at(request, "spec.boundObjectRef");
    if !reference.is_object() {
        return Ok(Map::new());
    }
    let gvk = GroupVersionKind::from_api_version(walk::text(reference, "apiVersion"), walk::text(reference, "kind"));
    let (name, uid) = (walk::text(reference, "name"), walk::text(reference, "uid"));
    let (plural, claim, namespace) = match (&*gvk.group, &*gvk.kind) {
        ("", "Pod") => ("pods", "pod", call.info.namespace.as_str()),
        ("", "Secret") => ("secrets", "secret", call.info.namespace.as_str()),
        ("", "Node") => ("nodes", "node", ""),
        _ => return Err(ApiError::bad_request(format!("cannot bind token to object of type {}/{}, Kind={}", gvk.group, gvk.version, gvk.kind))),
    };
    let object = find(call, plural, namespace, name)?.ok_or_else(|| ApiError::not_found(&GroupResource::new("", plural), name))?;
    if claim == "pod" && walk::text(&object, "spec.serviceAccountName") != call.info.name {
        return Err(ApiError::bad_request(format!("cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.", call.info.name)));
    }
    if !uid.is_empty() && uid != meta::uid(&object) {
        let why = format!("the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated");
        return Err(ApiError::conflict(&GroupResource::new("", gvk.kind.to_string()), name, why));
    }
    let mut bound = Map::new();
    bound.insert(claim.into(), json!({"name": name, "uid": meta::uid(&object)}));
    let node = walk::text(&object, "spec.nodeName");
    if claim == "pod" && !node.is_empty() {
        let mut reference = json!({"name": node});
        if let Some(found) = find(call, "nodes", "", node)? {
            reference["uid"] = meta::uid(&found).into();
        }
        bound.insert("node".into(), reference);
    }
    Ok(bound)
}

fn find(call: &Call, plural: &str, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
    let registry = call.server.registry();
    let served = registry.find("", "v1", plural).ok_or_else(ApiError::no_such_path)?;
    let record = call.server.store.view().get(served.table, &crate::object::key(namespace, name));
    Ok(record.map(|record| crate::object::parse(&record.value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(settings: &AccountTokens, seconds: i64, audience: &str, of_pod: bool) -> (i64, i64) {
        let life = Life::of(settings, &json!({"spec": {"expirationSeconds": seconds, "audiences": [audience]}}), of_pod);
        (life.seconds, life.held)
    }

    #[test]
    fn tokens_of_pods_hold_longer_than_they_say() {
        let usual = AccountTokens { audiences: vec!["api".into()], ..AccountTokens::default() };
        assert_eq!(life(&usual, 3607, "api", true), (3607, 31_536_000));
        for (seconds, audience, of_pod) in [(3600, "api", true), (3607, "other", true), (3607, "api", false)] {
            assert_eq!(life(&usual, seconds, audience, of_pod), (seconds, seconds));
        }
        let strict = AccountTokens { extend: false, max_seconds: Some(7200), ..usual };
        assert_eq!(life(&strict, 3607, "api", true), (3607, 3607));
        assert_eq!(life(&strict, 9000, "api", true), (7200, 7200));
    }
}
