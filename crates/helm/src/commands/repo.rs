//! `helm repo`: the repositories that are known here, and the making of indexes.
// Upstream: helm pkg/cmd/repo_*.go.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, Read as _, output, switch, text};
use crate::output::{Format, Table, now, out};
use crate::settings::Settings;
use crate::source::index::{Entry, Index};
use crate::source::locate::digest;
use crate::source::repositories::{Repositories, Repository};

pub fn command() -> Command {
    let add = flags::command("add", "know a repository").args([
        text("username", "user name"),
        text("password", "password"),
        switch("password-stdin", "read the password from standard input"),
        text("cert-file", "certificate that identifies this client"),
        text("key-file", "key of that certificate"),
        text("ca-file", "certificate authorities of the server"),
        switch("insecure-skip-tls-verify", "do not verify the server's certificate"),
        switch("pass-credentials", "send the credentials to all hosts"),
        switch("force-update", "replace one of the same name"),
        switch("allow-deprecated-repos", "taken for compatibility, does nothing"),
        switch("no-update", "taken for compatibility, does nothing").hide(true),
        text("timeout", "how long fetching the index may take"),
    ]);
    let index = flags::command("index", "make the index of a folder of archives").args([text("url", "URL that the archives will have"), text("merge", "an index whose entries come along"), switch("json", "write JSON")]);
    let list = flags::command("list", "show those known").visible_alias("ls").args([switch("no-headers", "without the line of headings"), output()]);
    let remove = flags::command("remove", "forget repositories").visible_alias("rm");
    let update = flags::command("update", "fetch their indexes anew").visible_alias("up").args([text("timeout", "how long fetching an index may take"), switch("fail-on-repo-update-fail", "taken for compatibility: failing is an error always").hide(true)]);
    Command::new("repo").about("Repositories of charts").subcommand_required(true).arg_required_else_help(true).subcommands([add, index, list, remove, update])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    match m.subcommand() {
        Some(("add", m)) => add(m, settings).await,
        Some(("index", m)) => index(m),
        Some(("list", m)) => list(m, settings),
        Some(("remove", m)) => remove(m, settings),
        Some(("update", m)) => update(m, settings).await,
        _ => Err(Failure::new("no command given")),
    }
}

fn flag(m: &ArgMatches, name: &str) -> String {
    m.value(name).unwrap_or_default().to_string()
}

async fn add(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::exactly(m, "helm repo add", "[NAME] [URL]", 2)?;
    let (name, url) = (words[0], words[1]);
    const GONE: [(&str, &str); 2] = [("https://kubernetes-charts.storage.googleapis.com", "https://charts.helm.sh/stable"), ("https://kubernetes-charts-incubator.storage.googleapis.com", "https://charts.helm.sh/incubator")];
    if let Some((_, instead)) = GONE.iter().find(|(old, _)| url.contains(old)) {
        return Err(Failure::new(format!("repo {url:?} is no longer available; try {instead:?} instead")));
    }
    let _lock = Repositories::lock(settings)?;
    let mut all = Repositories::load(settings)?;
    if name.contains('/') {
        return Err(Failure::new(format!("repository name ({name}) contains '/', please specify a different name without '/'")));
    }
    let mut password = flag(m, "password");
    if m.on("password-stdin") {
        password.clear();
        std::io::stdin().read_line(&mut password).map_err(|e| Failure::new(format!("standard input: {e}")))?;
        password = password.trim_end_matches(['\r', '\n']).to_string();
    } else if password.is_empty() && !flag(m, "username").is_empty() {
        password = super::registry::secret("Password: ")?;
    }
    let new = Repository {
        name: name.into(),
        url: url.into(),
        username: flag(m, "username"),
        password,
        cert_file: flag(m, "cert-file"),
        key_file: flag(m, "key-file"),
        ca_file: flag(m, "ca-file"),
        insecure_skip_tls_verify: m.on("insecure-skip-tls-verify"),
        pass_credentials_all: m.on("pass-credentials"),
    };
    if let Some(old) = all.find(name).filter(|_| !m.on("force-update")) {
        if *old != new {
            return Err(Failure::new(format!("repository name ({name}) already exists, please specify a different name")));
        }
        out(&format!("{name:?} already exists with the same configuration, skipping\n"));
        return Ok(());
    }
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if !matches!(scheme, "http" | "https" | "oci") && !crate::plugins::speaks(scheme) {
        return Err(Failure::new(format!("could not find protocol handler for: {scheme}")));
    }
    new.refresh(settings).await.map_err(|e| e.of(format!("looks like {url:?} is not a valid chart repository or cannot be reached")))?;
    all.repositories.retain(|r| r.name != name);
    all.repositories.push(new);
    all.save(settings)?;
    out(&format!("{name:?} has been added to your repositories\n"));
    Ok(())
}

fn list(m: &ArgMatches, settings: &Settings) -> Outcome {
    flags::exactly(m, "helm repo list", "", 0)?;
    let format = Format::parse(m.value("output"))?;
    // Upstream: a file that cannot be read has no repositories.
    let all = Repositories::load(settings).unwrap_or_default();
    if all.repositories.is_empty() && format == Format::Table {
        eprintln!("no repositories to show");
        return Ok(());
    }
    let value: Value = all.repositories.iter().map(|r| json!({ "name": r.name, "url": r.url })).collect();
    if format.print(&value) {
        return Ok(());
    }
    let mut table = if m.on("no-headers") { Table::without_header() } else { Table::new(&["NAME", "URL"]) };
    all.repositories.iter().for_each(|r| table.row(vec![r.name.clone(), r.url.clone()]));
    out(&table.render());
    Ok(())
}

