//! What the server serves: asked in one piece (aggregated discovery), remembered on disk with its ETags, searched by every
//! name that people type.
//!
//! Never knows a resource by itself. A word that is not found makes the caller ask anew before it fails.
// Upstream: client-go discovery (aggregated_discovery.go), restmapper (shortcut.go, discovery.go); apimachinery meta/restmapper.go.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Api, escape, request, server_failure};
use crate::failure::{Failure, Outcome};
use crate::kubeconfig::home;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
/// How long what was remembered is used without asking.
const FRESH: u64 = 600;
const FORMAT: u32 = 1;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub name: String,
    pub singular: String,
    pub namespaced: bool,
    pub verbs: Vec<String>,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub subresources: Vec<String>,
}

impl Resource {
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, `pods`
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.name.clone() } else { format!("{}.{}", self.name, self.group) }
    }

    /// `apps/v1, Resource=deployments`, `/v1, Resource=pods`
    pub fn go_text(&self) -> String {
        format!("{}/{}, Resource={}", self.group, self.version, self.name)
    }

    /// `deployment.apps/x`, `pod/x`
    pub fn slashed(&self, name: &str) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { format!("{kind}/{name}") } else { format!("{kind}.{}/{name}", self.group) }
    }

    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    pub fn base(&self) -> String {
        if self.group.is_empty() { format!("/api/{}", self.version) } else { format!("/apis/{}/{}", self.group, self.version) }
    }

    /// The collection's path, of one namespace or of all.
    pub fn collection(&self, namespace: &str) -> String {
        if self.namespaced && !namespace.is_empty() { format!("{}/namespaces/{}/{}", self.base(), escape(namespace), self.name) } else { format!("{}/{}", self.base(), self.name) }
    }

    pub fn path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.collection(namespace), escape(name))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Served {
    format: u32,
    asked: u64,
    etags: [String; 2],
    /// Group versions in the server's order, preferred ones first within their group.
    pub versions: Vec<(String, String)>,
    pub resources: Vec<Rc<Resource>>,
    /// Groups whose own server did not answer.
    pub stale: Vec<String>,
}

fn cache_file(api: &Api, folder: &str) -> PathBuf {
    let folder = match folder {
        "" => std::env::var_os("KUBECACHEDIR").map_or_else(|| home().join(".kube/cache"), PathBuf::from),
        given => PathBuf::from(given),
    };
    let host: String = api.server.split("://").nth(1).unwrap_or(&api.server).chars().map(|c| if c.is_ascii_alphanumeric() || "()/.-".contains(c) { c } else { '_' }).collect();
    folder.join("discovery").join(host.replace('/', "_")).join("served.json")
}

pub async fn load(api: &Api, folder: &str, anew: bool) -> Outcome<Served> {
    let file = cache_file(api, folder);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let known = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Served>(&bytes).ok()).filter(|s| s.format == FORMAT);
    if let Some(known) = &known
        && !anew
        && now.saturating_sub(known.asked) < FRESH
    {
        return Ok(known.to_owned_again());
    }
    let mut served = ask(api, known).await?;
    served.asked = now;
    served.format = FORMAT;
    // A cache that cannot be written costs speed only.
    let _ = write(&file, &served);
    Ok(served)
}

fn write(file: &std::path::Path, served: &Served) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o750);
    builder.create(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut new, &serde_json::to_vec(served)?)?;
    new.persist(file).map_err(|e| e.error)?;
    Ok(())
}

enum Answer {
    Same,
    New { etag: String, items: Value, aggregated: bool },
}

async fn ask_one(api: &Api, path: &str, etag: &str) -> Outcome<Answer> {
    let mut asked = request(Method::GET, path, AGGREGATED, None);
    if let (false, Ok(value)) = (etag.is_empty(), etag.parse()) {
        asked.headers_mut().insert("if-none-match", value);
    }
    // Upstream: what answers discovery is no Status to its client, only a code.
    let response = api.send(asked).await.map_err(|e| if e.code() == 401 { server_failure(401, b"") } else { e })?;
    if response.status().as_u16() == 304 {
        return Ok(Answer::Same);
    }
    let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (etag, aggregated) = (text("etag"), text("content-type").contains("as=APIGroupDiscoveryList"));
    let body = response.into_body().collect().await.map_err(|e| Failure::Text(e.to_string()))?.to_bytes();
    let items = serde_json::from_slice(&body).map_err(|e| Failure::Text(format!("{path}: the server's answer is no JSON: {e}")))?;
    Ok(Answer::New { etag, items, aggregated })
}

