//! Charts in OCI registries: pull, push, tags, and the credentials for them.
// Upstream: helm pkg/registry/client.go; the distribution specification.

use std::collections::BTreeMap;

use charts::version::{Range, Version};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::fetch::{Access, basic, body, reason};
use super::locate::{Fetched, Request, digest};
use crate::failure::{Failure, Outcome, io};
use crate::settings::Settings;

const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Pages of tags that are read.
const MAX_PAGES: usize = 200;

/// `host/path`, with a tag or a digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    pub host: String,
    pub path: String,
    pub tag: String,
}

impl Reference {
    pub fn parse(text: &str) -> Outcome<Reference> {
        let wrong = || Failure::new(format!("invalid reference: {text:?}"));
        let rest = text.strip_prefix("oci://").unwrap_or(text);
        let (host, rest) = rest.split_once('/').ok_or_else(wrong)?;
        let (path, tag) = match rest.split_once('@') {
            Some((path, digest)) => (path, digest),
            None => rest.rsplit_once(':').unwrap_or((rest, "")),
        };
        let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if host.is_empty() || path.is_empty() || !path.chars().all(good) || path.split('/').any(|p| p.is_empty() || p == "." || p == "..") {
            return Err(wrong());
        }
        Ok(Reference { host: host.into(), path: path.into(), tag: tag.into() })
    }
}

/// A registry that is spoken to, and what it gave to show again.
struct Registry<'a> {
    http: reqwest::Client,
    base: String,
    host: &'a str,
    credentials: Option<(String, String)>,
    token: Option<String>,
}

impl<'a> Registry<'a> {
    fn new(settings: &Settings, host: &'a str, access: &Access) -> Outcome<Registry<'a>> {
        let given = (!access.username.is_empty()).then(|| (access.username.clone(), access.password.clone()));
        Ok(Registry {
            http: access.client()?,
            base: format!("{}://{host}/v2", if access.plain_http { "http" } else { "https" }),
            host,
            credentials: given.or_else(|| stored(settings, host)),
            token: None,
        })
    }

    async fn send(&mut self, method: Method, url: &str, headers: &[(reqwest::header::HeaderName, &str)], bytes: Option<&[u8]>) -> Outcome<Response> {
        for attempt in 0..2 {
            let mut request = self.http.request(method.clone(), url);
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            if let Some(token) = &self.token {
                request = request.header(AUTHORIZATION, token);
            }
            if let Some(bytes) = bytes {
                request = request.body(bytes.to_vec());
            }
            let response = request.send().await.map_err(|e| Failure::new(format!("{} {url:?}: {}", verb(&method), reason(&e))))?;
            if response.status() != StatusCode::UNAUTHORIZED || attempt == 1 {
                return Ok(response);
            }
            let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|c| c.to_str().ok()).unwrap_or_default().to_string();
            self.answer(&challenge).await?;
        }
        Err(Failure::new(format!("{url}: no answer")))
    }

