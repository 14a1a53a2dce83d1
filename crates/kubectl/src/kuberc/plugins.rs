//! Which credential plugins of a kubeconfig may run.
// Upstream: client-go plugin/pkg/client/auth/exec/exec.go (policy and allowlist), kubectl pkg/kuberc.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Failure, Outcome};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PluginPolicy {
    #[default]
    AllowAll,
    DenyAll,
    /// Names or paths.
    Allowlist(Vec<String>),
}

impl PluginPolicy {
    /// Of preferences; what contradicts itself is an error.
    pub fn of(preferences: &Value) -> Outcome<Self> {
        let said = |why: String| Err(Failure::Text(why));
        let policy = preferences["credentialPluginPolicy"].as_str().unwrap_or_default();
        let list = preferences["credentialPluginAllowlist"].as_array();
        match (policy, list) {
            ("" | "AllowAll" | "DenyAll", Some(_)) => said(format!("misconfigured credential plugin allowlist: plugin policy is {policy:?} but allowlist is non-nil")),
            ("" | "AllowAll", None) => Ok(Self::AllowAll),
            ("DenyAll", None) => Ok(Self::DenyAll),
            ("Allowlist", None) => said("credential plugin policy set to \"Allowlist\", but allowlist is unspecified".into()),
            ("Allowlist", Some(list)) => {
                let name = |entry: &Value| entry["command"].as_str().filter(|n| !n.is_empty()).or(entry["name"].as_str()).unwrap_or_default().to_owned();
                let names: Vec<String> = list.iter().map(name).collect();
                match names.iter().position(String::is_empty) {
                    Some(at) => said(format!("misconfigured credential plugin allowlist: empty allowlist entry #{}", at + 1)),
                    None => Ok(Self::Allowlist(names)),
                }
            }
            (other, _) => said(format!("unknown plugin policy: {other:?}")),
        }
    }

    /// Why a plugin may not run.
    pub fn refusal(&self, command: &str) -> Option<String> {
        match self {
            Self::AllowAll => None,
            Self::DenyAll => Some(format!("plugin {command:?} not allowed: policy set to \"DenyAll\"")),
            Self::Allowlist(names) if names.iter().any(|n| n == command) => None,
            Self::Allowlist(names) => match on_path(command) {
                None => Some(format!("plugin path {command:?} cannot be resolved for credential plugin allowlist check: exec: {command:?}: executable file not found in $PATH")),
                Some(path) if names.iter().any(|n| on_path(n).as_ref() == Some(&path)) => None,
                Some(path) => Some(format!("plugin path {:?} is not permitted by the credential plugin allowlist", path.display().to_string())),
            },
        }
    }
}

/// Where a command's program stands.
fn on_path(command: &str) -> Option<PathBuf> {
    let runs = |path: &Path| std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|p| runs(p));
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(command)).find(|p| runs(p))
}
