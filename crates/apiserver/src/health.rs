//! Health, version, metrics: what is served without a resource.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::json;

use api::query::Query;

use crate::encryption::plugins;
use crate::respond::{self, Body};
use crate::server::Server;

/// The release whose API is served.
pub const MAJOR: &str = "1";
pub const MINOR: &str = "37";
/// The commit that was built, where the build tells it. Upstream's clients want hexadecimal digits here.
pub const COMMIT: &str = match option_env!("KNARR_COMMIT") {
    Some(commit) => commit,
    None => "0000000000000000000000000000000000000000",
};

/// Paths that ask for no credentials.
pub fn is_public(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    matches!(first, "livez" | "readyz" | "healthz" | "version")
}

pub fn git_version() -> String {
    format!("v{MAJOR}.{MINOR}.0+knarr.{}", env!("CARGO_PKG_VERSION"))
}

pub fn platform() -> String {
    format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" })
}

pub fn version() -> Response<Body> {
    respond::json(
        StatusCode::OK,
        &json!({
            "major": MAJOR, "minor": MINOR, "gitVersion": git_version(), "gitCommit": COMMIT, "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": platform(),
            "emulationMajor": MAJOR, "emulationMinor": MINOR, "minCompatibilityMajor": MAJOR, "minCompatibilityMinor": "36",
        }),
    )
}

/// Upstream: `ok`, or one line a check with `?verbose`, or 500 with the checks that fail.
pub async fn check(server: &Arc<Server>, path: &str, query: &Query) -> Response<Body> {
    let kind = path.trim_matches('/').split('/').next().unwrap_or_default();
    let plugins = plugins::checks(server).await;
    let mut checks = vec![("ping", true), ("log", true), ("etcd", true)];
    checks.extend(plugins.iter().map(|(name, ok)| (name.as_str(), *ok)));
    // Upstream: of readiness alone.
    if kind == "readyz" {
        checks.push(("shutdown", !server.ending.has_begun()));
    }
    let asked = path.trim_matches('/').split_once('/').map(|(_, name)| name);
    if let Some(name) = asked {
        return match checks.iter().find(|(n, _)| *n == name) {
            Some((_, true)) => respond::text(StatusCode::OK, "ok"),
            Some(_) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error: not ok\n"),
            None => crate::handler::not_found(),
        };
    }
    let skipped: Vec<&str> = query.all("exclude").collect();
    let failed = checks.iter().any(|(name, ok)| !ok && !skipped.contains(name));
    if !failed && !query.has("verbose") {
        return respond::text(StatusCode::OK, "ok");
    }
    let mut text = String::new();
    for (name, ok) in checks {
        let (sign, word) = match (ok, skipped.contains(&name)) {
            (_, true) => ("+", "excluded: ok"),
            (true, _) => ("+", "ok"),
            (false, _) => ("-", "failed: reason withheld"),
        };
        text.push_str(&format!("[{sign}]{name} {word}\n"));
    }
    text.push_str(&format!("{kind} check {}\n", if failed { "failed" } else { "passed" }));
    respond::text(if failed { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }, text)
}
