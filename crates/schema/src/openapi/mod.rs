//! OpenAPI v2 and v3 documents of a list of resources, for `kubectl explain`, validation and client-side patches.
//!
//! Never holds a rendered document: each is written straight into gzip, on demand, and kept packed until the list changes.
//! Invariant: the same list of resources gives the same bytes and the same etag.

mod connect;
mod convert;
mod custom;
mod gnostic;
mod merge;
mod parameters;
mod paths;
mod roots;
mod schemas;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

pub use merge::Part;
use merge::Additions;
use schemas::Definitions;

/// A resource as the documents need to know it.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    /// The kind of its list; where empty, the kind with `List` behind it.
    pub list_kind: String,
    pub plural: String,
    pub namespaced: bool,
    /// `create`, `delete`, `deletecollection`, `get`, `list`, `patch`, `update`, `watch`
    pub verbs: Vec<String>,
    pub subresources: Vec<Subresource>,
    /// Who deletes an object is given it, not a Status.
    pub gives_deleted: bool,
    /// What a custom resource publishes; built-in kinds are looked up in the table.
    pub custom: Option<Custom>,
}

/// What a definition says of its kind.
#[derive(Clone, Debug, Default)]
pub struct Custom {
    /// The `openAPIV3Schema`.
    pub schema: Option<Arc<Value>>,
    /// `spec.preserveUnknownFields`
    pub preserves: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Subresource {
    pub name: String,
    /// What it takes and gives; may be of another group.
    pub group: String,
    pub version: String,
    pub kind: String,
    pub verbs: Vec<String>,
}

/// A resource and what tells it from any other, worked out once.
#[derive(Debug)]
pub struct Described {
    resource: Resource,
    mark: u128,
}

impl From<Resource> for Described {
    fn from(resource: Resource) -> Self {
        let mut mark = Fnv::default();
        mark.add(format!("{resource:?}").as_bytes());
        Self { resource, mark: mark.0 }
    }
}

impl Deref for Described {
    type Target = Resource;

    fn deref(&self) -> &Resource {
        &self.resource
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    V2,
    V3,
}

/// A document as it is sent: gzip bytes and their etag.
#[derive(Debug)]
pub struct Packed {
    pub gzip: Vec<u8>,
    pub etag: String,
}

impl Packed {
    /// The document itself, for clients that take no gzip.
    pub fn plain(&self) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        GzDecoder::new(&self.gzip[..]).read_to_end(&mut out)?;
        Ok(out)
    }
}

/// The documents of one list of resources. Replace the whole when the list changes.
#[derive(Debug)]
pub struct Documents {
    resources: Vec<Arc<Described>>,
    kept: Mutex<HashMap<String, Arc<Packed>>>,
    /// Held while a document is made: whoever wants it meanwhile waits for it.
    making: Mutex<()>,
}

const TITLE: &str = "Kubernetes";
const VERSION: &str = "v1.37.0";

impl Documents {
    pub fn new(resources: Vec<Arc<Described>>) -> Self {
        Self { resources, kept: Mutex::default(), making: Mutex::default() }
    }

    /// The documents of another list; those it does not touch are taken over as they are.
    pub fn followed_by(&self, resources: Vec<Arc<Described>>) -> Self {
        let next = Self::new(resources);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let same: HashMap<_, _> = kept.into_iter().filter(|(key, packed)| packed.etag == next.hash(key)).collect();
        Self { kept: Mutex::new(same), ..next }
    }

    /// `/openapi/v2` as JSON, with what other servers publish.
    pub fn v2(&self, parts: &[Arc<Part>]) -> std::io::Result<Arc<Packed>> {
        self.keep("v2", self.hash_with("v2", parts), |out| self.write_v2(out, parts))
    }

