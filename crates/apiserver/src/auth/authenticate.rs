//! Credentials to identities: client certificates, front proxies, and tokens of service accounts, of joining machines, of
//! identity providers, and such as a webhook knows.
//!
//! Upstream: `pkg/kubeapiserver/authenticator/config.go`: each kind is asked in turn; what one refuses another may know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use access::{Issuer, TokenFile};
use access::configuration::{Anonymous, Authentication};
use access::jwt::Token;
use arc_swap::ArcSwap;
use http::HeaderMap;
use pki::TokenSigner;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Store;

use super::bootstrap_tokens::BootstrapTokens;
use super::cache::Cache;
use super::certificate::{Certificates, Shown};
use super::provider::Provider;
use super::service_accounts::ServiceAccounts;
use super::token_webhook::TokenWebhook;
use crate::config::{AccessConfig, AccountTokens, Config};
use crate::health;
use crate::user::User;
use crate::webhook::Services;

/// Upstream: `TokenSuccessCacheTTL`.
const TOKENS_HOLD: Duration = Duration::from_secs(10);

/// Where a request comes from.
#[derive(Debug, Clone)]
pub enum Peer {
    /// A component of this process, under its own identity.
    Local(User),
    /// A connection, with what is known of the certificate it showed.
    Remote { certificate: Option<Arc<Shown>>, address: std::net::IpAddr },
}

pub struct Authenticator {
    certificates: ArcSwap<Certificates>,
    accounts: ServiceAccounts,
    file: TokenFile,
    bootstrap: Option<BootstrapTokens>,
    webhook: Option<TokenWebhook>,
    providers: ArcSwap<Providers>,
    anonymous: Anonymous,
    /// What the configuration file said of requests without credentials at the start.
    anonymous_of_file: Option<Anonymous>,
}

/// Identity providers as they are configured.
struct Providers {
    all: Vec<Provider>,
    /// Users of tokens that were verified with some effort, by the tokens' digests.
    verified: Cache<[u8; 32], User>,
}

impl Providers {
    fn new(issuers: Vec<Issuer>, services: &Services) -> Result<Self, String> {
        let all = issuers.into_iter().map(|issuer| Provider::new(issuer, services)).collect::<Result<_, _>>()?;
        Ok(Self { all, verified: Cache::new() })
    }
}

impl Authenticator {
    pub fn new(signer: TokenSigner, certificates: Certificates, accounts: &AccountTokens, access: &AccessConfig, store: &Store, services: &Services) -> Result<Self, String> {
        let configured = access.authentication(&accounts.issuers)?;
        let Authentication { issuers, anonymous } = configured;
        let providers = Providers::new(issuers, services)?;
        Ok(Self {
            certificates: ArcSwap::from_pointee(certificates),
            accounts: ServiceAccounts::new(signer, accounts, store),
            file: access.token_file.as_deref().map(TokenFile::read).transpose().map_err(|why| format!("--token-auth-file: {why}"))?.unwrap_or_default(),
            bootstrap: access.bootstrap_tokens.then(|| BootstrapTokens::new(store)),
            webhook: access.token_webhook.as_ref().map(|config| TokenWebhook::new(config, services)).transpose()?,
            providers: ArcSwap::from_pointee(providers),
            anonymous_of_file: access.authentication.as_ref().and(access.anonymous.is_none().then_some(anonymous.clone()).flatten()),
            anonymous: anonymous.unwrap_or_default(),
        })
    }

    /// Whose certificates count now.
    pub fn certificates(&self) -> Arc<Certificates> {
        self.certificates.load_full()
    }

    /// From now on these count, on connections that are open too.
    pub fn renew_certificates(&self, certificates: Certificates) {
        self.certificates.store(Arc::new(certificates));
    }

    /// Takes tokens of whom a configuration file names now. Upstream: what it says of requests without credentials cannot change.
    pub fn renew_providers(&self, text: &str, config: &Config, services: &Services) -> Result<(), String> {
        if text.is_empty() {
            return Err("empty config data".into());
        }
        let Authentication { issuers, anonymous } = Authentication::read(text, &config.accounts.own_issuers())?;
        if anonymous != self.anonymous_of_file {
            return Err("anonymous: Forbidden: changed from initial configuration file".into());
        }
        self.providers.store(Arc::new(Providers::new(issuers, services)?));
        Ok(())
    }

