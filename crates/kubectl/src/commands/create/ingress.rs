//! `create ingress`.
// Upstream: kubectl pkg/cmd/create/create_ingress.go.

use serde_json::{Value, json};

use super::{COMMON, finish_as, name, object};
use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{array, text};
use crate::{global, run};

pub const INGRESS: Command = Command {
    name: "ingress",
    aliases: &["ing"],
    usage: "NAME --rule=host/path=service:port[,tls[=secret]]",
    about: "Create an ingress of the given name.",
    examples: "kubectl create ingress simple --rule=\"foo.com/bar=svc1:8080,tls=my-cert\"",
    flags: &[
        &[
            text("class", "", "The ingress class."),
            array("rule", "A rule, as host/path=service:port[,tls=secretname]; a path that ends with * is a prefix."),
            text("default-backend", "", "Where all else goes, as service:port."),
            array("annotation", "Annotations, as key=value."),
        ],
        COMMON,
        global::PRINT,
    ],
    run: run!(run),
    ..EMPTY
};

fn backend(text: &str) -> Option<Value> {
    let (service, port) = text.split_once(':')?;
    if service.is_empty() || port.is_empty() || port.contains(':') {
        return None;
    }
    let port = port.parse::<i64>().map_or_else(|_| json!({"name": port}), |number| json!({"number": number}));
    Some(json!({"service": {"name": service, "port": port}}))
}

struct Rule {
    host: String,
    path: Value,
    tls: Option<Value>,
}

fn rule(text: &str) -> Option<Rule> {
    let (head, tls) = match text.split_once(',') {
        Some((head, tls)) => (head, Some(tls)),
        None => (text, None),
    };
    let (place, target) = head.split_once('=')?;
    let (host, path) = place.split_once('/')?;
    let path = format!("/{path}");
    let (path, kind) = match path.strip_suffix('*') {
        Some(prefix) => (if prefix.is_empty() { "/".to_owned() } else { prefix.to_owned() }, "Prefix"),
        None => (path, "Exact"),
    };
    let tls = match tls {
        None => None,
        Some(word) => {
            let secret = match word {
                "tls" => "",
                word => word.strip_prefix("tls=")?,
            };
            let mut tls = json!({});
            if !host.is_empty() {
                tls["hosts"] = json!([host]);
            }
            if !secret.is_empty() {
                tls["secretName"] = secret.into();
            }
            Some(tls)
        }
    };
    Some(Rule { host: host.to_owned(), path: json!({"backend": backend(target)?, "path": path, "pathType": kind}), tls })
}

async fn run(call: &Call) -> Outcome {
    let (flags, name) = (&call.flags, name(call)?);
    let (rules, default) = (flags.list("rule"), flags.text("default-backend"));
    if rules.is_empty() && default.is_empty() {
        return fail("not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)");
    }
    let mut spec = json!({});
    let (mut hosts, mut tls): (Vec<(String, Vec<Value>)>, Vec<Value>) = (Vec::new(), Vec::new());
    for text in &rules {
        let Some(rule) = rule(text) else { return fail(format!("rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]")) };
        match hosts.iter_mut().find(|(h, _)| *h == rule.host) {
            Some((_, paths)) => paths.push(rule.path),
            None => hosts.push((rule.host, vec![rule.path])),
        }
        tls.extend(rule.tls);
    }
    if !hosts.is_empty() {
        let of_host = |(host, paths): &(String, Vec<Value>)| {
            let mut rule = json!({"http": {"paths": paths}});
            if !host.is_empty() {
                rule["host"] = host.as_str().into();
            }
            rule
        };
        spec["rules"] = hosts.iter().map(of_host).collect();
    }
    if !tls.is_empty() {
        spec["tls"] = json!(tls);
    }
    if !default.is_empty() {
        spec["defaultBackend"] = backend(default).ok_or_else(|| Failure::Text("default-backend should be in format servicename:serviceport".into()))?;
    }
    if !flags.text("class").is_empty() {
        spec["ingressClassName"] = flags.text("class").into();
    }
    let mut made = object("networking.k8s.io/v1", "Ingress", &name);
    for pair in flags.list("annotation") {
        let Some((key, value)) = pair.split_once('=') else { return fail(format!("annotation {pair} is invalid and should be in format key=[value]")) };
        made["metadata"]["annotations"][key] = value.into();
    }
    made["spec"] = spec;
    made["status"] = json!({"loadBalancer": {}});
    finish_as(call, "/apis/networking.k8s.io/v1/namespaces/{}/ingresses", made, "failed to create ingress").await
}
