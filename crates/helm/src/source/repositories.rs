//! The file of repositories and the cached indexes.
// Upstream: helm pkg/repo/v1/repo.go, chartrepo.go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fetch::{Access, get};
use super::index::Index;
use crate::failure::{Failure, Outcome, io};
use crate::settings::Settings;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repository {
    pub name: String,
    pub url: String,
    pub username: String,
    pub password: String,
    #[serde(rename = "certFile")]
    pub cert_file: String,
    #[serde(rename = "keyFile")]
    pub key_file: String,
    #[serde(rename = "caFile")]
    pub ca_file: String,
    pub insecure_skip_tls_verify: bool,
    pub pass_credentials_all: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Repositories {
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    pub generated: String,
    pub repositories: Vec<Repository>,
}

impl Default for Repositories {
    fn default() -> Self {
        Repositories { api_version: String::new(), generated: "0001-01-01T00:00:00Z".into(), repositories: Vec::new() }
    }
}

impl Repository {
    /// One that nobody added, by its URL alone.
    // Upstream: the name under which its index is cached, pkg/downloader/manager.go.
    pub fn unmanaged(url: &str) -> Repository {
        Repository { name: format!("helm-manager-{}", super::locate::digest(url.as_bytes())), url: url.into(), ..Repository::default() }
    }

    pub fn access(&self) -> Access {
        let path = |p: &String| (!p.is_empty()).then(|| PathBuf::from(p));
        Access {
            username: self.username.clone(),
            password: self.password.clone(),
            cert_file: path(&self.cert_file),
            key_file: path(&self.key_file),
            ca_file: path(&self.ca_file),
            insecure: self.insecure_skip_tls_verify,
            plain_http: false,
            pass_credentials: self.pass_credentials_all,
            home: Some(self.url.clone()),
        }
    }

    pub fn index_path(&self, settings: &Settings) -> PathBuf {
        settings.repository_cache.join(format!("{}-index.yaml", self.name))
    }

    /// Fetches the index and keeps it in the cache.
    pub async fn refresh(&self, settings: &Settings) -> Outcome<Index> {
        let url = format!("{}/index.yaml", self.url.trim_end_matches('/'));
        let bytes = get(&url, &self.access()).await?;
        let index = Index::parse(&bytes)?;
        let path = self.index_path(settings);
        std::fs::create_dir_all(&settings.repository_cache).map_err(|e| io("mkdir", &settings.repository_cache, &e))?;
        std::fs::write(&path, &bytes).map_err(|e| io("open", &path, &e))?;
        let names: String = index.entries.keys().map(|n| format!("{n}\n")).collect();
        let _ = std::fs::write(settings.repository_cache.join(format!("{}-charts.txt", self.name)), names);
        Ok(index)
    }

    /// The index in the cache.
    pub fn cached(&self, settings: &Settings) -> Outcome<Index> {
        let path = self.index_path(settings);
        let bytes = std::fs::read(&path).map_err(|e| io("open", &path, &e).of("no cached repo found. (try 'helm repo update')"))?;
        Index::parse(&bytes)
    }
}

impl Repositories {
    pub fn load(settings: &Settings) -> Outcome<Repositories> {
        let path = &settings.repository_config;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Repositories::default()),
            Err(e) => return Err(io("couldn't load repositories file (", path, &e)),
        };
        let value = goyaml::from_yaml(&text).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
        if value.is_null() {
            return Ok(Repositories::default());
        }
        serde_json::from_value(value).map_err(|e| Failure::new(format!("{}: {e}", path.display())))
    }

    /// Writes the file whole or not at all.
    pub fn save(&self, settings: &Settings) -> Outcome {
        let path = &settings.repository_config;
        let folder = path.parent().unwrap_or(std::path::Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| io("mkdir", folder, &e))?;
        let text = goyaml::to_yaml(&serde_json::to_value(self).unwrap_or_default());
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| io("open", folder, &e))?;
        use std::io::Write as _;
        file.write_all(text.as_bytes()).map_err(|e| io("write", path, &e))?;
        file.persist(path).map_err(|e| io("rename", path, &e.error))?;
        Ok(())
    }

    /// Waits until nobody else changes the file; nobody does while what is given back lives.
    // Upstream: pkg/cmd/repo_add.go, which locks a file of this name.
    pub fn lock(settings: &Settings) -> Outcome<std::fs::File> {
        let path = settings.repository_config.with_extension("lock");
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| io("mkdir", folder, &e))?;
        let file = std::fs::File::options().create(true).append(true).open(&path).map_err(|e| io("open", &path, &e))?;
        file.lock().map_err(|e| io("lock", &path, &e))?;
        Ok(file)
    }

    /// The repository of a URL.
    pub fn at(&self, url: &str) -> Option<&Repository> {
        self.repositories.iter().find(|r| r.url.trim_end_matches('/') == url.trim_end_matches('/'))
    }

    pub fn find(&self, name: &str) -> Option<&Repository> {
        self.repositories.iter().find(|r| r.name == name)
    }
}
