//! A definition to the resources that it makes the server serve.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use api::field::Path;
use serde_json::Value;

use super::expressions::{Judged, Tree};
use super::kind::{Custom, Strategy};
use super::node::Node;
use super::scale::Scale;
use super::{columns, status};
use crate::resource::{GarbagePolicy, Resource, Rules, Subresource, Verbs};
use crate::walk;

/// The resources of a definition, one per version; whether each is served stands beside it. None before names are accepted.
pub fn resources(definition: &Value) -> Vec<(Resource, bool)> {
    if !status::is_true(definition, "NamesAccepted") && !status::is_true(definition, "Established") {
        return Vec::new();
    }
    let versions = walk::list(definition, "spec.versions");
    let Some(stored) = versions.iter().find(|v| walk::flag(v, "storage")) else { return Vec::new() };
    versions.iter().map(|version| (resource(definition, version, walk::text(stored, "name")), walk::flag(version, "served"))).collect()
}

fn resource(definition: &Value, version: &Value, stored: &str) -> Resource {
    let names = walk::at(definition, "status.acceptedNames");
    let owned = |text: &str| Cow::Owned(text.to_owned());
    let list = |key: &str| walk::list(names, key).iter().filter_map(Value::as_str).map(owned).collect();
    let (group, plural) = (walk::text(definition, "spec.group"), walk::text(names, "plural"));
    let custom = custom(definition, version);
    let (columns, _) = columns::of_version(version);
    let verbs = if custom.terminating { Verbs { create: false, update: false, patch: false, ..Verbs::ALL } } else { Verbs::ALL };
    let mut subresources = Vec::new();
    if custom.has_status {
        subresources.push(Subresource::part("status"));
    }
    if custom.scale.is_some() {
        subresources.push(Subresource::of_kind("scale", "autoscaling/v1", "Scale", Verbs::PART));
    }
    Resource {
        group: owned(group),
        version: owned(walk::text(version, "name")),
        kind: owned(walk::text(names, "kind")),
        list_kind: owned(walk::text(names, "listKind")),
        plural: owned(plural),
        singular: owned(walk::text(names, "singular")),
        short_names: list("shortNames"),
        categories: list("categories"),
        namespaced: walk::text(definition, "spec.scope") == "Namespaced",
        verbs,
        subresources,
        selectable: Vec::new(),
        table: format!("/registry/{group}/{plural}").into(),
        stored_version: owned(stored),
        stored_group: owned(group),
        conversion: None,
        gives_deleted: false,
        garbage: GarbagePolicy::Delete,
        deprecation: None,
        rules: Rules { columns, generation: true, unconditional_update: false, ..Rules::default() },
        custom: Some(Arc::new(custom)),
    }
}

fn custom(definition: &Value, version: &Value) -> Custom {
    let schema = version.get("schema").and_then(|s| s.get("openAPIV3Schema")).filter(|s| s.is_object());
    let preserves = walk::flag(definition, "spec.preserveUnknownFields");
    let (_, columns) = columns::of_version(version);
    let strategy = match walk::text(definition, "spec.conversion.strategy") {
        "Webhook" => Strategy::Webhook(Arc::new(walk::at(definition, "spec.conversion.webhook").clone())),
        _ => Strategy::None,
    };
    let path = |field: &Value| walk::text(field, "jsonPath").trim_start_matches('.').to_owned();
    let name = walk::text(definition, "spec.names.kind");
    Custom {
        definition: api::meta::name(definition).to_owned(),
        node: schema.map_or_else(|| Node { preserves: true, ..Node::default() }, Node::compile),
        schema: schema.map(|s| Arc::new(s.clone())),
        of: schema::custom_type(name, schema.filter(|_| !preserves)),
        columns,
        has_status: version.get("subresources").and_then(|s| s.get("status")).is_some_and(|s| !s.is_null()),
        scale: Scale::of_version(version),
        preserves,
        warnings: warning(definition, version).into_iter().collect(),
        strategy,
        terminating: status::is_true(definition, "Terminating"),
        selectable: walk::list(version, "selectableFields").iter().map(path).collect(),
        // Rules were compiled when the definition was written; what compiled then compiles now.
        rules: schema.and_then(|s| Tree::compile(s, &Path::default(), Judged::new(true), &mut Vec::new())),
    }
}

/// Whether a schema holds rules in CEL anywhere.
pub fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.iter().any(|(key, value)| key == "x-kubernetes-validations" && value.is_array() || has_rules(value)),
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}

/// What users of a deprecated version are told.
fn warning(definition: &Value, version: &Value) -> Option<String> {
    if !walk::flag(version, "deprecated") {
        return None;
    }
    if let Some(own) = version.get("deprecationWarning").and_then(Value::as_str) {
        return Some(own.to_owned());
    }
    let (group, kind, name) = (walk::text(definition, "spec.group"), walk::text(definition, "spec.names.kind"), walk::text(version, "name"));
    let newer = walk::list(definition, "spec.versions").iter().filter(|v| walk::flag(v, "served") && !walk::flag(v, "deprecated")).map(|v| walk::text(v, "name"));
    let newest = newer.filter(|v| compare_versions(v, name) == Ordering::Greater).max_by(|a, b| compare_versions(a, b));
    let better = newest.map(|v| format!("; use {group}/{v} {kind}")).unwrap_or_default();
    Some(format!("{group}/{name} {kind} is deprecated{better}"))
}

/// Stable versions before betas before alphas, higher numbers first; other names last, by the alphabet.
// Upstream: apimachinery `pkg/version/helpers.go` CompareKubeAwareVersionStrings; greater is to be preferred.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (parse_version(a), parse_version(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => b.cmp(a),
    }
}

/// Stability, major and minor number.
fn parse_version(text: &str) -> Option<(u8, u64, u64)> {
    let rest = text.strip_prefix('v')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let major = rest[..end].parse().ok().filter(|n| *n > 0)?;
    match &rest[end..] {
        "" => Some((2, major, 0)),
        tail => {
            let (stability, number) = tail.strip_prefix("beta").map(|n| (1, n)).or_else(|| tail.strip_prefix("alpha").map(|n| (0, n)))?;
            Some((stability, major, number.parse().ok().filter(|n| *n > 0)?))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_ordered_as_upstream_orders_them() {
        let mut versions = ["foo10", "v1", "v11alpha2", "v3beta1", "v10", "v2", "foo1", "v12alpha1", "v10beta3", "v11beta2"];
        versions.sort_by(|a, b| super::compare_versions(b, a));
        assert_eq!(versions, ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]);
    }
}
