//! `helm pull`: a chart comes here as a file or a folder.
// Upstream: helm pkg/cmd/pull.go, pkg/action/pull.go.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};

use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, Read as _, chart_flags, switch, text};
use crate::output::out;
use crate::settings::Settings;
use crate::source::locate::{Request, fetch};
use crate::source::provenance;

pub fn command() -> Command {
    chart_flags(flags::command("pull", "Fetch a chart")).visible_alias("fetch").args([
        switch("devel", "take versions that are not released yet"),
        switch("untar", "unpack it"),
        switch("prov", "fetch its provenance too, without verifying"),
        text("untardir", "folder to unpack into"),
        text("destination", "folder to write to").short('d'),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_least(m, "helm pull", "[chart URL | repo/chartname] [...]", 1)?;
    let request = Request::from_flags(m);
    for reference in words {
        let fetched = fetch(settings, reference, &request).await?;
        out(&fetched.told);
        let folder = PathBuf::from(m.value("destination").unwrap_or("."));
        if m.on("verify") {
            let signed = fetched.provenance.as_deref().unwrap_or_default();
            let verified = provenance::verify(&fetched.bytes, &fetched.name, signed, &provenance::keyring(m))?;
            out(&super::verify::told(&verified));
        }
        if m.on("untar") {
            untar(m, &folder, &fetched.bytes)?;
            continue;
        }
        let path = folder.join(&fetched.name);
        std::fs::write(&path, &fetched.bytes).map_err(|e| io("open", &path, &e))?;
        if let Some(signed) = &fetched.provenance {
            let beside = folder.join(format!("{}.prov", fetched.name));
            std::fs::write(&beside, signed).map_err(|e| io("open", &beside, &e))?;
        }
    }
    Ok(())
}

fn untar(m: &ArgMatches, folder: &Path, bytes: &[u8]) -> Outcome {
    let mut target = PathBuf::from(m.value("untardir").unwrap_or("."));
    if target.is_relative() {
        target = folder.join(target).components().filter(|c| !matches!(c, std::path::Component::CurDir)).collect();
    }
    let chart = charts::load_archive(bytes).map_err(|e| Failure::new(e.to_string()))?;
    // The name was validated: it is one part of a path, and none of the special ones.
    let home = target.join(chart.name());
    if home.exists() {
        return Err(Failure::new(format!("failed to untar: a file or directory with the name {} already exists", home.display())));
    }
    unpack(&chart, &home)
}

/// Writes a chart's files below a folder. The loader refused names that would leave it; links are not followed, for the folder is new.
pub fn unpack(chart: &charts::Chart, home: &Path) -> Outcome {
    for file in &chart.raw {
        let path = home.join(&file.name);
        let inside = Path::new(&file.name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !inside {
            return Err(Failure::new(format!("chart illegally references parent directory: {}", file.name)));
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io("mkdir", parent, &e))?;
        }
        std::fs::write(&path, &file.data).map_err(|e| io("open", &path, &e))?;
    }
    Ok(())
}
