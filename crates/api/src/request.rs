//! What a request is about, read from method and path alone.
//!
//! Upstream: `RequestInfoFactory` in apiserver `pkg/endpoints/request/requestinfo.go`. Authorization judges exactly
//! this value and handlers serve exactly this value, so that the two never speak of different things.

use http::Method;

use crate::query::{Query, decode};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    pub is_resource: bool,
    pub path: String,
    pub verb: &'static str,
    pub group: String,
    pub version: String,
    pub namespace: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
    /// What follows a `proxy` subresource.
    pub rest: String,
    /// Where many objects are asked for.
    pub field_selector: String,
    pub label_selector: String,
}

impl Info {
    pub fn parse(method: &Method, path: &str, query: &Query) -> Self {
        let plain = || Self { path: path.to_owned(), verb: lower(method), ..Self::default() };
        let raw: Vec<&str> = path.trim_matches('/').split('/').collect();
        let mut parts = raw.as_slice();
        let (group, version) = match parts {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                parts = rest;
                ("", *version)
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                parts = rest;
                (*group, *version)
            }
            _ => return plain(),
        };
        let mut info = Self { is_resource: true, path: path.to_owned(), group: decode(group), version: decode(version), ..Self::default() };
        let watch_prefix = parts.first() == Some(&"watch") && parts.len() > 1;
        if watch_prefix {
            parts = &parts[1..];
        }
        info.place(parts, path);
        info.verb = info.verb_of(method, query, watch_prefix);
        if matches!(info.verb, "list" | "watch" | "deletecollection") && info.name.is_empty() && !watch_prefix {
            info.field_selector = query.get("fieldSelector").to_owned();
            info.label_selector = query.get("labelSelector").to_owned();
        }
        if matches!(info.verb, "list" | "watch" | "deletecollection") && info.name.is_empty() {
            // Upstream: a selector for one name is judged as a request for that name.
            let selector = query.get("fieldSelector");
            if let Ok(selector) = crate::selector::FieldSelector::parse(selector)
                && let Some(name) = selector.exact("metadata.name")
                && segment_fault(name).is_none()
            {
                info.name = name.to_owned();
            }
        }
        info
    }

    fn place(&mut self, parts: &[&str], path: &str) {
        let mut parts = parts;
        if let ["namespaces", namespace, rest @ ..] = parts {
            // `/namespaces/x/status` and `/namespaces/x/finalize` are parts of the namespace itself.
            if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) {
                self.namespace = decode(namespace);
                parts = rest;
            } else {
                self.namespace = decode(namespace);
            }
        }
        let mut at = parts.iter().map(|p| decode(p));
        self.resource = at.next().unwrap_or_default();
        self.name = at.next().unwrap_or_default();
        self.subresource = at.next().unwrap_or_default();
        if self.subresource == "proxy" {
            let marker = "/proxy/";
            self.rest = path.split_once(marker).map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        }
    }

    fn verb_of(&self, method: &Method, query: &Query, watch_prefix: bool) -> &'static str {
        match *method {
            Method::GET | Method::HEAD if self.name.is_empty() || watch_prefix => {
                if watch_prefix || query.flag("watch") {
                    "watch"
                } else {
                    "list"
                }
            }
            Method::GET | Method::HEAD => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if self.name.is_empty() => "deletecollection",
            Method::DELETE => "delete",
            _ => "",
        }
    }
}

/// Why a name can be no segment of a path. Upstream: `IsValidPathSegmentName` in apimachinery `pkg/api/validation/path`.
pub fn segment_fault(name: &str) -> Option<&'static str> {
    match name {
        "." => Some("may not be '.'"),
        ".." => Some("may not be '..'"),
        name if name.contains('/') => Some("may not contain '/'"),
        name if name.contains('%') => Some("may not contain '%'"),
        _ => None,
    }
}

fn lower(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: Method, uri: &str) -> Info {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        Info::parse(&method, path, &Query::parse(query))
    }

    #[test]
    fn reads_paths_as_upstream_does() {
        let shown = |method, uri| {
            let i = parse(method, uri);
            format!("{} {}|{}|{}|{}|{}|{}", i.verb, i.group, i.version, i.namespace, i.resource, i.name, i.subresource)
        };
        assert_eq!(shown(Method::GET, "/api/v1/namespaces/a/pods"), "list |v1|a|pods||");
        assert_eq!(shown(Method::GET, "/api/v1/namespaces/a/pods?watch=1"), "watch |v1|a|pods||");
        assert_eq!(shown(Method::GET, "/api/v1/watch/namespaces/a/pods/x"), "watch |v1|a|pods|x|");
        assert_eq!(shown(Method::GET, "/api/v1/namespaces/a"), "get |v1|a|namespaces|a|");
        assert_eq!(shown(Method::PUT, "/api/v1/namespaces/a/finalize"), "update |v1|a|namespaces|a|finalize");
        assert_eq!(shown(Method::POST, "/api/v1/namespaces/a/pods/x/binding"), "create |v1|a|pods|x|binding");
        assert_eq!(shown(Method::DELETE, "/apis/apps/v1/namespaces/a/deployments"), "deletecollection apps|v1|a|deployments||");
        assert_eq!(shown(Method::GET, "/api/v1/pods?fieldSelector=metadata.name%3Dx"), "list |v1||pods|x|");
        assert_eq!(parse(Method::GET, "/api/v1/namespaces/a/services/s:80/proxy/x/y").rest, "x/y");
        assert!(!parse(Method::GET, "/apis/apps/v1").is_resource && !parse(Method::GET, "/healthz").is_resource);
    }
}
