//! Credentials of the chosen user: judged, then made into what a request carries: a token, or a certificate with its key.
//!
//! Keeps true: a plugin runs once for a command, and an identity provider is asked only where the token kept has run out.
// Upstream: client-go tools/clientcmd/validation.go (validateAuthInfo), rest/plugin.go, plugin/pkg/client/auth/{azure,gcp}; client_config.go (proxy-url).

mod exec;
mod oidc;

use base64::Engine as _;
use serde_json::{Map, Value};

use crate::failure::{Failure, Outcome, fail, path_error};
use crate::kubeconfig::{Kubeconfig, Picked};
use crate::kuberc::PluginPolicy;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What of the user a client can use as it is.
pub async fn of(config: &Kubeconfig, picked: &Picked, mut user: Value, plugins: &PluginPolicy) -> Outcome<Value> {
    let cluster = &picked.single["clusters"][0]["cluster"];
    judge(&user, &picked.user)?;
    proxy(text(cluster, "proxy-url"), &picked.cluster)?;
    token_file(&user)?;
    pem(&user)?;
    let connecting = |why: String| Failure::Connection(picked.server.clone(), why);
    if user["exec"].is_object() {
        exec::check(&user["exec"])?;
        if let Some(why) = plugins.refusal(text(&user["exec"], "command")) {
            return Err(connecting(format!("getting credentials: {why}")));
        }
        // Upstream: who has a token or a certificate besides needs no plugin for that request.
        if !["token", "client-certificate", "client-certificate-data"].iter().any(|key| !text(&user, key).is_empty()) {
            let credentials = exec::run(&user["exec"], cluster).map_err(|why| connecting(format!("getting credentials: {why}")))?;
            take(&mut user, credentials);
        }
    }
    if user["auth-provider"].is_object() {
        let provider = oidc::Provider::of(&user["auth-provider"])?;
        if text(&user, "token").is_empty() && text(&user, "username").is_empty() {
            let token = provider.token(config, &picked.user).await.map_err(|failure| match failure {
                Failure::Text(why) => connecting(why),
                other => other,
            })?;
            user["token"] = token.into();
        }
    }
    if let Some(user) = user.as_object_mut() {
        user.remove("exec");
        user.remove("auth-provider");
    }
    Ok(user)
}

fn take(user: &mut Value, credentials: Map<String, Value>) {
    if let Some(user) = user.as_object_mut() {
        user.extend(credentials);
    }
}

/// All that is wrong with a user.
fn judge(user: &Value, name: &str) -> Outcome {
    let mut faults: Vec<String> = Vec::new();
    let has = |key: &str| !text(user, key).is_empty();
    let methods: Vec<&str> = [("token", has("token")), ("basicAuth", has("username") || has("password"))].into_iter().filter_map(|(method, is_there)| is_there.then_some(method)).collect();
    if has("client-certificate") || has("client-certificate-data") {
        if !has("client-key") && !has("client-key-data") {
            faults.push(format!("client-key-data or client-key must be specified for {name} to use the clientCert authentication method."));
        }
        for (key, what) in [("client-certificate", "client-cert"), ("client-key", "client-key")] {
            let file = text(user, key);
            if !file.is_empty()
                && let Err(e) = std::fs::File::open(file)
            {
                faults.push(format!("unable to read {what} {file} for {name} due to {}", path_error("open", file, &e)));
            }
        }
    }
    let plugin = &user["exec"];
    if plugin.is_object() {
        if user["auth-provider"].is_object() {
            faults.push(format!("authProvider cannot be provided in combination with an exec plugin for {name}"));
        }
        for (key, what) in [("command", "command"), ("apiVersion", "apiVersion")] {
            if text(plugin, key).is_empty() {
                faults.push(format!("{what} must be specified for {name} to use exec authentication plugin"));
            }
        }
        if plugin["env"].as_array().into_iter().flatten().any(|variable| text(variable, "name").is_empty()) {
            faults.push(format!("env variable name must be specified for {name} to use exec authentication plugin"));
        }
        match text(plugin, "interactiveMode") {
            "Never" | "IfAvailable" | "Always" => {}
            // The older version had no such field.
            "" if text(plugin, "apiVersion") != exec::V1 => {}
            "" => faults.push(format!("interactiveMode must be specified for {name} to use exec authentication plugin")),
            other => faults.push(format!("invalid interactiveMode for {name}: {other:?}")),
        }
    }
    if methods.len() > 1 {
        faults.push(format!("more than one authentication method found for {name}; found [{}], only one is allowed", methods.join(" ")));
    }
    match faults.len() {
        0 => Ok(()),
        1 => fail(faults.remove(0)),
        _ => Err(Failure::Said(format!("Error in configuration: \n* {}", faults.join("\n* ")))),
    }
}