    /// Shows credentials as the registry asks for them.
    async fn answer(&mut self, challenge: &str) -> Outcome {
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            let (username, password) = self.credentials.clone().ok_or_else(|| Failure::new(format!("{}: basic credential not found", self.host)))?;
            self.token = Some(basic(&username, &password).1);
            return Ok(());
        }
        let part = |name: &str| rest.split(&format!("{name}=\"")).nth(1).and_then(|r| r.split('"').next()).unwrap_or_default().to_string();
        let mut request = self.http.get(part("realm")).query(&[("service", part("service")), ("scope", part("scope"))]);
        if let Some((username, password)) = &self.credentials {
            request = request.basic_auth(username, Some(password));
        }
        let response = request.send().await.map_err(|e| Failure::new(format!("{}: token: {}", self.host, reason(&e))))?;
        let told: Value = serde_json::from_slice(&body(response, self.host).await?).unwrap_or_default();
        let token = told["token"].as_str().or(told["access_token"].as_str()).ok_or_else(|| Failure::new(format!("{}: unauthorized: authentication required", self.host)))?;
        self.token = Some(format!("Bearer {token}"));
        Ok(())
    }

    async fn get(&mut self, path: &str, accept: &str, what: &str) -> Outcome<Vec<u8>> {
        let url = format!("{}/{path}", self.base);
        let response = self.send(Method::GET, &url, &[(ACCEPT, accept)], None).await.map_err(|e| e.of("failed to perform \"FetchReference\" on source"))?;
        match response.status() {
            StatusCode::OK => body(response, &url).await,
            StatusCode::NOT_FOUND => Err(Failure::new(format!("failed to perform \"FetchReference\" on source: {what}: not found"))),
            _ => Err(told(&url, response).await),
        }
    }

    async fn put_blob(&mut self, path: &str, bytes: &[u8]) -> Outcome<String> {
        let digest = format!("sha256:{}", digest(bytes));
        let here = self.send(Method::HEAD, &format!("{}/{path}/blobs/{digest}", self.base), &[], None).await?;
        if here.status() == StatusCode::OK {
            return Ok(digest);
        }
        let url = format!("{}/{path}/blobs/uploads/", self.base);
        let begun = self.send(Method::POST, &url, &[], None).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(Failure::new(format!("unexpected status from POST request to {url}: {}", begun.status())));
        }
        let location = begun.headers().get(LOCATION).and_then(|l| l.to_str().ok()).unwrap_or_default();
        let target = reqwest::Url::parse(&self.base).and_then(|b| b.join(location));
        let mut target = target.map_err(|e| Failure::new(format!("{url}: the registry named no place to upload to: {e}")))?;
        target.query_pairs_mut().append_pair("digest", &digest);
        let done = self.send(Method::PUT, target.as_str(), &[(CONTENT_TYPE, "application/octet-stream")], Some(bytes)).await?;
        if done.status() == StatusCode::CREATED { Ok(digest) } else { Err(Failure::new(format!("unexpected status from PUT request to {target}: {}", done.status()))) }
    }

    async fn tags(&mut self, path: &str) -> Outcome<Vec<String>> {
        let mut out = Vec::new();
        let mut url = format!("{}/{path}/tags/list", self.base);
        for _ in 0..MAX_PAGES {
            let response = self.send(Method::GET, &url, &[], None).await?;
            if response.status() != StatusCode::OK {
                return Err(told(&url, response).await);
            }
            let link = response.headers().get("link").and_then(|l| l.to_str().ok()).and_then(|l| l.split_once('<')?.1.split_once('>').map(|(u, _)| u.to_string()));
            let page: Value = serde_json::from_slice(&body(response, &url).await?).unwrap_or_default();
            out.extend(page["tags"].as_array().into_iter().flatten().filter_map(|t| t.as_str().map(|t| t.replace('_', "+"))));
            match link.and_then(|l| reqwest::Url::parse(&self.base).and_then(|b| b.join(&l)).ok()) {
                Some(next) => url = next.to_string(),
                None => break,
            }
        }
        Ok(out)
    }
}

/// A method as Go's client names it in errors: `Get`.
fn verb(method: &Method) -> String {
    let lower = method.as_str().to_lowercase();
    lower[..1].to_uppercase() + &lower[1..]
}

/// What a registry says of a request that it does not serve.
// Upstream: oras-go registry/remote/errcode.
async fn told(url: &str, response: Response) -> Failure {
    let code = response.status().as_u16();
    let said: Value = serde_json::from_slice(&body(response, url).await.unwrap_or_default()).unwrap_or_default();
    let one = |e: &Value| {
        let word = e["code"].as_str().unwrap_or_default().to_lowercase().replace('_', " ");
        let detail = if e["detail"].is_null() { String::new() } else { format!(": {}", charts::values::go_text(&e["detail"])) };
        format!("{word}: {}{detail}", e["message"].as_str().unwrap_or_default())
    };
    let all: Vec<String> = said["errors"].as_array().into_iter().flatten().map(one).collect();
    let reason = if all.is_empty() { StatusCode::from_u16(code).ok().and_then(|s| s.canonical_reason()).unwrap_or_default().to_string() } else { all.join("; ") };
    Failure::new(format!("GET {url:?}: response status code {code}: {reason}"))
}

/// A name and a digest, and why a version looks different in it.
pub fn words(word: &str, name: &str, digest: &str) -> String {
    let why = "Tags of OCI artifacts cannot hold a plus sign: Helm writes the + of a version as _ when it pushes, and reads it back when it pulls.";
    let note = if name.contains('_') { format!("{name} contains an underscore.\n\n{why}\n") } else { String::new() };
    format!("{word}: {name}\nDigest: {digest}\n{note}")
}

/// The newest tag of a range.
pub async fn resolve(settings: &Settings, reference: &str, range: &str, access: &Access) -> Outcome<String> {
    let reference = Reference::parse(reference)?;
    let tags = Registry::new(settings, &reference.host, access)?.tags(&reference.path).await?;
    let wanted = Range::parse(if range.is_empty() { "*" } else { range }).ok_or_else(|| Failure::new(format!("improper constraint: {range:?}")))?;
    let mut versions: Vec<Version> = tags.iter().filter_map(|t| Version::parse_strict(t)).filter(|v| wanted.contains(v)).collect();
    versions.sort();
    let newest = versions.pop().ok_or_else(|| Failure::new(format!("could not locate a version matching provided version string {range}")))?;
    Ok(newest.original().to_string())
}

