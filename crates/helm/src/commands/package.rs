//! `helm package`: a chart's folder becomes an archive, signed if asked.
// Upstream: helm pkg/cmd/package.go, pkg/action/package.go.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};

use super::install::check_dependencies;
use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, Read as _, switch, text};
use crate::output::out;
use crate::settings::Settings;
use crate::source::provenance;

pub fn command() -> Command {
    flags::command("package", "Make an archive of a chart").args([
        text("destination", "folder to write to").short('d'),
        text("version", "version that the chart gets"),
        text("app-version", "version of the application that the chart gets"),
        switch("dependency-update", "fetch the dependencies first").short('u'),
        switch("sign", "sign the archive"),
        text("key", "user name of the key to sign with"),
        text("keyring", "file of the keys"),
        text("passphrase-file", "file of the key's passphrase; - is standard input"),
        text("username", "user name for repositories"),
        text("password", "password for repositories"),
        text("cert-file", "certificate that identifies this client"),
        text("key-file", "key of that certificate"),
        text("ca-file", "certificate authorities of repositories"),
        switch("insecure-skip-tls-verify", "do not verify servers' certificates"),
        switch("plain-http", "speak HTTP without TLS"),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = m.all("ARGS");
    if words.is_empty() {
        return Err(Failure::new("need at least one argument, the path to the chart"));
    }
    if m.on("sign") {
        for (flag, text) in [("key", "--key is required for signing a package"), ("keyring", "--keyring is required for signing a package")] {
            if m.value(flag).map_or(flag == "key", str::is_empty) {
                return Err(Failure::new(text));
            }
        }
    }
    for word in words {
        let path = Path::new(word);
        if !path.exists() {
            return Err(Failure::new(format!("stat {}: no such file or directory", path.display())));
        }
        if path.is_file() {
            return Err(Failure::new(charts::load::undetected(path, "not a directory").to_string()));
        }
        if m.on("dependency-update") {
            super::dependency::update(m, settings, path, false, &mut |_| ()).await?;
        }
        let target = one(m, path)?;
        out(&format!("Successfully packaged chart and saved it to: {}\n", target.display()));
    }
    Ok(())
}

fn one(m: &ArgMatches, path: &Path) -> Outcome<PathBuf> {
    let mut chart = charts::load(path).map_err(|e| Failure::new(e.to_string()))?;
    if let Some(version) = m.value("version").filter(|v| !v.is_empty()) {
        chart.metadata.version = version.to_string();
    }
    if charts::version::Version::parse(&chart.metadata.version).is_none() {
        return Err(Failure::new("invalid semantic version"));
    }
    if let Some(version) = m.value("app-version").filter(|v| !v.is_empty()) {
        chart.metadata.app_version = version.to_string();
    }
    check_dependencies(&chart)?;
    let (name, bytes) = charts::save::save(&chart).map_err(|e| Failure::new(format!("failed to save: {e}")))?;
    let folder = match m.value("destination") {
        None | Some("." | "") => std::env::current_dir().map_err(|e| Failure::new(e.to_string()))?,
        Some(folder) => PathBuf::from(folder),
    };
    if folder.is_file() {
        return Err(Failure::new(format!("failed to save: is not a directory: {}", folder.display())));
    }
    std::fs::create_dir_all(&folder).map_err(|e| io("mkdir", &folder, &e))?;
    let target = folder.join(&name);
    std::fs::write(&target, &bytes).map_err(|e| io("open", &target, &e))?;
    if m.on("sign") {
        let signed = provenance::sign(&bytes, &name, &serde_json::to_value(&chart.metadata).unwrap_or_default(), &provenance::keyring(m), m.value("key").unwrap_or_default(), || passphrase(m))?;
        let beside = folder.join(format!("{name}.prov"));
        std::fs::write(&beside, signed).map_err(|e| io("open", &beside, &e))?;
    }
    Ok(target)
}

pub fn passphrase(m: &ArgMatches) -> Outcome<String> {
    use std::io::Read as _;
    let mut text = String::new();
    match m.value("passphrase-file") {
        None | Some("") => return Ok(text),
        Some("-") => {
            std::io::stdin().take(64 * 1024).read_to_string(&mut text).map_err(|e| Failure::new(format!("standard input: {e}")))?;
        }
        Some(path) => text = std::fs::read_to_string(path).map_err(|e| io("open", Path::new(path), &e))?,
    }
    Ok(text.lines().next().unwrap_or_default().to_string())
}
