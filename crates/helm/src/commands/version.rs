//! `helm version`: whose behaviour this is.

use clap::{ArgMatches, Command};
use serde_json::json;

use crate::VERSION;
use crate::failure::Outcome;
use crate::flags::{self, Read as _, switch, text};
use crate::output::out;

pub fn command() -> Command {
    flags::command("version", "Show the version").args([
        switch("short", "the number alone"),
        text("template", "a template to show it with"),
    ])
}

pub fn run(m: &ArgMatches) -> Outcome {
    flags::exactly(m, "helm version", "", 0)?;
    let (commit, tree, rust, kube) = ("knarr", "clean", concat!("knarr ", env!("CARGO_PKG_VERSION")), "v1.37");
    if let Some(template) = m.value("template").filter(|t| !t.is_empty()) {
        let value = json!({ "Version": VERSION, "GitCommit": commit, "GitTreeState": tree, "GoVersion": rust, "KubeClientVersion": kube });
        out(&crate::ops::render::text(template, value)?);
    } else if m.on("short") {
        out(&format!("{VERSION}+{commit}\n"));
    } else {
        out(&format!("version.BuildInfo{{Version:{VERSION:?}, GitCommit:{commit:?}, GitTreeState:{tree:?}, GoVersion:{rust:?}, KubeClientVersion:{kube:?}}}\n"));
    }
    Ok(())
}
