//! `helm plugin install`: from a folder, an archive here or at a URL, or a git repository.
// Upstream: helm pkg/cmd/plugin_install.go, internal/plugin/installer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use charts::notice::{Level, Notice};
use clap::ArgMatches;

use super::archive;
use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, Read as _};
use crate::output::out;
use crate::plugins::{self, Plugin};
use crate::source::fetch::{Access, get};
use crate::source::provenance;

pub async fn run(m: &ArgMatches) -> Outcome {
    let words = flags::exactly(m, "helm plugin install", "[options] <path|url>", 1)?;
    let source = words[0];
    let path = Path::new(source);
    if source.starts_with("oci://") {
        // Differs: upstream pulls plugins from registries too.
        return Err(Failure::new(format!("{source}: plugins are not pulled from registries here; fetch the archive and install its file")));
    }
    let is_archive = source.ends_with(".tgz") || source.ends_with(".tar.gz");
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    let target = if path.exists() && !is_archive {
        local(path)?
    } else if is_archive && (is_url || path.is_file()) {
        packed(m, source, is_url).await?
    } else {
        cloned(m, source)?
    };
    let plugin = Plugin::read(&target).map_err(|e| e.of("plugin is installed but unusable"))?;
    plugin.hook("install")?;
    out(&format!("Installed plugin: {}\n", plugin.name));
    Ok(())
}

/// The place of a plugin that is not there yet.
fn place(name: &std::ffi::OsStr) -> Outcome<PathBuf> {
    let home = plugins::folders().into_iter().next().unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&home).map_err(|e| io("mkdir", &home, &e))?;
    let target = home.join(name);
    if target.symlink_metadata().is_ok() {
        eprintln!("{}", Notice::new(Level::Warn, "plugin already exists").about("path", target.display().to_string()).about("error", "<nil>"));
        return Err(Failure::new("plugin already exists"));
    }
    Ok(target)
}

/// A folder is linked: what changes in it has changed in the plugin.
fn local(path: &Path) -> Outcome<PathBuf> {
    let real = std::fs::canonicalize(path).map_err(|e| io("open", path, &e))?;
    out("Installing plugin from local directory (development mode)\n");
    if !real.is_dir() {
        return Err(Failure::new("expected plugin to be a directory (containing a file 'plugin.yaml')"));
    }
    if !real.join("plugin.yaml").exists() {
        return Err(Failure::new("plugin metadata (plugin.yaml) missing"));
    }
    let target = place(real.file_name().unwrap_or_default())?;
    std::os::unix::fs::symlink(&real, &target).map_err(|e| io("symlink", &target, &e))?;
    Ok(target)
}

fn verifies(m: &ArgMatches) -> bool {
    let verify = m.on("verify");
    out(if verify { "Verifying plugin signature...\n" } else { "WARNING: Skipping plugin signature verification\n" });
    verify
}

/// An archive is verified, unpacked, and kept beside the plugin with its signature.
async fn packed(m: &ArgMatches, source: &str, is_url: bool) -> Outcome<PathBuf> {
    let verify = verifies(m);
    let (bytes, signed) = if is_url {
        let access = Access::from_flags(m);
        let bytes = get(source, &access).await.map_err(|e| if verify { e.of("failed to get verification data: failed to download plugin") } else { e })?;
        (bytes, get(&format!("{source}.prov"), &access).await.ok())
    } else {
        (std::fs::read(source).map_err(|e| io("open", Path::new(source), &e))?, std::fs::read(format!("{source}.prov")).ok())
    };
    let file = source.rsplit('/').next().unwrap_or(source);
    if verify {
        let signed = signed.as_deref().ok_or_else(|| Failure::new("plugin verification failed: no provenance file (.prov) found"))?;
        let verified = provenance::verify(&bytes, file, signed, &provenance::keyring(m)).map_err(|e| e.of("plugin verification failed"))?;
        out(&super::package::told(&verified));
    }
    let home = plugins::folders().into_iter().next().unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&home).map_err(|e| io("mkdir", &home, &e))?;
    let staged = tempfile::tempdir_in(&home).map_err(|e| io("mkdir", &home, &e))?;
    let inside = staged.path().join("plugin");
    std::fs::create_dir(&inside).map_err(|e| io("mkdir", &inside, &e))?;
    archive::unpack(&bytes, &inside)?;
    let name = Plugin::read(&inside)?.name;
    let target = place(name.as_ref())?;
    std::fs::rename(&inside, &target).map_err(|e| io("rename", &target, &e))?;
    let kept = home.join(file);
    std::fs::write(&kept, &bytes).map_err(|e| io("open", &kept, &e))?;
    if let Some(signed) = signed {
        let beside = home.join(format!("{file}.prov"));
        std::fs::write(&beside, signed).map_err(|e| io("open", &beside, &e))?;
    }
    Ok(target)
}

/// A git repository is cloned, at the version that is named.
fn cloned(m: &ArgMatches, source: &str) -> Outcome<PathBuf> {
    let unknown = || Failure::new(format!("cannot get information about plugin source {source:?} (if it's a local directory, does it exist?), last error was: Cannot detect VCS"));
    let looks_like_git = source.ends_with(".git") || source.starts_with("git@") || source.starts_with("ssh://") || source.starts_with("git://") || source.starts_with("https://") || source.starts_with("file://");
    if !looks_like_git {
        return Err(unknown());
    }
    if m.on("verify") {
        return Err(Failure::new("plugin source does not support verification. Use --verify=false to skip verification"));
    }
    verifies(m);
    let name = source.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']).next().unwrap_or_default();
    if name.is_empty() || name.starts_with('.') {
        return Err(unknown());
    }
    let target = place(name.as_ref())?;
    let home = target.parent().unwrap_or(Path::new("."));
    let staged = tempfile::tempdir_in(home).map_err(|e| io("mkdir", home, &e))?;
    let inside = staged.path().join("plugin");
    git(Path::new("."), &["clone", "--quiet", "--", source, &inside.display().to_string()]).map_err(|_| unknown())?;
    if let Some(version) = m.value("version").filter(|v| !v.is_empty()) {
        if version.starts_with('-') {
            return Err(Failure::new(format!("requested version {version:?} does not exist for plugin {source:?}")));
        }
        git(&inside, &["checkout", "--quiet", version]).map_err(|_| Failure::new(format!("requested version {version:?} does not exist for plugin {source:?}")))?;
    }
    if !inside.join("plugin.yaml").exists() {
        return Err(Failure::new("plugin metadata (plugin.yaml) missing"));
    }
    std::fs::rename(&inside, &target).map_err(|e| io("rename", &target, &e))?;
    Ok(target)
}

/// Runs git; it asks nobody for credentials.
pub fn git(folder: &Path, words: &[&str]) -> Outcome {
    let status = Command::new("git").args(words).current_dir(folder).env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!("git {}: {status}", words[0]))),
        Err(e) => Err(Failure::new(format!("git: {e}"))),
    }
}
