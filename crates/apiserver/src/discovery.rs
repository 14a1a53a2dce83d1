//! What the server serves: groups, versions, resources, OpenAPI.

use std::sync::Arc;

use bytes::Bytes;
use catalog::Resource;
use http::{Request, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::Digest;

use api::ApiError;

use crate::handler::{Incoming, not_found};
use crate::registry::{Registry, Served};
use crate::respond::{self, Body};
use crate::server::Server;
use crate::{health, object};

/// Documents that are made on demand and kept compressed until the registry changes.
#[derive(Default)]
pub struct Documents {
    made: Mutex<Option<(Arc<Registry>, std::collections::HashMap<String, Document>)>>,
}

/// A document and its entity tag.
#[derive(Clone)]
pub struct Document {
    pub bytes: Bytes,
    pub tag: String,
}

impl Documents {
    fn get(&self, registry: &Arc<Registry>, name: &str, make: impl FnOnce() -> Vec<u8>) -> Document {
        let mut made = self.made.lock();
        let all = match &mut *made {
            Some((of, all)) if Arc::ptr_eq(of, registry) => all,
            slot => &mut slot.insert((registry.clone(), Default::default())).1,
        };
        all.entry(name.to_owned())
            .or_insert_with(|| {
                let bytes: Bytes = make().into();
                let tag = sha2::Sha512::digest(&bytes).iter().map(|b| format!("{b:02X}")).collect();
                Document { bytes, tag }
            })
            .clone()
    }
}

pub fn serve(server: &Arc<Server>, request: &Request<Incoming>, path: &str) -> Result<Response<Body>, ApiError> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let accept = request.headers().get(http::header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let registry = server.registry();
    if !matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
        return Err(ApiError::method_not_allowed());
    }
    Ok(match parts.as_slice() {
        ["version"] => health::version(),
        ["metrics"] => respond::respond(StatusCode::OK, crate::metrics::MEDIA, respond::full(server.metrics.text(server))),
        ["metrics", "slis"] => respond::respond(StatusCode::OK, crate::metrics::MEDIA, respond::full(server.metrics.slis.text())),
        ["api"] if wants_aggregated(accept).is_some() => aggregated(server, &registry, accept, request, true),
        ["apis"] if wants_aggregated(accept).is_some() => aggregated(server, &registry, accept, request, false),
        ["api"] => respond::json(StatusCode::OK, &api_versions(server)),
        ["apis"] => respond::json(StatusCode::OK, &group_list(&registry)),
        ["api", version] => resources(&registry, "", version),
        ["apis", group] => match group_of(&registry, group) {
            Some(mut group) => {
                group["kind"] = "APIGroup".into();
                group["apiVersion"] = "v1".into();
                respond::json(StatusCode::OK, &group)
            }
            None => not_found(),
        },
        ["apis", group, version] => resources(&registry, group, version),
        [""] => respond::json(StatusCode::OK, &json!({"paths": root_paths(&registry)})),
        [".well-known", "openid-configuration"] => openid(server, "configuration"),
        ["openid", "v1", "jwks"] => openid(server, "jwks"),
        ["openapi", rest @ ..] => openapi(server, &registry, accept, request, rest)?,
        _ => not_found(),
    })
}

/// Upstream: `pkg/serviceaccount/openidmetadata.go`; an issuer that is no https address has none.
fn openid(server: &Server, path: &str) -> Response<Body> {
    let accounts = &server.config.accounts;
    if !accounts.is_discoverable() {
        return not_found();
    }
    let mut response = if path == "jwks" {
        respond::respond(StatusCode::OK, "application/jwk-set+json", respond::full(object::to_bytes(&server.authenticator.jwks())))
    } else {
        let port = server.config.listen.map_or(443, |l| l.port());
        let usual = || format!("https://{}:{port}/openid/v1/jwks", server.config.external_host());
        respond::json(StatusCode::OK, &json!({"issuer": accounts.issuer(), "jwks_uri": accounts.jwks_uri.clone().unwrap_or_else(usual),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": server.authenticator.algorithms()}))
    };
    // Upstream: `pkg/routes/openidmetadata.go`, unlike everything else.
    response.headers_mut().insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("public, max-age=3600"));
    response
}

fn root_paths(registry: &Registry) -> Vec<String> {
    let mut paths: Vec<String> = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/metrics/slis", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"].map(str::to_owned).into();
    for group in groups(registry) {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions(registry, &group).into_iter().map(|v| format!("/apis/{group}/{v}")));
    }
    paths.sort();
    paths
}

