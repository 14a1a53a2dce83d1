//! `helm template`: a chart rendered, no cluster asked.
// Upstream: helm pkg/cmd/template.go.

use std::path::PathBuf;

use charts::Release;
use charts::render::Capabilities;
use clap::{ArgMatches, Command};

use super::install::{install_flags, install_from, namespace_of, read};
use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, DryRun, Read as _, many, switch, text};
use crate::ops::render::kube_version;
use crate::output::out;
use crate::settings::Settings;

pub fn command() -> Command {
    install_flags(flags::command("template", "Render a chart and show what comes out")).args([
        many("show-only", "show these templates only; again and again").short('s'),
        text("output-dir", "write files into this folder instead"),
        switch("validate", "the older name of --dry-run=server").hide(true),
        switch("include-crds", "show the definitions in crds/ too"),
        switch("skip-tests", "leave tests out"),
        switch("is-upgrade", "render as for an upgrade"),
        text("kube-version", "version of Kubernetes that templates see"),
        many("api-versions", "versions of APIs that templates see; again and again").short('a'),
        switch("release-name", "put the release's name into the path of --output-dir"),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_least(m, "helm template", "[NAME] [CHART]", 1)?;
    // Upstream: rendering alone is a trial always.
    if let Some(value @ ("none" | "false")) = m.value("dry-run") {
        return Err(Failure::new(format!("invalid dry-run value ({value:?}). Must be \"server\" or \"client\"")));
    }
    let mut this = read(m, settings, namespace_of(settings), DryRun::Client)?;
    if m.on("validate") {
        this.dry_run = DryRun::Server;
    }
    if this.dry_run == DryRun::No {
        this.dry_run = DryRun::Client;
    }
    let mut capabilities = Capabilities::default();
    if let Some(version) = m.value("kube-version").filter(|v| !v.is_empty()) {
        capabilities.kube_version = kube_version(version)?;
    }
    capabilities.api_versions.extend(m.listed("api-versions"));
    this.offline = Some(capabilities);
    this.include_crds = m.on("include-crds");
    this.as_upgrade = m.on("is-upgrade");
    this.replace = true;
    this.name = "release-name".into();
    match install_from(m, settings, &words, this).await {
        Ok(release) => show(m, &release),
        Err((Some(release), e)) if settings.debug => {
            show(m, &release)?;
            Err(e)
        }
        Err((Some(_), e)) => Err(Failure::new(format!("{e}\n\nUse --debug flag to render out invalid YAML"))),
        Err((None, e)) => Err(e),
    }
}

fn hooks<'a>(m: &ArgMatches, release: &'a Release) -> Vec<&'a charts::Hook> {
    let (none, no_tests) = (m.on("no-hooks"), m.on("skip-tests"));
    release.hooks.iter().filter(|h| !none && !(no_tests && h.is_for("test"))).collect()
}

fn show(m: &ArgMatches, release: &Release) -> Outcome {
    if let Some(folder) = m.value("output-dir").filter(|d| !d.is_empty()) {
        write(m, release, folder)?;
        // Upstream: what is left of the output is a line without text.
        return match m.all("show-only").first() {
            Some(pattern) => Err(Failure::new(format!("could not find template {pattern} in chart"))),
            None => {
                out("\n");
                Ok(())
            }
        };
    }
    let mut text = format!("{}\n", release.manifest.trim());
    for hook in hooks(m, release) {
        text.push_str(&format!("---\n# Source: {}\n{}\n", hook.path, hook.manifest));
    }
    let wanted = m.all("show-only");
    if wanted.is_empty() {
        out(&text);
        return Ok(());
    }
    let documents = charts::manifest::split(&text);
    let mut shown = String::new();
    for pattern in wanted {
        let fits = |d: &&String| source_of(d).is_some_and(|name| charts::glob::matches(pattern, name));
        let found: Vec<&String> = documents.iter().filter(fits).collect();
        if found.is_empty() {
            return Err(Failure::new(format!("could not find template {pattern} in chart")));
        }
        found.iter().for_each(|d| shown.push_str(&format!("---\n{d}\n")));
    }
    out(&shown);
    Ok(())
}

/// The path behind `# Source: CHART/`.
fn source_of(document: &str) -> Option<&str> {
    let rest = &document[document.find("# Source: ")? + "# Source: ".len()..];
    let line = rest.lines().next()?;
    line.split_once('/').map(|(_, path)| path)
}

fn write(m: &ArgMatches, release: &Release, folder: &str) -> Outcome {
    let mut base = PathBuf::from(folder);
    if m.on("release-name") {
        base.push(&release.name);
    }
    let mut written: Vec<PathBuf> = Vec::new();
    // Each document of the manifest is as its template left it, and a line's end.
    let manifest = format!("\n{}", release.manifest.strip_suffix('\n').unwrap_or(&release.manifest));
    let from_manifest = manifest.split("\n---\n# Source: ").skip(1).filter_map(|d| {
        let (name, content) = d.split_once('\n')?;
        Some((name.to_string(), content.to_string(), false))
    });
    let all: Vec<(String, String, bool)> = from_manifest.chain(hooks(m, release).into_iter().map(|h| (h.path.clone(), h.manifest.clone(), true))).collect();
    for (name, content, is_hook) in all {
        let path = base.join(&name);
        if let Some(parent) = path.parent() {
            // Upstream: whether the folder is there is asked first, while rendering.
            let made = std::fs::create_dir_all(parent);
            made.map_err(|e| Failure::new(format!("{}\n\nUse --debug flag to render out invalid YAML", io("stat", parent, &e))))?;
        }
        let text = format!("---\n# Source: {name}\n{content}\n");
        // Upstream: a hook is put behind what its file has already, of an earlier run too.
        let before = if is_hook || written.contains(&path) { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        std::fs::write(&path, before + &text).map_err(|e| io("open", &path, &e))?;
        out(&format!("wrote {}\n", path.display()));
        written.push(path);
    }
    Ok(())
}
