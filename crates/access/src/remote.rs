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

/// What a client shows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub certificate: Option<(Source, Source)>,
    /// A bearer token.
    pub token: Option<Source>,
    /// User and password.
    pub basic: Option<(String, String)>,
}

impl Credentials {
    fn of(user: &Value, folder: &Path) -> Result<Self, String> {
        if let Some(key) = ["exec", "auth-provider"].into_iter().find(|key| user[*key].is_object()) {
            return Err(format!("the kubeconfig's user has {key}: give a certificate or a token instead"));
        }
        let certificate = match (source(user, "client-certificate", folder)?, source(user, "client-key", folder)?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err("client-certificate and client-key belong together".into()),
        };
        let word = |key: &str| user[key].as_str().filter(|w| !w.is_empty());
        let token = word("token").map(|t| Source::Data(t.as_bytes().to_vec())).or_else(|| word("tokenFile").map(|f| Source::File(folder.join(f))));
        let basic = word("username").map(|name| (name.to_owned(), word("password").unwrap_or_default().to_owned()));
        Ok(Self { certificate, token, basic })
    }
}

/// A kubeconfig, not yet looked into.
struct Kubeconfig(Value);

impl Kubeconfig {
    fn read(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map(Self).map_err(|e| format!("not a kubeconfig: {e}"))
    }

    fn named(&self, list: &str, name: &str, key: &str) -> Option<Value> {
        self.0[list].as_array().into_iter().flatten().find(|e| e["name"] == name).map(|e| e[key].clone())
    }

    fn current(&self) -> &str {
        self.0["current-context"].as_str().unwrap_or_default()
    }

    fn user(&self, context: &Value) -> Result<Value, String> {
        let user = context["user"].as_str().filter(|u| !u.is_empty());
        user.map_or(Ok(Value::Null), |u| self.named("users", u, "user").ok_or_else(|| format!("the kubeconfig has no user {u:?}")))
    }
}

/// What is shown to many servers: the users of a kubeconfig, named after whom they are shown to.
#[derive(Debug, Clone, Default)]
pub struct Users {
    named: Vec<(String, Credentials)>,
    usual: Option<Credentials>,
}

impl Users {
    /// Reads all users. Files are named relative to `folder`.
    pub fn read(text: &str, folder: &Path) -> Result<Self, String> {
        let config = Kubeconfig::read(text)?;
        let users = config.0["users"].as_array().cloned().unwrap_or_default();
        let named = users.iter().map(|e| Ok((e["name"].as_str().unwrap_or_default().to_owned(), Credentials::of(&e["user"], folder)?))).collect::<Result<_, String>>()?;
        let usual = config.named("contexts", config.current(), "context").map(|context| Credentials::of(&config.user(&context)?, folder)).transpose()?;
        Ok(Self { named, usual })
    }

    /// By a server's name, with its port where it is not the usual one: that name, `*.` and its end, `*`, then the current context.
    // Upstream: apiserver pkg/util/webhook/authentication.go, ClientConfigFor
    pub fn of(&self, server: &str) -> Option<&Credentials> {
        let named = |name: &str| self.named.iter().find(|(own, _)| own == name).map(|(_, credentials)| credentials);
        let ends = server.match_indices('.').map(|(at, _)| format!("*{}", &server[at..]));
        named(server).or_else(|| ends.filter_map(|end| named(&end)).next()).or_else(|| named("*")).or(self.usual.as_ref())
    }
}

/// Where calls go, whom they trust, and what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub url: String,
    pub ca: Option<Source>,
    pub insecure: bool,
    pub shown: Credentials,
}

impl Remote {
    /// Reads the current context. Files are named relative to `folder`.
    pub fn read(text: &str, folder: &Path) -> Result<Self, String> {
        let config = Kubeconfig::read(text)?;
        let current = config.current();
        let context = config.named("contexts", current, "context").ok_or_else(|| format!("the kubeconfig has no context {current:?}: set current-context to one that it has"))?;
        let cluster = context["cluster"].as_str().unwrap_or_default();
        let cluster = config.named("clusters", cluster, "cluster").ok_or_else(|| format!("the kubeconfig has no cluster {cluster:?}"))?;
        let shown = Credentials::of(&config.user(&context)?, folder)?;
        let url = cluster["server"].as_str().unwrap_or_default();
        if !url.starts_with("https://") {
            return Err(format!("the webhook's address {url:?} must begin with https://"));
        }
        Ok(Self { url: url.to_owned(), ca: source(&cluster, "certificate-authority", folder)?, insecure: cluster["insecure-skip-tls-verify"] == true, shown })
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
        assert_eq!(remote.shown.certificate, Some((Source::Data(b"a".to_vec()), Source::File("/k".into()))));
        for (from, to, why) in [("context: c", "context: d", "no context \"d\""), ("https:", "http:", "must begin with https"), ("{client-certificate-data: YQ==, client-key: /k}", "{exec: {command: x}}", "has exec"), (", client-key: /k", "", "belong together")] {
            let told = Remote::read(&text.replace(from, to), Path::new("/")).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        assert!(Remote::read("[", Path::new("/")).is_err());
    }

    #[test]
    fn users_are_named_after_whom_they_are_shown_to() {
        let users = Users::read("users: [{name: '*.ns.svc', user: {token: wild}}, {name: a.ns.svc, user: {token: own}}, {name: 'b.ns.svc:8443', user: {token: port}}, {name: me, user: {token: mine}}]\ncurrent-context: c\ncontexts: [{name: c, context: {user: me}}]\n", Path::new("/")).unwrap();
        let token = |server: &str| match users.of(server).and_then(|c| c.token.clone()) {
            Some(Source::Data(bytes)) => String::from_utf8(bytes).unwrap(),
            _ => String::new(),
        };
        assert_eq!((token("a.ns.svc"), token("c.ns.svc"), token("b.ns.svc:8443"), token("hook.example.com")), ("own".into(), "wild".into(), "port".into(), "mine".into()));
        assert!(Users::default().of("a.ns.svc").is_none());
    }
}
