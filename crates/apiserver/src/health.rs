//! Health and version: what is served without a resource.

pub mod checks;

use http::{Response, StatusCode};
use serde_json::json;

use crate::respond::{self, Body};

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
