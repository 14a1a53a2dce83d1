//! How versions are converted, and the webhook asked for it.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::kept::Kept;
use crate::{check, walk, webhook_client};

pub fn validate(errors: &mut FieldErrors, form: &Value, path: &Path, kept: Kept) {
    let Some(conversion) = form.get("conversion") else { return };
    let strategy = walk::text(conversion, "strategy");
    if strategy != "None" && walk::flag(form, "preserveUnknownFields") {
        errors.push(FieldError::invalid(&path.child("strategy"), strategy, "must be None if spec.preserveUnknownFields is true"));
    }
    check::one_of(errors, &path.child("strategy"), strategy, &["None", "Webhook"]);
    let (client, versions) = (conversion.get("webhookClientConfig"), walk::list(conversion, "conversionReviewVersions"));
    let (client_path, versions_path) = (path.child("webhookClientConfig"), path.child("conversionReviewVersions"));
    if strategy != "Webhook" {
        if client.is_some() {
            errors.push(FieldError::forbidden(&client_path, "should not be set when strategy is not set to Webhook"));
        }
        if !versions.is_empty() {
            errors.push(FieldError::forbidden(&versions_path, "should not be set when strategy is not set to Webhook"));
        }
        return;
    }
    match client {
        None => errors.push(FieldError::required(&client_path, "required when strategy is set to Webhook")),
        Some(client) => {
            webhook_client::validate(errors, client, &client_path);
            let bundle = walk::text(client, "caBundle");
            if !kept.bundle && let Some(why) = webhook_client::bundle_fault(bundle) {
                errors.push(FieldError::invalid(&client_path.child("caBundle"), bundle, why));
            }
        }
    }
    review_versions(errors, versions, &versions_path, kept);
}

/// Whether a webhook understands any review that is sent; also where it does not say.
pub fn knows_reviews(versions: &[Value]) -> bool {
    versions.is_empty() || versions.iter().any(|v| v == "v1" || v == "v1beta1")
}

fn review_versions(errors: &mut FieldErrors, versions: &[Value], path: &Path, kept: Kept) {
    if versions.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let texts: Vec<&str> = versions.iter().filter_map(Value::as_str).collect();
    for (i, version) in texts.iter().enumerate() {
        if texts[..i].contains(version) {
            errors.push(FieldError::invalid(&path.index(i), *version, "duplicate version"));
            continue;
        }
        check::syntax(errors, &path.index(i), version, names::dns1035_label(version));
    }
    if !kept.review_versions && !knows_reviews(versions) {
        errors.push(FieldError::invalid(path, Value::Array(versions.to_vec()), "must include at least one of v1, v1beta1"));
    }
}
