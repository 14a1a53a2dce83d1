//! Upstream's kubectl for the tests: the one that is there, or, where none is or it is too old, that of Debian 13, kept in the
//! target folder. Never installs anything: Debian 12's own package is of 2021 and knows neither `--subresource` nor `auth whoami`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build;
use crate::run::{find, run};

/// The first 1.x whose words and flags the tests use (`wait --for=jsonpath` without a value).
const LEAST: u32 = 31;
/// Where Debian keeps a newer one, and the key that signs it.
const ARCHIVE: &str = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main\n";

/// The folder to put first on the path; none where the kubectl found there serves.
pub fn ensure() -> Result<Option<PathBuf>> {
    if find("kubectl").is_some_and(|found| minor(&found).is_some_and(|m| m >= LEAST)) {
        return Ok(None);
    }
    let folder = build::target().join("kubectl");
    let binary = folder.join("usr/bin/kubectl");
    if minor(&binary).is_none_or(|m| m < LEAST) {
        fetch(&folder).with_context(|| format!("the tests drive kubectl 1.{LEAST} or newer, and there is none: put one on the path and run this again"))?;
    }
    match minor(&binary) {
        Some(m) if m >= LEAST => Ok(binary.parent().map(Path::to_path_buf)),
        _ => bail!("{} is no kubectl of 1.{LEAST} or newer: put one on the path and run this again", binary.display()),
    }
}

/// Which 1.x a kubectl is.
fn minor(kubectl: &Path) -> Option<u32> {
    let asked = Command::new(kubectl).args(["version", "--client", "-o", "json"]).stderr(Stdio::null()).output().ok()?;
    let told: Value = serde_json::from_slice(&asked.stdout).ok()?;
    told["clientVersion"]["minor"].as_str()?.trim_end_matches('+').parse().ok()
}

/// Fetches the package by apt, which checks its signature, with lists of its own: the machine's sources and packages stay as they are.
fn fetch(folder: &Path) -> Result<()> {
    if find("apt-get").is_none() || find("dpkg-deb").is_none() {
        bail!("there is no apt-get and dpkg-deb to fetch it with");
    }
    println!("fetching kubectl");
    let _ = std::fs::remove_dir_all(folder);
    let (lists, sources) = (folder.join("lists"), folder.join("sources.list"));
    std::fs::create_dir_all(lists.join("partial")).with_context(|| format!("could not make {}", lists.display()))?;
    std::fs::write(&sources, ARCHIVE).with_context(|| format!("could not write {}", sources.display()))?;
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        let settings = [("Dir::Etc::SourceList", sources.as_path()), ("Dir::Etc::SourceParts", Path::new("/dev/null")), ("Dir::State::Lists", lists.as_path()), ("Dir::State::Status", Path::new("/dev/null"))];
        for (key, path) in settings {
            command.args(["-o", &format!("{key}={}", path.display())]);
        }
        // What it is read by is root, not apt's own user, who may not enter this folder.
        command.args(["-qq", "-o", "APT::Sandbox::User=root", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]).args(args).current_dir(folder);
        command
    };
    run(&mut apt(&["update"]))?;
    run(&mut apt(&["download", "kubectl"]))?;
    let package = std::fs::read_dir(folder)?.filter_map(|e| Some(e.ok()?.path())).find(|p| p.extension().is_some_and(|e| e == "deb"));
    let package = package.context("apt-get brought no package")?;
    run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(folder))?;
    std::fs::remove_dir_all(&lists).and_then(|()| std::fs::remove_file(&package)).context("could not clear up after the download")
}
