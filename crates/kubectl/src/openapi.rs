//! The server's OpenAPI v3 documents: schemas of kinds, references resolved, merge facts for patches.
//!
//! A document is fetched once per call and remembered on disk under the hash that the server gives it.
// Upstream: client-go openapi3; kubectl pkg/explain/v2; apimachinery pkg/util/strategicpatch/meta.go (PatchMetaFromOpenAPIV3).

use std::rc::Rc;

use serde_json::Value;

use crate::call::Call;
use crate::discovery::Resource;
use crate::failure::{Failure, Outcome};

/// The document of a group version; `None` where the server has none.
pub async fn document(call: &Call, group_version: &str) -> Outcome<Option<Rc<Value>>> {
    if let Some(known) = call.openapi.borrow().get(group_version) {
        return Ok(Some(known.clone()));
    }
    let api = call.api().await?;
    let index = api.get("/openapi/v3").await?;
    let key = if group_version.contains('/') { format!("apis/{group_version}") } else { format!("api/{group_version}") };
    let Some(url) = index["paths"][&key]["serverRelativeURL"].as_str() else { return Ok(None) };
    let file = cache_file(call, &key, url);
    if let Some(value) = file.as_ref().and_then(|f| std::fs::read(f).ok()).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) {
        return Ok(Some(remember(call, group_version, value)));
    }
    let bytes = api.bytes(crate::client::request(http::Method::GET, url, "application/json", None)).await?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| Failure::Text(format!("{url}: the server's OpenAPI document is no JSON: {e}")))?;
    if let Some(file) = file {
        // A cache that cannot be written costs speed only.
        let _ = keep(&file, &bytes);
    }
    Ok(Some(remember(call, group_version, value)))
}

fn remember(call: &Call, group_version: &str, value: Value) -> Rc<Value> {
    let value = Rc::new(value);
    call.openapi.borrow_mut().insert(group_version.to_owned(), value.clone());
    value
}

/// The hash is in the address: what is kept under it never changes.
fn cache_file(call: &Call, key: &str, url: &str) -> Option<std::path::PathBuf> {
    let hash = url.split("hash=").nth(1).filter(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_alphanumeric()))?;
    let folder = match call.flags.text("cache-dir") {
        "" => std::env::var_os("KUBECACHEDIR").map_or_else(|| crate::kubeconfig::home().join(".kube/cache"), std::path::PathBuf::from),
        given => std::path::PathBuf::from(given),
    };
    Some(folder.join("openapi").join(format!("{}-{hash}.json", key.replace('/', "_"))))
}

fn keep(file: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut new, bytes)?;
    new.persist(file).map_err(|e| e.error)?;
    Ok(())
}

/// The schema that a reference names.
pub fn resolve<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    let name = reference.strip_prefix("#/components/schemas/")?;
    document["components"]["schemas"].get(name)
}

/// The schema of a kind.
pub fn schema_of<'a>(document: &'a Value, resource: &Resource) -> Option<&'a Value> {
    let is = |schema: &&Value| {
        schema["x-kubernetes-group-version-kind"].as_array().is_some_and(|all| all.iter().any(|gvk| gvk["group"] == *resource.group && gvk["version"] == *resource.version && gvk["kind"] == *resource.kind))
    };
    document["components"]["schemas"].as_object()?.values().find(is)
}

/// A schema with its reference followed: `$ref`, or the only member of `allOf`.
pub fn followed<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let mut at = schema;
    for _ in 0..16 {
        let reference = at["$ref"].as_str().or_else(|| at["allOf"].as_array().filter(|all| all.len() == 1 && at.get("properties").is_none()).and_then(|all| all[0]["$ref"].as_str()));
        match reference.and_then(|r| resolve(document, r)) {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

/// Whether the server takes strategic merge patches of the kind: its path says so.
// Upstream: kubectl pkg/cmd/apply/patcher.go looks whether the patch operation consumes the type.
pub fn merges(document: &Value, resource: &Resource) -> bool {
    let base = resource.base();
    let path = if resource.namespaced { format!("{base}/namespaces/{{namespace}}/{}/{{name}}", resource.name) } else { format!("{base}/{}/{{name}}", resource.name) };
    document["paths"][&path]["patch"]["requestBody"]["content"].get(crate::client::STRATEGIC_PATCH).is_some()
}

/// A place in a schema, for merging.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub document: &'a Value,
    pub schema: Option<&'a Value>,
}

impl<'a> patch::Facts for Place<'a> {
    fn field(self, name: &str) -> patch::FieldFacts<Self> {
        let schema = self.schema.map(|s| followed(self.document, s));
        let of_field = schema.and_then(|s| s["properties"].get(name).or_else(|| s.get("additionalProperties").filter(|v| v.is_object())));
        let text = |key: &str| of_field.and_then(|f| f[key].as_str()).unwrap_or_default();
        let strategies = text("x-kubernetes-patch-strategy").split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        let merge_key = text("x-kubernetes-patch-merge-key").to_owned();
        let below = of_field.map(|f| f.get("items").unwrap_or(f));
        patch::FieldFacts { strategies, merge_key, below: Place { document: self.document, schema: below } }
    }
}
