//! Kubeconfig files: read and merged as client-go merges them, and the one cluster, user and context that flags choose.
//!
//! Reading never writes; `commands/config` changes single files through `read_file` and `write_file`.
// Upstream: client-go tools/clientcmd (loader.go, client_config.go, validation.go).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome, path_error};
use crate::flags::Flags;

type Named = BTreeMap<String, Value>;

#[derive(Debug, Default, Clone)]
pub struct Kubeconfig {
    pub clusters: Named,
    pub contexts: Named,
    pub users: Named,
    pub current: String,
    pub preferences: Value,
    pub extensions: Value,
    /// The file that a section's entry came from.
    pub origin: HashMap<(&'static str, String), PathBuf>,
    /// The files asked, in order; the first takes what is new.
    pub files: Vec<PathBuf>,
}

/// The one cluster and user of a command.
pub struct Picked {
    /// A kubeconfig of them alone.
    pub single: Value,
    pub server: String,
    /// Their names in the files.
    pub user: String,
    pub cluster: String,
}

pub const SECTIONS: [(&str, &str); 3] = [("clusters", "cluster"), ("contexts", "context"), ("users", "user")];
/// Keys whose values are paths, relative to their file.
const PATHS: [&str; 4] = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];

/// The names of all fields, in the order of Go's structs.
// Upstream: client-go tools/clientcmd/api/v1/types.go.
pub const FIELDS: &[&str] = &[
    "kind", "name", "command", "args", "env", "apiVersion", "installHint", "provideClusterInfo", "interactiveMode", "preferences", "colors", "clusters", "users", "contexts", "current-context", "server",
    "tls-server-name", "insecure-skip-tls-verify", "certificate-authority", "certificate-authority-data", "proxy-url", "disable-compression", "client-certificate", "client-certificate-data",
    "client-key", "client-key-data", "token", "tokenFile", "as", "as-uid", "as-groups", "as-user-extra", "username", "password", "auth-provider", "config", "exec", "cluster", "user", "namespace",
    "context", "value", "extension", "extensions",
];

pub fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default()
}

impl Kubeconfig {
    pub fn load(explicit: &str) -> Outcome<Self> {
        let files = if explicit.is_empty() { search() } else { vec![PathBuf::from(explicit)] };
        let mut all = Self { files: files.clone(), preferences: json!({}), ..Self::default() };
        for file in files {
            if !explicit.is_empty() && !file.exists() {
                return Err(Failure::Text(format!("stat {}: no such file or directory", file.display())));
            }
            let Some(one) = read_file(&file)? else { continue };
            all.merge(one, &file);
        }
        Ok(all)
    }

    pub fn section(&self, name: &str) -> &Named {
        match name {
            "clusters" => &self.clusters,
            "contexts" => &self.contexts,
            _ => &self.users,
        }
    }

    pub fn section_mut(&mut self, name: &str) -> &mut Named {
        match name {
            "clusters" => &mut self.clusters,
            "contexts" => &mut self.contexts,
            _ => &mut self.users,
        }
    }

    fn merge(&mut self, one: Self, file: &Path) {
        for (section, _) in SECTIONS {
            for (name, value) in one.section(section) {
                if !self.section(section).contains_key(name) {
                    self.section_mut(section).insert(name.clone(), value.clone());
                    self.origin.insert((section, name.clone()), file.to_owned());
                }
            }
        }
        if self.current.is_empty() {
            self.current = one.current;
        }
        if self.preferences.as_object().is_none_or(Map::is_empty) {
            self.preferences = one.preferences;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty() && self.contexts.is_empty() && self.users.is_empty() && self.current.is_empty()
    }

    /// The context in force; none where nothing is configured.
    fn context(&self, flag: &str) -> Outcome<Option<&Value>> {
        let name = if flag.is_empty() { &self.current } else { flag };
        if name.is_empty() {
            return Ok(None);
        }
        match self.contexts.get(name) {
            Some(context) => Ok(Some(context)),
            None => Err(Failure::Said(format!("Error in configuration: context was not found for specified context: {name}"))),
        }
    }

    pub fn namespace(&self, context: &str) -> Outcome<String> {
        let found = self.context(context)?.and_then(|c| c["namespace"].as_str()).filter(|n| !n.is_empty());
        Ok(found.map(str::to_owned).or_else(in_cluster_namespace).unwrap_or_else(|| "default".into()))
    }

    /// What the flags and the files say together.
    pub fn chosen(&self, flags: &Flags) -> Outcome<Picked> {
        let context = self.context(flags.text("context"))?;
        let pick = |flag: &str, key: &str| -> String {
            let given = flags.global(flag);
            if given.is_empty() { context.and_then(|c| c[key].as_str()).unwrap_or_default().to_owned() } else { given.to_owned() }
        };
        let (cluster_name, user_name) = (pick("cluster", "cluster"), pick("user", "user"));
        let mut cluster = match self.clusters.get(&cluster_name) {
            Some(cluster) => cluster.clone(),
            None if cluster_name.is_empty() => json!({}),
            None if !flags.text("cluster").is_empty() => return Err(Failure::Text(format!("no server found for cluster {cluster_name:?}"))),
            None if flags.text("server").is_empty() => return Err(Failure::Said(format!("Error in configuration: cluster {cluster_name:?} has no server defined: cluster {cluster_name:?} does not exist"))),
            None => json!({}),
        };
        let mut user = match self.users.get(&user_name) {
            Some(user) => user.clone(),
            None if user_name.is_empty() => json!({}),
            None => return Err(Failure::Text(format!("auth info {user_name:?} does not exist"))),
        };
        override_with(&mut cluster, flags, &[("server", "server"), ("certificate-authority", "certificate-authority"), ("tls-server-name", "tls-server-name")]);
        override_with(&mut user, flags, &[("token", "token"), ("username", "username"), ("password", "password"), ("client-certificate", "client-certificate"), ("client-key", "client-key")]);
        if flags.yes("insecure-skip-tls-verify") {
            cluster["insecure-skip-tls-verify"] = true.into();
            remove(&mut cluster, &["certificate-authority", "certificate-authority-data"]);
        }
        if cluster["server"].as_str().unwrap_or_default().is_empty() {
            cluster["server"] = "http://localhost:8080".into();
        }
        let server = with_scheme(cluster["server"].as_str().unwrap_or_default());
        cluster["server"] = server.clone().into();
        Ok(Picked { single: single(cluster, user), server, user: user_name, cluster: cluster_name })
    }

    /// The file's shape: lists sorted by name, as upstream writes them.
    pub fn to_value(&self) -> Value {
        let list = |section: &str, key: &str| -> Value {
            let named: Vec<Value> = self.section(section).iter().map(|(name, value)| json!({"name": name, key: value})).collect();
            if named.is_empty() { Value::Null } else { Value::Array(named) }
        };
        let mut out = json!({"apiVersion": "v1", "kind": "Config", "current-context": self.current});
        if self.preferences.as_object().is_some_and(|p| !p.is_empty()) {
            out["preferences"] = self.preferences.clone();
        }
        for (section, key) in SECTIONS {
            out[section] = list(section, key);
        }
        if !self.extensions.is_null() {
            out["extensions"] = self.extensions.clone();
        }
        out
    }
}

fn remove(value: &mut Value, keys: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        for key in keys {
            map.remove(*key);
        }
    }
}

