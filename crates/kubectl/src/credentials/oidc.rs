//! The `oidc` provider of kubeconfigs: an id token, made anew with the refresh token where it has run out, and kept in the file it came from.
// Upstream: client-go plugin/pkg/client/auth/oidc/oidc.go; golang.org/x/oauth2 internal/token.go (how a client names itself, errors).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::text;
use crate::client::{chain, escape};
use crate::failure::{Failure, Outcome, fail, path_error};
use crate::kubeconfig::{Kubeconfig, read_file, write_file};

/// So much earlier a token counts as run out.
const EARLIER: u64 = 10;
/// The longest answer of a provider that is read.
const MAX_ANSWER: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(30);

pub struct Provider {
    settings: Map<String, Value>,
    client: reqwest::Client,
}

impl Provider {
    pub fn of(provider: &Value) -> Outcome<Self> {
        match text(provider, "name") {
            "oidc" => {}
            "gcp" => return fail("The gcp auth plugin has been removed.\nPlease use the \"gke-gcloud-auth-plugin\" kubectl/client-go credential plugin instead.\nSee https://cloud.google.com/blog/products/containers-kubernetes/kubectl-auth-changes-in-gke for further details"),
            "azure" => return fail("The azure auth plugin has been removed.\nPlease use the https://github.com/Azure/kubelogin kubectl/client-go credential plugin instead.\nSee https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins for further details"),
            other => return fail(format!("no Auth Provider found for name {other:?}")),
        }
        let settings = provider["config"].as_object().cloned().unwrap_or_default();
        for key in ["idp-issuer-url", "client-id"] {
            if settings.get(key).and_then(Value::as_str).unwrap_or_default().is_empty() {
                return fail(format!("Must provide {key}"));
            }
        }
        let mut client = reqwest::Client::builder().timeout(LIMIT);
        if let Some(pem) = authority(&settings)? {
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| Failure::Text("unable to load root certificates: unable to parse bytes as PEM block".into()))?;
            client = certificates.into_iter().fold(client.tls_built_in_root_certs(false), reqwest::ClientBuilder::add_root_certificate);
        }
        let client = client.build().map_err(|e| Failure::Text(chain(&e)))?;
        Ok(Self { settings, client })
    }

    fn setting(&self, key: &str) -> &str {
        self.settings.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A token that holds.
    pub async fn token(&self, config: &Kubeconfig, user: &str) -> Outcome<String> {
        let kept = self.setting("id-token");
        if !kept.is_empty() && holds(kept, SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))? {
            return Ok(kept.to_owned());
        }
        let refresh = self.setting("refresh-token");
        if refresh.is_empty() {
            return fail("No valid id-token, and cannot refresh without refresh-token");
        }
        let answer = self.refresh(&self.endpoint().await?, refresh).await.map_err(|why| Failure::Text(format!("failed to refresh token: {why}")))?;
        let Some(token) = answer["id_token"].as_str() else {
            return fail("token response did not contain an id_token, either the scope \"openid\" wasn't requested upon login, or the provider doesn't support id_tokens as part of the refresh response");
        };
        let mut settings = self.settings.clone();
        settings.insert("id-token".into(), token.into());
        if let Some(new) = answer["refresh_token"].as_str().filter(|new| !new.is_empty()) {
            settings.insert("refresh-token".into(), new.into());
        }
        keep(config, user, settings).map_err(|e| Failure::Text(format!("could not persist new tokens: {}", e.message())))?;
        Ok(token.to_owned())
    }

    /// Where tokens are given out.
    async fn endpoint(&self) -> Outcome<String> {
        let url = format!("{}/.well-known/openid-configuration", self.setting("idp-issuer-url").trim_end_matches('/'));
        let (status, body) = read(self.client.get(&url)).await.map_err(|why| Failure::Text(format!("Get {url:?}: {why}")))?;
        if status != reqwest::StatusCode::OK {
            let start = if body.len() > 80 { format!("{}...", String::from_utf8_lossy(&body[..80])) } else { String::from_utf8_lossy(&body).into_owned() };
            return fail(format!("oidc: failed to query metadata endpoint {status}: {start:?}"));
        }
        let metadata: Value = serde_json::from_slice(&body).map_err(|e| Failure::Text(format!("oidc: failed to decode provider discovery object: {e}")))?;
        match text(&metadata, "token_endpoint") {
            "" => fail("oidc: discovery object doesn't contain a token_endpoint"),
            url => Ok(url.to_owned()),
        }
    }

    /// Asks with the client's name in the header first, then in the form: providers differ.
    async fn refresh(&self, url: &str, token: &str) -> Result<Value, String> {
        let (id, secret) = (escape(self.setting("client-id")), escape(self.setting("client-secret")));
        let form = format!("grant_type=refresh_token&refresh_token={}", escape(token));
        let ask = |form: String| self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        if let Ok(answer) = judged(ask(form.clone()).basic_auth(&id, Some(&secret))).await {
            return Ok(answer);
        }
        let secret = if secret.is_empty() { String::new() } else { format!("&client_secret={secret}") };
        judged(ask(format!("{form}&client_id={id}{secret}"))).await
    }
}

