//! A user's preferences (`~/.kube/kuberc`): defaults of flags, aliases of commands, which credential plugins may run.
//!
//! Reading takes the first document of a file that can be used; what is wrong with it is told, and never stops a command unless
//! the file was named.
// Upstream: kubectl pkg/kuberc (kuberc.go, marshal.go), pkg/config/v1beta1 and v1alpha1 types.go.

mod plugins;
mod read;
mod rewrite;

use std::path::{Path, PathBuf};

pub use plugins::PluginPolicy;
pub use read::{FIELDS, VERSION, read};
pub use rewrite::rewrite;

use crate::failure::{Failure, Outcome, path_error};
use crate::kubeconfig::home;

/// Whether preferences are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Yes,
    /// `KUBERC=off`
    Off,
    /// `KUBECTL_KUBERC=false`
    Absent,
}

pub fn wanted() -> Wanted {
    if std::env::var("KUBECTL_KUBERC").is_ok_and(|v| crate::flags::parse_bool(&v) == Some(false)) {
        return Wanted::Absent;
    }
    if std::env::var("KUBERC").is_ok_and(|v| v == "off") { Wanted::Off } else { Wanted::Yes }
}

/// The file of preferences, and whether it was named.
pub fn file(flag: &str) -> (PathBuf, bool) {
    let named = Some(flag.to_owned()).filter(|f| !f.is_empty()).or_else(|| std::env::var("KUBERC").ok().filter(|f| !f.is_empty()));
    named.map_or_else(|| (home().join(".kube/kuberc"), false), |file| (file.into(), true))
}

/// `--kuberc` wherever it stands before `--`.
fn flag(args: &[String]) -> &str {
    let before = &args[..args.iter().position(|a| a == "--").unwrap_or(args.len())];
    let found = before.iter().enumerate().find_map(|(i, arg)| arg.strip_prefix("--kuberc=").or_else(|| (arg == "--kuberc").then(|| before.get(i + 1).map_or("", String::as_str))));
    found.unwrap_or("")
}

/// A file's text; nothing where it is not there.
fn text(file: &Path) -> Outcome<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::Text(path_error("open", &file.display().to_string(), &e))),
    }
}