async fn ask(api: &Api, known: Option<Served>) -> Outcome<Served> {
    let etags = known.as_ref().map(|k| k.etags.clone()).unwrap_or_default();
    let (core, groups) = futures::future::join(ask_one(api, "/api", &etags[0]), ask_one(api, "/apis", &etags[1])).await;
    let (core, groups) = (core?, groups?);
    if let (Answer::Same, Answer::Same, Some(known)) = (&core, &groups, known) {
        return Ok(known);
    }
    // One of the two changed: both are read, what is kept is one whole.
    let core = if matches!(core, Answer::Same) { ask_one(api, "/api", "").await? } else { core };
    let groups = if matches!(groups, Answer::Same) { ask_one(api, "/apis", "").await? } else { groups };
    let mut served = Served::default();
    for (at, answer) in [core, groups].into_iter().enumerate() {
        let Answer::New { etag, items, aggregated } = answer else { continue };
        served.etags[at] = etag;
        if aggregated {
            served.read_aggregated(&items);
        } else {
            served.read_plain(api, &items).await?;
        }
    }
    Ok(served)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Served {
    fn to_owned_again(&self) -> Self {
        Self { format: self.format, asked: self.asked, etags: self.etags.clone(), versions: self.versions.clone(), resources: self.resources.clone(), stale: self.stale.clone() }
    }

    fn read_aggregated(&mut self, list: &Value) {
        for group in list["items"].as_array().into_iter().flatten() {
            let name = text(&group["metadata"]["name"]);
            for version in group["versions"].as_array().into_iter().flatten() {
                let served = text(&version["version"]);
                if version["freshness"] == "Stale" {
                    self.stale.push(api::GroupVersionKind { group: name.clone(), version: served.clone(), kind: String::new() }.api_version());
                }
                self.versions.push((name.clone(), served.clone()));
                for resource in version["resources"].as_array().into_iter().flatten() {
                    self.resources.push(Rc::new(aggregated(&name, &served, resource)));
                }
            }
        }
    }

    /// Servers that do not aggregate: one request for each group version.
    async fn read_plain(&mut self, api: &Api, list: &Value) -> Outcome {
        let mut versions: Vec<(String, String)> = texts(&list["versions"]).into_iter().map(|v| (String::new(), v)).collect();
        for group in list["groups"].as_array().into_iter().flatten() {
            let preferred = text(&group["preferredVersion"]["version"]);
            let mut all: Vec<String> = group["versions"].as_array().into_iter().flatten().map(|v| text(&v["version"])).collect();
            all.sort_by_key(|v| *v != preferred);
            versions.extend(all.into_iter().map(|v| (text(&group["name"]), v)));
        }
        for (group, version) in versions {
            let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            self.versions.push((group.clone(), version.clone()));
            let Ok(list) = api.get(&path).await else {
                self.stale.push(path.trim_start_matches("/apis/").trim_start_matches("/api/").to_owned());
                continue;
            };
            self.read_list(&group, &version, &list);
        }
        Ok(())
    }

    fn read_list(&mut self, group: &str, version: &str, list: &Value) {
        let all: Vec<&Value> = list["resources"].as_array().into_iter().flatten().collect();
        for resource in &all {
            let name = text(&resource["name"]);
            if name.contains('/') {
                continue;
            }
            let below = all.iter().filter_map(|r| r["name"].as_str()?.strip_prefix(&format!("{name}/")).map(str::to_owned)).collect();
            self.resources.push(Rc::new(Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: text(&resource["kind"]),
                singular: text(&resource["singularName"]),
                namespaced: resource["namespaced"] == true,
                verbs: texts(&resource["verbs"]),
                short_names: texts(&resource["shortNames"]),
                categories: texts(&resource["categories"]),
                subresources: below,
                name,
            }));
        }
    }

    /// Resources of each group's preferred version only.
    pub fn preferred(&self) -> Vec<Rc<Resource>> {
        let mut seen = std::collections::HashSet::new();
        self.resources.iter().filter(|r| seen.insert((r.group.clone(), r.name.clone()))).cloned().collect()
    }

    pub fn resource(&self, word: &str) -> Option<Rc<Resource>> {
        let parts: Vec<&str> = word.splitn(3, '.').collect();
        if let [name, version, group] = parts[..]
            && let Some(found) = self.matching(name, |r| r.group == group && r.version == version)
        {
            return Some(found);
        }
        let (name, group) = word.split_once('.').unwrap_or((word, ""));
        if group.is_empty() {
            self.matching(name, |_| true)
        } else {
            self.matching(name, |r| r.group == group).or_else(|| self.matching(name, |r| r.group.starts_with(group)))
        }
    }

    /// Resources of other groups that share the short name by which one was found.
    // Upstream: client-go restmapper/shortcut.go warns of them.
    pub fn others_of_short_name(&self, word: &str, found: &Resource) -> Vec<Rc<Resource>> {
        if !found.short_names.iter().any(|s| s == word) || found.name == word || found.singular == word {
            return Vec::new();
        }
        self.preferred().into_iter().filter(|r| r.short_names.iter().any(|s| s == word) && r.qualified() != found.qualified()).collect()
    }

    /// A full name wins over a short one, the order of the server decides among equals.
    fn matching(&self, name: &str, here: impl Fn(&Resource) -> bool) -> Option<Rc<Resource>> {
        let lower = name.to_lowercase();
        let first = |is: &dyn Fn(&Resource) -> bool| self.resources.iter().find(|r| here(r) && is(r)).cloned();
        first(&|r| r.name == lower || r.singular == lower || r.kind.to_lowercase() == lower).or_else(|| first(&|r| r.short_names.contains(&lower)))
    }

    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<Rc<Resource>> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        self.resources.iter().find(|r| r.group == group && r.version == version && r.kind == kind).cloned()
    }

    /// The members of a category such as `all`.
    pub fn category(&self, word: &str) -> Option<Vec<Rc<Resource>>> {
        let found: Vec<_> = self.preferred().into_iter().filter(|r| r.categories.iter().any(|c| c == word)).collect();
        (!found.is_empty()).then_some(found)
    }
}

fn aggregated(group: &str, version: &str, resource: &Value) -> Resource {
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: text(&resource["responseKind"]["kind"]),
        name: text(&resource["resource"]),
        singular: text(&resource["singularResource"]),
        namespaced: resource["scope"] == "Namespaced",
        verbs: texts(&resource["verbs"]),
        short_names: texts(&resource["shortNames"]),
        categories: texts(&resource["categories"]),
        subresources: resource["subresources"].as_array().into_iter().flatten().map(|s| text(&s["subresource"])).collect(),
    }
}