/// Pulls a chart.
pub async fn pull(settings: &Settings, text: &str, request: &Request) -> Outcome<Fetched> {
    let mut reference = Reference::parse(text)?;
    if !reference.tag.is_empty() && !reference.tag.contains(':') && Version::parse_strict(&request.version).is_some() && reference.tag.replace('_', "+") != request.version {
        return Err(Failure::new(format!("chart reference and version mismatch: {} is not {}", request.version, reference.tag)));
    }
    if reference.tag.is_empty() {
        reference.tag = match Version::parse_strict(&request.version) {
            Some(exact) => exact.original().to_string(),
            None => resolve(settings, text, &request.version, &request.access).await?,
        };
    }
    let tag = reference.tag.replace('+', "_");
    let name = format!("{}/{}:{tag}", reference.host, reference.path);
    let mut registry = Registry::new(settings, &reference.host, &request.access)?;
    let manifest_bytes = registry.get(&format!("{}/manifests/{tag}", reference.path), MANIFEST, &name).await?;
    let manifest: Value = serde_json::from_slice(&manifest_bytes).map_err(|e| Failure::new(format!("{name}: {e}")))?;
    if manifest["config"]["mediaType"] != CONFIG {
        return Err(Failure::new(format!("could not load config with mediatype {CONFIG}: {name} is no chart")));
    }
    let bytes = layer(&mut registry, &reference, &manifest, CHART).await?.ok_or_else(|| Failure::new(format!("{name}: manifest does not contain a layer with mediatype {CHART}")))?;
    let provenance = match request.provenance {
        true => Some(layer(&mut registry, &reference, &manifest, PROVENANCE).await?.ok_or_else(|| Failure::new(format!("{name}: manifest does not contain a layer with mediatype {PROVENANCE}")))?),
        false => None,
    };
    let last = reference.path.rsplit('/').next().unwrap_or_default();
    let told = words("Pulled", &name, &format!("sha256:{}", digest(&manifest_bytes)));
    Ok(Fetched { name: format!("{last}-{}.tgz", reference.tag.replace('_', "+")), bytes, provenance, told })
}

/// A layer by its type; what comes must be what its digest says.
async fn layer(registry: &mut Registry<'_>, reference: &Reference, manifest: &Value, media_type: &str) -> Outcome<Option<Vec<u8>>> {
    let Some(found) = manifest["layers"].as_array().into_iter().flatten().find(|l| l["mediaType"] == media_type) else { return Ok(None) };
    let wanted = found["digest"].as_str().unwrap_or_default();
    if !wanted.strip_prefix("sha256:").is_some_and(|d| d.len() == 64 && d.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(Failure::new(format!("{}/{}: a layer has no digest of sha256", reference.host, reference.path)));
    }
    let bytes = registry.get(&format!("{}/blobs/{wanted}", reference.path), "*/*", wanted).await?;
    if format!("sha256:{}", digest(&bytes)) != wanted {
        return Err(Failure::new(format!("{}/{}: the content of {wanted} has another digest", reference.host, reference.path)));
    }
    Ok(Some(bytes))
}

/// Pushes a chart's archive below a registry's path; gives its name and its digest.
pub async fn push(settings: &Settings, bytes: &[u8], provenance: Option<&[u8]>, remote: &str, access: &Access) -> Outcome<(String, String)> {
    let chart = charts::load_archive(bytes).map_err(|e| Failure::new(e.to_string()))?;
    let metadata = &chart.metadata;
    let tag = metadata.version.replace('+', "_");
    let reference = Reference::parse(&format!("{}/{}:{tag}", remote.trim_end_matches('/'), metadata.name))?;
    let mut registry = Registry::new(settings, &reference.host, access)?;
    let config = goyaml::to_json(&serde_json::to_value(metadata).unwrap_or_default()).into_bytes();
    let describe = |media_type: &str, digest: String, size: usize| json!({ "mediaType": media_type, "digest": digest, "size": size });
    let of = |bytes: &[u8]| format!("sha256:{}", digest(bytes));
    let mut layers = vec![describe(CHART, of(bytes), bytes.len())];
    layers.extend(provenance.map(|p| describe(PROVENANCE, of(p), p.len())));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(CONFIG, of(&config), config.len()),
        "layers": layers,
        "annotations": annotations(metadata),
    });
    let text = manifest.to_string().into_bytes();
    let known = format!("{}/{}/manifests/{}", registry.base, reference.path, of(&text));
    registry.send(Method::HEAD, &known, &[(ACCEPT, MANIFEST)], None).await.map_err(|e| e.of("failed to perform \"Exists\" on destination"))?;
    for blob in [Some(bytes), provenance, Some(&config)].into_iter().flatten() {
        registry.put_blob(&reference.path, blob).await?;
    }
    let url = format!("{}/{}/manifests/{tag}", registry.base, reference.path);
    let done = registry.send(Method::PUT, &url, &[(CONTENT_TYPE, MANIFEST)], Some(&text)).await?;
    if done.status() != StatusCode::CREATED {
        return Err(Failure::new(format!("unexpected status from PUT request to {url}: {}", done.status())));
    }
    Ok((format!("{}/{}:{tag}", reference.host, reference.path), format!("sha256:{}", digest(&text))))
}

