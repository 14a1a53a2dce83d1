//! A provider of identities (OpenID Connect): its description and keys are fetched when the first token asks for them, kept,
//! and fetched again when a token is signed with a key that is not known.
//!
//! Never follows a redirect. Keeps true: whatever tokens come, the provider is asked seldom (see [`Allowance`]), by one request at
//! a time, and whoever waited for an answer shares it.
//!
//! Upstream: apiserver `plugin/pkg/authenticator/token/oidc`, coreos/go-oidc `jwks.go`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::jwt::{Algorithm, KeySet, Token};
use access::{Issuer, User};
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::outbound::Outbound;
use crate::egress::{Egress, Toward};
use crate::webhook::Services;

/// One call's time.
const LIMIT: Duration = Duration::from_secs(10);
/// Issuers of claims that are kept elsewhere.
const MAX_SOURCES: usize = 16;

/// One provider with what its tokens mean.
pub struct Provider {
    issuer: Issuer,
    call: Arc<Outbound>,
    keys: Keys,
    /// Keys of those who hold claims for it, by their addresses.
    sources: Mutex<HashMap<String, Arc<Keys>>>,
}

impl Provider {
    pub fn new(issuer: Issuer, services: &Services) -> Result<Self, String> {
        let (services, toward) = match issuer.egress.as_str() {
            "cluster" => (services.clone(), Toward::Cluster),
            "controlplane" => (services.clone(), Toward::ControlPlane),
            _ => (services.clone().through(Egress::default()), Toward::ControlPlane),
        };
        let call = Outbound::new(services, toward, issuer.certificate_authority.as_bytes(), None).map_err(|why| format!("{}: {why}", issuer.url))?;
        let call = Arc::new(call);
        let keys = Keys::new(&issuer.url, &issuer.discovery_url, call.clone());
        Ok(Self { issuer, call, keys, sources: Mutex::default() })
    }

    /// Whether the token says that it comes from here.
    pub fn issued(&self, token: &Token<'_>) -> bool {
        token.issuer() == self.issuer.url
    }

    /// The user behind a token.
    pub async fn user(&self, token: &Token<'_>) -> Result<User, String> {
        // Without a call for what has ended or is for others.
        self.issuer.check(&token.claims, Timestamp::now())?;
        self.keys.verify(token, &self.issuer.algorithms).await?;
        let mut claims = token.claims.clone();
        if let Some(claim) = self.issuer.groups_claim() {
            self.expand(claim, &mut claims).await.map_err(|why| format!("oidc: could not expand distributed claims: {why}"))?;
        }
        let mut user = self.issuer.user(&claims)?;
        user.is_authenticated();
        Ok(user)
    }

    /// A claim that the token only points to is fetched from where it is.
    ///
    /// OpenID Connect Core 1.0, section 5.6.2.
    async fn expand(&self, claim: &str, claims: &mut Map<String, Value>) -> Result<(), String> {
        let source = claims.get("_claim_names").and_then(|names| names[claim].as_str());
        let (Some(source), false) = (source, claims.contains_key(claim)) else { return Ok(()) };
        let at = claims.get("_claim_sources").and_then(|sources| sources.get(source)).ok_or_else(|| format!("id token _claim_names contained a source {source} missing in _claims_sources"))?;
        let Some(url) = at["endpoint"].as_str() else { return Ok(()) };
        let bearer = at["access_token"].as_str().filter(|t| !t.is_empty()).map(|t| format!("Bearer {t}"));
        let text = self.call.get(url, bearer.as_deref(), LIMIT).await?;
        let text = std::str::from_utf8(&text).map_err(|e| e.to_string())?;
        let token = Token::parse(text.trim()).ok_or("the answer is no token")?;
        self.issuer.check(&token.claims, Timestamp::now())?;
        self.source(token.issuer())?.verify(&token, &self.issuer.algorithms).await?;
        let value = token.claims.get(claim).ok_or_else(|| format!("jwt returned by distributed claim endpoint {url:?} did not contain claim: {claim}"))?;
        claims.insert(claim.to_owned(), value.clone());
        Ok(())
    }

    fn source(&self, url: &str) -> Result<Arc<Keys>, String> {
        let mut sources = self.sources.lock();
        if let Some(keys) = sources.get(url) {
            return Ok(keys.clone());
        }
        if sources.len() >= MAX_SOURCES {
            return Err(format!("claims come from more than {MAX_SOURCES} issuers"));
        }
        let keys = Arc::new(Keys::new(url, "", self.call.clone()));
        sources.insert(url.to_owned(), keys.clone());
        Ok(keys)
    }
}

