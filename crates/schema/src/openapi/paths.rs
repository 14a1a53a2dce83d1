//! The path items of a resource: collection, object, subresources, with the operations its verbs allow.

use serde_json::{Map, Value, json};

use super::connect;
use super::parameters::{DELETE, DELETE_COLLECTION, LIST, PATCH, PRETTY, Parameter, WRITE, of_path};
use super::schemas::{Definitions, gvk};
use super::{Dialect, Resource, Subresource};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
pub(super) const MEDIA: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const STREAMS: [&str; 2] = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
/// Custom resources have neither a protobuf form nor merge keys.
const CUSTOM_MEDIA: [&str; 2] = ["application/json", "application/yaml"];
const CUSTOM_PATCHES: [&str; 3] = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
const PATCHES: [&str; 5] =
    ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/apply-patch+cbor"];

/// `api/v1` or `apis/apps/v1`.
pub(super) fn group_version(resource: &Resource) -> String {
    if resource.group.is_empty() { format!("api/{}", resource.version) } else { format!("apis/{}/{}", resource.group, resource.version) }
}

pub(super) fn of_resource(resource: &Resource, dialect: Dialect, definitions: &mut Definitions) -> Vec<(String, Value)> {
    let base = format!("/{}", group_version(resource));
    let scoped = if resource.namespaced { format!("{base}/namespaces/{{namespace}}/{}", resource.plural) } else { format!("{base}/{}", resource.plural) };
    let mut at = Writer { resource, dialect, definitions };
    let mut out = Vec::new();
    out.extend(at.item(&[("list", "get"), ("create", "post"), ("deletecollection", "delete")], resource.namespaced, false).map(|item| (scoped.clone(), item)));
    out.extend(at.item(&[("get", "get"), ("update", "put"), ("patch", "patch"), ("delete", "delete")], resource.namespaced, true).map(|item| (format!("{scoped}/{{name}}"), item)));
    for subresource in &resource.subresources {
        let place = format!("{scoped}/{{name}}/{}", subresource.name);
        if let Some(items) = connect::items(resource, subresource, dialect, at.definitions) {
            out.extend(items.into_iter().map(|(ending, item)| (format!("{place}{ending}"), item)));
        } else if resource.plural == "pods" && subresource.name == "log" {
            out.push((place, connect::log(resource, dialect, at.definitions)));
        } else {
            out.extend(at.subresource(subresource).map(|item| (place, item)));
        }
    }
    if resource.namespaced && resource.verbs.iter().any(|v| v == "list") {
        out.extend(at.item(&[("list", "get")], false, false).map(|item| (format!("{base}/{}", resource.plural), item)));
    }
    // Upstream: the paths from before the parameter `watch`; custom resources never had any.
    if resource.custom.is_none() && resource.verbs.iter().any(|v| v == "watch") {
        let (before, after) = (format!("{base}/watch"), scoped.trim_start_matches(base.as_str()));
        out.push((format!("{before}{after}"), at.watch(resource.namespaced, false)));
        out.push((format!("{before}{after}/{{name}}"), at.watch(resource.namespaced, true)));
        if resource.namespaced {
            out.push((format!("{before}/{}", resource.plural), at.watch(false, false)));
        }
    }
    out
}

struct Writer<'a> {
    resource: &'a Resource,
    dialect: Dialect,
    definitions: &'a mut Definitions,
}

/// What an operation is made of, before it is rendered.
struct Operation<'a> {
    verb: &'a str,
    kind: Value,
    takes: Option<Value>,
    gives: Value,
    parameters: &'a [Parameter],
    id: String,
    text: String,
}

