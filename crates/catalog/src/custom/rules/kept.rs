//! What an update may leave as it was, though nobody could write it anew.
//!
//! Upstream: the `require...` functions of apiextensions-apiserver `pkg/apis/apiextensions/validation/validation.go`.

use api::field::{FieldErrors, Path};
use serde_json::Value;

use super::{conversion, defaults, openapi, structural};
use crate::custom::status;
use crate::{walk, webhook_client};

/// Each is false on create.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    /// A version without a schema.
    pub no_schema: bool,
    /// Types that OpenAPI does not know.
    pub odd_types: bool,
    /// A schema that is not structural.
    pub unstructured: bool,
    /// Defaults with fields the schema does not know.
    pub unpruned_defaults: bool,
    /// Sets of compound items.
    pub compound_sets: bool,
    /// Lists told apart by keys that may be absent or null.
    pub loose_keys: bool,
    /// A webhook that understands no known review.
    pub review_versions: bool,
    /// A bundle that holds no certificate; also where the kind is not served yet.
    pub bundle: bool,
}

impl Kept {
    pub fn of(old: Option<&Value>) -> Self {
        let Some(old) = old else { return Self { bundle: true, ..Self::default() } };
        let versions = walk::list(old, "spec.versions");
        let schemas: Vec<&Value> = versions.iter().filter_map(schema_of).collect();
        let any = |wrong: &dyn Fn(&Value) -> bool| schemas.iter().any(|s| has(s, wrong));
        let bundle = walk::text(old, "spec.conversion.webhook.clientConfig.caBundle");
        Self {
            no_schema: schemas.len() < versions.len(),
            odd_types: any(&openapi::has_odd_type),
            unstructured: schemas.iter().any(|s| !structural::is_structural(s)),
            unpruned_defaults: schemas.iter().any(|s| structural::is_structural(s) && !defaults::are_pruned(s)),
            compound_sets: any(&|s| openapi::compound_set(s).is_some()),
            loose_keys: any(&|s| {
                let mut faults = FieldErrors::new();
                openapi::list_keys(&mut faults, s, &Path::default());
                !faults.is_empty()
            }),
            review_versions: !conversion::knows_reviews(walk::list(old, "spec.conversion.webhook.conversionReviewVersions")),
            bundle: !status::is_true(old, "Established") || webhook_client::bundle_fault(bundle).is_some(),
        }
    }
}

pub fn schema_of(version: &Value) -> Option<&Value> {
    version.get("schema").and_then(schema_in)
}

pub fn schema_in(of: &Value) -> Option<&Value> {
    of.get("openAPIV3Schema").filter(|s| s.is_object())
}

/// Whether something holds at any place of a schema.
pub fn has(schema: &Value, holds: &dyn Fn(&Value) -> bool) -> bool {
    let below = |of: &Value| of.is_object() && has(of, holds);
    let of_keys = |key: &str| schema.get(key).and_then(Value::as_object).into_iter().flatten().any(|(_, of)| below(of));
    holds(schema)
        || ["items", "not", "additionalProperties", "additionalItems"].iter().any(|key| schema.get(key).is_some_and(below))
        || ["items", "allOf", "anyOf", "oneOf"].iter().any(|key| walk::list(schema, key).iter().any(below))
        || ["properties", "patternProperties", "definitions", "dependencies"].iter().any(|key| of_keys(key))
}