fn api_versions(server: &Server) -> Value {
    let address = server.config.listen.map(|l| format!("{}:{}", server.config.external_host(), l.port())).unwrap_or_default();
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})
}

fn groups(registry: &Registry) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for served in &registry.all {
        if !served.resource.group.is_empty() && !groups.iter().any(|g| *g == served.resource.group) {
            groups.push(served.resource.group.to_string());
        }
    }
    // Upstream: by priority, that of registrations first of all.
    groups.sort_by_key(|g| std::cmp::Reverse(if g == "apiregistration.k8s.io" { i64::MAX } else { catalog::api_registration::priority(g, "").0 }));
    groups
}

fn versions(registry: &Registry, group: &str) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for served in registry.all.iter().filter(|s| s.resource.group == group) {
        if !versions.iter().any(|v| *v == served.resource.version) {
            versions.push(served.resource.version.to_string());
        }
    }
    versions.sort_by_key(|v| std::cmp::Reverse(catalog::api_registration::priority(group, v).1));
    versions
}

fn group_of(registry: &Registry, group: &str) -> Option<Value> {
    let versions: Vec<Value> = versions(registry, group).into_iter().map(|v| json!({"groupVersion": format!("{group}/{v}"), "version": v})).collect();
    let preferred = versions.first()?.clone();
    Some(json!({"name": group, "versions": versions, "preferredVersion": preferred}))
}

fn group_list(registry: &Registry) -> Value {
    let groups: Vec<Value> = groups(registry).iter().filter_map(|g| group_of(registry, g)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn resources(registry: &Registry, group: &str, version: &str) -> Response<Body> {
    if !registry.has_group_version(group, version) {
        return not_found();
    }
    let mut entries = Vec::new();
    for served in registry.all.iter().filter(|s| s.resource.group == group && s.resource.version == version) {
        entries.extend(entries_of(served));
    }
    let list = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api::resource::api_version(group, version), "resources": entries});
    respond::json(StatusCode::OK, &list)
}

fn entries_of(served: &Served) -> Vec<Value> {
    let resource = &served.resource;
    let mut own = json!({"name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs(resource)});
    if !resource.short_names.is_empty() {
        own["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        own["categories"] = json!(resource.categories);
    }
    if resource.verbs.list && served.is_stored_version_served {
        own["storageVersionHash"] = storage_version_hash(resource).into();
    }
    let part = |sub: &catalog::Subresource| {
        let mut entry = json!({"name": format!("{}/{}", resource.plural, sub.name), "singularName": "", "namespaced": resource.namespaced, "kind": resource.kind, "verbs": sub.verbs.names()});
        if let Some(kind) = &sub.kind {
            entry["kind"] = kind.kind.clone().into();
            if kind.api_version() != resource.api_version() {
                entry["group"] = kind.group.clone().into();
                entry["version"] = kind.version.clone().into();
            }
        }
        entry
    };
    std::iter::once(own).chain(resource.subresources.iter().map(part)).collect()
}

/// Upstream lists the verbs of custom resources in an order of its own.
fn verbs(resource: &Resource) -> Vec<&'static str> {
    let names = resource.verbs.names();
    if resource.custom.is_none() {
        return names;
    }
    ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"].into_iter().filter(|v| names.contains(v)).collect()
}

/// Upstream: the first eight bytes of a SHA-256 over group, version and kind that are stored.
fn storage_version_hash(resource: &Resource) -> String {
    use base64::Engine as _;
    let text = format!("{}/{}/{}", resource.stored_group, resource.stored_version, resource.kind);
    base64::prelude::BASE64_STANDARD.encode(&sha2::Sha256::digest(text.as_bytes())[..8])
}

/// The version of aggregated discovery that is asked for before anything else.
fn wants_aggregated(accept: &str) -> Option<&'static str> {
    let first = accept.split(',').find(|o| o.trim_start().starts_with("application/json"))?;
    if !first.contains("as=APIGroupDiscoveryList") || !first.contains("g=apidiscovery.k8s.io") {
        return None;
    }
    if first.contains("v=v2beta1") {
        Some("v2beta1")
    } else if first.contains("v=v2") {
        Some("v2")
    } else {
        None
    }
}

fn aggregated(server: &Server, registry: &Arc<Registry>, accept: &str, request: &Request<Incoming>, core: bool) -> Response<Body> {
    let version = wants_aggregated(accept).unwrap_or("v2");
    let make = || {
        let names = if core { vec![String::new()] } else { groups(registry) };
        let items: Vec<Value> = names.iter().map(|g| aggregated_group(registry, g)).collect();
        let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items});
        object::to_bytes(&list).to_vec()
    };
    let document = server.documents.get(registry, &format!("discovery {version} {core}"), make);
    let media = if version == "v2" { "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" } else { "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList" };
    tagged(request, document, media)
}

