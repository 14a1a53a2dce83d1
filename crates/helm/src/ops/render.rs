//! From a chart and values to hooks, a manifest and notes.
// Upstream: helm pkg/action/action.go renderResources, pkg/chart/common/util/values.go ToRenderValues.

use std::collections::BTreeMap;
use std::sync::Arc;

use charts::Chart;
use charts::release::Hook;
use charts::render::{Capabilities, KubeVersion, Lookup, ReleaseInfo};
use charts::RenderInput;
use serde_json::{Map, Value};

use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};

type Table = Map<String, Value>;

/// What is rendered, and for what.
pub struct Wanted<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub revision: u64,
    pub is_upgrade: bool,
    pub capabilities: &'a Capabilities,
    /// Where `lookup` looks; nothing gives it nothing.
    pub cluster: Option<&'a Cluster>,
    pub sub_notes: bool,
    pub include_crds: bool,
    pub hide_secret: bool,
    pub skip_schema: bool,
    pub enable_dns: bool,
    pub post_renderer: Option<crate::plugins::PostRenderer>,
}

#[derive(Debug, Default)]
pub struct Rendered {
    pub hooks: Vec<Hook>,
    pub manifest: String,
    pub notes: String,
}

/// Renders. A fault of rendering comes with what templates gave, for people to look at; one of values comes alone.
pub fn render(chart: &Chart, config: &Table, wanted: &Wanted<'_>) -> Result<Rendered, (Option<String>, Failure)> {
    let fail = |text: String| (None, Failure::new(text));
    let fault = |text: String| (Some(String::new()), Failure::new(text));
    let coalesced = super::values::coalesce(chart, config).map_err(fail)?;
    if !wanted.skip_schema {
        check_schema(chart, &coalesced).map_err(fail)?;
    }
    check_kube_version(chart, wanted.capabilities).map_err(fault)?;
    let release = ReleaseInfo { name: wanted.name.into(), namespace: wanted.namespace.into(), revision: wanted.revision as i64, is_install: !wanted.is_upgrade, is_upgrade: wanted.is_upgrade };
    let mut input = RenderInput::new(chart, &coalesced, release);
    input.capabilities = wanted.capabilities.clone();
    input.lookup = wanted.cluster.map(looking);
    if wanted.enable_dns {
        input.resolve = Some(Arc::new(resolve));
    }
    let files = charts::render(&input).map_err(|e| fault(e.to_string()))?;
    arrange(chart, files, wanted)
}

fn arrange(chart: &Chart, mut files: BTreeMap<String, String>, wanted: &Wanted<'_>) -> Result<Rendered, (Option<String>, Failure)> {
    let own_notes = format!("{}/templates/NOTES.txt", chart.name());
    let mut notes = String::new();
    files.retain(|name, text| {
        if !name.ends_with("NOTES.txt") {
            return true;
        }
        if wanted.sub_notes || *name == own_notes {
            if !notes.is_empty() {
                notes.push('\n');
            }
            notes.push_str(text);
        }
        false
    });
    if let Some(renderer) = &wanted.post_renderer {
        files = crate::plugins::post_render(renderer, files).map_err(|e| (Some(String::new()), e))?;
    }
    let sorted = charts::manifest::sort(&files).map_err(|(_, e)| (Some(all_of(&files)), Failure::new(e.to_string())))?;
    let mut manifest = String::new();
    if wanted.include_crds {
        for (name, file) in chart.crds() {
            manifest.push_str(&format!("---\n# Source: {name}\n{}\n", file.text()));
        }
    }
    for one in &sorted.manifests {
        if wanted.hide_secret && one.kind == "Secret" && one.api_version == "v1" {
            manifest.push_str(&format!("---\n# Source: {}\n# HIDDEN: The Secret output has been suppressed\n", one.name));
        } else {
            manifest.push_str(&format!("---\n# Source: {}\n{}\n", one.name, one.content));
        }
    }
    Ok(Rendered { hooks: sorted.hooks, manifest, notes })
}

fn all_of(files: &BTreeMap<String, String>) -> String {
    let shown = files.iter().filter(|(_, text)| !text.trim().is_empty());
    shown.map(|(name, text)| format!("---\n# Source: {name}\n{text}\n")).collect()
}

fn check_kube_version(chart: &Chart, capabilities: &Capabilities) -> Result<(), String> {
    let wanted = &chart.metadata.kube_version;
    if wanted.is_empty() || charts::version::is_compatible(wanted, &capabilities.kube_version.version) {
        return Ok(());
    }
    Err(format!("chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {}", capabilities.kube_version.version))
}

/// Whether the values fit the schemas that the charts bring.
pub fn check_schema(chart: &Chart, values: &Table) -> Result<(), String> {
    let faults = charts::schema::validate(chart, values)?;
    if faults.is_empty() { Ok(()) } else { Err(format!("values don't meet the specifications of the schema(s) in the following chart(s):\n{faults}")) }
}

/// What `lookup` of templates calls; rendering has a thread of its own, which waits for the answer.
fn looking(cluster: &Cluster) -> Arc<Lookup> {
    let (cluster, handle) = (cluster.clone(), tokio::runtime::Handle::current());
    Arc::new(move |api_version: &str, kind: &str, namespace: &str, name: &str| handle.block_on(lookup(&cluster, api_version, kind, namespace, name)))
}

/// An object of the cluster, a list of them, or nothing.
// Upstream: helm pkg/engine/lookup_func.go.
async fn lookup(cluster: &Cluster, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Table, String> {
    let discovery = cluster.discovery().await.map_err(|e| e.text)?;
    let Some(resource) = discovery.find(api_version, kind) else { return Ok(Table::new()) };
    let collection = resource.collection((!namespace.is_empty()).then_some(namespace));
    let path = if name.is_empty() { collection } else { format!("{collection}/{name}") };
    match cluster.get(&path).await {
        Ok(Value::Object(found)) => Ok(found),
        Ok(_) => Ok(Table::new()),
        Err(e) if e.is_not_found() => Ok(Table::new()),
        Err(e) => Err(e.message),
    }
}

/// What the cluster can do, for templates.
pub async fn capabilities_of(cluster: &Cluster) -> Outcome<Capabilities> {
    let version = cluster.reachable().await?;
    let text = |key: &str| version[key].as_str().unwrap_or_default().to_string();
    let discovery = cluster.discovery().await?;
    let kube_version = KubeVersion { version: text("gitVersion"), major: text("major"), minor: text("minor") };
    Ok(Capabilities { kube_version, api_versions: discovery.api_versions(), ..Capabilities::default() })
}

/// A version of Kubernetes that a user names.
pub fn kube_version(text: &str) -> Outcome<KubeVersion> {
    let parsed = charts::version::Version::parse(text).ok_or_else(|| Failure::new(format!("invalid kube version '{text}': could not parse {text:?} as version")))?;
    // Upstream: a version of two parts stays one.
    let given = text.trim_start_matches('v');
    let shown = if given.split('.').count() == 2 && given.bytes().all(|b| b.is_ascii_digit() || b == b'.') { given.to_string() } else { parsed.to_string() };
    Ok(KubeVersion { version: format!("v{shown}"), major: parsed.major().to_string(), minor: parsed.minor().to_string() })
}

/// The first address of a host, those of IPv4 before others; for templates that may ask.
pub fn resolve(host: &str) -> Option<String> {
    use std::net::ToSocketAddrs as _;
    let found: Vec<_> = (host, 0).to_socket_addrs().ok()?.collect();
    found.iter().find(|a| a.is_ipv4()).or(found.first()).map(|a| a.ip().to_string())
}
