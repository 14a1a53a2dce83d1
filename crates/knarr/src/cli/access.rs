//! Upstream's flags about who may ask, what he may and what is made of it, under upstream's names. They are kept with the cluster's settings as they are given here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use apiserver::{AccessConfig, AdmissionConfig, AuthorizationConfig, AuthorizationFlags, ConfigFile, Features, OidcFlags, PairFiles, RequestHeader, ServingFiles, TokenWebhookConfig};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::accounts::AccountArgs;
use super::audit::AuditArgs;
use super::limits::LimitArgs;
use super::serving::ServingArgs;
use crate::failure::failure;

/// Who may ask, and how they show it.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[command(next_help_heading = "Identities, rights, admission")]
#[serde(default)]
pub struct AccessArgs {
    /// Serve requests without credentials as system:anonymous [default: health and version only]
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub anonymous_auth: Option<bool>,
    /// Who may issue tokens, as an AuthenticationConfiguration
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub authentication_config: Option<PathBuf>,
    /// Take the tokens of this OpenID Connect issuer (https)
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub oidc_issuer_url: Option<String>,
    /// The audience that its tokens must have
    #[arg(long, hide_short_help = true, value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// Authority of its certificate [default: the machine's roots]
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub oidc_ca_file: Option<PathBuf>,
    /// The claim that names the user [default: sub]
    #[arg(long, hide_short_help = true, value_name = "CLAIM")]
    pub oidc_username_claim: Option<String>,
    /// What user names begin with; - for nothing [default: the issuer and #, but for the claim email]
    #[arg(long, hide_short_help = true, value_name = "TEXT", allow_hyphen_values = true)]
    pub oidc_username_prefix: Option<String>,
    /// The claim that holds groups
    #[arg(long, hide_short_help = true, value_name = "CLAIM")]
    pub oidc_groups_claim: Option<String>,
    /// What groups begin with
    #[arg(long, hide_short_help = true, value_name = "TEXT")]
    pub oidc_groups_prefix: Option<String>,
    /// A claim that tokens must hold with this value; may be given many times
    #[arg(long, hide_short_help = true, value_name = "CLAIM=VALUE")]
    pub oidc_required_claim: Vec<String>,
    /// How tokens may be signed [default: RS256]
    #[arg(long, hide_short_help = true, value_name = "ALG", value_delimiter = ',')]
    pub oidc_signing_algs: Vec<String>,
    /// Ask this webhook about tokens that nothing else knows; a kubeconfig says how it is reached
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub authentication_token_webhook_config_file: Option<PathBuf>,
    /// Version of the TokenReview that it is sent: v1 or v1beta1 [default: v1beta1]
    #[arg(long, hide_short_help = true, value_name = "VERSION")]
    pub authentication_token_webhook_version: Option<String>,
    /// How long its answers hold [default: 2m0s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub authentication_token_webhook_cache_ttl: Option<String>,
    /// Take the tokens of this file: token,user,uid,"group1,group2" a line
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub token_auth_file: Option<PathBuf>,
    /// Take bootstrap tokens: Secrets of type bootstrap.kubernetes.io/token in kube-system
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enable_bootstrap_token_auth: Option<bool>,
    /// Take client certificates of these authorities besides the cluster's own
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub client_ca_file: Option<PathBuf>,
    /// Authority of front proxies, which name users in headers [default: the cluster's own]
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Common names of their certificates [default: any that the authority signed]
    #[arg(long, hide_short_help = true, value_name = "NAME", value_delimiter = ',', requires = "requestheader_client_ca_file")]
    pub requestheader_allowed_names: Vec<String>,
    /// Headers that name the user [default: X-Remote-User]
    #[arg(long, hide_short_help = true, value_name = "HEADER", value_delimiter = ',', requires = "requestheader_client_ca_file")]
    pub requestheader_username_headers: Vec<String>,
    /// Headers that name groups [default: X-Remote-Group]
    #[arg(long, hide_short_help = true, value_name = "HEADER", value_delimiter = ',', requires = "requestheader_client_ca_file")]
    pub requestheader_group_headers: Vec<String>,
    /// What headers with further facts begin with [default: X-Remote-Extra-]
    #[arg(long, hide_short_help = true, value_name = "TEXT", value_delimiter = ',', requires = "requestheader_client_ca_file")]
    pub requestheader_extra_headers_prefix: Vec<String>,
    /// Headers that hold the user's uid [default: X-Remote-Uid]
    #[arg(long, hide_short_help = true, value_name = "HEADER", value_delimiter = ',', requires = "requestheader_client_ca_file")]
    pub requestheader_uid_headers: Vec<String>,
    /// Who judges rights, in this order: Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny [default: Node,RBAC]
    #[arg(long, hide_short_help = true, value_name = "MODE", value_delimiter = ',')]
    pub authorization_mode: Vec<String>,
    /// The webhook of mode Webhook; a kubeconfig says how it is reached
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub authorization_webhook_config_file: Option<PathBuf>,
    /// Version of the SubjectAccessReview that it is sent: v1 or v1beta1 [default: v1beta1]
    #[arg(long, hide_short_help = true, value_name = "VERSION")]
    pub authorization_webhook_version: Option<String>,
    /// How long its answers hold that allow [default: 5m0s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub authorization_webhook_cache_authorized_ttl: Option<String>,
    /// How long its answers hold that do not [default: 30s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub authorization_webhook_cache_unauthorized_ttl: Option<String>,
    /// Admission plug-ins to turn on besides the usual ones
    #[arg(long, hide_short_help = true, value_name = "PLUGIN", value_delimiter = ',')]
    pub enable_admission_plugins: Vec<String>,
    /// Usual admission plug-ins to turn off
    #[arg(long, hide_short_help = true, value_name = "PLUGIN", value_delimiter = ',')]
    pub disable_admission_plugins: Vec<String>,
    /// Settings of admission plug-ins, as an AdmissionConfiguration
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub admission_control_config_file: Option<PathBuf>,
    /// What is encrypted where it is kept, and by whom, as an EncryptionConfiguration [default: Secrets, by keys of its own]
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub encryption_provider_config: Option<PathBuf>,
    /// Follow changes of that file while the server runs
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub encryption_provider_config_automatic_reload: Option<bool>,
    /// Through which proxies nodes, pods, webhooks and others are reached: a file with an EgressSelectorConfiguration
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    pub egress_selector_config_file: Option<PathBuf>,
    /// Certificate to show instead of the one that the cluster's own authority issues; the cluster's pods trust that authority alone
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub tls_cert_file: Option<PathBuf>,
    /// Its key
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub tls_private_key_file: Option<PathBuf>,
    /// A certificate for clients that ask for other names; may be given many times
    #[arg(long, hide_short_help = true, value_name = "CERT,KEY[:NAME,...]")]
    pub tls_sni_cert_key: Vec<String>,
    /// Features to turn on or off, such as CBORServingAndStorage=true
    #[arg(long, hide_short_help = true, value_name = "NAME=BOOL", value_delimiter = ',')]
    pub feature_gates: Vec<String>,
    /// Who judges rights, as an AuthorizationConfiguration
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub authorization_config: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    pub accounts: AccountArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub audit: AuditArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub serving: ServingArgs,
}

