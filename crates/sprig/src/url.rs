//! URLs taken apart and joined as Go's net/url does, with its messages.

use std::net::IpAddr;

use gotemplate::text::quote;
use gotemplate::{Failure, Functions, Map, Outcome, Signature, Str, Type, Value};

use crate::args::{map, text};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Zone,
    Fragment,
}

/// A URL taken apart; user, host, path and fragment without their escapes.
#[derive(Default)]
pub struct Url {
    pub scheme: String,
    opaque: Vec<u8>,
    user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    pub host: Vec<u8>,
    path: Vec<u8>,
    force_query: bool,
    pub query: Vec<u8>,
    pub fragment: Vec<u8>,
}

type Parsed<T> = Result<T, String>;

pub fn register(f: &mut Functions) {
    f.add("urlParse", Signature::fixed(&[Type::String]), |a| url_parse(&text(a, 0)));
    f.add("urlJoin", Signature::fixed(&[Type::Map]), |a| url_join(&map(a, 0)));
}

fn url_parse(raw: &[u8]) -> Outcome {
    let url = parse(raw).map_err(|error| Failure::new(format!("unable to parse url: {error}")))?;
    let entry = |key: &str, value: &[u8]| (Str::from(key), Value::str(value));
    Ok(Value::map([
        entry("scheme", url.scheme.as_bytes()),
        entry("host", &url.host),
        entry("hostname", hostname(&url.host)),
        entry("path", &url.path),
        entry("query", &url.query),
        entry("opaque", &url.opaque),
        entry("fragment", &url.fragment),
        entry("userinfo", &url.userinfo().unwrap_or_default()),
    ]))
}

fn hostname(host: &[u8]) -> &[u8] {
    let bare = match host.iter().rposition(|b| *b == b':') {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    };
    bare.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(bare)
}

fn url_join(parts: &Map) -> Outcome {
    let get = |key: &str| match parts.get(key.as_bytes()) {
        None => Ok(Str::from("")),
        Some(Value::Str(text)) => Ok(text),
        Some(Value::Nil) => Err(Failure::new(crate::args::NIL_POINTER)),
        Some(other) => Err(Failure::new(format!("unable to parse {key} key, must be of type string, but {} found", other.kind_name()))),
    };
    let mut url = Url {
        scheme: get("scheme")?.text().into_owned(),
        host: get("host")?.to_vec(),
        path: get("path")?.to_vec(),
        query: get("query")?.to_vec(),
        opaque: get("opaque")?.to_vec(),
        fragment: get("fragment")?.to_vec(),
        ..Url::default()
    };
    let userinfo = get("userinfo")?;
    if !userinfo.is_empty() {
        let with_user = [b"proto://", &*userinfo, b"@host"].concat();
        url.user = parse(&with_user).map_err(|error| Failure::new(format!("unable to parse userinfo in dict: {error}")))?.user;
    }
    Ok(Value::str(url.joined()))
}

fn should_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() {
        return false;
    }
    if matches!(part, Part::Host | Part::Zone) && b"!$&'()*+,;=:[]<>\"".contains(&byte) {
        return false;
    }
    match byte {
        b'-' | b'_' | b'.' | b'~' => false,
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte == b'?',
            Part::User => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Fragment => false,
            Part::Host | Part::Zone => true,
        },
        b'!' | b'(' | b')' | b'*' if part == Part::Fragment => false,
        _ => true,
    }
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if should_escape(byte, part) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
    out
}

fn unescape(text: &[u8], part: Part) -> Parsed<Vec<u8>> {
    let hex = |at: usize| text.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        if byte != b'%' {
            if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && should_escape(byte, part) {
                return Err(format!("invalid character {} in host name", quote(&[byte])));
            }
            out.push(byte);
            at += 1;
            continue;
        }
        let shown = &text[at..text.len().min(at + 3)];
        let invalid = || format!("invalid URL escape {}", quote(shown));
        let (Some(high), Some(low)) = (hex(at + 1), hex(at + 2)) else { return Err(invalid()) };
        let decoded = u8::try_from(high * 16 + low).unwrap_or(0);
        let refused = match part {
            Part::Host => high < 8 && shown != b"%25",
            Part::Zone => shown != b"%25" && decoded != b' ' && should_escape(decoded, Part::Host),
            _ => false,
        };
        if refused {
            return Err(invalid());
        }
        out.push(decoded);
        at += 3;
    }
    Ok(out)
}

fn cut(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|b| *b == mark) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// `url.Parse`, with its errors.
pub fn parse(raw: &[u8]) -> Parsed<Url> {
    let failed = |shown: &[u8], error: String| format!("parse {}: {error}", quote(shown));
    let (before, fragment) = cut(raw, b'#');
    let mut url = parse_absolute(before).map_err(|error| failed(before, error))?;
    if let Some(fragment) = fragment {
        url.fragment = unescape(fragment, Part::Fragment).map_err(|error| failed(raw, error))?;
    }
    Ok(url)
}

