//! `helm dependency`: the charts that a chart needs, fetched into `charts/`.
// Upstream: helm pkg/cmd/dependency_*.go, pkg/downloader/manager.go, internal/resolver/resolver.go.

use std::path::{Path, PathBuf};

use charts::Chart;
use charts::chart::{Dependency, Lock};
use charts::version::{Version, is_compatible};
use clap::{ArgMatches, Command};
use serde_json::json;

use crate::failure::{Failure, Outcome, io, warn};
use crate::flags::{self, Read as _, switch, text};
use crate::output::{Table, now, out};
use crate::settings::Settings;
use crate::source::fetch::Access;
use crate::source::locate::{self, Request, digest};
use crate::source::provenance;
use crate::source::repositories::{Repositories, Repository};

pub fn command() -> Command {
    let fetching = |name, about| {
        flags::command(name, about).args([
            switch("verify", "verify the archives' signatures"),
            text("keyring", "file of the public keys that signatures are verified with"),
            switch("skip-refresh", "do not fetch indexes anew"),
            text("username", "user name for repositories"),
            text("password", "password for repositories"),
            text("cert-file", "certificate that identifies this client"),
            text("key-file", "key of that certificate"),
            text("ca-file", "certificate authorities of repositories"),
            switch("insecure-skip-tls-verify", "do not verify servers' certificates"),
            switch("plain-http", "speak HTTP without TLS"),
        ])
    };
    let list = flags::command("list", "show what is needed and what is here").visible_alias("ls").arg(text("max-col-width", "most characters of a column"));
    Command::new("dependency").about("The charts that a chart needs").visible_aliases(["dep", "dependencies"]).subcommand_required(true).arg_required_else_help(true).subcommands([
        fetching("build", "fetch the versions that Chart.lock names"),
        list,
        fetching("update", "find the newest fitting versions and fetch them").visible_alias("up"),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let Some((what, m)) = m.subcommand() else { return Err(Failure::new("no command given")) };
    let words = flags::at_most(m, &format!("helm dependency {what}"), "CHART", 1)?;
    let path = PathBuf::from(words.first().copied().unwrap_or("."));
    match what {
        "list" => list(m, &path),
        "build" => update(m, settings, &path, true, &mut out).await,
        _ => update(m, settings, &path, false, &mut out).await,
    }
}

fn load(path: &Path) -> Outcome<Chart> {
    charts::load::load_plain(path).map_err(|e| Failure::new(e.to_string()))
}

fn list(m: &ArgMatches, path: &Path) -> Outcome {
    let chart = load(path)?;
    if chart.metadata.dependencies.is_empty() {
        out(&format!("WARNING: no dependencies at {}\n", path.join("charts").display()));
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "VERSION", "REPOSITORY", "STATUS"]).max_width(m.number("max-col-width", 80usize)?);
    for d in &chart.metadata.dependencies {
        table.row(vec![d.name.clone(), d.version.clone(), d.repository.clone(), status(path, &chart, d)]);
    }
    out(&format!("{}\n", table.render()));
    for below in chart.dependencies.iter().filter(|c| !chart.metadata.dependencies.iter().any(|d| d.name == c.name())) {
        eprintln!("WARNING: {:?} is not in Chart.yaml.", path.join("charts").join(below.name()).display().to_string());
    }
    Ok(())
}

fn status(path: &Path, chart: &Chart, d: &Dependency) -> String {
    let folder = path.join("charts");
    let Some(found) = chart.dependencies.iter().find(|c| c.name() == d.name) else { return "missing".into() };
    if !is_compatible(&d.version, &found.metadata.version) {
        return "wrong version".into();
    }
    if folder.join(&d.name).is_dir() { "unpacked".into() } else { "ok".into() }
}

/// The digest by which a lock knows the dependencies that it was made of.
// Upstream: internal/resolver HashReq.
fn hash(wanted: &[Dependency], locked: &[Dependency]) -> String {
    let list = |d: &[Dependency]| d.iter().map(in_go_order).collect::<Vec<_>>().join(",");
    format!("sha256:{}", digest(format!("[[{}],[{}]]", list(wanted), list(locked)).as_bytes()))
}

/// A dependency as Go's `json.Marshal` writes it: fields in the order of their declaration.
fn in_go_order(d: &Dependency) -> String {
    let value = serde_json::to_value(d).unwrap_or_default();
    crate::output::to_json_in_order(&value, &["name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"])
}

/// Takes what is told on the way.
pub type Say<'a> = &'a mut dyn FnMut(&str);

/// Resolves (or takes from the lock) and fetches all that a chart needs.
pub async fn update(m: &ArgMatches, settings: &Settings, path: &Path, build: bool, say: Say<'_>) -> Outcome {
    if !path.exists() {
        return Err(Failure::new(format!("could not find {0}: stat {0}: no such file or directory", path.display())));
    }
    let chart = load(path)?;
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    check_repositories(settings, &chart.metadata.dependencies)?;
    let wanted = &with_urls(settings, &chart.metadata.dependencies)?;
    let lock = match &chart.lock {
        Some(lock) if build => {
            if hash(wanted, &lock.dependencies) != lock.digest {
                let file = if chart.metadata.api_version == "v1" { "the lock file (requirements.lock) is out of sync with the dependencies file (requirements.yaml). Please update the dependencies with 'helm dependency update'" } else { "the lock file (Chart.lock) is out of sync with the dependencies file (Chart.yaml). Please update the dependencies with 'helm dependency update'" };
                return Err(Failure::new(file));
            }
            refresh(m, settings, say).await?;
            lock.dependencies.clone()
        }
        _ => {
            unmanaged(m, settings, wanted, say).await?;
            refresh(m, settings, say).await?;
            resolve(m, settings, path, wanted).await?
        }
    };
    fetch_all(m, settings, path, &lock, wanted, say).await?;
    let digest = hash(wanted, &lock);
    if chart.lock.as_ref().is_none_or(|l| l.digest != digest) {
        write_lock(path, &chart, Lock { generated: now(), digest, dependencies: lock })?;
    }
    Ok(())
}

fn is_local(d: &Dependency) -> bool {
    d.repository.is_empty() || d.repository.starts_with("file://")
}

fn check_repositories(settings: &Settings, wanted: &[Dependency]) -> Outcome {
    let missing: Vec<&str> = wanted.iter().filter(|d| d.repository.starts_with('@') || d.repository.starts_with("alias:")).filter(|d| locate::base_of(settings, &d.repository, &Access::default()).is_err()).map(|d| d.repository.as_str()).collect();
    if missing.is_empty() { Ok(()) } else { Err(Failure::new(format!("no repository definition for {}. Please add them via 'helm repo add'", missing.join(", ")))) }
}

/// The dependencies with URLs for the names of repositories.
fn with_urls(settings: &Settings, wanted: &[Dependency]) -> Outcome<Vec<Dependency>> {
    let named = |d: &Dependency| d.repository.starts_with('@') || d.repository.starts_with("alias:");
    let whole = |d: &Dependency| {
        let repository = if named(d) { locate::base_of(settings, &d.repository, &Access::default())?.0 } else { d.repository.clone() };
        Ok(Dependency { repository, ..d.clone() })
    };
    wanted.iter().map(whole).collect()
}

/// Fetches the indexes of all repositories that are known here. One that does not come is told, and is no failure yet.
async fn refresh(m: &ArgMatches, settings: &Settings, say: Say<'_>) -> Outcome {
    let all = Repositories::load(settings)?;
    if m.on("skip-refresh") || all.repositories.is_empty() {
        return Ok(());
    }
    let refs: Vec<_> = all.repositories.iter().collect();
    // What failed is told; whether it is missed shows when versions are looked for.
    if super::repo::refresh(settings, &refs, say).await.is_err() {
        say("Update Complete. ⎈Happy Helming!⎈\n");
    }
    all.repositories.iter().try_for_each(|r| match std::fs::metadata(r.index_path(settings)) {
        Ok(_) => Ok(()),
        Err(e) => Err(io("open", &r.index_path(settings), &e)),
    })
}

/// Fetches the indexes of repositories that are not known here, by their URLs alone.
// Upstream: pkg/downloader/manager.go ensureMissingRepos.
async fn unmanaged(m: &ArgMatches, settings: &Settings, wanted: &[Dependency], say: Say<'_>) -> Outcome {
    let known = Repositories::load(settings)?;
    let urls: Vec<&str> = wanted.iter().filter(|d| !is_local(d) && !d.repository.starts_with("oci://") && known.at(&d.repository).is_none()).map(|d| d.repository.as_str()).collect();
    if m.on("skip-refresh") || urls.is_empty() {
        return Ok(());
    }
    say("Getting updates for unmanaged Helm repositories...\n");
    for url in urls {
        match Repository::unmanaged(url).refresh(settings).await {
            Ok(_) => say(&format!("...Successfully got an update from the {url:?} chart repository\n")),
            Err(e) => say(&format!("...Unable to get an update from the {url:?} chart repository:\n\t{e}\n")),
        }
    }
    Ok(())
}

// Upstream: internal/resolver/resolver.go.
async fn resolve(m: &ArgMatches, settings: &Settings, path: &Path, wanted: &[Dependency]) -> Outcome<Vec<Dependency>> {
    let (mut out, mut missing) = (Vec::new(), Vec::new());
    for d in wanted {
        let version = if is_local(d) {
            let folder = local_path(path, d);
            let chart = load(&folder).map_err(|e| if folder.exists() { e } else { Failure::new(format!("directory {} not found", folder.display())) })?;
            is_compatible(&d.version, &chart.metadata.version).then_some(chart.metadata.version)
        } else {
            locate::resolve(settings, &d.repository, &d.name, &d.version, &Access::from_flags(m)).await?
        };
        match version {
            Some(version) => out.push(Dependency { name: d.name.clone(), version, repository: d.repository.clone(), ..Dependency::default() }),
            None => missing.push(format!("{:?} (repository {:?}, version {:?})", d.name, d.repository, d.version)),
        }
    }
    if missing.is_empty() {
        return Ok(out);
    }
    Err(Failure::new(format!("can't get a valid version for {} subchart(s): {}. Make sure a matching chart version exists in the repo, or change the version constraint in Chart.yaml", missing.len(), missing.join(", "))))
}

fn local_path(path: &Path, d: &Dependency) -> PathBuf {
    if d.repository.is_empty() {
        return path.join("charts").join(&d.name);
    }
    path.join(d.repository.trim_start_matches("file://"))
}

/// Fetches all beside `charts/` and puts them there only when all have come.
async fn fetch_all(m: &ArgMatches, settings: &Settings, path: &Path, lock: &[Dependency], wanted: &[Dependency], say: Say<'_>) -> Outcome {
    say(&format!("Saving {} charts\n", lock.len()));
    let target = path.join("charts");
    let staged = tempfile::tempdir_in(path).map_err(|e| io("mkdir", path, &e))?;
    let mut kept = Vec::new();
    for d in lock {
        if d.repository.is_empty() {
            say(&format!("Dependency {} did not declare a repository. Assuming it exists in the charts directory\n", d.name));
            let here = load(&target.join(&d.name))?;
            if !is_compatible(&d.version, &here.metadata.version) {
                return Err(Failure::new(format!("dependency {} at version {} does not satisfy the constraint {}", d.name, here.metadata.version, d.version)));
            }
            continue;
        }
        let (name, bytes) = if d.repository.starts_with("file://") {
            charts::save::save(&load(&local_path(path, d))?)?
        } else {
            say(&format!("Downloading {} from repo {}\n", d.name, d.repository));
            fetch_one(m, settings, d).await?
        };
        let file = staged.path().join(&name);
        std::fs::write(&file, bytes).map_err(|e| io("open", &file, &e))?;
        kept.push(name);
    }
    say("Deleting outdated charts\n");
    std::fs::create_dir_all(&target).map_err(|e| io("mkdir", &target, &e))?;
    remove_old(&target, wanted, &kept)?;
    for name in kept {
        let to = target.join(&name);
        std::fs::rename(staged.path().join(&name), &to).map_err(|e| io("rename", &to, &e))?;
    }
    Ok(())
}

async fn fetch_one(m: &ArgMatches, settings: &Settings, d: &Dependency) -> Outcome<(String, Vec<u8>)> {
    let access = Access::from_flags(m);
    let oci = d.repository.starts_with("oci://");
    let (reference, request) = if oci {
        (format!("{}/{}", d.repository.trim_end_matches('/'), d.name), Request { version: d.version.clone(), access, repo: None, provenance: m.on("verify") })
    } else {
        let (base, access) = locate::base_of(settings, &d.repository, &access)?;
        (d.name.clone(), Request { version: d.version.clone(), access, repo: Some(base), provenance: m.on("verify") })
    };
    let fetched = locate::fetch(settings, &reference, &request).await.map_err(|e| e.of(format!("could not download {reference}")))?;
    if let Some(signed) = &fetched.provenance {
        provenance::verify(&fetched.bytes, &fetched.name, signed, &provenance::keyring(m))?;
    }
    let chart = charts::load_archive(&fetched.bytes).map_err(|e| Failure::new(e.to_string()))?;
    Ok((format!("{}-{}.tgz", chart.name(), chart.metadata.version), fetched.bytes))
}

/// Removes archives of the same charts that are not among those that came.
fn remove_old(target: &Path, wanted: &[Dependency], kept: &[String]) -> Outcome {
    let entries = std::fs::read_dir(target).map_err(|e| io("open", target, &e))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(base) = name.strip_suffix(".tgz") else { continue };
        let is_of = |d: &Dependency| base.strip_prefix(&format!("{}-", d.name)).is_some_and(|v| Version::parse(v).is_some());
        if wanted.iter().any(is_of) && !kept.contains(&name) {
            std::fs::remove_file(entry.path()).map_err(|e| io("remove", &entry.path(), &e))?;
        }
    }
    Ok(())
}

fn write_lock(path: &Path, chart: &Chart, lock: Lock) -> Outcome {
    let name = if chart.metadata.api_version == "v1" { "requirements.lock" } else { "Chart.lock" };
    let target = path.join(name);
    let is_link = std::fs::symlink_metadata(&target).is_ok_and(|f| f.file_type().is_symlink());
    if is_link {
        // Writing through a link would write wherever it leads.
        return Err(Failure::new(format!("the {name} file is a symlink to {:?}", std::fs::read_link(&target).unwrap_or_default())));
    }
    let dependencies: Vec<_> = lock.dependencies.iter().map(|d| json!({ "name": d.name, "repository": d.repository, "version": d.version })).collect();
    let text = goyaml::to_yaml(&json!({ "dependencies": dependencies, "digest": lock.digest, "generated": lock.generated }));
    if !path.is_dir() {
        warn("the chart is an archive: its lock is not written");
        return Ok(());
    }
    std::fs::write(&target, text).map_err(|e| io("open", &target, &e))
}