/// A file's path from the root on: the server in the background runs elsewhere.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|e| e.to_string())
}

/// A duration as Go writes it. It is kept as it is given.
pub(crate) fn duration(text: &str) -> Result<String, String> {
    api_duration(text).map(|_| text.to_owned())
}

pub(super) fn api_duration(text: &str) -> Result<Duration, String> {
    gotime::at_least_zero(text).ok_or_else(|| format!("{text:?} is no duration: write it like 30s or 2m0s"))
}

impl AccessArgs {
    /// These flags over those of the last start.
    pub fn over(&self, saved: &Self) -> anyhow::Result<Self> {
        let mut merged = saved.given()?;
        merged.extend(self.given()?);
        Ok(serde_json::from_value(Value::Object(merged))?)
    }

    /// The flags that were given, by their names in Rust.
    fn given(&self) -> anyhow::Result<Map<String, Value>> {
        let Value::Object(all) = serde_json::to_value(self)? else { return Ok(Map::new()) };
        Ok(all.into_iter().filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())).collect())
    }

    /// The flags as a command line has them.
    pub fn words(&self) -> anyhow::Result<Vec<String>> {
        let mut words = Vec::new();
        for (name, value) in self.given()? {
            let flag = format!("--{}", name.replace('_', "-"));
            let values = if let Value::Array(many) = value { many } else { vec![value] };
            words.extend(values.iter().map(|v| format!("{flag}={}", v.as_str().map_or_else(|| v.to_string(), str::to_owned))));
        }
        Ok(words)
    }

    /// What the API server needs to know, the files read.
    pub fn config(&self) -> anyhow::Result<AccessConfig> {
        Ok(AccessConfig {
            oidc: self.oidc()?,
            authentication: self.authentication_config.as_ref().map(config_file).transpose()?,
            anonymous: self.anonymous_auth,
            token_webhook: self.authentication_token_webhook_config_file.as_ref().map(|file| self.token_webhook(file)).transpose()?,
            bootstrap_tokens: self.bootstrap_tokens(),
            token_file: self.token_auth_file.as_ref().map(text).transpose()?,
            client_ca: self.client_ca_file.as_ref().map(config_file).transpose()?,
            front_ca: self.requestheader_client_ca_file.as_ref().map(config_file).transpose()?,
            serving: self.serving()?,
            authorization: self.authorization()?,
            request_header: self.requestheader_client_ca_file.as_ref().map(|file| self.request_header(file)).transpose()?,
        })
    }

    pub fn features(&self) -> anyhow::Result<Features> {
        Features::read(&self.feature_gates).map_err(|why| failure(why, "give --feature-gates=NAME=true with upstream's names, and none that upstream has locked"))
    }

    pub fn encryption(&self) -> anyhow::Result<Option<ConfigFile>> {
        if self.encryption_provider_config.is_none() && self.encryption_provider_config_automatic_reload == Some(true) {
            // Upstream: apiserver `pkg/server/options/etcd.go`.
            return Err(failure("--encryption-provider-config-automatic-reload must be set with --encryption-provider-config", "name the file"));
        }
        self.encryption_provider_config.as_ref().map(config_file).transpose()
    }

    /// The text of the ways out.
    pub fn egress(&self) -> anyhow::Result<Option<String>> {
        Ok(self.egress_selector_config_file.as_ref().map(config_file).transpose()?.map(|file| file.text))
    }

    fn serving(&self) -> anyhow::Result<ServingFiles> {
        let usual = match (&self.tls_cert_file, &self.tls_private_key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(PairFiles::read(certificate, key, Vec::new())?),
            _ => return Err(failure("--tls-cert-file and --tls-private-key-file belong together", "give both")),
        };
        let named = |word: &String| {
            // Upstream: `cert,key[:pattern,...]`, component-base `cli/flag/namedcertkey_flag.go`.
            let (files, names) = word.split_once(':').unwrap_or((word, ""));
            let names = names.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
            let (certificate, key) = files.split_once(',').ok_or_else(|| failure("expected comma separated certificate and key file paths", "write --tls-sni-cert-key CERT,KEY:NAME,..."))?;
            PairFiles::read(Path::new(certificate.trim()), Path::new(key.trim()), names).with_context(|| word.clone())
        };
        Ok(ServingFiles { usual, named: self.tls_sni_cert_key.iter().map(named).collect::<anyhow::Result<_>>()? })
    }

    pub fn admission(&self) -> anyhow::Result<AdmissionConfig> {
        let file = self.admission_control_config_file.as_ref().map(|file| Ok::<_, anyhow::Error>((text(file)?, folder(file)))).transpose()?;
        Ok(AdmissionConfig { enable: self.enable_admission_plugins.clone(), disable: self.disable_admission_plugins.clone(), file })
    }

    fn authorization(&self) -> anyhow::Result<AuthorizationConfig> {
        let has_flags = self.given()?.keys().any(|name| name == "authorization_mode" || name.starts_with("authorization_webhook_"));
        if let Some(file) = &self.authorization_config {
            if has_flags {
                return Err(failure("--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined", "say it all in the file"));
            }
            return Ok(AuthorizationConfig::File(config_file(file)?));
        }
        if !has_flags {
            return Ok(AuthorizationConfig::Usual);
        }
        let time = |given: &Option<String>, usual: &str| api_duration(given.as_deref().unwrap_or(usual)).map_err(anyhow::Error::msg);
        let usual = || ["Node", "RBAC"].map(str::to_owned).into();
        Ok(AuthorizationConfig::Flags(AuthorizationFlags {
            modes: if self.authorization_mode.is_empty() { usual() } else { self.authorization_mode.clone() },
            webhook_config: self.authorization_webhook_config_file.clone(),
            webhook_version: self.authorization_webhook_version.clone().unwrap_or_else(|| "v1beta1".into()),
            authorized: time(&self.authorization_webhook_cache_authorized_ttl, "5m0s")?,
            unauthorized: time(&self.authorization_webhook_cache_unauthorized_ttl, "30s")?,
        }))
    }

    pub fn bootstrap_tokens(&self) -> bool {
        self.enable_bootstrap_token_auth == Some(true)
    }

    fn token_webhook(&self, file: &PathBuf) -> anyhow::Result<TokenWebhookConfig> {
        let ttl = self.authentication_token_webhook_cache_ttl.as_deref().unwrap_or("2m0s");
        Ok(TokenWebhookConfig {
            kubeconfig: text(file)?,
            folder: folder(file),
            version: self.authentication_token_webhook_version.clone().unwrap_or_else(|| "v1beta1".into()),
            cache_ttl: api_duration(ttl).map_err(anyhow::Error::msg)?,
        })
    }

    fn request_header(&self, file: &PathBuf) -> anyhow::Result<RequestHeader> {
        let usual = RequestHeader::usual(&text(file)?, "");
        let or = |given: &Vec<String>, usual: Vec<String>| if given.is_empty() { usual } else { given.clone() };
        Ok(RequestHeader {
            allowed_names: self.requestheader_allowed_names.clone(),
            username_headers: or(&self.requestheader_username_headers, usual.username_headers),
            group_headers: or(&self.requestheader_group_headers, usual.group_headers),
            extra_headers_prefix: or(&self.requestheader_extra_headers_prefix, usual.extra_headers_prefix),
            uid_headers: or(&self.requestheader_uid_headers, usual.uid_headers),
            client_ca: usual.client_ca,
        })
    }

    fn oidc(&self) -> anyhow::Result<Option<OidcFlags>> {
        if !self.given()?.keys().any(|name| name.starts_with("oidc_")) {
            return Ok(None);
        }
        let (Some(issuer_url), Some(client_id)) = (self.oidc_issuer_url.clone(), self.oidc_client_id.clone()) else {
            return Err(failure("oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set", "give --oidc-issuer-url and --oidc-client-id"));
        };
        let pair = |text: &String| {
            let pair = text.split_once('=').map(|(claim, value)| (claim.trim().to_owned(), value.to_owned()));
            pair.ok_or_else(|| failure(format!("{text:?} is no required claim"), "write --oidc-required-claim CLAIM=VALUE"))
        };
        let word = |value: &Option<String>| value.clone().unwrap_or_default();
        Ok(Some(OidcFlags {
            issuer_url,
            client_id,
            ca: self.oidc_ca_file.as_ref().map(text).transpose()?.unwrap_or_default(),
            username_claim: word(&self.oidc_username_claim),
            username_prefix: word(&self.oidc_username_prefix),
            groups_claim: word(&self.oidc_groups_claim),
            groups_prefix: word(&self.oidc_groups_prefix),
            required_claims: self.oidc_required_claim.iter().map(pair).collect::<anyhow::Result<_>>()?,
            signing_algs: self.oidc_signing_algs.clone(),
        }))
    }
}

