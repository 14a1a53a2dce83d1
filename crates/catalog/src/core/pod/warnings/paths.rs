//! Warnings of files of one volume that lie in each other's way.
// Differs: of a projected source that names no files upstream takes those of the source before it once more.

use std::fmt::{Display, Formatter, Result};

use serde_json::Value;

use super::{MOST, MOST_COMPARED};
use crate::walk;

/// Where a projected file comes from.
#[derive(Clone, Copy, PartialEq)]
enum Source<'a> {
    /// The volume's only one: not worth a word.
    Only,
    ConfigMap(&'a str),
    Secret(&'a str),
    DownwardApi,
    Token,
    TrustBundle(&'a str),
    /// A part of a pod's certificate.
    Certificate(&'static str),
}

/// A file's path in its volume.
#[derive(Clone, Copy, PartialEq)]
struct File<'a> {
    path: &'a str,
    source: Source<'a>,
}

impl Display for File<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let path = self.path;
        match self.source {
            Source::Only => write!(f, "{path:?}"),
            Source::ConfigMap(name) => write!(f, "{path:?} (ConfigMap {name:?})"),
            Source::Secret(name) => write!(f, "{path:?} (Secret {name:?})"),
            Source::DownwardApi => write!(f, "{path:?} (DownwardAPI)"),
            Source::Token => write!(f, "{path:?} (ServiceAccountToken)"),
            Source::TrustBundle(name) => write!(f, "{path:?} (ClusterTrustBundle {name:?})"),
            Source::Certificate(part) => write!(f, "{path:?} (PodCertificate {part})"),
        }
    }
}

pub fn overlapping(told: &mut Vec<String>, spec: &Value) {
    for volume in walk::list(spec, "volumes").iter().filter_map(Value::as_object) {
        let name = volume.get("name").and_then(Value::as_str).unwrap_or_default();
        for (kind, source) in volume.iter().filter(|(_, source)| source.is_object()) {
            match kind.as_str() {
                "configMap" => alone(told, source, format_args!("volume {name:?} (ConfigMap {:?})", walk::text(source, "name"))),
                "secret" => alone(told, source, format_args!("volume {name:?} (Secret {:?})", walk::text(source, "secretName"))),
                "downwardAPI" => alone(told, source, format_args!("volume {name:?} (DownwardAPI)")),
                "projected" => together(told, walk::list(source, "sources"), name),
                _ => {}
            }
        }
    }
}

/// Files of a volume with one source.
fn alone(told: &mut Vec<String>, source: &Value, what: impl Display) {
    each_overlap(told, || items(source, Source::Only), |file, other| format!("{what}: overlapping paths: {file} with {other}"));
}

/// Files of a projected volume.
fn together(told: &mut Vec<String>, sources: &[Value], name: &str) {
    for _ in sources.iter().filter(|source| source.as_object().is_some_and(serde_json::Map::is_empty)) {
        told.push(format!("volume {name:?} (Projected) has no sources provided"));
    }
    each_overlap(told, || projected(sources), |file, other| format!("volume {name:?} (Projected): overlapping paths: {file} with {other}"));
}

fn items<'a>(of: &'a Value, source: Source<'a>) -> impl Iterator<Item = File<'a>> {
    walk::list(of, "items").iter().map(move |item| File { path: walk::text(item, "path"), source })
}

/// All files of a projected volume.
fn projected(sources: &[Value]) -> impl Iterator<Item = File<'_>> {
    sources.iter().flat_map(|source| {
        let config = items(&source["configMap"], Source::ConfigMap(walk::text(source, "configMap.name")));
        let secret = items(&source["secret"], Source::Secret(walk::text(source, "secret.name")));
        let own = items(&source["downwardAPI"], Source::DownwardApi);
        config.chain(secret).chain(own).chain(single(source))
    })
}

/// Sources that bring files by a path of their own.
fn single(source: &Value) -> impl Iterator<Item = File<'_>> {
    let (token, bundle, certificate) = (&source["serviceAccountToken"], &source["clusterTrustBundle"], &source["podCertificate"]);
    let token = token.is_object().then(|| File { path: walk::text(token, "path"), source: Source::Token });
    let by = if bundle["name"].is_string() { "name" } else { "signerName" };
    let bundle = bundle.is_object().then(|| File { path: walk::text(bundle, "path"), source: Source::TrustBundle(walk::text(bundle, by)) });
    let parts = [("certificateChainPath", "chain"), ("keyPath", "key"), ("credentialBundlePath", "credential bundle")];
    let parts = parts.into_iter().map(|(key, part)| File { path: walk::text(certificate, key), source: Source::Certificate(part) });
    token.into_iter().chain(bundle).chain(parts.filter(|file| !file.path.is_empty()))
}

/// Tells of every file that lies at, below or above an earlier one's path.
fn each_overlap<'a, I: Iterator<Item = File<'a>>>(told: &mut Vec<String>, files: impl Fn() -> I, tell: impl Fn(File<'a>, File<'a>) -> String) {
    let files = || files().map(|file| File { path: file.path.trim_end_matches('/'), ..file }).filter(|file| !file.path.is_empty()).take(MOST_COMPARED);
    for (i, file) in files().enumerate() {
        for other in files().take(i).filter(|other| lies_at(file.path, other.path) || lies_at(other.path, file.path)) {
            if told.len() >= MOST {
                return;
            }
            told.push(tell(file, other));
        }
    }
}

/// Whether a path is another or leads through it.
fn lies_at(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