    /// `/openapi/v2` as `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`.
    pub fn v2_proto(&self, parts: &[Arc<Part>]) -> std::io::Result<Arc<Packed>> {
        self.keep("v2.pb", self.hash_with("v2.pb", parts), |out| {
            let mut additions = self.additions(parts)?;
            let mut definitions = Definitions::new(Dialect::V2, &self.resources);
            let mut paths = self.path_items(Dialect::V2, None, &mut definitions, std::convert::identity);
            paths.append(&mut additions.paths);
            let more = std::mem::take(&mut additions.definitions);
            let schemas = own(&mut definitions, &additions).chain(more);
            out.write_all(&gnostic::document(TITLE, VERSION, paths.into_iter(), schemas, &additions.parameters))
        })
    }

    /// The index at `/openapi/v3`.
    pub fn v3_index(&self) -> Value {
        let paths: serde_json::Map<String, Value> = self
            .group_versions()
            .into_iter()
            .map(|path| {
                let url = format!("/openapi/v3/{path}?hash={}", self.hash(&path));
                (path, json!({ "serverRelativeURL": url }))
            })
            .collect();
        json!({ "paths": paths })
    }

    /// The document at `/openapi/v3/{path}`, such as `api/v1` or `apis/apps/v1`.
    pub fn v3(&self, path: &str) -> std::io::Result<Option<Arc<Packed>>> {
        if !self.group_versions().contains(path) {
            return Ok(None);
        }
        self.keep(path, self.hash(path), |out| self.write_v3(path, out)).map(Some)
    }

    fn group_versions(&self) -> BTreeSet<String> {
        let of_resources = self.resources.iter().map(|r| paths::group_version(r));
        of_resources.chain(roots::all(&self.all()).into_iter().map(|root| root.document)).collect()
    }

    fn keep(&self, key: &str, etag: String, write: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> std::io::Result<()>) -> std::io::Result<Arc<Packed>> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || kept().get(key).filter(|packed| packed.etag == etag).cloned();
        if let Some(found) = made() {
            return Ok(found);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made() {
            return Ok(found);
        }
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        write(&mut out)?;
        let packed = Arc::new(Packed { gzip: out.finish()?, etag });
        kept().insert(key.to_owned(), packed.clone());
        Ok(packed)
    }

    /// Changes whenever what the document is made of changes.
    fn hash(&self, key: &str) -> String {
        self.hash_with(key, &[])
    }

    fn hash_with(&self, key: &str, parts: &[Arc<Part>]) -> String {
        let mut hash = Fnv::default();
        hash.add(VERSION.as_bytes());
        hash.add(env!("CARGO_PKG_VERSION").as_bytes());
        hash.add(key.as_bytes());
        let all = key.starts_with("v2");
        for resource in self.resources.iter().filter(|r| all || paths::group_version(r) == key) {
            hash.add(&resource.mark.to_be_bytes());
        }
        for part in parts {
            hash.add(&part.mark.to_be_bytes());
        }
        hash.text()
    }

    fn all(&self) -> Vec<&Resource> {
        self.resources.iter().map(|r| &r.resource).collect()
    }

    /// The paths of all documents, or of one of the third version; each in the form that it is kept in until it is written.
    fn path_items<T>(&self, dialect: Dialect, only: Option<&str>, definitions: &mut Definitions, keep: fn(Value) -> T) -> BTreeMap<String, T> {
        let all = self.all();
        let mut items = BTreeMap::new();
        for resource in all.iter().filter(|r| only.is_none_or(|only| paths::group_version(r) == only)) {
            items.extend(paths::of_resource(resource, dialect, definitions).into_iter().map(|(path, item)| (path, keep(item))));
        }
        for root in roots::all(&all).iter().filter(|root| only.is_none_or(|only| root.document == only)) {
            let (path, item) = root.item(dialect, definitions);
            items.insert(path, keep(item));
        }
        items
    }

