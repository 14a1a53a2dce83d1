//! `helm version`: whose behaviour this is.

use clap::{ArgMatches, Command};
use serde_json::json;

use crate::VERSION;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, switch, text};
use crate::output::out;

pub fn command() -> Command {
    flags::command("version", "Show the version").args([
        switch("short", "the number alone"),
        text("template", "a template to show it with"),
    ])
}

/// A field that is not there, as Go's structures tell of it.
fn of_build_info(error: &str) -> String {
    match error.split_once("map has no entry for key \"") {
        Some((before, key)) => format!("{before}can't evaluate field {} in type version.BuildInfo", key.trim_end_matches('"')),
        None => error.to_owned(),
    }
}

pub fn run(m: &ArgMatches) -> Outcome {
    flags::exactly(m, "helm version", "", 0)?;
    let (commit, tree, rust, kube) = ("knarr", "clean", concat!("knarr ", env!("CARGO_PKG_VERSION")), "v1.37");
    if let Some(template) = m.value("template").filter(|t| !t.is_empty()) {
        let value = json!({ "Version": VERSION, "GitCommit": commit, "GitTreeState": tree, "GoVersion": rust, "KubeClientVersion": kube });
        out(&charts::render::line("_", template, &value, charts::render::MissingKey::Error).map_err(|e| Failure::new(of_build_info(&e)))?);
    } else if m.on("short") {
        out(&format!("{VERSION}+{commit}\n"));
    } else {
        out(&format!("version.BuildInfo{{Version:{VERSION:?}, GitCommit:{commit:?}, GitTreeState:{tree:?}, GoVersion:{rust:?}, KubeClientVersion:{kube:?}}}\n"));
    }
    Ok(())
}
