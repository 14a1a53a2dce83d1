//! Where Helm keeps things and which cluster it speaks to: global flags over `HELM_*` variables over defaults.
// Upstream: helm pkg/cli/environment.go, pkg/helmpath.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ArgMatches;

#[derive(Debug, Clone)]
pub struct Settings {
    pub cache_home: PathBuf,
    pub config_home: PathBuf,
    pub data_home: PathBuf,
    pub plugins: PathBuf,
    pub registry_config: PathBuf,
    pub repository_config: PathBuf,
    pub repository_cache: PathBuf,
    pub content_cache: PathBuf,
    pub driver: String,
    pub debug: bool,
    pub max_history: u64,
    pub namespace: Option<String>,
    pub kubeconfig: Option<PathBuf>,
    pub kube: Kube,
    pub burst_limit: String,
    pub qps: String,
}

/// What replaces parts of the kubeconfig.
#[derive(Debug, Clone, Default)]
pub struct Kube {
    pub api_server: Option<String>,
    pub as_groups: Vec<String>,
    pub as_user: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub context: Option<String>,
    pub token: Option<String>,
    pub insecure: bool,
    pub tls_server_name: Option<String>,
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

fn home(helm: &str, xdg: &str, default: &str) -> PathBuf {
    if let Some(path) = env(helm) {
        return path.into();
    }
    let base = env(xdg).map(PathBuf::from).unwrap_or_else(|| PathBuf::from(env("HOME").unwrap_or_else(|| "/".into())).join(default));
    base.join("helm")
}

fn truth(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

impl Settings {
    pub fn read(matches: &ArgMatches) -> Settings {
        let flag = |name: &str, variable: &str| matches.get_one::<String>(name).cloned().filter(|v| !v.is_empty()).or_else(|| env(variable));
        let cache_home = home("HELM_CACHE_HOME", "XDG_CACHE_HOME", ".cache");
        let config_home = home("HELM_CONFIG_HOME", "XDG_CONFIG_HOME", ".config");
        let data_home = home("HELM_DATA_HOME", "XDG_DATA_HOME", ".local/share");
        let path = |name: &str, variable: &str, default: PathBuf| flag(name, variable).map_or(default, PathBuf::from);
        let mut as_groups: Vec<String> = matches.get_many::<String>("kube-as-group").into_iter().flatten().cloned().collect();
        if as_groups.is_empty() {
            as_groups = env("HELM_KUBEASGROUPS").map(|g| g.split(',').map(str::to_string).collect()).unwrap_or_default();
        }
        Settings {
            plugins: env("HELM_PLUGINS").map_or_else(|| data_home.join("plugins"), PathBuf::from),
            registry_config: path("registry-config", "HELM_REGISTRY_CONFIG", config_home.join("registry/config.json")),
            repository_config: path("repository-config", "HELM_REPOSITORY_CONFIG", config_home.join("repositories.yaml")),
            repository_cache: path("repository-cache", "HELM_REPOSITORY_CACHE", cache_home.join("repository")),
            content_cache: path("content-cache", "HELM_CONTENT_CACHE", cache_home.join("content")),
            driver: env("HELM_DRIVER").unwrap_or_default(),
            debug: matches.get_flag("debug") || env("HELM_DEBUG").is_some_and(|v| truth(&v)),
            max_history: env("HELM_MAX_HISTORY").and_then(|v| v.parse().ok()).unwrap_or(10),
            namespace: flag("namespace", "HELM_NAMESPACE"),
            kubeconfig: matches.get_one::<String>("kubeconfig").filter(|v| !v.is_empty()).map(PathBuf::from),
            kube: Kube {
                api_server: flag("kube-apiserver", "HELM_KUBEAPISERVER"),
                as_groups,
                as_user: flag("kube-as-user", "HELM_KUBEASUSER"),
                ca_file: flag("kube-ca-file", "HELM_KUBECAFILE").map(PathBuf::from),
                context: flag("kube-context", "HELM_KUBECONTEXT"),
                token: flag("kube-token", "HELM_KUBETOKEN"),
                insecure: matches.get_flag("kube-insecure-skip-tls-verify") || env("HELM_KUBEINSECURE_SKIP_TLS_VERIFY").is_some_and(|v| truth(&v)),
                tls_server_name: flag("kube-tls-server-name", "HELM_KUBETLS_SERVER_NAME"),
            },
            burst_limit: flag("burst-limit", "HELM_BURST_LIMIT").unwrap_or_else(|| "100".into()),
            qps: flag("qps", "HELM_QPS").unwrap_or_else(|| "0.00".into()),
            cache_home,
            config_home,
            data_home,
        }
    }

    /// What `helm env` shows and plugins are given.
    pub fn variables(&self, namespace: &str) -> BTreeMap<&'static str, String> {
        let text = |p: &PathBuf| p.display().to_string();
        BTreeMap::from([
            ("HELM_BIN", "helm".into()),
            ("HELM_CACHE_HOME", text(&self.cache_home)),
            ("HELM_CONFIG_HOME", text(&self.config_home)),
            ("HELM_DATA_HOME", text(&self.data_home)),
            ("HELM_DEBUG", self.debug.to_string()),
            ("HELM_PLUGINS", text(&self.plugins)),
            ("HELM_REGISTRY_CONFIG", text(&self.registry_config)),
            ("HELM_REPOSITORY_CACHE", text(&self.repository_cache)),
            ("HELM_CONTENT_CACHE", text(&self.content_cache)),
            ("HELM_REPOSITORY_CONFIG", text(&self.repository_config)),
            ("HELM_NAMESPACE", namespace.to_string()),
            ("HELM_MAX_HISTORY", self.max_history.to_string()),
            ("HELM_BURST_LIMIT", self.burst_limit.clone()),
            ("HELM_QPS", self.qps.clone()),
            ("HELM_KUBECONTEXT", self.kube.context.clone().unwrap_or_default()),
            ("HELM_KUBETOKEN", self.kube.token.clone().unwrap_or_default()),
            ("HELM_KUBEASUSER", self.kube.as_user.clone().unwrap_or_default()),
            ("HELM_KUBEASGROUPS", self.kube.as_groups.join(",")),
            ("HELM_KUBEAPISERVER", self.kube.api_server.clone().unwrap_or_default()),
            ("HELM_KUBECAFILE", self.kube.ca_file.as_ref().map(text).unwrap_or_default()),
            ("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", self.kube.insecure.to_string()),
            ("HELM_KUBETLS_SERVER_NAME", self.kube.tls_server_name.clone().unwrap_or_default()),
        ])
    }
}