fn aggregated_group(registry: &Registry, group: &str) -> Value {
    let of_version = |version: &String| {
        let all = registry.all.iter().filter(|s| s.resource.group == group && s.resource.version == *version);
        let resources: Vec<Value> = all.map(|s| aggregated_resource(&s.resource)).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    };
    let versions: Vec<Value> = versions(registry, group).iter().map(of_version).collect();
    let metadata = if group.is_empty() { json!({"creationTimestamp": null}) } else { json!({"name": group, "creationTimestamp": null}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |gvk: &api::GroupVersionKind| json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind});
    let parts: Vec<Value> = resource
        .subresources
        .iter()
        .map(|s| json!({"subresource": s.name, "responseKind": kind(s.kind.as_ref().unwrap_or(&resource.gvk())), "verbs": s.verbs.names()}))
        .collect();
    let mut entry = json!({"resource": resource.plural, "responseKind": kind(&resource.gvk()), "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": verbs(resource)});
    for (key, list) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !list.is_empty() {
            entry[key] = json!(list);
        }
    }
    if !parts.is_empty() {
        entry["subresources"] = parts.into();
    }
    entry
}

/// Answers 304 to a client that holds the document already.
pub fn tagged(request: &Request<Incoming>, document: Document, media: &'static str) -> Response<Body> {
    let tag = format!("\"{}\"", document.tag);
    let held = request.headers().get(http::header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).is_some_and(|held| held == tag);
    let mut response = if held { respond::respond(StatusCode::NOT_MODIFIED, media, respond::full(Bytes::new())) } else { respond::respond(StatusCode::OK, media, respond::full(document.bytes)) };
    if let Ok(tag) = http::HeaderValue::from_str(&tag) {
        response.headers_mut().insert(http::header::ETAG, tag);
    }
    response.headers_mut().insert(http::header::VARY, http::HeaderValue::from_static("Accept"));
    response
}

/// Upstream: the protobuf form of OpenAPI v2 that older clients ask for; they refuse the answer with an `@` in its type.
const OPENAPI_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn openapi(server: &Server, registry: &Registry, accept: &str, request: &Request<Incoming>, rest: &[&str]) -> Result<Response<Body>, ApiError> {
    let documents = &registry.openapi;
    let (made, media) = match rest {
        ["v2"] if accept.contains("proto-openapi.spec.v2") => (documents.v2_proto(&server.aggregator.parts(&server.store)).map(Some), OPENAPI_PROTOBUF),
        ["v2"] => (documents.v2(&server.aggregator.parts(&server.store)).map(Some), respond::JSON),
        ["v3"] => return Ok(respond::json(StatusCode::OK, &documents.v3_index())),
        ["v3", path @ ..] => (documents.v3(&path.join("/")), respond::JSON),
        _ => return Ok(not_found()),
    };
    let Some(packed) = made.map_err(ApiError::internal)? else { return Ok(not_found()) };
    let takes_gzip = request.headers().get(http::header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("gzip"));
    let bytes: Bytes = if takes_gzip { packed.gzip.clone().into() } else { packed.plain().map_err(ApiError::internal)?.into() };
    let mut response = tagged(request, Document { bytes, tag: packed.etag.trim_matches('"').to_owned() }, media);
    if takes_gzip && response.status() == StatusCode::OK {
        response.headers_mut().insert(http::header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
