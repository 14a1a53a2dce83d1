//! The `continue` token of a list: which revision the pages show, and the key that the next one begins with.
//!
//! Upstream: `encodeContinue` and `DecodeContinue` in apiserver `pkg/storage/continue.go`. Clients must not read it; it is still
//! input like any other, because they send it back.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::ApiError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// 0: whatever is newest, where the revision of the first page is gone.
    pub revision: u64,
    pub start: String,
}

impl Cursor {
    pub fn token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.start}).to_string())
    }

    pub fn parse(token: &str) -> Result<Self, ApiError> {
        let bad = || ApiError::bad_request("continue key is not valid");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|_| bad())?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
        let start = value["start"].as_str().filter(|s| !s.is_empty() && !s.contains("..")).ok_or_else(bad)?;
        Ok(Self { revision: value["rv"].as_u64().ok_or_else(bad)?, start: start.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_and_a_forged_one_nowhere() {
        let cursor = Cursor { revision: 7, start: "default/web".into() };
        assert_eq!(Cursor::parse(&cursor.token()).ok(), Some(cursor.clone()));
        assert_eq!(Cursor::parse(&format!("{}==", cursor.token())).ok(), Some(cursor));
        let forged = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        for token in ["x", "%", &forged("[]"), &forged(r#"{"rv":-1,"start":"a"}"#), &forged(r#"{"rv":1,"start":""}"#), &forged(r#"{"rv":1,"start":"../secrets/a"}"#)] {
            assert!(Cursor::parse(token).is_err(), "{token}");
        }
    }
}