fn scheme(raw: &[u8]) -> Parsed<(&[u8], &[u8])> {
    for (at, byte) in raw.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".into()),
            b':' => return Ok((&raw[..at], &raw[at + 1..])),
            _ => break,
        }
    }
    Ok((b"", raw))
}

fn parse_absolute(raw: &[u8]) -> Parsed<Url> {
    if raw.iter().any(|b| *b < b' ' || *b == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    let mut url = Url::default();
    if raw == b"*" {
        url.path = b"*".to_vec();
        return Ok(url);
    }
    let (name, mut rest) = scheme(raw)?;
    url.scheme = String::from_utf8_lossy(name).to_ascii_lowercase();
    if rest.ends_with(b"?") && rest.iter().filter(|b| **b == b'?').count() == 1 {
        url.force_query = true;
        rest = &rest[..rest.len() - 1];
    } else {
        let (before, query) = cut(rest, b'?');
        rest = before;
        url.query = query.unwrap_or_default().to_vec();
    }
    if !rest.starts_with(b"/") {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_vec();
            return Ok(url);
        }
        if cut(rest, b'/').0.contains(&b':') {
            return Err("first path segment in URL cannot contain colon".into());
        }
    }
    if (!url.scheme.is_empty() || !rest.starts_with(b"///")) && rest.starts_with(b"//") {
        let body = &rest[2..];
        let end = body.iter().position(|b| *b == b'/').unwrap_or(body.len());
        let authority = &body[..end];
        rest = &body[end..];
        url.authority(authority)?;
    }
    url.path = unescape(rest, Part::Path)?;
    Ok(url)
}

fn port_fits(port: &[u8]) -> bool {
    port.is_empty() || (port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit))
}

fn parse_host(host: &[u8]) -> Parsed<Vec<u8>> {
    let bad_port = |port: &[u8]| format!("invalid port {} after host", quote(port));
    let Some(open) = host.iter().rposition(|b| *b == b'[') else {
        if let Some(colon) = host.iter().rposition(|b| *b == b':')
            && !port_fits(&host[colon..])
        {
            return Err(bad_port(&host[colon..]));
        }
        return unescape(host, Part::Host);
    };
    let Some(close) = host.iter().rposition(|b| *b == b']').filter(|close| *close > open) else { return Err("missing ']' in host".into()) };
    let port = &host[close + 1..];
    if !port_fits(port) {
        return Err(bad_port(port));
    }
    let name = &host[open + 1..close];
    let zone = crate::strings::find(name, b"%25").unwrap_or(name.len());
    let address = unescape(&name[..zone], Part::Host)?;
    let shown = String::from_utf8_lossy(&address).into_owned();
    match shown.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => {}
        Ok(IpAddr::V4(_)) => return Err("invalid IP-literal".into()),
        Err(_) => return Err(format!("invalid host: ParseAddr({}): unable to parse IP", quote(&address))),
    }
    let zone = unescape(&name[zone..], Part::Zone)?;
    Ok([b"[", &*address, &*zone, b"]", port].concat())
}

impl Url {
    fn authority(&mut self, authority: &[u8]) -> Parsed<()> {
        let Some(at) = authority.iter().rposition(|b| *b == b'@') else {
            self.host = parse_host(authority)?;
            return Ok(());
        };
        self.host = parse_host(&authority[at + 1..])?;
        let info = &authority[..at];
        if !info.iter().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b)) {
            return Err("net/url: invalid userinfo".into());
        }
        let (name, password) = cut(info, b':');
        let password = password.map(|p| unescape(p, Part::User)).transpose()?;
        self.user = Some((unescape(name, Part::User)?, password));
        Ok(())
    }

    /// `name:password`, escaped.
    pub fn userinfo(&self) -> Option<Vec<u8>> {
        let (name, password) = self.user.as_ref()?;
        let mut out = escape(name, Part::User);
        if let Some(password) = password {
            out.push(b':');
            out.extend(escape(password, Part::User));
        }
        Some(out)
    }

    /// `URL.String`
    fn joined(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(self.scheme.as_bytes());
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.join_hierarchy(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if self.force_query || !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend(escape(&self.fragment, Part::Fragment));
        }
        out
    }

    fn join_hierarchy(&self, out: &mut Vec<u8>) {
        if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
            if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                out.extend_from_slice(b"//");
            }
            if let Some(info) = self.userinfo() {
                out.extend(info);
                out.push(b'@');
            }
            out.extend(escape(&self.host, Part::Host));
        }
        let path = if self.path == b"*" { self.path.clone() } else { escape(&self.path, Part::Path) };
        if !path.is_empty() && path[0] != b'/' && !self.host.is_empty() {
            out.push(b'/');
        }
        if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
            out.extend_from_slice(b"./");
        }
        out.extend(path);
    }
}