/// The certificates that vouch for the provider; none where the machine's own do.
fn authority(settings: &Map<String, Value>) -> Outcome<Option<Vec<u8>>> {
    let setting = |key: &str| settings.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    if let Some(data) = setting("idp-certificate-authority-data") {
        let at = data.bytes().position(|b| !b.is_ascii_alphanumeric() && !b"+/=".contains(&b)).unwrap_or(data.len());
        return STANDARD.decode(data).map(Some).map_err(|_| Failure::Text(format!("illegal base64 data at input byte {at}")));
    }
    match setting("idp-certificate-authority") {
        Some(file) => std::fs::read(file).map(Some).map_err(|e| Failure::Text(path_error("open", file, &e))),
        None => Ok(None),
    }
}

/// Whether a token still holds at a time, in seconds.
fn holds(token: &str, now: u64) -> Outcome<bool> {
    let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { return fail("ID Token is not a valid JWT") };
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|e| Failure::Text(format!("parsing claims: {e}")))?;
    let claims: Value = serde_json::from_slice(&claims).map_err(|e| Failure::Text(format!("parsing claims: {e}")))?;
    Ok(claims["exp"].as_f64().is_some_and(|end| ((now + EARLIER) as f64) < end.floor()))
}

async fn read(request: reqwest::RequestBuilder) -> Result<(reqwest::StatusCode, Vec<u8>), String> {
    let mut response = request.send().await.map_err(|e| match (chain(&e), e.url()) {
        (why, Some(url)) if why.contains("Connection refused") => {
            let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
            format!("dial tcp {host}:{port}: connect: connection refused")
        }
        (why, _) => why,
    })?;
    let (status, mut body) = (response.status(), Vec::new());
    while let Some(part) = response.chunk().await.map_err(|e| chain(&e))? {
        if body.len() + part.len() > MAX_ANSWER {
            return Err("the answer is too long".into());
        }
        body.extend_from_slice(&part);
    }
    Ok((status, body))
}

async fn judged(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let (status, body) = read(request).await?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(error) = answer["error"].as_str() {
        let description = answer["error_description"].as_str().map(|d| format!(" {d:?}")).unwrap_or_default();
        return Err(format!("oauth2: {error:?}{description}"));
    }
    if !status.is_success() {
        return Err(format!("oauth2: cannot fetch token: {status}\nResponse: {}", String::from_utf8_lossy(&body)));
    }
    if text(&answer, "access_token").is_empty() {
        return Err("oauth2: server response missing access_token".into());
    }
    Ok(answer)
}

/// Writes the settings into the file that the user came from.
fn keep(config: &Kubeconfig, user: &str, settings: Map<String, Value>) -> Outcome {
    let Some(file) = config.origin.get(&("users", user.to_owned())) else { return Ok(()) };
    let Some(mut kept) = read_file(file)? else { return Ok(()) };
    if let Some(user) = kept.users.get_mut(user) {
        user["auth-provider"]["config"] = Value::Object(settings);
    }
    write_file(file, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_hold_until_shortly_before_their_end() {
        let token = |claims: &str| format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims));
        assert!(holds(&token(r#"{"exp":100}"#), 89).unwrap());
        assert!(!holds(&token(r#"{"exp":100}"#), 90).unwrap());
        assert!(holds(&token(r#"{"exp":1e2}"#), 80).unwrap());
        assert!(!holds(&token("{}"), 80).unwrap());
        assert_eq!(holds("nothing", 0).unwrap_err().message(), "ID Token is not a valid JWT");
    }
}
