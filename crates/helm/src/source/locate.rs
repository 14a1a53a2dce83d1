//! From what a user calls a chart to a file or a folder that has it.
// Upstream: helm pkg/action/install.go LocateChart, pkg/downloader/chart_downloader.go ResolveChartVersion.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::fetch::{Access, get};
use super::index::{Entry, Index};
use super::oci;
use super::provenance;
use super::repositories::{Repositories, Repository};
use crate::failure::{Failure, Outcome, io};
use crate::flags::Read as _;
use crate::settings::Settings;

/// The bytes of a chart's archive, its name as a file, and its provenance if it was asked for.
pub struct Fetched {
    pub name: String,
    pub bytes: Vec<u8>,
    pub provenance: Option<Vec<u8>>,
    /// What a registry says of it.
    pub told: String,
}

/// What is wanted of a chart.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub version: String,
    pub access: Access,
    pub repo: Option<String>,
    pub provenance: bool,
}

impl Request {
    pub fn from_flags(m: &ArgMatches) -> Request {
        let version = m.value("version").unwrap_or_default();
        // Upstream: --devel without a version asks for any.
        let version = if version.is_empty() && m.on("devel") { ">0.0.0-0" } else { version };
        Request {
            version: version.trim().to_string(),
            access: Access::from_flags(m),
            repo: m.value("repo").filter(|r| !r.is_empty()).map(str::to_string),
            provenance: m.on("verify") || m.on("prov"),
        }
    }
}

/// The path of a chart, fetched into the cache where it is not here.
pub async fn chart(m: &ArgMatches, settings: &Settings, reference: &str) -> Outcome<PathBuf> {
    let reference = reference.trim();
    let path = Path::new(reference);
    let by_repo = m.value("repo").is_some_and(|r| !r.is_empty());
    if !by_repo && path.exists() {
        if m.on("verify") {
            provenance::verify_file(path, &provenance::keyring(m))?;
        }
        return std::fs::canonicalize(path).map_err(|e| io("stat", path, &e));
    }
    if !by_repo && (path.is_absolute() || reference.starts_with('.')) {
        return Err(Failure::new(format!("path {reference:?} not found")));
    }
    let fetched = fetch(settings, reference, &Request::from_flags(m)).await?;
    eprint!("{}", fetched.told);
    let folder = settings.content_cache.join(digest(&fetched.bytes));
    std::fs::create_dir_all(&folder).map_err(|e| io("mkdir", &folder, &e))?;
    let target = folder.join(&fetched.name);
    std::fs::write(&target, &fetched.bytes).map_err(|e| io("open", &target, &e))?;
    if m.on("verify") {
        let signed = fetched.provenance.ok_or_else(|| Failure::new(format!("failed to fetch provenance {reference:?}")))?;
        provenance::verify(&fetched.bytes, &fetched.name, &signed, &provenance::keyring(m))?;
    }
    Ok(target)
}

pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Fetches a chart from where its reference says: a registry, a URL, a repository by URL or by name.
pub async fn fetch(settings: &Settings, reference: &str, request: &Request) -> Outcome<Fetched> {
    if reference.starts_with("oci://") {
        return oci::pull(settings, reference, request).await;
    }
    if let Some(repo) = &request.repo {
        if repo.starts_with(':') {
            return Err(Failure::new(format!("invalid chart URL format: {repo}")));
        }
        let url = format!("{}/index.yaml", repo.trim_end_matches('/'));
        let not_repo = |e: Failure| Failure::new(format!("looks like {repo:?} is not a valid chart repository or cannot be reached: {e}"));
        let index = Index::parse(&get(&url, &request.access).await.map_err(not_repo)?).map_err(not_repo)?;
        let told = if request.version.is_empty() { reference.to_string() } else { format!("{reference:?} version {:?}", request.version) };
        let entry = index.get(reference, &request.version).map_err(|_| Failure::new(format!("chart {} not found in {repo} repository", if request.version.is_empty() { format!("{told:?}") } else { told })))?;
        return fetch_entry(entry, repo, request, reference).await;
    }
    if reference.contains("://") {
        return fetch_url(reference, request).await;
    }
    let Some((repo_name, name)) = reference.split_once('/') else {
        return Err(Failure::new(format!("non-absolute URLs should be in form of repo_name/path_to_chart, got: {reference}")));
    };
    let all = Repositories::load(settings)?;
    let repository = all.find(repo_name).ok_or_else(|| Failure::new(format!("repo {repo_name} not found")))?;
    let index = repository.cached(settings)?;
    let entry = index.get(name, &request.version).map_err(|e| Failure::new(format!("chart {name:?} matching {} not found in {repo_name} index. (try 'helm repo update'): {e}", request.version)))?;
    let mut request = request.clone();
    request.access = Access { plain_http: request.access.plain_http, ..repository.access() };
    fetch_entry(entry, &repository.url, &request, reference).await
}

