//! Reviews: questions about identities and rights, and requests for tokens. Nothing of them is stored.

use api::{ApiError, GroupVersionKind, meta};
use catalog::walk;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Call;
use crate::admission::extension;
use crate::auth::authorize::{Attributes, Decision};
use crate::auth::selection;
use crate::respond::{self, Body, View};
use crate::user::User;
use crate::wire;

pub async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    // Upstream: what has no metadata to show comes neither as a table nor reduced to it.
    if call.accept.view != View::Object {
        return Err(ApiError::not_acceptable("application/json, application/yaml, application/vnd.kubernetes.protobuf"));
    }
    let mut review = wire::decode_object(call, call.served.resource.gvk())?.value;
    extension::post(call, &mut review).await?;
    match &*call.served.resource.kind {
        "SelfSubjectReview" => review["status"] = json!({"userInfo": call.user.info()}),
        "TokenReview" => review["status"] = token_review(call, &review).await?,
        "SelfSubjectRulesReview" => {
            let namespace = walk::text(&review, "spec.namespace");
            if namespace.is_empty() {
                return Err(ApiError::bad_request("no namespace on request"));
            }
            review["status"] = call.server.authorizer.rules_of(&call.server.store, &call.user, namespace);
        }
        "SelfSubjectAccessReview" => {
            refuse(call, &selection::check_spec(&review["spec"]))?;
            review["status"] = access(call, &call.user, &review["spec"]).await;
        }
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            let spec = &review["spec"];
            if call.served.resource.namespaced && walk::text(spec, "resourceAttributes.namespace") != call.info.namespace {
                return Err(ApiError::bad_request(format!("spec.resourceAttributes.namespace must match namespace: {}", call.info.namespace)));
            }
            let user = user_of(spec);
            let mut errors = selection::check_spec(spec);
            if user.name.is_empty() && user.groups.is_empty() {
                errors.push(api::FieldError::invalid(&api::Path::new("spec.user"), "", "at least one of user or group must be specified"));
            }
            refuse(call, &errors)?;
            review["status"] = access(call, &user, spec).await;
        }
        _ => return Err(ApiError::method_not_allowed()),
    }
    meta::metadata_mut(&mut review).entry("creationTimestamp").or_insert(Value::Null);
    Ok(respond::encoded(StatusCode::CREATED, &review, call.accept.form))
}

fn refuse(call: &Call, errors: &[api::FieldError]) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("authorization.k8s.io", &call.served.resource.kind, "", errors)) }
}

fn user_of(spec: &Value) -> User {
    let groups = ["groups", "group"].iter().flat_map(|key| walk::list(spec, key)).filter_map(|g| g.as_str().map(str::to_owned)).collect();
    let texts = |values: &Value| values.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    let extra = spec["extra"].as_object().into_iter().flatten().map(|(key, values)| (key.to_ascii_lowercase(), texts(values))).collect();
    User { name: walk::text(spec, "user").to_owned(), groups, uid: walk::text(spec, "uid").to_owned(), extra }
}

async fn access(call: &Call, user: &User, spec: &Value) -> Value {
    let attributes = Attributes::of_review(spec);
    match call.server.authorizer.decide(&call.server.store, user, &attributes).await {
        Decision::Allow(reason) => json!({"allowed": true, "reason": reason}),
        Decision::Failed { reason, error } => json!({"allowed": false, "reason": reason, "evaluationError": error}),
        Decision::Deny(reason) if reason.is_empty() => json!({"allowed": false}),
        Decision::Deny(reason) => json!({"allowed": false, "reason": reason}),
    }
}

/// Upstream: `pkg/registry/authentication/tokenreview/storage.go`.
async fn token_review(call: &Call, review: &Value) -> Result<Value, ApiError> {
    let token = walk::text(review, "spec.token");
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let wanted: Vec<&str> = walk::list(review, "spec.audiences").iter().filter_map(Value::as_str).collect();
    Ok(match call.server.authenticator.token(&call.server.store, token, &wanted).await {
        Ok((user, audiences)) => json!({"authenticated": true, "user": user.info(), "audiences": audiences}),
        // Upstream: false is left out.
        Err(why) => json!({"user": {}, "error": why}),
    })
}