/// Where a file's own references begin.
fn folder(file: &Path) -> PathBuf {
    file.parent().map(Path::to_owned).unwrap_or_default()
}

pub(super) fn config_file(path: &PathBuf) -> anyhow::Result<ConfigFile> {
    ConfigFile::read(path).with_context(|| path.display().to_string())
}

fn text(path: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        access: AccessArgs,
    }

    fn line(words: &[&str]) -> AccessArgs {
        Line::parse_from(["x"].iter().chain(words)).access
    }

    #[test]
    fn flags_are_kept_and_passed_on() {
        let saved = line(&["--oidc-issuer-url=https://a", "--oidc-client-id", "x", "--oidc-signing-algs=RS256,ES256", "--anonymous-auth", "--oidc-ca-file=ca.crt"]);
        let now = line(&["--oidc-client-id=y", "--anonymous-auth=false", "--oidc-username-prefix", "-"]).over(&saved).unwrap();
        assert_eq!((now.oidc_issuer_url.as_deref(), now.oidc_client_id.as_deref(), now.anonymous_auth), (Some("https://a"), Some("y"), Some(false)));
        assert!(now.oidc_ca_file.as_ref().is_some_and(|p| p.is_absolute()));
        let words = now.words().unwrap();
        assert!(words.contains(&"--oidc-signing-algs=ES256".into()) && words.contains(&"--anonymous-auth=false".into()), "{words:?}");
        assert_eq!(line(&words.iter().map(String::as_str).collect::<Vec<_>>()), now);
        assert_eq!(serde_json::from_str::<AccessArgs>("{}").unwrap(), AccessArgs::default());
    }

    #[test]
    fn flags_that_need_each_other_are_told() {
        assert!(line(&[]).config().unwrap().oidc.is_none());
        assert!(line(&["--oidc-client-id=x"]).config().unwrap_err().to_string().contains("must be specified together"));
        assert!(line(&["--oidc-issuer-url=https://a", "--oidc-client-id=x", "--oidc-required-claim=a"]).config().is_err());
    }
}
