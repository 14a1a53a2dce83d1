//! What `/livez`, `/readyz` and `/healthz` look at, and how they tell it.
//!
//! Upstream: apiserver `pkg/server/healthz/healthz.go`, `pkg/server/options/etcd.go`.

use std::sync::Arc;
use std::time::Duration;

use api::query::Query;
use http::{Response, StatusCode};

use crate::encryption::plugins;
use crate::respond::{self, Body};
use crate::server::Server;

/// What upstream's server does once it began to serve, and this one before: whoever is answered finds it done. That is why
/// `--livez-grace-period`, which forgives these for a while, never has anything to forgive.
const BEFORE_SERVING: [&str; 20] = [
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];

struct Check {
    name: String,
    /// Why it fails.
    fault: Option<String>,
}

fn check(name: impl Into<String>, fault: Option<String>) -> Check {
    Check { name: name.into(), fault }
}

/// All checks of one path, in upstream's order.
async fn all(server: &Arc<Server>, kind: &str) -> Vec<Check> {
    let of_readiness = kind == "readyz";
    let mut checks = vec![check("ping", None), check("log", None)];
    let patience = server.config.etcd.as_ref().map(|etcd| (etcd.health_timeout, etcd.ready_timeout)).unwrap_or_default();
    checks.push(check("etcd", store_fault(server, patience.0).await));
    if of_readiness {
        checks.push(check("etcd-readiness", store_fault(server, patience.1).await));
    }
    checks.extend(plugins::checks(server).await.into_iter().map(|(name, ok)| check(name, (!ok).then(|| "not ok".into()))));
    if of_readiness {
        checks.push(check("informer-sync", None));
    }
    checks.extend(BEFORE_SERVING.map(|name| check(name, None)));
    if of_readiness {
        checks.push(check("shutdown", server.ending.has_begun().then(|| "process is shutting down".into())));
    }
    checks
}

/// What is between this server and its objects: nothing where they are its own.
async fn store_fault(server: &Server, patience: Duration) -> Option<String> {
    match tokio::time::timeout(patience, server.store.fresh()).await {
        Ok(fresh) => fresh.err().map(|why| why.to_string()),
        Err(_) => Some("etcd failed: context deadline exceeded".into()),
    }
}

/// `ok`, or one line a check with `?verbose`, or 500 with the checks that fail; one check alone below the path.
pub async fn answer(server: &Arc<Server>, path: &str, query: &Query) -> Response<Body> {
    let path = path.trim_matches('/');
    let (kind, asked) = path.split_once('/').map_or((path, None), |(kind, name)| (kind, Some(name)));
    let checks = all(server, kind).await;
    for check in checks.iter().filter(|c| asked.is_none_or(|asked| c.name == asked)) {
        server.metrics.slis.checked(kind, &check.name, check.fault.is_none());
    }
    match asked {
        Some(name) => match checks.into_iter().find(|c| c.name == name) {
            Some(Check { fault: None, .. }) => respond::text(StatusCode::OK, "ok"),
            Some(Check { fault: Some(why), .. }) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n")),
            None => crate::handler::not_found(),
        },
        None => {
            let (is_well, lines) = told(kind, &checks, query.all("exclude").collect());
            match (is_well, query.has("verbose")) {
                (true, false) => respond::text(StatusCode::OK, "ok"),
                (true, true) => respond::text(StatusCode::OK, lines),
                (false, _) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, lines),
            }
        }
    }
}

/// Whether all is well, and the line of each check. Everybody may ask, so reasons are withheld.
fn told(kind: &str, checks: &[Check], mut excluded: Vec<&str>) -> (bool, String) {
    let (mut is_well, mut lines) = (true, String::new());
    excluded.sort_unstable();
    excluded.dedup();
    for Check { name, fault } in checks {
        let before = excluded.len();
        excluded.retain(|e| e != name);
        lines.push_str(&match fault {
            _ if excluded.len() < before => format!("[+]{name} excluded: ok\n"),
            None => format!("[+]{name} ok\n"),
            Some(_) => {
                is_well = false;
                format!("[-]{name} failed: reason withheld\n")
            }
        });
    }
    if !excluded.is_empty() {
        let quoted: Vec<String> = excluded.iter().map(|e| format!("{e:?}")).collect();
        lines.push_str(&format!("warn: some health checks cannot be excluded: no matches for {}\n", quoted.join(",")));
    }
    lines.push_str(&format!("{kind} check {}\n", if is_well { "passed" } else { "failed" }));
    (is_well, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_told_without_their_reasons() {
        let checks = [check("ping", None), check("etcd", Some("secret".into()))];
        assert_eq!(told("livez", &checks, vec![]), (false, "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n".into()));
        let excluded = told("readyz", &checks, vec!["x", "etcd", "b"]);
        assert_eq!(excluded, (true, "[+]ping ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"b\",\"x\"\nreadyz check passed\n".into()));
    }
}