fn remove(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_least(m, "helm repo remove", "[REPO1 [REPO2 ...]]", 1)?;
    let mut all = Repositories::load(settings)?;
    if all.repositories.is_empty() {
        return Err(Failure::new("no repositories configured"));
    }
    for name in words {
        let Some(found) = all.find(name).cloned() else { return Err(Failure::new(format!("no repo named {name:?} found"))) };
        all.repositories.retain(|r| r.name != name);
        all.save(settings)?;
        let _ = std::fs::remove_file(found.index_path(settings));
        let _ = std::fs::remove_file(settings.repository_cache.join(format!("{name}-charts.txt")));
        out(&format!("{name:?} has been removed from your repositories\n"));
    }
    Ok(())
}

async fn update(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = m.all("ARGS");
    let all = Repositories::load(settings)?;
    if all.repositories.is_empty() {
        return Err(Failure::new("no repositories found. You must add one before updating"));
    }
    if let Some(unknown) = words.iter().find(|w| all.find(w).is_none()) {
        return Err(Failure::new(format!("no repositories found matching '{unknown}'.  Nothing will be updated")));
    }
    let wanted: Vec<&Repository> = all.repositories.iter().filter(|r| words.is_empty() || words.contains(&r.name.as_str())).collect();
    refresh(settings, &wanted, &mut out).await
}

/// Fetches indexes, side by side, and tells of each.
pub async fn refresh(settings: &Settings, wanted: &[&Repository], say: &mut dyn FnMut(&str)) -> Outcome {
    say("Hang tight while we grab the latest from your chart repositories...\n");
    let mut failed = Vec::new();
    let done = futures::future::join_all(wanted.iter().map(|r| r.refresh(settings))).await;
    for (repository, outcome) in wanted.iter().zip(done) {
        match outcome {
            Ok(_) => say(&format!("...Successfully got an update from the {:?} chart repository\n", repository.name)),
            Err(e) => {
                say(&format!("...Unable to get an update from the {:?} chart repository ({}):\n\t{e}\n", repository.name, repository.url));
                failed.push(repository.url.clone());
            }
        }
    }
    if !failed.is_empty() {
        return Err(Failure::new(format!("failed to update the following repositories: [{}]", failed.join(" "))));
    }
    say("Update Complete. ⎈Happy Helming!⎈\n");
    Ok(())
}

fn index(m: &ArgMatches) -> Outcome {
    let words = flags::exactly(m, "helm repo index", "[DIR]", 1)?;
    let folder = Path::new(words[0]);
    let whole = std::path::absolute(folder).map_err(|e| io("stat", folder, &e))?;
    // Upstream: the file is written beside its place first.
    let beside = whole.join(format!("index.yaml{}", rand::random::<u32>()));
    std::fs::metadata(folder.join(".")).map_err(|e| io("open", &beside, &e))?;
    let mut made = Index::default();
    let mut archives = Vec::new();
    collect(folder, folder, 0, &mut archives)?;
    for (path, inner) in archives {
        let bytes = std::fs::read(&path).map_err(|e| io("open", &path, &e))?;
        let chart = charts::load_archive(&bytes).map_err(|e| Failure::new(e.to_string()))?;
        let url = m.value("url").filter(|u| !u.is_empty()).map_or_else(|| inner.clone(), |base| format!("{}/{inner}", base.trim_end_matches('/')));
        let entry = Entry { metadata: chart.metadata.clone(), urls: vec![url], created: Some(now()), digest: Some(digest(&bytes)) };
        made.entries.entry(chart.name().to_string()).or_default().push(entry);
    }
    if let Some(path) = m.value("merge").filter(|p| !p.is_empty()) {
        let old = match std::fs::read(path) {
            Ok(bytes) => Index::parse(&bytes).map_err(|e| e.of(format!("merge failed: error loading {path}")))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let empty = Index::default();
                std::fs::write(path, goyaml::to_yaml(&empty.to_value())).map_err(|e| io("open", Path::new(path), &e))?;
                empty
            }
            Err(e) => return Err(io("open", Path::new(path), &e).of("merge failed")),
        };
        for (name, versions) in old.entries {
            let list = made.entries.entry(name).or_default();
            let new: Vec<Entry> = versions.into_iter().filter(|v| !list.iter().any(|l| l.metadata.version == v.metadata.version)).collect();
            list.extend(new);
        }
    }
    made.sort();
    let value = made.to_value();
    let text = if m.on("json") { in_order(&value) } else { goyaml::to_yaml(&value) };
    let path = folder.join("index.yaml");
    std::fs::write(&path, text).map_err(|e| io("open", &path, &e))
}

/// An index as indented JSON, its own fields in the order of their declaration.
fn in_order(value: &Value) -> String {
    let one = |key: &str| format!("  {key:?}: {}", goyaml::to_json_pretty(&value[key], "  ").replace('\n', "\n  "));
    format!("{{\n{}\n}}", ["apiVersion", "generated", "entries"].map(one).join(",\n"))
}

/// The archives of a folder and of those right below it.
fn collect(root: &Path, folder: &Path, depth: usize, found: &mut Vec<(PathBuf, String)>) -> Outcome {
    let entries = std::fs::read_dir(folder).map_err(|e| io("open", folder, &e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && depth == 0 {
            collect(root, &path, depth + 1, found)?;
        } else if path.extension().is_some_and(|e| e == "tgz") {
            let inner = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            found.push((path, inner));
        }
    }
    Ok(())
}
