//! Reviews: questions about identities and rights. Nothing of them is stored.

use api::{ApiError, FieldError, Path, meta};
use catalog::walk;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Call, create};
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
    let mut review = wire::decode_object(call, call.served.resource.gvk())?;
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
            check_access(call, &review, false)?;
            review["status"] = access(call, &call.user, &review["spec"]).await;
        }
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            create::check_namespace(call, &mut review)?;
            check_access(call, &review, true)?;
            review["status"] = access(call, &user_of(&review["spec"]), &review["spec"]).await;
        }
        _ => return Err(ApiError::method_not_allowed()),
    }
    meta::metadata_mut(&mut review).entry("creationTimestamp").or_insert(Value::Null);
    Ok(respond::encoded(StatusCode::CREATED, &review, call.accept.form))
}

/// Upstream: `pkg/apis/authorization/validation/validation.go`. The form it judges has lost its kind, so faults name none.
fn check_access(call: &Call, review: &Value, of_user: bool) -> Result<(), ApiError> {
    let (spec, local) = (&review["spec"], call.served.resource.namespaced);
    let mut errors = selection::check_spec(spec, of_user);
    let given = walk::map(review, "metadata").into_iter().flatten().any(|(key, value)| !(value.is_null() || key == "managedFields" || key == "creationTimestamp" || (local && key == "namespace")));
    if given {
        let why = if local { "must be empty except for namespace" } else { "must be empty" };
        errors.push(FieldError::invalid(&Path::new("metadata"), review["metadata"].clone(), why));
    }
    if local {
        let (resource, other) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        let namespace = walk::text(resource, "namespace");
        if resource.is_object() && namespace != call.info.namespace {
            errors.push(FieldError::invalid(&Path::new("spec.resourceAttributes.namespace"), namespace, "must match metadata.namespace"));
        }
        if other.is_object() {
            errors.push(FieldError::invalid(&Path::new("spec.nonResourceAttributes"), other.clone(), "disallowed on this kind of request"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("authorization.k8s.io", "", "", &errors)) }
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
