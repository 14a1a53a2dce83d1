//! Upstream's flags about tokens of service accounts.

use std::path::PathBuf;

use apiserver::AccountTokens;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::access::{api_duration, config_file, duration, file};
use crate::failure::failure;

const HOUR: u64 = 3600;
const MAX_SECONDS: u64 = 1 << 32;

#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountArgs {
    /// Who issues tokens of service accounts; of several the first issues, and all are taken [default: https://kubernetes.default.svc.cluster.local]
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub service_account_issuer: Vec<String>,
    /// Sign them with this private key, RSA or ECDSA [default: DIR/pki/sa.key]
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub service_account_signing_key_file: Option<PathBuf>,
    /// Take tokens of these keys too, private or public; may be given many times
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub service_account_key_file: Vec<PathBuf>,
    /// The longest that a token may hold, from 1h on [default: as long as it is asked for]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub service_account_max_token_expiration: Option<String>,
    /// Let tokens of pods hold for a year, though pods renew them every hour [default: true]
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub service_account_extend_token_expiration: Option<bool>,
    /// Where others find the keys [default: /openid/v1/jwks of this server]
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub service_account_jwks_uri: Option<String>,
    /// Whom tokens for this server are for [default: the issuers]
    #[arg(long, hide_short_help = true, value_name = "NAME", value_delimiter = ',')]
    pub api_audiences: Vec<String>,
}

impl AccountArgs {
    /// What the API server needs to know, the files read.
    pub fn config(&self) -> anyhow::Result<AccountTokens> {
        let usual = AccountTokens::default();
        self.check()?;
        Ok(AccountTokens {
            issuers: if self.service_account_issuer.is_empty() { usual.issuers } else { self.service_account_issuer.clone() },
            audiences: self.api_audiences.clone(),
            max_seconds: self.max_seconds()?,
            extend: self.service_account_extend_token_expiration.unwrap_or(usual.extend),
            jwks_uri: self.service_account_jwks_uri.clone(),
            signing_key: self.service_account_signing_key_file.as_ref().map(config_file).transpose()?,
            keys: self.service_account_key_file.iter().map(config_file).collect::<anyhow::Result<_>>()?,
        })
    }

    /// Upstream: `pkg/kubeapiserver/options/authentication.go`.
    fn check(&self) -> anyhow::Result<()> {
        for (at, issuer) in self.service_account_issuer.iter().enumerate() {
            if issuer.is_empty() {
                return Err(failure("service-account-issuer should not be an empty string", "give an address, such as https://kubernetes.default.svc"));
            }
            if issuer.contains(':') && issuer.parse::<http::Uri>().is_err() {
                return Err(failure(format!("service-account-issuer {issuer:?} contained a ':' but was not a valid URL"), "give an address, such as https://kubernetes.default.svc"));
            }
            if self.service_account_issuer.iter().take(at).any(|other| other == issuer) {
                return Err(failure(format!("service-account-issuer {issuer:?} is already specified"), "name each issuer once"));
            }
        }
        if let Some(uri) = self.service_account_jwks_uri.as_ref().filter(|uri| !uri.starts_with("https://")) {
            return Err(failure(format!("service-account-jwks-uri requires https scheme, parsed as: {uri}"), "give an address that begins with https://"));
        }
        Ok(())
    }

    /// Upstream: `pkg/controlplane/apiserver/options/options.go`; nothing and 0 bound nothing.
    fn max_seconds(&self) -> anyhow::Result<Option<i64>> {
        let Some(text) = &self.service_account_max_token_expiration else { return Ok(None) };
        let seconds = api_duration(text).map_err(anyhow::Error::msg)?.as_secs();
        if seconds == 0 {
            return Ok(None);
        }
        if !(HOUR..=MAX_SECONDS).contains(&seconds) {
            return Err(failure("the service-account-max-token-expiration must be between 1 hour and 2^32 seconds", "give a time such as 24h"));
        }
        Ok(i64::try_from(seconds).ok())
    }
}
