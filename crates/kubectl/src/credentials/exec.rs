//! Credential plugins: programs that print a token, or a certificate with its key.
// Upstream: client-go plugin/pkg/client/auth/exec/exec.go; pkg/apis/clientauthentication/v1/types.go.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::text;
use crate::failure::{Outcome, fail, go_io};

pub const V1: &str = "client.authentication.k8s.io/v1";
pub const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";
/// The extension of a cluster that its plugin is given.
const CONFIG: &str = "client.authentication.k8s.io/exec";

pub fn check(plugin: &Value) -> Outcome {
    match text(plugin, "apiVersion") {
        V1 | V1BETA1 => Ok(()),
        other => fail(format!("exec plugin: invalid apiVersion {other:?}")),
    }
}

/// Runs the plugin; gives what it prints in the fields of a kubeconfig's user.
pub fn run(plugin: &Value, cluster: &Value) -> Result<Map<String, Value>, String> {
    let has_input = std::io::stdin().is_terminal();
    let is_interactive = match text(plugin, "interactiveMode") {
        "Never" => false,
        "Always" if !has_input => return Err("exec plugin cannot support interactive mode: standard input is not a terminal".into()),
        _ => has_input,
    };
    let name = text(plugin, "command");
    let mut command = Command::new(found(name)?);
    command.args(plugin["args"].as_array().into_iter().flatten().filter_map(Value::as_str));
    command.envs(plugin["env"].as_array().into_iter().flatten().map(|v| (text(v, "name"), text(v, "value"))));
    command.env("KUBERNETES_EXEC_INFO", info(plugin, cluster, is_interactive).to_string());
    command.stdin(if is_interactive { Stdio::inherit() } else { Stdio::null() }).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let printed = command.spawn().and_then(std::process::Child::wait_with_output).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound if !name.contains('/') => absent(plugin),
        _ => format!("exec: fork/exec {}: {}", std::path::absolute(name).unwrap_or_default().display(), go_io(&e)),
    })?;
    if !printed.status.success() {
        return Err(format!("exec: executable {name} failed with exit code {}", printed.status.code().unwrap_or(-1)));
    }
    read(&String::from_utf8_lossy(&printed.stdout), text(plugin, "apiVersion")).map_err(|why| if why.is_empty() { absent(plugin) } else { why })
}

/// A name with a slash is a path, looked for from here.
fn found(name: &str) -> Result<std::path::PathBuf, String> {
    if name.contains('/') { std::path::absolute(name).map_err(|e| go_io(&e)) } else { Ok(name.into()) }
}

fn absent(plugin: &Value) -> String {
    let hint = text(plugin, "installHint");
    let hint = if hint.is_empty() { String::new() } else { format!("\n\n{hint}") };
    format!(
        "exec: executable {} not found\n\nIt looks like you are trying to use a client-go credential plugin that is not installed.\n\nTo learn more about this feature, consult the documentation available at:\n      https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins{hint}",
        text(plugin, "command")
    )
}

/// What the plugin is told, in its environment.
fn info(plugin: &Value, cluster: &Value, is_interactive: bool) -> Value {
    let mut spec = json!({});
    if plugin["provideClusterInfo"] == true {
        let mut told = json!({});
        for key in ["server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url", "disable-compression"] {
            if !cluster[key].is_null() && cluster[key] != false && cluster[key] != "" {
                told[key] = cluster[key].clone();
            }
        }
        if let Some(file) = cluster["certificate-authority"].as_str().filter(|_| told["certificate-authority-data"].is_null())
            && let Ok(bytes) = std::fs::read(file)
        {
            told["certificate-authority-data"] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
        }
        if let Some(told) = told.as_object_mut() {
            told.retain(|_, value| !value.is_null());
        }
        let extension = cluster["extensions"].as_array().into_iter().flatten().find(|e| e["name"] == CONFIG);
        if let Some(extension) = extension {
            told["config"] = extension["extension"].clone();
        }
        spec["cluster"] = told;
    }
    spec["interactive"] = is_interactive.into();
    json!({"kind": "ExecCredential", "apiVersion": plugin["apiVersion"], "spec": spec})
}

/// The answer of a plugin.
fn read(printed: &str, version: &str) -> Result<Map<String, Value>, String> {
    let parsed = if printed.trim().is_empty() { json!({}) } else { goyaml::from_yaml(printed).map_err(|e| format!("decoding stdout: couldn't get version/kind; json parse error: {e}"))? };
    if !parsed.is_object() {
        let kind = match parsed {
            Value::Array(_) => "array",
            Value::Number(_) => "number",
            Value::Bool(_) => "bool",
            _ => "string",
        };
        return Err(format!("decoding stdout: couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"));
    }
    let told = match text(&parsed, "apiVersion") {
        "" => "client.authentication.k8s.io/__internal",
        told => told,
    };
    if told != version {
        return Err(format!("exec plugin is configured to use API version {version}, plugin returned version {told}"));
    }
    let status = &parsed["status"];
    if !status.is_object() {
        return Err("exec plugin didn't return a status field".into());
    }
    let (token, certificate, key) = (text(status, "token"), text(status, "clientCertificateData"), text(status, "clientKeyData"));
    if token.is_empty() && certificate.is_empty() && key.is_empty() {
        return Err("exec plugin didn't return a token or cert/key pair".into());
    }
    if certificate.is_empty() != key.is_empty() {
        return Err("exec plugin returned only certificate or key, not both".into());
    }
    let encoded = |pem: &str| Value::from(base64::engine::general_purpose::STANDARD.encode(pem));
    let mut out = Map::new();
    if !token.is_empty() {
        out.insert("token".into(), token.into());
    }
    if !certificate.is_empty() {
        out.insert("client-certificate-data".into(), encoded(certificate));
        out.insert("client-key-data".into(), encoded(key));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_in_upstreams_words() {
        let said = |answer: Value| read(&answer.to_string(), V1).map(Value::from).unwrap_or_else(Value::from);
        let with = |status: Value| said(json!({"apiVersion": V1, "kind": "ExecCredential", "status": status}));
        assert_eq!(said(json!({})), "exec plugin is configured to use API version client.authentication.k8s.io/v1, plugin returned version client.authentication.k8s.io/__internal");
        assert_eq!(said(json!({"apiVersion": V1})), "exec plugin didn't return a status field");
        assert_eq!(with(json!({})), "exec plugin didn't return a token or cert/key pair");
        assert_eq!(with(json!({"clientKeyData": "x"})), "exec plugin returned only certificate or key, not both");
        assert_eq!(with(json!({"token": "t", "clientKeyData": "k", "clientCertificateData": "c"})), json!({"token": "t", "client-key-data": "aw==", "client-certificate-data": "Yw=="}));
    }

    #[test]
    fn plugins_are_told_of_the_cluster_where_they_ask() {
        let cluster = json!({"server": "https://s", "proxy-url": "", "extensions": [{"name": CONFIG, "extension": {"audience": "a"}}]});
        let plugin = json!({"apiVersion": V1, "provideClusterInfo": true});
        assert_eq!(info(&plugin, &cluster, false), json!({"kind": "ExecCredential", "apiVersion": V1, "spec": {"cluster": {"server": "https://s", "config": {"audience": "a"}}, "interactive": false}}));
        assert_eq!(info(&json!({"apiVersion": V1}), &cluster, true)["spec"], json!({"interactive": true}));
    }
}
