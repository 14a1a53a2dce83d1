//! `create secret generic`, `docker-registry`, `tls`.
// Upstream: kubectl pkg/cmd/create/create_secret.go, create_secret_docker.go, create_secret_tls.go.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::configuration::{SOURCES, hash, read};
use super::{COMMON, finish_as, name, object};
use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail, path_error};
use crate::flags::{slice, text, yes_no};
use crate::{global, run};

pub const SECRET: Command = Command {
    name: "secret",
    usage: "(docker-registry | generic | tls)",
    about: "Create a secret of one of the usual types.",
    subs: &[&DOCKER, &GENERIC, &TLS],
    ..EMPTY
};

const PATH: &str = "/api/v1/namespaces/{}/secrets";

const GENERIC: Command = Command {
    name: "generic",
    usage: "NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1]",
    about: "Create a secret from files, folders or literals.",
    examples: "kubectl create secret generic my-secret --from-literal=key1=supersecret",
    flags: &[SOURCES, &[text("type", "", "The secret's type.")], COMMON, global::PRINT],
    run: run!(generic),
    ..EMPTY
};

fn encode(bytes: &[u8]) -> Value {
    base64::engine::general_purpose::STANDARD.encode(bytes).into()
}

async fn made(call: &Call, name: &str, kind: &str, data: Map<String, Value>) -> Outcome {
    let mut made = object("v1", "Secret", name);
    if call.flags.yes("append-hash") {
        let shown = if data.is_empty() { json!({}) } else { Value::Object(data.clone()) };
        made["metadata"]["name"] = format!("{name}-{}", hash(&json!({"kind": "Secret", "type": kind, "name": name, "data": shown}))).into();
    }
    if !data.is_empty() {
        made["data"] = Value::Object(data);
    }
    if !kind.is_empty() {
        made["type"] = kind.into();
    }
    finish_as(call, PATH, made, "failed to create secret").await
}

async fn generic(call: &Call) -> Outcome {
    let name = name(call)?;
    let data = read(call, "Secret")?.into_iter().map(|(key, bytes)| (key, encode(&bytes))).collect();
    made(call, &name, call.flags.text("type"), data).await
}

const DOCKER: Command = Command {
    name: "docker-registry",
    usage: "NAME --docker-username=user --docker-password=password --docker-email=email [--docker-server=string] [--from-file=[key=]source]",
    about: "Create a secret for use with a registry of images.",
    flags: &[
        &[
            text("docker-username", "", "Name for the registry."),
            text("docker-password", "", "Password for the registry."),
            text("docker-email", "", "Mail address for the registry."),
            text("docker-server", "https://index.docker.io/v1/", "The registry."),
            slice("from-file", "A file of Docker's configuration, as [key=]path."),
            yes_no("append-hash", "Add a hash of the content to the name."),
        ],
        COMMON,
        global::PRINT,
    ],
    run: run!(docker),
    ..EMPTY
};

async fn docker(call: &Call) -> Outcome {
    let (flags, name) = (&call.flags, name(call)?);
    const KEY: &str = ".dockerconfigjson";
    let mut data = Map::new();
    if flags.given("from-file") {
        for (key, bytes) in read(call, "Secret")? {
            let key = if data.is_empty() { KEY.to_owned() } else { key };
            data.insert(key, encode(&bytes));
        }
    } else {
        let missing: Vec<&str> = [("docker-username", "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required")].iter().filter(|(f, _)| flags.text(f).is_empty() || flags.text("docker-password").is_empty()).map(|(_, why)| *why).collect();
        if let Some(why) = missing.first() {
            return fail(*why);
        }
        let (user, password) = (flags.text("docker-username"), flags.text("docker-password"));
        let mut entry = json!({"username": user, "password": password, "auth": encode(format!("{user}:{password}").as_bytes())});
        if !flags.text("docker-email").is_empty() {
            entry["email"] = flags.text("docker-email").into();
        }
        // Upstream: Go keeps the order of the struct's fields.
        let text = |v: &Value| crate::print::compact(v);
        let email = entry.get("email").map(|e| format!(",\"email\":{}", text(e))).unwrap_or_default();
        let body = format!("{{\"auths\":{{{}:{{\"username\":{},\"password\":{}{email},\"auth\":{}}}}}}}", text(&flags.text("docker-server").into()), text(&entry["username"]), text(&entry["password"]), text(&entry["auth"]));
        data.insert(KEY.into(), encode(body.as_bytes()));
    }
    made(call, &name, "kubernetes.io/dockerconfigjson", data).await
}

const TLS: Command = Command {
    name: "tls",
    usage: "NAME --cert=path/to/cert/file --key=path/to/key/file",
    about: "Create a secret of a certificate and its key, both PEM.",
    flags: &[&[text("cert", "", "Path to the certificate."), text("key", "", "Path to the key."), yes_no("append-hash", "Add a hash of the content to the name.")], COMMON, global::PRINT],
    run: run!(tls),
    ..EMPTY
};

async fn tls(call: &Call) -> Outcome {
    let (flags, name) = (&call.flags, name(call)?);
    if flags.text("key").is_empty() || flags.text("cert").is_empty() {
        return fail("key and cert must be specified");
    }
    let read = |flag: &str| {
        let file = flags.text(flag);
        std::fs::read(file).map_err(|e| Failure::Text(format!("Cannot read file {file}, {}", path_error("open", file, &e))))
    };
    let (cert, key) = (read("cert")?, read("key")?);
    if !is_pem(&cert, "CERTIFICATE") {
        return fail("tls: failed to find any PEM data in certificate input");
    }
    if !is_pem(&key, "PRIVATE KEY") {
        return fail("tls: failed to find any PEM data in key input");
    }
    let data = [("tls.crt".to_owned(), encode(&cert)), ("tls.key".to_owned(), encode(&key))].into_iter().collect();
    made(call, &name, "kubernetes.io/tls", data).await
}

fn is_pem(bytes: &[u8], what: &str) -> bool {
    String::from_utf8_lossy(bytes).lines().any(|l| l.starts_with("-----BEGIN ") && l.contains(what))
}
