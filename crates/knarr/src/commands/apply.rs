//! `knarr apply`: objects of files to the cluster, by server-side apply, so that the server decides what changes.

mod source;

use std::collections::HashMap;

use host::Layout;
use http::{Method, Request};
use kube::Client;
use kube::discovery::Scope;
use kube::core::GroupVersionKind;
use serde_json::Value;

use self::source::Document;
use crate::cli::ApplyArgs;
use crate::failure::failure;
use crate::say;

const MANAGER: &str = "knarr";

pub async fn run(layout: &Layout, args: &ApplyArgs) -> anyhow::Result<()> {
    let documents = source::read_all(&args.filename)?;
    if documents.is_empty() {
        return Err(failure("there is no object in what was given", "a folder gives its .yaml, .yml and .json files"));
    }
    let path = args.kubeconfig.clone().unwrap_or_else(|| layout.kubeconfig());
    if !path.exists() {
        return Err(failure(format!("there is no kubeconfig at {}", path.display()), "start a cluster with `knarr up`, or name one with --kubeconfig"));
    }
    let client = client::from_kubeconfig(&path).await?;
    let mut kinds = HashMap::new();
    let mut failed = 0;
    for document in &documents {
        match apply(&client, &mut kinds, document, args).await {
            Ok(text) => say::line(text),
            Err(error) => {
                failed += 1;
                let what = format!("{}: {} {}", document.place(), word(&document.value, "/kind"), word(&document.value, "/metadata/name"));
                say::failure_at(&what, &error);
            }
        }
    }
    if failed > 0 {
        let rest = if failed == documents.len() { "nothing was changed" } else { "the others were; run the same command again when it is mended" };
        return Err(failure(format!("{failed} of {} objects were not applied", documents.len()), rest));
    }
    Ok(())
}

fn word<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("?")
}

/// Where objects of a kind live.
#[derive(Clone)]
struct Home {
    path: String,
    plural: String,
    group: String,
    namespaced: bool,
}

type Kinds = HashMap<(String, String), Home>;

async fn apply(client: &Client, kinds: &mut Kinds, document: &Document, args: &ApplyArgs) -> anyhow::Result<String> {
    let object = &document.value;
    let (api_version, kind) = (text(object, "/apiVersion")?, text(object, "/kind")?);
    let name = text(object, "/metadata/name")?;
    let home = find(client, kinds, &api_version, &kind).await?;
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(&args.namespace);
    let mut url = home.path.clone();
    if home.namespaced {
        url.push_str(&format!("/namespaces/{namespace}"));
    }
    let force = if args.force_conflicts { "true" } else { "false" };
    url.push_str(&format!("/{}/{name}?fieldManager={MANAGER}&force={force}&fieldValidation=Strict", home.plural));
    let before = version_of(client, url.split('?').next().unwrap_or_default()).await?;
    let request = Request::builder()
        .method(Method::PATCH)
        .uri(&url)
        .header("content-type", "application/apply-patch+yaml")
        .header("accept", "application/json")
        .body(serde_json::to_vec(object)?)?;
    let after: Value = client.request(request).await.map_err(friendly)?;
    let done = match before {
        None => "created",
        Some(version) if Some(version.as_str()) == after.pointer("/metadata/resourceVersion").and_then(Value::as_str) => "unchanged",
        Some(_) => "configured",
    };
    let group = if home.group.is_empty() { String::new() } else { format!(".{}", home.group) };
    Ok(format!("{}{group}/{name} {done}", kind.to_ascii_lowercase()))
}

fn text(object: &Value, pointer: &str) -> anyhow::Result<String> {
    // These words become parts of a path; an API version holds one slash of its own.
    let plain = |text: &str| !text.is_empty() && !text.contains(['?', '#', '%', ' ']) && (pointer == "/apiVersion" || !text.contains('/'));
    match object.pointer(pointer).and_then(Value::as_str) {
        Some(text) if plain(text) => Ok(text.to_owned()),
        _ => Err(failure(format!("`{}` is missing or is no plain text", pointer.trim_start_matches('/').replace('/', ".")), "each object needs apiVersion, kind and metadata.name")),
    }
}

async fn find(client: &Client, kinds: &mut Kinds, api_version: &str, kind: &str) -> anyhow::Result<Home> {
    let key = (api_version.to_owned(), kind.to_owned());
    if let Some(home) = kinds.get(&key) {
        return Ok(home.clone());
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let wanted = GroupVersionKind::gvk(group, version, kind);
    let (resource, capabilities) = kube::discovery::pinned_kind(client, &wanted).await.map_err(|error| match error {
        kube::Error::Discovery(_) | kube::Error::Api(_) => failure(
            format!("the server knows no {kind} of {api_version}"),
            "check both words; a custom resource needs its CustomResourceDefinition first (`kubectl api-resources` lists all)",
        ),
        other => other.into(),
    })?;
    let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let home = Home { path, plural: resource.plural, group: group.to_owned(), namespaced: capabilities.scope == Scope::Namespaced };
    kinds.insert(key, home.clone());
    Ok(home)
}

async fn version_of(client: &Client, path: &str) -> anyhow::Result<Option<String>> {
    let request = Request::get(path).body(Vec::new())?;
    match client.request::<Value>(request).await {
        Ok(object) => Ok(object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(friendly(error)),
    }
}

fn friendly(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 409 => failure(status.message.clone(), "another tool holds these fields; --force-conflicts takes them over"),
        kube::Error::Api(status) if status.code == 404 && status.message.contains("namespaces") => failure(status.message.clone(), "make the namespace first, or put it before this object in the file"),
        kube::Error::Api(status) => failure(status.message.clone(), ""),
        other => anyhow::Error::from(other).context("the API server was not reached"),
    }
}