impl Writer<'_> {
    fn item(&mut self, verbs: &[(&str, &str)], in_namespace: bool, one: bool) -> Option<Value> {
        let mut item = Map::new();
        for (verb, method) in verbs.iter().filter(|(verb, _)| self.resource.verbs.iter().any(|v| v == verb)) {
            let operation = self.operation(verb, in_namespace)?;
            item.insert((*method).to_owned(), self.render(&operation));
        }
        self.with_parameters(item, in_namespace, one)
    }

    fn with_parameters(&self, mut item: Map<String, Value>, in_namespace: bool, one: bool) -> Option<Value> {
        if item.is_empty() {
            return None;
        }
        let mut parameters = of_place(self.resource, in_namespace, one, self.dialect);
        parameters.push(PRETTY.render(self.dialect));
        item.insert("parameters".into(), Value::Array(parameters));
        Some(Value::Object(item))
    }

    /// The path item of a watch that its path asks for.
    fn watch(&mut self, in_namespace: bool, one: bool) -> Value {
        let resource = self.resource;
        let scope = if in_namespace { "Namespaced" } else { "" };
        let everywhere = if resource.namespaced && !in_namespace { "ForAllNamespaces" } else { "" };
        let (action, list, text) = match one {
            true => ("watch", "", format!("watch changes to an object of kind {}. deprecated: use the 'watch' parameter with a list operation instead, filtered to a single item with the 'fieldSelector' parameter.", resource.kind)),
            false => ("watchlist", "List", format!("watch individual changes to a list of {}. deprecated: use the 'watch' parameter with a list operation instead.", resource.kind)),
        };
        let operation = Operation {
            verb: action,
            kind: gvk(&resource.group, &resource.version, &resource.kind),
            takes: None,
            gives: self.definitions.reference(&format!("{META}.WatchEvent")),
            parameters: &[],
            id: format!("watch{}{scope}{}{list}{everywhere}", api_word(resource), resource.kind),
            text,
        };
        let mut item = json!({"get": self.render(&operation)});
        let mut parameters: Vec<Value> = LIST.iter().chain([&PRETTY]).map(|p| p.render(self.dialect)).collect();
        parameters.extend(of_place(resource, in_namespace, one, self.dialect));
        parameters.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        item["parameters"] = parameters.into();
        item
    }

    fn operation(&mut self, verb: &str, in_namespace: bool) -> Option<Operation<'static>> {
        let resource = self.resource;
        let name = Definitions::name_of(resource, verb == "list")?;
        let status = if resource.gives_deleted { name.clone() } else { format!("{META}.Status") };
        let (takes, gives, parameters): (Option<String>, String, &'static [Parameter]) = match verb {
            "list" => (None, name, &LIST),
            "create" | "update" => (Some(name.clone()), name, &WRITE),
            "patch" => (Some(format!("{META}.Patch")), name, &PATCH),
            "delete" => (Some(format!("{META}.DeleteOptions")), status, &DELETE),
            "deletecollection" => (Some(format!("{META}.DeleteOptions")), format!("{META}.Status"), &DELETE_COLLECTION),
            _ => (None, name, &[]),
        };
        let (word, action, text) = words(verb);
        let scope = match (resource.namespaced, in_namespace) {
            (true, true) => "Namespaced",
            _ => "",
        };
        let everywhere = if resource.namespaced && !in_namespace { "ForAllNamespaces" } else { "" };
        Some(Operation {
            verb: action,
            kind: gvk(&resource.group, &resource.version, &resource.kind),
            takes: takes.map(|name| self.definitions.reference(&name)),
            gives: self.definitions.reference(&gives),
            parameters,
            id: format!("{word}{}{}{scope}{}{everywhere}", api_word(resource), if verb == "deletecollection" { "Collection" } else { "" }, resource.kind),
            text: match verb {
                "create" | "delete" => format!("{text}{} {}", article(&resource.kind), resource.kind),
                _ => format!("{text} {}", resource.kind),
            },
        })
    }

    fn subresource(&mut self, subresource: &Subresource) -> Option<Value> {
        let definition = crate::table::by_kind(&subresource.group, &subresource.version, &subresource.kind)
            .map(|of| of.name.to_string())
            .or_else(|| self.resource.custom.as_ref().and_then(|_| Definitions::name_of(self.resource, false)));
        let mut item = Map::new();
        for verb in &subresource.verbs {
            let method = match verb.as_str() {
                "get" => "get",
                "create" => "post",
                "update" => "put",
                "patch" => "patch",
                "delete" => "delete",
                _ => continue,
            };
            let body = definition.as_deref().map(|d| self.definitions.reference(d)).unwrap_or_else(|| json!({ "type": "string" }));
            let (word, action, text) = words(verb);
            let (takes, parameters): (Option<Value>, &[Parameter]) = match method {
                "put" | "post" => (Some(body.clone()), &WRITE),
                "patch" => (Some(self.definitions.reference(&format!("{META}.Patch"))), &PATCH),
                _ => (None, &[]),
            };
            let operation = Operation {
                verb: action,
                kind: gvk(&subresource.group, &subresource.version, &subresource.kind),
                takes,
                gives: body,
                parameters,
                id: format!("{word}{}{}{}{}", api_word(self.resource), if self.resource.namespaced { "Namespaced" } else { "" }, self.resource.kind, capital(&subresource.name)),
                text: match verb.as_str() {
                    "create" => format!("create {} of{} {}", subresource.name, article(&self.resource.kind), self.resource.kind),
                    _ => format!("{} {} of the specified {}", text.trim_end_matches(" the specified"), subresource.name, self.resource.kind),
                },
            };
            item.insert(method.to_owned(), self.render(&operation));
        }
        self.with_parameters(item, self.resource.namespaced, true)
    }

    fn render(&self, operation: &Operation) -> Value {
        let patch = operation.verb == "patch";
        let mut parameters: Vec<Value> = operation.parameters.iter().map(|p| p.render(self.dialect)).collect();
        let mut out = json!({
            "description": operation.text, "operationId": operation.id, "tags": [tag(self.resource)],
            "x-kubernetes-action": operation.verb, "x-kubernetes-group-version-kind": operation.kind,
        });
        let is_custom = self.resource.custom.is_some();
        let mut gives: Vec<&str> = if is_custom { CUSTOM_MEDIA.to_vec() } else { MEDIA.to_vec() };
        if matches!(operation.verb, "list" | "watch" | "watchlist") && !is_custom {
            gives.extend(STREAMS);
        }
        let takes: &[&str] = match (patch, is_custom) {
            (true, true) => &CUSTOM_PATCHES,
            (true, false) => &PATCHES,
            (false, true) => &CUSTOM_MEDIA,
            (false, false) => &["*/*"],
        };
        let codes: &[(&str, &str)] = match operation.verb {
            "post" => &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
            "put" | "patch" => &[("200", "OK"), ("201", "Created")],
            "delete" => &[("200", "OK"), ("202", "Accepted")],
            _ => &[("200", "OK")],
        };
        let mut responses: Map<String, Value> = codes.iter().map(|(code, text)| ((*code).to_owned(), self.response(text, &operation.gives, &gives))).collect();
        responses.insert("401".into(), json!({ "description": "Unauthorized" }));
        if self.dialect == Dialect::V2 {
            if let Some(body) = &operation.takes {
                parameters.insert(0, json!({ "in": "body", "name": "body", "required": operation.verb != "delete" && operation.verb != "deletecollection", "schema": body }));
            }
            out["consumes"] = json!(takes);
            out["produces"] = json!(gives);
            out["schemes"] = json!(["https"]);
        } else if let Some(body) = &operation.takes {
            let content: Map<String, Value> = takes.iter().map(|media| ((*media).to_owned(), json!({ "schema": body }))).collect();
            out["requestBody"] = json!({ "content": content });
            if patch || operation.verb == "post" || operation.verb == "put" {
                out["requestBody"]["required"] = true.into();
            }
        }
        if !parameters.is_empty() {
            out["parameters"] = Value::Array(parameters);
        }
        out["responses"] = Value::Object(responses);
        out
    }

    fn response(&self, text: &str, schema: &Value, media: &[&str]) -> Value {
        if self.dialect == Dialect::V2 {
            return json!({ "description": text, "schema": schema });
        }
        let content: Map<String, Value> = media.iter().map(|m| ((*m).to_owned(), json!({ "schema": schema }))).collect();
        json!({ "description": text, "content": content })
    }
}

