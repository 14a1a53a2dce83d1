//! Bootstrap tokens: what a machine joins a cluster with, kept as Secrets in `kube-system`.
//!
//! Upstream: `plugin/pkg/auth/authenticator/token/bootstrap`, `cluster-bootstrap/util/secrets`, `util/tokens`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use crate::User;

pub const TYPE: &str = "bootstrap.kubernetes.io/token";
/// The Secret's name is this and the token's id.
pub const PREFIX: &str = "bootstrap-token-";
const GROUP: &str = "system:bootstrappers";
/// Longest name of a further group after its beginning. Upstream: `ValidateBootstrapGroupName`.
const MAX_GROUP: usize = 256;

/// Id and secret of a token; none where the text is no such token.
pub fn parse_token(text: &str) -> Option<(&str, &str)> {
    let is = |part: &str, size: usize| part.len() == size && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split_once('.').filter(|(id, secret)| is(id, 6) && is(secret, 16))
}

/// The user of a token whose Secret this is. The error says what is wrong with the Secret, and nothing of the token.
pub fn user(secret: &Value, id: &str, token_secret: &str, now: Timestamp) -> Result<User, String> {
    if api::meta::is_deleting(secret) {
        return Err("is deleted and awaiting removal".into());
    }
    if secret["type"] != TYPE {
        return Err(format!("has invalid type, expected {TYPE}"));
    }
    if !is_same(data(secret, "token-secret").as_bytes(), token_secret.as_bytes()) {
        return Err("has another token-secret".into());
    }
    if data(secret, "token-id") != id {
        return Err("has another token-id".into());
    }
    if has_expired(secret, now) {
        return Err("has expired".into());
    }
    if data(secret, "usage-bootstrap-authentication") != "true" {
        return Err("not marked usage-bootstrap-authentication=true".into());
    }
    let mut user = User { name: format!("system:bootstrap:{id}"), groups: groups(&data(secret, "auth-extra-groups"))?, ..User::default() };
    user.is_authenticated();
    Ok(user)
}

/// Without a hint of where two texts part.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

fn has_expired(secret: &Value, now: Timestamp) -> bool {
    match data(secret, "expiration").as_str() {
        "" => false,
        // Upstream: what cannot be read has ended.
        text => api::time::parse(text).is_none_or(|end| end <= now),
    }
}

fn groups(further: &str) -> Result<Vec<String>, String> {
    let mut groups = vec![GROUP.to_owned()];
    for group in further.split(',').filter(|_| !further.is_empty()) {
        let rest = group.strip_prefix("system:bootstrappers:").unwrap_or_default();
        let letters = rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b':' || b == b'-');
        if rest.is_empty() || rest.len() > MAX_GROUP || !letters || rest.ends_with([':', '-']) {
            return Err(format!("has invalid value for key auth-extra-groups: bootstrap group {group:?} is invalid (must match \\Asystem:bootstrappers:[a-z0-9:-]{{0,255}}[a-z0-9]\\z)"));
        }
        groups.push(group.to_owned());
    }
    groups.sort();
    groups.dedup();
    Ok(groups)
}

fn data(secret: &Value, key: &str) -> String {
    let bytes = secret["data"][key].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
    bytes.and_then(|b| String::from_utf8(b).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_make_users_of_their_tokens_only() {
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        let secret = |changes: &[(&str, &str)]| {
            let mut data = serde_json::Map::new();
            for (key, value) in [("token-id", "abcdef"), ("token-secret", "0123456789abcdef"), ("usage-bootstrap-authentication", "true")].iter().chain(changes) {
                data.insert((*key).to_owned(), BASE64_STANDARD.encode(value).into());
            }
            json!({"type": TYPE, "data": data})
        };
        let told = |changes: &[(&str, &str)]| user(&secret(changes), "abcdef", "0123456789abcdef", now);
        let made = told(&[("auth-extra-groups", "system:bootstrappers:b,system:bootstrappers:a"), ("expiration", "2001-09-09T01:46:41Z")]).unwrap();
        assert_eq!((made.name.as_str(), made.groups.join(" ")), ("system:bootstrap:abcdef", "system:bootstrappers system:bootstrappers:a system:bootstrappers:b system:authenticated".into()));
        for wrong in [
            ("token-secret", "0123456789abcdee"),
            ("token-id", "abcdeg"),
            ("usage-bootstrap-authentication", "yes"),
            ("expiration", "2001-09-09T01:46:40Z"),
            ("expiration", "soon"),
            ("auth-extra-groups", "system:masters"),
            ("auth-extra-groups", "system:bootstrappers:-"),
        ] {
            assert!(told(&[wrong]).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_token("abcdef.0123456789abcdef"), Some(("abcdef", "0123456789abcdef")));
        for text in ["", "abcdef", "ABCDEF.0123456789abcdef", "abcdef.0123456789abcde", "abcdef.0123456789abcdef.x"] {
            assert_eq!(parse_token(text), None);
        }
    }
}
