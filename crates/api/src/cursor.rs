//! The `continue` token of a list: which revision the pages show, and the key that the next one begins with.
//!
//! Upstream: `encodeContinue` and `DecodeContinue` in apiserver `pkg/storage/continue.go`. Clients must not read it; it is still
//! input like any other, because they send it back.

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine};
use serde_json::{Value, json};

use crate::ApiError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// None: whatever is newest, where the revision of the first page is gone. On the wire -1.
    pub revision: Option<u64>,
    pub start: String,
}

impl Cursor {
    pub fn token(&self) -> String {
        let revision = self.revision.map_or(json!(-1), Value::from);
        BASE64_URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": self.start}).to_string())
    }

    pub fn parse(token: &str) -> Result<Self, ApiError> {
        read(token).map_err(|why| ApiError::bad_request(format!("invalid continue token: continue key is not valid{why}")))
    }
}

/// What is wrong is told as the end of a sentence.
fn read(token: &str) -> Result<Cursor, String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|error| format!(": illegal base64 data at input byte {}", position(&error, token)))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| format!(": {error}"))?;
    let version = value["v"].as_str().unwrap_or_default();
    if version != "meta.k8s.io/v1" {
        return Err(format!(": server does not recognize this encoded version {version}"));
    }
    let revision = match value["rv"].as_i64() {
        None | Some(0) => return Err(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)".into()),
        Some(revision) => u64::try_from(revision).ok(),
    };
    let start = value["start"].as_str().unwrap_or_default();
    if start.is_empty() {
        return Err(": encoded start key empty (version meta.k8s.io/v1)".into());
    }
    // What Go's path.Clean would change leads elsewhere.
    let is_clean = start.strip_prefix('/').unwrap_or(start).split('/').all(|part| !matches!(part, "" | "." | ".."));
    if is_clean { Ok(Cursor { revision, start: start.to_owned() }) } else { Err(format!(": {start}")) }
}

fn position(error: &DecodeError, token: &str) -> usize {
    match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => *at,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => token.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back() {
        for revision in [Some(7), None] {
            let cursor = Cursor { revision, start: "default/web".into() };
            assert_eq!(Cursor::parse(&cursor.token()).ok(), Some(cursor));
        }
    }

    #[test]
    fn a_forged_one_leads_nowhere() {
        let forged = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        for (token, why) in [
            ("%".to_owned(), ": illegal base64 data at input byte 0"),
            (forged(r#"{"rv":1,"start":"a"}"#), ": server does not recognize this encoded version "),
            (forged(r#"{"v":"meta.k8s.io/v1","start":"a"}"#), ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
            (forged(r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#), ": encoded start key empty (version meta.k8s.io/v1)"),
            (forged(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../secrets/a"}"#), ": ../secrets/a"),
            (forged(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a//b"}"#), ": a//b"),
        ] {
            let refused = Cursor::parse(&token).expect_err("it is forged");
            assert_eq!(refused.message, format!("invalid continue token: continue key is not valid{why}"));
        }
        for token in ["x", "[]", "{}"] {
            assert!(Cursor::parse(&forged(token)).is_err(), "{token}");
        }
    }
}