/// The parameters that stand in the path.
pub(super) fn of_place(resource: &Resource, in_namespace: bool, one: bool, dialect: Dialect) -> Vec<Value> {
    let name = one.then(|| of_path("name", &format!("name of the {}", resource.kind), dialect));
    let namespace = in_namespace.then(|| of_path("namespace", "object name and auth scope, such as for teams and projects", dialect));
    name.into_iter().chain(namespace).collect()
}

/// The operation's word, upstream's action, and how the description begins.
fn words(verb: &str) -> (&'static str, &'static str, &'static str) {
    match verb {
        "list" => ("list", "list", "list or watch objects of kind"),
        "create" => ("create", "post", "create"),
        "update" => ("replace", "put", "replace the specified"),
        "patch" => ("patch", "patch", "partially update the specified"),
        "delete" => ("delete", "delete", "delete"),
        "deletecollection" => ("delete", "deletecollection", "delete collection of"),
        _ => ("read", "get", "read the specified"),
    }
}

/// Upstream: apiserver `pkg/endpoints/installer.go`, `GetArticleForNoun`.
fn article(noun: &str) -> &'static str {
    let lower = noun.to_lowercase();
    match lower.as_str() {
        plural if plural.ends_with('s') && !plural.ends_with("ss") => "",
        vowel if vowel.starts_with(['a', 'e', 'i', 'o', 'u']) => " an",
        _ => " a",
    }
}

pub(super) fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// `AppsV1`, `RbacAuthorizationV1`, `CoreV1`.
pub(super) fn api_word(resource: &Resource) -> String {
    let group = resource.group.trim_end_matches(".k8s.io");
    let group: String = if group.is_empty() { "Core".into() } else { group.split(['.', '-']).map(capital).collect() };
    group + &capital(&resource.version)
}

pub(super) fn tag(resource: &Resource) -> String {
    let group = resource.group.trim_end_matches(".k8s.io");
    let mut parts = group.split(['.', '-']);
    let first = parts.next().filter(|p| !p.is_empty()).unwrap_or("core").to_owned();
    format!("{}_{}", parts.fold(first, |all, part| all + &capital(part)), resource.version)
}
