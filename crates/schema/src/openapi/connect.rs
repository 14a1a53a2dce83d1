//! The operations that are no reading or writing of objects: streams into pods, proxies, logs.

use serde_json::{Map, Value, json};

use super::parameters::{PRETTY, of_path, of_query};
use super::paths::{MEDIA, api_word, capital, of_place, tag};
use super::schemas::{Definitions, gvk};
use super::{Dialect, Resource, Subresource};
use crate::types::Of;

/// How HTTP calls it, and how operations do.
const ALL: [(&str, &str); 7] = [("delete", "Delete"), ("get", "Get"), ("head", "Head"), ("options", "Options"), ("patch", "Patch"), ("post", "Post"), ("put", "Put")];

/// The path items of a subresource that connects to somebody; none where it does not. Each with what its path ends with.
///
/// Upstream: apiserver `pkg/endpoints/installer.go`, actions of kind `CONNECT`: the options of the stream are query parameters.
pub(super) fn items(resource: &Resource, subresource: &Subresource, dialect: Dialect, definitions: &mut Definitions) -> Option<Vec<(&'static str, Value)>> {
    if resource.custom.is_some() || !subresource.kind.ends_with("Options") {
        return None;
    }
    let is_proxy = subresource.kind.ends_with("ProxyOptions");
    let endings: &[&str] = if is_proxy { &["", "/{path}"] } else { &[""] };
    let item = |ending: &&'static str| {
        let mut item = Map::new();
        for (method, word) in ALL.iter().filter(|(method, _)| is_proxy || matches!(*method, "get" | "post")) {
            let scope = if resource.namespaced { "Namespaced" } else { "" };
            let with = if ending.is_empty() { "" } else { "WithPath" };
            let operation = json!({
                "description": format!("connect {} requests to {} of {}", method.to_uppercase(), subresource.name, resource.kind),
                "operationId": format!("connect{}{word}{scope}{}{}{with}", api_word(resource), resource.kind, capital(&subresource.name)),
                "tags": [tag(resource)], "x-kubernetes-action": "connect",
                "x-kubernetes-group-version-kind": gvk(&subresource.group, &subresource.version, &subresource.kind),
            });
            item.insert((*method).to_owned(), text_answer(operation, &["*/*"], dialect));
        }
        let mut parameters = options(subresource, dialect, definitions);
        parameters.extend(of_place(resource, resource.namespaced, true, dialect));
        parameters.extend((!ending.is_empty()).then(|| of_path("path", "path to the resource", dialect)));
        item.insert("parameters".into(), parameters.into());
        (*ending, Value::Object(item))
    };
    Some(endings.iter().map(item).collect())
}

/// The logs of a pod.
pub(super) fn log(resource: &Resource, dialect: Dialect, definitions: &mut Definitions) -> Value {
    let operation = json!({
        "description": "read log of the specified Pod", "operationId": format!("read{}NamespacedPodLog", api_word(resource)), "tags": [tag(resource)],
        "x-kubernetes-action": "get", "x-kubernetes-group-version-kind": gvk(&resource.group, &resource.version, &resource.kind),
    });
    let media: Vec<&str> = ["text/plain"].into_iter().chain(MEDIA).collect();
    let of = Subresource { version: resource.version.clone(), kind: "PodLogOptions".into(), ..Subresource::default() };
    let mut parameters = options(&of, dialect, definitions);
    parameters.extend(of_place(resource, true, true, dialect));
    parameters.push(PRETTY.render(dialect));
    json!({"get": text_answer(operation, &media, dialect), "parameters": parameters})
}

/// The fields of options, as parameters of a query.
fn options(of: &Subresource, dialect: Dialect, definitions: &mut Definitions) -> Vec<Value> {
    let Some(of) = crate::table::by_kind(&of.group, &of.version, &of.kind) else { return Vec::new() };
    // Upstream: what is no simple value is no parameter.
    let fields = of.fields.iter().filter(|field| !matches!(field.name.as_ref(), "apiVersion" | "kind") && !matches!(field.of, Of::Time));
    fields
        .map(|field| {
            let kind = match field.of {
                Of::Bool => "boolean",
                Of::Int32 | Of::Int64 => "integer",
                // Lists too: a parameter may be given many times.
                _ => "string",
            };
            of_query(&field.name, kind, &definitions.describe(of, &field.name).unwrap_or_default(), dialect)
        })
        .collect()
}

/// An operation that is answered with a text.
fn text_answer(mut operation: Value, media: &[&str], dialect: Dialect) -> Value {
    let schema = json!({ "type": "string" });
    let unauthorized = json!({ "description": "Unauthorized" });
    if dialect == Dialect::V2 {
        operation["consumes"] = json!(["*/*"]);
        operation["produces"] = json!(media);
        operation["schemes"] = json!(["https"]);
        operation["responses"] = json!({"200": {"description": "OK", "schema": schema}, "401": unauthorized});
    } else {
        let content: Map<String, Value> = media.iter().map(|media| ((*media).to_owned(), json!({ "schema": schema }))).collect();
        operation["responses"] = json!({"200": {"description": "OK", "content": content}, "401": unauthorized});
    }
    operation
}