fn token_file(user: &Value) -> Outcome {
    let file = text(user, "tokenFile");
    if !file.is_empty() && text(user, "token").is_empty() {
        std::fs::File::open(file).map_err(|e| Failure::Text(path_error("open", file, &e)))?;
    }
    Ok(())
}

/// Certificates and keys that stand in the kubeconfig itself.
fn pem(user: &Value) -> Outcome {
    for (key, what) in [("client-certificate-data", "certificate"), ("client-key-data", "key")] {
        let decoded = base64::engine::general_purpose::STANDARD.decode(text(user, key)).unwrap_or_default();
        if !decoded.is_empty() && !decoded.windows(10).any(|w| w == b"-----BEGIN") {
            return fail(format!("tls: failed to find any PEM data in {what} input"));
        }
    }
    Ok(())
}

fn proxy(url: &str, cluster: &str) -> Outcome {
    if url.is_empty() {
        return Ok(());
    }
    let invalid = |why: String| fail(format!("invalid 'proxy-url' {url:?} for cluster {cluster:?}: {why}"));
    match url.split_once("://") {
        Some(("http" | "https" | "socks5", _)) => Ok(()),
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) && !scheme.is_empty() => invalid(format!("unsupported scheme {scheme:?}, must be http, https, or socks5")),
        _ => invalid(format!("could not parse: {url}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn users_are_judged_in_upstreams_words() {
        let said = |user: Value| judge(&user, "u").map_err(|e| e.message()).err().unwrap_or_default();
        assert_eq!(said(json!({"token": "x", "exec": {"command": "c", "apiVersion": exec::V1, "interactiveMode": "Never"}})), "");
        assert_eq!(said(json!({"token": "x", "username": "y"})), "more than one authentication method found for u; found [token basicAuth], only one is allowed");
        assert_eq!(said(json!({"exec": {"command": "c", "apiVersion": exec::V1}})), "interactiveMode must be specified for u to use exec authentication plugin");
        assert_eq!(said(json!({"exec": {"command": "c", "apiVersion": exec::V1BETA1}})), "");
        assert_eq!(said(json!({"exec": {"command": "c", "apiVersion": exec::V1, "interactiveMode": "Sometimes"}})), "invalid interactiveMode for u: \"Sometimes\"");
        let both = said(json!({"client-certificate": "/nope"}));
        assert!(both.starts_with("Error in configuration: \n* client-key-data or client-key must be specified for u") && both.contains("unable to read client-cert /nope for u due to open /nope: no such file or directory"), "{both}");
    }

    #[test]
    fn proxies_have_known_schemes() {
        let said = |url: &str| proxy(url, "c").map_err(|e| e.message()).err().unwrap_or_default();
        assert_eq!(said("socks5://h:1"), "");
        assert_eq!(said("ftp://a"), "invalid 'proxy-url' \"ftp://a\" for cluster \"c\": unsupported scheme \"ftp\", must be http, https, or socks5");
        assert_eq!(said("127.0.0.1:1"), "invalid 'proxy-url' \"127.0.0.1:1\" for cluster \"c\": could not parse: 127.0.0.1:1");
    }
}
