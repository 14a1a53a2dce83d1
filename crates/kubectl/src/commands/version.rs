//! `kubectl version` and `kubectl cluster-info`.
// Upstream: kubectl pkg/cmd/version, clusterinfo.

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::client::{VERSION, go_arch};
use crate::command::{Command, EMPTY};
use crate::failure::{Outcome, fail};
use crate::flags::{Flag, text, yes_no};
use crate::{print, run, say};

/// The kustomize that kubectl 1.37 carries.
const KUSTOMIZE: &str = "v5.8.1";

const FLAGS: &[Flag] = &[yes_no("client", "Only the client's version, without asking the server."), text("output", "", "yaml or json.").short('o')];

pub const COMMAND: Command =
    Command { name: "version", about: "Show the versions of client and server.", examples: "# Both\nkubectl version\n\n# Only the client's\nkubectl version --client", flags: &[FLAGS], run: run!(run), ..EMPTY };

async fn run(call: &Call) -> Outcome {
    if !call.args().is_empty() {
        return fail(format!("extra arguments: [{}]", call.args().join(" ")));
    }
    let output = call.flags.text("output");
    if !["", "json", "yaml"].contains(&output) {
        return fail("--output must be 'yaml' or 'json'");
    }
    let (major, minor) = VERSION.trim_start_matches('v').split_once('.').map(|(a, b)| (a, b.split('.').next().unwrap_or_default())).unwrap_or_default();
    let client = json!({
        "major": major, "minor": minor, "gitVersion": VERSION, "gitCommit": option_env!("KNARR_COMMIT").unwrap_or_default(), "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, go_arch()),
    });
    let server = if call.flags.yes("client") { Ok(None) } else { ask(call).await.map(Some) };
    let shown = server.as_ref().ok().and_then(Option::as_ref);
    match output {
        "" => {
            say!("Client Version: {VERSION}\nKustomize Version: {KUSTOMIZE}");
            if let Some(server) = shown {
                say!("Server Version: {}", server["gitVersion"].as_str().unwrap_or_default());
            }
        }
        form => {
            let mut all = json!({"clientVersion": client, "kustomizeVersion": KUSTOMIZE});
            if let Some(server) = shown {
                all["serverVersion"] = server.clone();
            }
            out(&if form == "json" { print::pretty_two_listed(&all, FIELDS) } else { print::yaml(&all) });
        }
    }
    if let Some(warning) = shown.and_then(skew) {
        crate::complain!("{warning}");
    }
    server.map(drop)
}

/// Upstream: cmd/version/version.go, apimachinery pkg/version/types.go.
const FIELDS: &[&str] = &[
    "clientVersion", "kustomizeVersion", "serverVersion", "major", "minor", "emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor", "gitVersion", "gitCommit",
    "gitTreeState", "buildDate", "goVersion", "compiler", "platform",
];

async fn ask(call: &Call) -> Outcome<Value> {
    call.api().await?.get("/version").await
}

/// One minor version apart is supported.
fn skew(server: &Value) -> Option<String> {
    let minor = |text: &str| -> Option<i64> { text.trim_start_matches('v').split('.').nth(1)?.parse().ok() };
    let theirs = server["gitVersion"].as_str()?;
    let apart = minor(VERSION)? - minor(theirs)?;
    (apart.abs() > 1).then(|| {
        let short = |v: &str| v.trim_start_matches('v').split('.').take(2).collect::<Vec<_>>().join(".");
        format!("WARNING: version difference between client ({}) and server ({}) exceeds the supported minor version skew of +/-1", short(VERSION), short(theirs))
    })
}

pub const CLUSTER_INFO: Command = Command {
    name: "cluster-info",
    about: "Show the addresses of the control plane and of services with the label kubernetes.io/cluster-service=true.\n\n'kubectl cluster-info dump' collects what one needs to look for a fault.",
    subs: &[&super::dump::COMMAND],
    run: run!(cluster_info),
    ..EMPTY
};

async fn cluster_info(call: &Call) -> Outcome {
    let api = call.api().await?;
    let services = api.get("/api/v1/namespaces/kube-system/services?labelSelector=kubernetes.io%2Fcluster-service%3Dtrue").await?;
    running("Kubernetes control plane", &api.server);
    for service in services["items"].as_array().into_iter().flatten() {
        let (name, namespace) = (api::meta::name(service), api::meta::namespace(service));
        let ingress = &service["status"]["loadBalancer"]["ingress"][0];
        let link = match ingress["ip"].as_str().or(ingress["hostname"].as_str()) {
            Some(host) => service["spec"]["ports"].as_array().into_iter().flatten().map(|p| format!("http://{host}:{} ", p["port"])).collect(),
            None => {
                let port = &service["spec"]["ports"][0];
                let named = port["name"].as_str().filter(|n| !n.is_empty()).map(|n| format!("{name}:{n}")).unwrap_or_else(|| name.to_owned());
                let scheme = if port["port"] == 443 || port["name"] == "https" { "https:" } else { "" };
                format!("{}/api/v1/namespaces/{namespace}/services/{scheme}{named}{}/proxy", api.server, if scheme.is_empty() || named.contains(':') { "" } else { ":" })
            }
        };
        let label = service["metadata"]["labels"]["kubernetes.io/name"].as_str().unwrap_or(name);
        running(label, &link);
    }
    out("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
    Ok(())
}

fn running(what: &str, link: &str) {
    use std::io::IsTerminal as _;
    if std::io::stdout().is_terminal() {
        say!("\u{1b}[0;32m{what}\u{1b}[0m is running at \u{1b}[0;33m{link}\u{1b}[0m");
    } else {
        say!("{what} is running at {link}");
    }
}