    /// Whether a request without credentials is served at a path, if rights allow.
    pub fn serves_anonymous(&self, path: &str) -> bool {
        match &self.anonymous {
            Anonymous::Public => health::is_public(path),
            Anonymous::Everywhere => true,
            Anonymous::At(paths) => paths.iter().any(|p| p == path),
            Anonymous::Nowhere => false,
        }
    }

    /// The identity behind a request; none where it carries no credentials. Bad credentials are an error.
    pub async fn request(&self, store: &Store, peer: &Peer, headers: &HeaderMap) -> Result<Option<User>, String> {
        match peer {
            Peer::Local(user) => return Ok(Some(user.clone())),
            Peer::Remote { certificate: Some(certificate), .. } => {
                if let Some(user) = certificate.user(&self.certificates.load(), headers) {
                    return Ok(Some(user));
                }
            }
            Peer::Remote { certificate: None, .. } => {}
        }
        let shows_certificate = matches!(peer, Peer::Remote { certificate: Some(_), .. });
        let header = headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if let Some(token) = bearer(header) {
            return self.token(store, token, &[]).await.map(|(user, _)| Some(user));
        }
        match websocket_token(headers) {
            Some(token) => self.token(store, &token, &[]).await.map(|(user, _)| Some(user)),
            // Upstream: a bad certificate is no way to stay unknown.
            None if shows_certificate => Err("no authority of clients stands behind the certificate, or it has ended".into()),
            None if header.is_empty() => Ok(None),
            None => Err("unsupported credentials".into()),
        }
    }

    pub fn sign(&self, claims: &Value) -> Result<String, pki::Error> {
        self.accounts.sign(claims)
    }

    pub fn jwks(&self) -> Value {
        self.accounts.jwks()
    }

    /// How tokens of service accounts are signed.
    pub fn algorithms(&self) -> Vec<String> {
        self.accounts.algorithms()
    }

    /// The user behind a token; `wanted` audiences default to the server's own.
    pub async fn token(&self, store: &Store, token: &str, wanted: &[&str]) -> Result<(User, Vec<String>), String> {
        let own = self.accounts.audiences();
        let wanted = if wanted.is_empty() { &own[..] } else { wanted };
        let mut why = match self.accounts.token(store, token, wanted) {
            Ok(found) => return Ok(found),
            Err(why) => why,
        };
        // Upstream: these tokens are for the server itself, whatever they say.
        let shared: Vec<String> = own.iter().filter(|a| wanted.contains(a)).map(|a| (*a).to_owned()).collect();
        if !shared.is_empty() {
            let for_server = |user| (user, shared.clone());
            if let Some(user) = self.file.user(token) {
                return Ok(for_server(user.clone()));
            }
            if let Some(user) = self.bootstrap.as_ref().and_then(|b| b.user(store, token)) {
                return Ok(for_server(user));
            }
            match self.provided(token).await {
                Some(Ok(user)) => return Ok(for_server(user)),
                Some(Err(other)) => why = other,
                None => {}
            }
        }
        let Some(webhook) = &self.webhook else { return Err(why) };
        match webhook.user(token, wanted, &own).await {
            Ok(Some(known)) => Ok(known),
            Ok(None) => Err(why),
            Err(other) => Err(format!("[{why}, {other}]")),
        }
    }

    /// What an identity provider's token says; none where no provider issued it.
    async fn provided(&self, text: &str) -> Option<Result<User, String>> {
        let providers = self.providers.load_full();
        if providers.all.is_empty() {
            return None;
        }
        let token = Token::parse(text)?;
        let provider = providers.all.iter().find(|p| p.issued(&token))?;
        let digest: [u8; 32] = Sha256::digest(text).into();
        if let Some(user) = providers.verified.get(&digest, Instant::now()) {
            return Some(Ok(user));
        }
        let user = provider.user(&token).await;
        if let Ok(user) = &user {
            providers.verified.put(digest, user.clone(), TOKENS_HOLD, Instant::now());
        }
        Some(user)
    }
}

/// Upstream: the scheme's case does not matter.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Browsers cannot set headers on WebSockets: the token travels as a subprotocol. Upstream: `base64url.bearer.authorization.k8s.io.`.
fn websocket_token(headers: &HeaderMap) -> Option<String> {
    use base64::Engine as _;
    let protocols = headers.get("sec-websocket-protocol")?.to_str().ok()?;
    let encoded = protocols.split(',').find_map(|p| p.trim().strip_prefix("base64url.bearer.authorization.k8s.io."))?;
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok()
}