/// Longest life of a token. Upstream: 2^32 seconds; the shortest is ten minutes.
const MAX_SECONDS: i64 = 1 << 32;

/// A token for a service account. Upstream: `pkg/registry/core/serviceaccount/storage/token.go`.
pub async fn token_request(call: &Call) -> Result<Response<Body>, ApiError> {
    let expected = GroupVersionKind::from_api_version("authentication.k8s.io/v1", "TokenRequest");
    let mut request = wire::decode_object(call, expected)?.value;
    extension::post(call, &mut request).await?;
    let account = call.read(&*call.record()?);
    let seconds = walk::at(&request, "spec.expirationSeconds").as_i64().unwrap_or(3600);
    let path = api::Path::new("spec.expirationSeconds");
    let mut errors = Vec::new();
    if seconds < 600 {
        errors.push(api::FieldError::invalid(&path, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > MAX_SECONDS {
        errors.push(api::FieldError::invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", "", &errors));
    }
    let mut audiences: Vec<String> = walk::list(&request, "spec.audiences").iter().filter_map(|a| a.as_str().map(str::to_owned)).collect();
    if audiences.is_empty() {
        audiences.push(call.server.config.issuer.clone());
    }
    let bound = bound_object(call, &request, &account)?;
    let now = Timestamp::now().as_second();
    let expires = now + seconds;
    let mut private = json!({
        "namespace": call.info.namespace,
        "serviceaccount": {"name": call.info.name, "uid": meta::uid(&account)},
    });
    if let (Some((key, reference)), Some(map)) = (bound, private.as_object_mut()) {
        map.insert(key, reference);
    }
    let claims = json!({
        "iss": call.server.config.issuer, "sub": format!("system:serviceaccount:{}:{}", call.info.namespace, call.info.name), "aud": audiences,
        "iat": now, "nbf": now, "exp": expires, "jti": uuid::Uuid::new_v4().to_string(), "kubernetes.io": private,
    });
    let token = call.server.authenticator.sign(&claims).map_err(ApiError::internal)?;
    request["spec"]["audiences"] = json!(audiences);
    request["spec"]["expirationSeconds"] = seconds.into();
    let expiration = Timestamp::from_second(expires).map(api::time::rfc3339).unwrap_or_default();
    request["status"] = json!({"token": token, "expirationTimestamp": expiration});
    meta::set(&mut request, "name", call.info.name.clone());
    meta::set(&mut request, "namespace", call.info.namespace.clone());
    meta::set(&mut request, "creationTimestamp", api::time::rfc3339(Timestamp::now()));
    Ok(respond::encoded(StatusCode::CREATED, &request, call.accept.form))
}

/// The object whose life bounds the token's.
fn bound_object(call: &Call, request: &Value, account: &Value) -> Result<Option<(String, Value)>, ApiError> {
    let reference = walk::at(request, "spec.boundObjectRef");
    if !reference.is_object() {
        return Ok(None);
    }
    let (kind, name, uid) = (walk::text(reference, "kind"), walk::text(reference, "name"), walk::text(reference, "uid"));
    let (plural, key, namespace) = match kind {
        "Pod" => ("pods", "pod", call.info.namespace.as_str()),
        "Secret" => ("secrets", "secret", call.info.namespace.as_str()),
        "Node" => ("nodes", "node", ""),
        other => return Err(ApiError::bad_request(format!("cannot bind token for serviceaccount {:?} to object type {other:?}", meta::name(account)))),
    };
    let registry = call.server.registry();
    let served = registry.find("", "v1", plural).ok_or_else(ApiError::no_such_path)?;
    let resource = served.resource.group_resource();
    let record = call.server.store.view().get(served.table, &crate::object::key(namespace, name)).ok_or_else(|| ApiError::not_found(&resource, name))?;
    let object = crate::object::parse(&record.value);
    if !uid.is_empty() && uid != meta::uid(&object) {
        let why = format!("the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated");
        return Err(ApiError::conflict(&resource, name, why));
    }
    if kind == "Pod" && walk::text(&object, "spec.serviceAccountName") != call.info.name {
        return Err(ApiError::bad_request(format!("cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.", call.info.name)));
    }
    Ok(Some((key.to_owned(), json!({"name": name, "uid": meta::uid(&object)}))))
}
