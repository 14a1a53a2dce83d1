//! `helm create`: a chart to begin with.
// Upstream: helm pkg/cmd/create.go: the files and the names of values are those that people expect; the texts are our own.

use std::path::{Path, PathBuf};

use charts::File;
use clap::{ArgMatches, Command};

use super::starter;
use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, Read as _, text};
use crate::output::out;
use crate::settings::Settings;

pub fn command() -> Command {
    flags::command("create", "Make a chart to begin with").arg(text("starter", "name or path of the chart to begin from").short('p'))
}

pub fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::exactly(m, "helm create", "NAME", 1)?;
    let path = Path::new(words[0]);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    out(&format!("Creating {}\n", words[0]));
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 250 || !name.chars().all(good) {
        let text = if name.is_empty() || name.len() > 250 { "chart name must be between 1 and 250 characters" } else { "chart name must match the regular expression \"^[a-zA-Z0-9._-]+$\"" };
        return Err(Failure::new(text));
    }
    let files = match m.value("starter").filter(|s| !s.is_empty()) {
        Some(starter) => from_starter(settings, starter, &name)?,
        None => starter::files(&name),
    };
    if path.exists() && !path.is_dir() {
        return Err(Failure::new(format!("file {} already exists and is not a directory", path.display())));
    }
    for folder in ["charts", "templates/tests"] {
        let folder = path.join(folder);
        std::fs::create_dir_all(&folder).map_err(|e| io("mkdir", &folder, &e))?;
    }
    for file in files {
        let target = path.join(&file.name);
        if target.exists() {
            eprintln!("WARNING: File {:?} already exists. Overwriting.", target.display().to_string());
        }
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io("mkdir", parent, &e))?;
        }
        std::fs::write(&target, file.data).map_err(|e| io("open", &target, &e))?;
    }
    Ok(())
}

/// The files of a starter, its placeholder replaced by the name.
fn from_starter(settings: &Settings, starter: &str, name: &str) -> Outcome<Vec<File>> {
    let path = if Path::new(starter).is_absolute() { PathBuf::from(starter) } else { settings.data_home.join("starters").join(starter) };
    let chart = charts::load(&path).map_err(|e| Failure::new(format!("could not load {}: {e}", path.display())))?;
    let replaced = |f: &File| File { name: f.name.clone(), data: f.text().replace("<CHARTNAME>", name).into_bytes() };
    let mut files: Vec<File> = chart.raw.iter().filter(|f| f.name != "Chart.yaml").map(replaced).collect();
    let mut metadata = chart.metadata.clone();
    metadata.name = name.to_string();
    metadata.version = "0.1.0".into();
    metadata.description = "A Helm chart for Kubernetes".into();
    files.push(File { name: "Chart.yaml".into(), data: goyaml::to_yaml(&serde_json::to_value(metadata).unwrap_or_default()).into_bytes() });
    Ok(files)
}
