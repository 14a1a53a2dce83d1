//! Kubeconfig files that say how a webhook is reached.
//!
//! Upstream: apiserver `pkg/util/webhook/webhook.go`, client-go `tools/clientcmd`.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// Bytes that stand in the file, or in another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Data(Vec<u8>),
    File(PathBuf),
}

/// Where calls go, whom they trust, and what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub url: String,
    pub ca: Option<Source>,
    pub insecure: bool,
    pub certificate: Option<(Source, Source)>,
    /// A bearer token.
    pub token: Option<Source>,
    /// User and password.
    pub basic: Option<(String, String)>,
}

impl Remote {
    /// Reads the current context. Files are named relative to `folder`.
    pub fn read(text: &str, folder: &Path) -> Result<Self, String> {
        let config: Value = serde_saphyr::from_str(text).map_err(|e| format!("not a kubeconfig: {e}"))?;
        let named = |list: &str, name: &str, key: &str| config[list].as_array().into_iter().flatten().find(|e| e["name"] == name).map(|e| e[key].clone());
        let current = config["current-context"].as_str().unwrap_or_default();
        let context = named("contexts", current, "context").ok_or_else(|| format!("the kubeconfig has no context {current:?}: set current-context to one that it has"))?;
        let cluster = context["cluster"].as_str().unwrap_or_default();
        let cluster = named("clusters", cluster, "cluster").ok_or_else(|| format!("the kubeconfig has no cluster {cluster:?}"))?;
        let user = context["user"].as_str().filter(|u| !u.is_empty());
        let user = user.map_or(Ok(Value::Null), |u| named("users", u, "user").ok_or_else(|| format!("the kubeconfig has no user {u:?}")))?;
        if let Some(key) = ["exec", "auth-provider"].into_iter().find(|key| user[*key].is_object()) {
            return Err(format!("the kubeconfig's user has {key}: give a certificate or a token instead"));
        }
        let url = cluster["server"].as_str().unwrap_or_default();
        if !url.starts_with("https://") {
            return Err(format!("the webhook's address {url:?} must begin with https://"));
        }
        let source = |from: &Value, key: &str| source(from, key, folder);
        let certificate = match (source(&user, "client-certificate")?, source(&user, "client-key")?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err("client-certificate and client-key belong together".into()),
        };
        let word = |key: &str| user[key].as_str().filter(|w| !w.is_empty());
        let token = word("token").map(|t| Source::Data(t.as_bytes().to_vec())).or_else(|| word("tokenFile").map(|f| Source::File(folder.join(f))));
        let basic = word("username").map(|name| (name.to_owned(), word("password").unwrap_or_default().to_owned()));
        Ok(Self { url: url.to_owned(), ca: source(&cluster, "certificate-authority")?, insecure: cluster["insecure-skip-tls-verify"] == true, certificate, token, basic })
    }
}

fn source(from: &Value, key: &str, folder: &Path) -> Result<Option<Source>, String> {
    if let Some(data) = from[format!("{key}-data")].as_str() {
        return BASE64_STANDARD.decode(data.trim()).map(|bytes| Some(Source::Data(bytes))).map_err(|e| format!("{key}-data: {e}"));
    }
    Ok(from[key].as_str().map(|file| Source::File(folder.join(file))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_context_says_where() {
        let text = "current-context: c\ncontexts: [{name: c, context: {cluster: a, user: u}}]\nclusters: [{name: a, cluster: {server: 'https://x/y', certificate-authority: ca.crt}}]\nusers: [{name: u, user: {client-certificate-data: YQ==, client-key: /k}}]\n";
        let remote = Remote::read(text, Path::new("/etc")).unwrap();
        assert_eq!((remote.url.as_str(), remote.ca), ("https://x/y", Some(Source::File("/etc/ca.crt".into()))));
        assert_eq!(remote.certificate, Some((Source::Data(b"a".to_vec()), Source::File("/k".into()))));
        for (from, to, why) in [("context: c", "context: d", "no context \"d\""), ("https:", "http:", "must begin with https"), ("{client-certificate-data: YQ==, client-key: /k}", "{exec: {command: x}}", "has exec"), (", client-key: /k", "", "belong together")] {
            let told = Remote::read(&text.replace(from, to), Path::new("/")).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        assert!(Remote::read("[", Path::new("/")).is_err());
    }
}
