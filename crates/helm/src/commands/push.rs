//! `helm push`: a chart's archive goes to a registry.
// Upstream: helm pkg/cmd/push.go.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};

use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, switch, text};
use crate::output::out;
use crate::settings::Settings;
use crate::source::fetch::Access;
use crate::source::oci;

pub fn command() -> Command {
    flags::command("push", "Bring a chart's archive to a registry").args([
        text("username", "user name for the registry"),
        text("password", "password for the registry"),
        text("cert-file", "certificate that identifies this client"),
        text("key-file", "key of that certificate"),
        text("ca-file", "certificate authorities of the registry"),
        switch("insecure-skip-tls-verify", "do not verify the registry's certificate"),
        switch("plain-http", "speak HTTP without TLS"),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_least(m, "helm push", "[chart] [remote]", 2)?;
    let (path, remote) = (Path::new(words[0]), words[1]);
    if !remote.starts_with("oci://") {
        return Err(Failure::new(match remote.split_once("://") {
            Some((scheme, _)) => format!("scheme {scheme:?} not supported"),
            None if remote.split('/').next().is_some_and(|first| first.contains(':')) => format!("invalid chart URL format: {remote}"),
            None => "scheme prefix missing from remote (e.g. \"oci://\")".into(),
        }));
    }
    if path.is_dir() {
        return Err(Failure::new("cannot push directory, must provide chart archive (.tgz)"));
    }
    if !path.exists() {
        return Err(Failure::new(format!("{}: no such file", path.display())));
    }
    charts::load(path).map_err(|e| Failure::new(e.to_string()))?;
    let bytes = std::fs::read(path).map_err(|e| io("open", path, &e))?;
    let signed = std::fs::read(PathBuf::from(format!("{}.prov", path.display()))).ok();
    let (name, digest) = oci::push(settings, &bytes, signed.as_deref(), remote, &Access::from_flags(m)).await?;
    out(&oci::words("Pushed", &name, &digest));
    Ok(())
}