fn annotations(metadata: &charts::Metadata) -> BTreeMap<String, String> {
    let mut out = metadata.annotations.clone();
    let people: Vec<String> = metadata.maintainers.iter().map(|m| if m.email.is_empty() { m.name.clone() } else { format!("{} ({})", m.name, m.email) }).collect();
    let own = [
        ("description", metadata.description.clone()),
        ("title", metadata.name.clone()),
        ("version", metadata.version.clone()),
        ("url", metadata.home.clone()),
        ("source", metadata.sources.first().cloned().unwrap_or_default()),
        ("authors", people.join(", ")),
    ];
    out.insert("org.opencontainers.image.created".into(), crate::output::now());
    out.extend(own.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (format!("org.opencontainers.image.{k}"), v)));
    out
}

/// Asks a registry whether it takes the credentials, and keeps them.
pub async fn login(settings: &Settings, host: &str, access: &Access) -> Outcome {
    let mut registry = Registry::new(settings, host, access)?;
    let url = format!("{}/", registry.base);
    let response = registry.send(Method::GET, &url, &[], None).await.map_err(|e| e.of(format!("authenticating to {host:?}")))?;
    if response.status() != StatusCode::OK {
        return Err(Failure::new(format!("authenticating to {host:?}: response status code {}", response.status())));
    }
    let mut config = read_config(settings)?;
    config["auths"][host] = json!({ "auth": basic(&access.username, &access.password).1.trim_start_matches("Basic ") });
    write_config(settings, &config)
}

/// Forgets the credentials for a host.
pub fn logout(settings: &Settings, host: &str) -> Outcome {
    let mut config = read_config(settings)?;
    if config["auths"].as_object_mut().and_then(|auths| auths.remove(host)).is_none() {
        return Ok(());
    }
    write_config(settings, &config)
}

fn read_config(settings: &Settings) -> Outcome<Value> {
    match std::fs::read(&settings.registry_config) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| Failure::new(format!("{}: {e}", settings.registry_config.display()))),
        Err(_) => Ok(json!({ "auths": {} })),
    }
}

fn write_config(settings: &Settings, config: &Value) -> Outcome {
    use std::io::Write as _;
    let path = &settings.registry_config;
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| io("mkdir", folder, &e))?;
    // A file made this way is its owner's alone.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| io("open", folder, &e))?;
    file.write_all(goyaml::to_json_pretty(config, "\t").as_bytes()).map_err(|e| io("write", path, &e))?;
    file.persist(path).map_err(|e| io("rename", path, &e.error))?;
    Ok(())
}

/// Credentials for a host: Helm's own, else those of docker's file.
fn stored(settings: &Settings, host: &str) -> Option<(String, String)> {
    use base64::Engine as _;
    let docker = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from).or_else(|| Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    let files = [Some(settings.registry_config.clone()), docker.map(|d| d.join("config.json"))];
    files.into_iter().flatten().find_map(|path| {
        let config: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(config["auths"][host]["auth"].as_str()?).ok()?;
        let (username, password) = String::from_utf8(bytes).ok()?.split_once(':').map(|(u, p)| (u.to_string(), p.to_string()))?;
        Some((username, password))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let r = Reference::parse("oci://localhost:5000/charts/web:1.2.3").expect("reference");
        assert_eq!((r.host.as_str(), r.path.as_str(), r.tag.as_str()), ("localhost:5000", "charts/web", "1.2.3"));
        assert_eq!(Reference::parse("oci://h/a@sha256:00").expect("digest").tag, "sha256:00");
        for bad in ["oci://host", "oci:///x", "oci://h/../x", "oci://h/a//b", "oci://h/a b"] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }
}
