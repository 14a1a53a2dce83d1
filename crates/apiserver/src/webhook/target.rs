//! Where a webhook is, as a `clientConfig` says it.
//!
//! Upstream: apiserver `pkg/util/webhook/client.go`.

use base64::Engine as _;
use catalog::walk;
use http::Uri;
use serde_json::Value;

/// A service, by the port clients know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServicePort {
    pub namespace: String,
    pub name: String,
    pub port: u16,
}

/// Where calls go and whom they trust.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// `host:port`, or the host alone where a URL names no port.
    pub authority: String,
    pub path: String,
    /// Resolved anew for each connection; none for URLs.
    pub service: Option<ServicePort>,
    /// PEM; empty stands for the machine's own roots.
    pub ca_bundle: Vec<u8>,
}

impl Target {
    /// Reads `{url | service, caBundle}` of admission webhooks and of conversion.
    pub fn of(config: &Value) -> Result<Self, String> {
        let ca_bundle = base64::prelude::BASE64_STANDARD.decode(walk::text(config, "caBundle")).map_err(|e| format!("illegal base64 data in caBundle: {e}"))?;
        let service = &config["service"];
        if service.is_object() {
            let port = u16::try_from(walk::int(service, "port")).ok().filter(|p| *p != 0).unwrap_or(443);
            let service = ServicePort { namespace: walk::text(service, "namespace").to_owned(), name: walk::text(service, "name").to_owned(), port };
            let path = path_of(walk::text(config, "service.path"));
            return Ok(Self { authority: format!("{}.{}.svc:{port}", service.name, service.namespace), path, service: Some(service), ca_bundle });
        }
        let url = walk::text(config, "url");
        if url.is_empty() {
            return Err("webhook configuration must have either service or URL".into());
        }
        let uri: Uri = url.parse().map_err(|e| format!("Unparsable URL: parse {url:?}: {e}"))?;
        let authority = uri.authority().ok_or_else(|| format!("Unparsable URL: parse {url:?}: no host"))?;
        if uri.scheme_str() != Some("https") || authority.as_str().contains('@') {
            return Err(format!("Unparsable URL: parse {url:?}: only https is called, without user information"));
        }
        Ok(Self { authority: authority.as_str().to_owned(), path: path_of(uri.path()), service: None, ca_bundle })
    }

    /// The whole address, with the time the caller waits as upstream tells it.
    pub fn url(&self, seconds: u64) -> String {
        format!("https://{}{}?timeout={}", self.authority, self.path, gotime::shown(i64::try_from(seconds).unwrap_or_default().saturating_mul(1_000_000_000)))
    }
}

/// Upstream: paths are cleaned and end without a slash.
fn path_of(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn services_and_urls_are_read_as_upstream_reads_them() {
        let service = Target::of(&json!({"service": {"namespace": "ns", "name": "hook", "path": "/deny/", "port": 8443}, "caBundle": "YWI="})).unwrap();
        assert_eq!((service.url(10).as_str(), service.ca_bundle.as_slice()), ("https://hook.ns.svc:8443/deny?timeout=10s", b"ab".as_slice()));
        assert_eq!(Target::of(&json!({"service": {"namespace": "ns", "name": "hook"}})).unwrap().url(90), "https://hook.ns.svc:443/?timeout=1m30s");
        assert_eq!(Target::of(&json!({"url": "https://hook.example/a"})).unwrap().url(1), "https://hook.example/a?timeout=1s");
        assert!(Target::of(&json!({"url": "http://169.254.169.254/latest"})).is_err());
        assert!(Target::of(&json!({"url": "https://user:pass@hook/"})).is_err());
        assert_eq!(Target::of(&json!({})), Err("webhook configuration must have either service or URL".into()));
    }
}