fn override_with(value: &mut Value, flags: &Flags, pairs: &[(&str, &str)]) {
    for (flag, key) in pairs {
        if !flags.text(flag).is_empty() {
            value[*key] = flags.text(flag).into();
            remove(value, &[&format!("{key}-data")]);
        }
    }
}

fn single(cluster: Value, user: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "c", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    })
}

fn with_scheme(server: &str) -> String {
    if server.contains("://") { server.trim_end_matches('/').to_owned() } else { format!("http://{}", server.trim_end_matches('/')) }
}

fn search() -> Vec<PathBuf> {
    match std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty()) {
        Some(list) => {
            let mut files: Vec<PathBuf> = Vec::new();
            for file in std::env::split_paths(&list).filter(|p| !p.as_os_str().is_empty()) {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
            files
        }
        None => vec![home().join(".kube/config")],
    }
}

fn in_cluster_namespace() -> Option<String> {
    std::env::var_os("KUBERNETES_SERVICE_HOST")?;
    let text = std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace").ok()?;
    Some(text.trim().to_owned()).filter(|n| !n.is_empty())
}

/// One file; nothing where there is none.
pub fn read_file(file: &Path) -> Outcome<Option<Kubeconfig>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::Text(format!("error loading config file {:?}: {}", file.display().to_string(), path_error("open", &file.display().to_string(), &e)))),
    };
    let mut value = if text.trim().is_empty() {
        json!({})
    } else {
        goyaml::from_yaml(&text).map_err(|e| Failure::Text(format!("error loading config file {:?}: {e}", file.display().to_string())))?
    };
    let mut config = Kubeconfig { preferences: json!({}), ..Kubeconfig::default() };
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    for (section, key) in SECTIONS {
        for entry in value[section].as_array_mut().into_iter().flatten() {
            let name = entry["name"].as_str().unwrap_or_default().to_owned();
            let mut of = entry[key].take();
            if of.is_null() {
                of = json!({});
            }
            absolute(&mut of, &folder);
            config.section_mut(section).entry(name).or_insert(of);
        }
    }
    config.current = value["current-context"].as_str().unwrap_or_default().to_owned();
    if value["preferences"].is_object() {
        config.preferences = value["preferences"].take();
    }
    config.extensions = value["extensions"].take();
    Ok(Some(config))
}

fn absolute(entry: &mut Value, folder: &Path) {
    for key in PATHS {
        if let Some(path) = entry[key].as_str().filter(|p| !p.is_empty() && !Path::new(p).is_absolute()) {
            entry[key] = folder.join(path).display().to_string().into();
        }
    }
    // What indexing put there.
    if let Some(map) = entry.as_object_mut() {
        map.retain(|_, v| !v.is_null());
    }
}

/// Writes a file for its owner alone, whole or not at all.
pub fn write_file(file: &Path, config: &Kubeconfig) -> Outcome {
    let fault = |e: std::io::Error| Failure::Text(path_error("open", &file.display().to_string(), &e));
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fault)?;
    // A link stays a link.
    let target = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = target.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(fault)?;
    std::io::Write::write_all(&mut new, crate::print::yaml(&config.to_value()).as_bytes()).map_err(fault)?;
    new.persist(&target).map_err(|e| fault(e.error))?;
    Ok(())
}
