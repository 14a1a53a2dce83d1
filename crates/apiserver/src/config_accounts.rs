//! How tokens of service accounts are issued and taken: upstream's `--service-account-*` and `--api-audiences`, files read.

use pki::TokenSigner;

use crate::config_file::ConfigFile;

const USUAL_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

#[derive(Debug, Clone)]
pub struct AccountTokens {
    /// `--service-account-issuer`: the first signs, all are taken. Never empty.
    pub issuers: Vec<String>,
    /// `--api-audiences`; empty: the issuers.
    pub audiences: Vec<String>,
    /// `--service-account-max-token-expiration`, in seconds.
    pub max_seconds: Option<i64>,
    /// `--service-account-extend-token-expiration`.
    pub extend: bool,
    /// `--service-account-jwks-uri`.
    pub jwks_uri: Option<String>,
    /// `--service-account-signing-key-file`; none: a key of the cluster's own.
    pub signing_key: Option<ConfigFile>,
    /// `--service-account-key-file`: whose tokens are taken besides.
    pub keys: Vec<ConfigFile>,
}

impl Default for AccountTokens {
    fn default() -> Self {
        Self { issuers: vec![USUAL_ISSUER.into()], audiences: Vec::new(), max_seconds: None, extend: true, jwks_uri: None, signing_key: None, keys: Vec::new() }
    }
}

impl AccountTokens {
    /// Who new tokens say that they are from.
    pub fn issuer(&self) -> &str {
        self.issuers.first().map_or(USUAL_ISSUER, String::as_str)
    }

    pub(crate) fn own_issuers(&self) -> Vec<&str> {
        self.issuers.iter().map(String::as_str).collect()
    }

    /// Whom tokens are for where nobody says otherwise. Upstream: `pkg/kubeapiserver/options/authentication.go`.
    pub fn audiences(&self) -> &[String] {
        if self.audiences.is_empty() { &self.issuers } else { &self.audiences }
    }

    /// Whether OpenID Connect lets others find the keys. Upstream: `NewOpenIDMetadataProvider`.
    pub(crate) fn is_discoverable(&self) -> bool {
        let issuer = self.issuer();
        issuer.starts_with("https://") && !issuer.contains(['?', '#'])
    }

    pub(crate) fn signer(&self, own: TokenSigner) -> Result<TokenSigner, String> {
        if !self.is_discoverable() {
            tracing::warn!(issuer = self.issuer(), "keys of service accounts are not published: the issuer is no plain https address");
        }
        let texts: Vec<String> = self.keys.iter().map(|file| file.text.clone()).collect();
        let signing = self.signing_key.as_ref().map(|file| file.text.as_str());
        own.configured(signing, &texts).map_err(|why| format!("--service-account-key-file, --service-account-signing-key-file: {why}"))
    }
}