async fn fetch_entry(entry: &Entry, base: &str, request: &Request, reference: &str) -> Outcome<Fetched> {
    let url = entry.urls.first().ok_or_else(|| Failure::new(format!("chart {reference:?} has no downloadable URLs")))?;
    let fetched = fetch_url(&absolute(base, url), request).await?;
    if let Some(expected) = entry.digest.as_deref().map(|d| d.trim_start_matches("sha256:")).filter(|d| d.len() == 64)
        && digest(&fetched.bytes) != expected
    {
        return Err(Failure::new(format!("chart {reference:?}: the archive at {url} is not the one of the index: its digest is not {expected}")));
    }
    Ok(fetched)
}

async fn fetch_url(url: &str, request: &Request) -> Outcome<Fetched> {
    let bytes = get(url, &request.access).await?;
    let name = url.split(['?', '#']).next().unwrap_or(url).rsplit('/').next().unwrap_or("chart.tgz").to_string();
    let provenance = match request.provenance {
        true => Some(get(&format!("{url}.prov"), &request.access).await.map_err(|_| Failure::new(format!("failed to fetch provenance \"{url}.prov\"")))?),
        false => None,
    };
    Ok(Fetched { name, bytes, provenance, told: String::new() })
}

/// A URL of an index, made whole by that of its repository.
pub fn absolute(base: &str, url: &str) -> String {
    if url.contains("://") {
        return url.to_string();
    }
    let base = format!("{}/", base.trim_end_matches('/'));
    reqwest::Url::parse(&base).and_then(|b| b.join(url)).map_or_else(|_| format!("{base}{url}"), |u| u.to_string())
}

/// The newest version of a range that a reference's source has, of a repository by its cached index; for `dependency update`.
pub async fn resolve(settings: &Settings, repository: &str, name: &str, range: &str, access: &Access) -> Outcome<Option<String>> {
    if repository.starts_with("oci://") {
        return oci::resolve(settings, &format!("{}/{name}", repository.trim_end_matches('/')), range, access).await.map(Some);
    }
    let (base, _) = base_of(settings, repository, access)?;
    let known = Repositories::load(settings)?.at(&base).cloned().unwrap_or_else(|| Repository::unmanaged(&base));
    let path = known.index_path(settings);
    let bytes = std::fs::read(&path).map_err(|e| io("open", &path, &e).of(format!("no cached repository for {} found. (try 'helm repo update')", known.name)))?;
    let index = Index::parse(&bytes)?;
    if !index.entries.contains_key(name) {
        return Err(Failure::new(format!("{name} chart not found in repo {base}")));
    }
    Ok(index.get(name, range).ok().map(|e| e.metadata.version.clone()))
}

/// The URL behind `@name`, `alias:name`, or a URL.
pub fn base_of(settings: &Settings, repository: &str, access: &Access) -> Outcome<(String, Access)> {
    let alias = repository.strip_prefix('@').or_else(|| repository.strip_prefix("alias:"));
    let all = Repositories::load(settings)?;
    match alias {
        Some(name) => {
            let found = all.find(name).ok_or_else(|| Failure::new(format!("no repository definition for {repository}. Please add them via 'helm repo add'")))?;
            Ok((found.url.clone(), found.access()))
        }
        None => match all.at(repository) {
            Some(known) => Ok((known.url.clone(), known.access())),
            None => Ok((repository.to_string(), access.clone())),
        },
    }
}