    /// What parts add. The document's own definitions are gone through for it, one at a time.
    fn additions(&self, parts: &[Arc<Part>]) -> std::io::Result<Additions> {
        if parts.is_empty() {
            return Ok(Additions::default());
        }
        let mut definitions = Definitions::new(Dialect::V2, &self.resources);
        let paths = self.path_items(Dialect::V2, None, &mut definitions, drop).into_keys().collect();
        Additions::of(parts, &paths, &mut std::iter::from_fn(|| definitions.take_next()))
    }

    fn write_v2(&self, out: &mut impl Write, parts: &[Arc<Part>]) -> std::io::Result<()> {
        let mut additions = self.additions(parts)?;
        let mut definitions = Definitions::new(Dialect::V2, &self.resources);
        let mut items = self.path_items(Dialect::V2, None, &mut definitions, as_text);
        items.extend(std::mem::take(&mut additions.paths).into_iter().map(|(path, item)| (path, as_text(item))));
        write!(out, r#"{{"swagger":"2.0","info":{{"title":"{TITLE}","version":"{VERSION}"}},"paths":"#)?;
        write_paths(out, &items)?;
        drop(items);
        out.write_all(br#","definitions":"#)?;
        let more = std::mem::take(&mut additions.definitions);
        write_definitions(out, own(&mut definitions, &additions).chain(more))?;
        if !additions.parameters.is_empty() {
            out.write_all(br#","parameters":"#)?;
            serde_json::to_writer(&mut *out, &additions.parameters)?;
        }
        write!(out, r#","securityDefinitions":{},"security":[{{"BearerToken":[]}}]}}"#, bearer())
    }

    fn write_v3(&self, path: &str, out: &mut impl Write) -> std::io::Result<()> {
        let mut definitions = Definitions::new(Dialect::V3, &self.resources);
        let items = self.path_items(Dialect::V3, Some(path), &mut definitions, as_text);
        write!(out, r#"{{"openapi":"3.0.0","info":{{"title":"{TITLE}","version":"{VERSION}"}},"paths":"#)?;
        write_paths(out, &items)?;
        drop(items);
        out.write_all(br#","components":{"schemas":"#)?;
        write_definitions(out, std::iter::from_fn(|| definitions.take_next()))?;
        write!(out, r#","securitySchemes":{}}}}}"#, bearer())
    }
}

fn bearer() -> Value {
    json!({ "BearerToken": { "type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication" } })
}

/// A value takes many times the memory of its text.
fn as_text(item: Value) -> String {
    item.to_string()
}

fn write_paths(out: &mut impl Write, items: &BTreeMap<String, String>) -> std::io::Result<()> {
    let mut separator = "{";
    for (path, item) in items {
        write!(out, "{separator}{}:{item}", Value::from(path.as_str()))?;
        separator = ",";
    }
    out.write_all(if separator == "{" { b"{}" } else { b"}" })
}

/// A document's own definitions, and what else they are by what was added.
fn own<'a>(definitions: &'a mut Definitions, additions: &'a Additions) -> impl Iterator<Item = (String, Value)> + 'a {
    std::iter::from_fn(|| definitions.take_next()).map(|(name, mut schema)| {
        additions.name_kinds(&name, &mut schema);
        (name, schema)
    })
}

/// One definition after the other, so that no more than one is ever in memory as a value.
fn write_definitions(out: &mut impl Write, definitions: impl Iterator<Item = (String, Value)>) -> std::io::Result<()> {
    let mut separator = "{";
    for (name, schema) in definitions {
        write!(out, "{separator}{}:", Value::from(name))?;
        serde_json::to_writer(&mut *out, &schema)?;
        separator = ",";
    }
    out.write_all(if separator == "{" { b"{}" } else { b"}" })
}

/// FNV-1a in 128 bits: stable across builds, and all an etag needs.
struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x6c62272e07bb014262b821756295c58d)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000000001000000000000000000013b);
        }
    }

    fn text(&self) -> String {
        format!("{:032X}", self.0)
    }
}