/// The keys of one issuer, as they were last fetched.
struct Keys {
    issuer: String,
    description: String,
    call: Arc<Outbound>,
    known: ArcSwapOption<KeySet>,
    fetch: tokio::sync::Mutex<Fetch>,
}

/// The state of fetching; whoever holds it fetches.
struct Fetch {
    /// How often it was tried.
    turn: u64,
    /// What came of the last time.
    last: Result<(), String>,
    key_set: Option<String>,
    allowance: Allowance,
}

impl Keys {
    fn new(issuer: &str, description: &str, call: Arc<Outbound>) -> Self {
        let below = || format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let description = if description.is_empty() { below() } else { description.to_owned() };
        let fetch = Fetch { turn: 0, last: Ok(()), key_set: None, allowance: Allowance::new(Instant::now()) };
        Self { issuer: issuer.to_owned(), description, call, known: ArcSwapOption::empty(), fetch: fetch.into() }
    }

    async fn verify(&self, token: &Token<'_>, allowed: &[Algorithm]) -> Result<(), String> {
        let known = self.known.load_full();
        if let Some(keys) = &known
            && keys.verify(token, allowed)?
        {
            return Ok(());
        }
        self.renew(known.as_ref()).await?;
        match self.known.load_full() {
            Some(keys) if keys.verify(token, allowed)? => Ok(()),
            _ => Err("oidc: verify token: failed to verify signature: failed to verify id token signature".into()),
        }
    }

    /// Fetches the keys, unless somebody did since `seen` was all that was known.
    async fn renew(&self, seen: Option<&Arc<KeySet>>) -> Result<(), String> {
        let asked = Instant::now();
        let mut fetch = self.fetch.lock().await;
        let is_newer = match (&*self.known.load(), seen) {
            (Some(now), Some(seen)) => !Arc::ptr_eq(now, seen),
            (now, _) => now.is_some(),
        };
        if is_newer {
            return Ok(());
        }
        // Whoever waited while another tried in vain does not try again.
        if fetch.last.is_err() && fetch.allowance.last > asked {
            return fetch.last.clone();
        }
        if !fetch.allowance.take(Instant::now()) {
            return fetch.last.clone().and(Err("oidc: the provider's keys were fetched just now and do not hold this one".into()));
        }
        fetch.turn += 1;
        let result = self.fetch(&mut fetch.key_set).await;
        if let Err(why) = &result {
            tracing::warn!(issuer = %self.issuer, why, turn = fetch.turn, "keys of an issuer were not fetched");
            // It may have moved.
            fetch.key_set = None;
        }
        fetch.allowance.last = Instant::now();
        fetch.last.clone_from(&result);
        result
    }

    async fn fetch(&self, key_set: &mut Option<String>) -> Result<(), String> {
        let read = async |url: &str| -> Result<Value, String> {
            let bytes = self.call.get(url, None, LIMIT).await?;
            serde_json::from_slice(&bytes).map_err(|e| format!("GET {url:?}: the answer is no JSON: {e}"))
        };
        if key_set.is_none() {
            let document = read(&self.description).await?;
            let told = document["issuer"].as_str().unwrap_or_default();
            if told != self.issuer {
                return Err(format!("oidc: issuer did not match the issuer returned by provider, expected {:?} got {told:?}", self.issuer));
            }
            *key_set = Some(document["jwks_uri"].as_str().ok_or("the provider's description has no jwks_uri")?.to_owned());
        }
        let url = key_set.as_deref().unwrap_or_default();
        self.known.store(Some(Arc::new(KeySet::parse(&read(url).await?)?)));
        Ok(())
    }
}

/// How often a provider may be asked: a few times at once, then once a second.
// Differs: upstream asks for every token that no key has signed.
struct Allowance {
    left: f64,
    last: Instant,
    counted: Instant,
}

impl Allowance {
    const AT_ONCE: f64 = 5.0;

    fn new(now: Instant) -> Self {
        Self { left: Self::AT_ONCE, last: now, counted: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        self.left = (self.left + now.saturating_duration_since(self.counted).as_secs_f64()).min(Self::AT_ONCE);
        self.counted = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_seldom() {
        let begin = Instant::now();
        let mut allowance = Allowance::new(begin);
        let taken = |allowance: &mut Allowance, seconds: u64| (0..100).filter(|_| allowance.take(begin + Duration::from_secs(seconds))).count();
        assert_eq!(taken(&mut allowance, 0), 5);
        assert_eq!(taken(&mut allowance, 2), 2);
        assert_eq!(taken(&mut allowance, 1000), 5);
    }
}
