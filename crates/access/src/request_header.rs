//! Front proxies: who showed the right certificate names the user in headers.
//!
//! Upstream: apiserver `pkg/authentication/request/headerrequest/requestheader.go`, `pkg/server/options/authentication.go`.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::User;

/// What names users, and whom it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The authority of front proxies, in PEM.
    pub client_ca: String,
    /// Common names of their certificates; empty: any.
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_headers_prefix: Vec<String>,
    pub uid_headers: Vec<String>,
}

impl RequestHeader {
    /// The headers that everybody uses.
    pub fn usual(client_ca: &str, name: &str) -> Self {
        let one = |text: &str| vec![text.to_owned()];
        Self {
            client_ca: client_ca.to_owned(),
            allowed_names: one(name),
            username_headers: one("X-Remote-User"),
            group_headers: one("X-Remote-Group"),
            extra_headers_prefix: one("X-Remote-Extra-"),
            uid_headers: one("X-Remote-Uid"),
        }
    }

    /// What cannot be used.
    pub fn check(&self) -> Result<(), String> {
        for (flag, names) in [
            ("requestheader-username-headers", &self.username_headers),
            ("requestheader-group-headers", &self.group_headers),
            ("requestheader-extra-headers-prefix", &self.extra_headers_prefix),
            ("requestheader-uid-headers", &self.uid_headers),
            ("requestheader-allowed-names", &self.allowed_names),
        ] {
            if names.iter().any(|name| name.trim().is_empty()) {
                return Err(format!("empty value in {flag:?}"));
            }
        }
        Ok(())
    }

    pub fn allows(&self, common_name: &str) -> bool {
        self.allowed_names.is_empty() || self.allowed_names.iter().any(|name| name == common_name)
    }

    /// The user that headers name; none where they name none.
    pub fn user(&self, headers: &HeaderMap) -> Option<User> {
        let all = |names: &[String]| -> Vec<String> {
            let values = names.iter().flat_map(|name| headers.get_all(name.trim().to_ascii_lowercase()));
            values.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).filter(|v| !v.is_empty()).collect()
        };
        let first = |names: &[String]| all(names).into_iter().next();
        let mut user = User { name: first(&self.username_headers)?, groups: all(&self.group_headers), uid: first(&self.uid_headers).unwrap_or_default(), ..User::default() };
        for prefix in &self.extra_headers_prefix {
            for (name, value) in headers {
                if let Some(key) = name.as_str().strip_prefix(prefix.trim().to_ascii_lowercase().as_str()) {
                    user.extra.entry(unescaped(key)).or_default().push(String::from_utf8_lossy(value.as_bytes()).into_owned());
                }
            }
        }
        user.is_authenticated();
        Some(user)
    }

    /// The ConfigMap from which other servers learn whom to believe. `client_ca` is the authority of clients' certificates.
    ///
    /// Upstream: `pkg/controlplane/controller/clusterauthenticationtrust`.
    pub fn published(&self, client_ca: &str) -> Value {
        let list = |items: &[String]| json!(items).to_string();
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"}, "data": {
            "client-ca-file": client_ca,
            "requestheader-allowed-names": list(&self.allowed_names),
            "requestheader-client-ca-file": self.client_ca,
            "requestheader-extra-headers-prefix": list(&self.extra_headers_prefix),
            "requestheader-group-headers": list(&self.group_headers),
            "requestheader-uid-headers": list(&self.uid_headers),
            "requestheader-username-headers": list(&self.username_headers),
        }})
    }
}

/// Upstream: Go's `url.PathUnescape`; what is no such text stays as it is.
fn unescaped(key: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| (b as char).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else { return key.to_owned() };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).unwrap_or_else(|_| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_users() {
        let front = RequestHeader::usual("", "front");
        let mut headers = HeaderMap::new();
        assert_eq!(front.user(&headers), None);
        for (name, value) in [("x-remote-user", "eva"), ("x-remote-group", "a"), ("x-remote-group", "b"), ("x-remote-uid", "7"), ("x-remote-extra-example.org%2fteam", "blue"), ("x-remote-extra-%zz", "x")] {
            headers.append(name, value.parse().unwrap());
        }
        let user = front.user(&headers).unwrap();
        assert_eq!((user.name.as_str(), user.groups.join(" "), user.uid.as_str()), ("eva", "a b system:authenticated".into(), "7"));
        assert_eq!((&user.extra["example.org/team"][0], &user.extra["%zz"][0]), (&"blue".to_owned(), &"x".to_owned()));
        assert!(front.allows("front") && !front.allows("other"));
        assert_eq!(RequestHeader { group_headers: vec![" ".into()], ..front }.check(), Err("empty value in \"requestheader-group-headers\"".into()));
    }
}
