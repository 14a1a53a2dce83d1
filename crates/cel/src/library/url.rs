//! URLs. Upstream: k8s.io/apiserver/pkg/cel/library/urls.go over Go's net/url (ParseRequestURI, then Parse).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::collection::{Key, Map};
use crate::functions::{Table, fail, mismatch};
use crate::value::{Evaluated, Text, Value as V};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    user: String,
    host: String,
    path: String,
    query: String,
    fragment: String,
}

/// As Go's url.Error prints: `parse "text": reason`.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    split(text).map_err(|reason| format!("parse {text:?}: {reason}"))
}

fn split(text: &str) -> Result<Url, String> {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    if text.is_empty() {
        return Err("empty url".into());
    }
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !rest.starts_with('/') {
        return Err("invalid URI for request".to_owned()).or_else(|e: String| if scheme.is_empty() { Err(e) } else { Ok(opaque(&scheme, rest, query, fragment)) });
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(after) if !scheme.is_empty() || !rest.starts_with("///") => after.find('/').map_or((after, ""), |i| after.split_at(i)),
        _ => ("", rest),
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    check_host(host)?;
    check_escapes(path)?;
    Ok(Url { scheme, user: user.to_owned(), host: unescape(host, false), path: path.to_owned(), query: query.to_owned(), fragment: fragment.to_owned() })
}

fn opaque(scheme: &str, rest: &str, query: &str, fragment: &str) -> Url {
    Url { scheme: scheme.to_owned(), user: rest.to_owned(), host: String::new(), path: String::new(), query: query.to_owned(), fragment: fragment.to_owned() }
}

fn scheme(text: &str) -> Result<(String, &str), String> {
    for (i, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if i > 0 => {}
            ':' if i == 0 => return Err("missing protocol scheme".into()),
            ':' => return Ok((text[..i].to_ascii_lowercase(), &text[i + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

fn check_host(host: &str) -> Result<(), String> {
    let port = match host.rfind(']') {
        Some(end) if host.starts_with('[') => &host[end + 1..],
        _ if host.starts_with('[') => return Err("missing ']' in host".into()),
        _ => host.rfind(':').map_or("", |i| &host[i..]),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !port.is_empty() && (!port.starts_with(':') || !digits.bytes().all(|b| b.is_ascii_digit())) {
        return Err(format!("invalid port {port:?} after host"));
    }
    if !host.starts_with('[') && host.matches(':').count() > 1 {
        return Err(format!("invalid port {:?} after host", &host[host.find(':').unwrap_or(0)..]));
    }
    if let Some(bad) = host.chars().find(|c| matches!(c, ' ' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        return Err(format!("invalid character {:?} in host name", bad.to_string()));
    }
    check_escapes(host)
}

fn check_escapes(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    for (i, _) in bytes.iter().enumerate().filter(|(_, b)| **b == b'%') {
        let digits = bytes.get(i + 1..i + 3);
        if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
            let shown: String = text[i..].chars().take(3).collect();
            return Err(format!("invalid URL escape {shown:?}"));
        }
    }
    Ok(())
}

fn unescape(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) if plus => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Url {
    fn hostname(&self) -> &str {
        if let Some(inner) = self.host.strip_prefix('[') {
            return inner.split(']').next().unwrap_or(inner);
        }
        self.host.rsplit_once(':').map_or(&self.host, |(host, _)| host)
    }

    fn port(&self) -> &str {
        let after = self.host.rfind(']').map_or(self.host.as_str(), |i| &self.host[i..]);
        after.rsplit_once(':').map_or("", |(_, port)| port)
    }

    fn escaped_path(&self) -> String {
        let mut out = String::with_capacity(self.path.len());
        for byte in self.path.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*%[]".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    }

    fn query<'a>(&self) -> V<'a> {
        let mut rows: BTreeMap<String, Vec<V<'a>>> = BTreeMap::new();
        for pair in self.query.split('&').filter(|p| !p.is_empty() && !p.contains(';')) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            rows.entry(unescape(key, true)).or_default().push(V::string(unescape(value, true)));
        }
        V::Map(Map::of(rows.into_iter().map(|(k, v)| (Key::String(Text::Shared(k.into())), V::list(v))).collect()))
    }
}

fn of<'a>(a: &[V<'a>], part: fn(&Url) -> String) -> Evaluated<'a> {
    match &a[0] {
        V::Url(url) => Ok(V::string(part(url))),
        _ => mismatch(),
    }
}

pub(crate) fn add(table: &mut Table) {
    const TYPE: &str = "kubernetes.URL";
    table.add("url", "string_to_url", "(string) -> kubernetes.URL", |a| match &a[0] {
        V::String(s) => parse(s).map_or_else(|e| fail(format!("URL parse error during conversion from string: {e}")), |u| Ok(V::Url(Arc::new(u)))),
        _ => mismatch(),
    });
    table.add("isURL", "is_url_string", "(string) -> bool", |a| match &a[0] {
        V::String(s) => Ok(V::Bool(parse(s).is_ok())),
        _ => mismatch(),
    });
    table.add_method("getScheme", "url_get_scheme", TYPE, "", "string", |a| of(a, |u| u.scheme.clone()));
    table.add_method("getHost", "url_get_host", TYPE, "", "string", |a| of(a, |u| u.host.clone()));
    table.add_method("getHostname", "url_get_hostname", TYPE, "", "string", |a| of(a, |u| u.hostname().to_owned()));
    table.add_method("getPort", "url_get_port", TYPE, "", "string", |a| of(a, |u| u.port().to_owned()));
    table.add_method("getEscapedPath", "url_get_escaped_path", TYPE, "", "string", |a| of(a, Url::escaped_path));
    table.add_method("getQuery", "url_get_query", TYPE, "", "map(string, list(string))", |a| match &a[0] {
        V::Url(url) => Ok(url.query()),
        _ => mismatch(),
    });
}
