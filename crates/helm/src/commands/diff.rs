//! `helm diff`: what an upgrade or a rollback would change, and how revisions differ, as the plugin of that name prints it.
// Upstream: databus23/helm-diff cmd/upgrade.go, cmd/rollback.go, cmd/revision.go.

mod report;

use std::collections::BTreeMap;

use clap::{ArgMatches, Command};

use super::install::load_installable;
use super::upgrade::{read, upgrade_flags};
use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, DryRun, Read as _, many, switch, text};
use crate::lease::Lease;
use crate::ops::upgrade::prepare;
use crate::output::out;
use crate::settings::Settings;
use crate::source::locate;
use crate::storage::{NOT_FOUND, Storage};
use report::{Document, Style, documents, print};

fn diff_flags(command: Command) -> Command {
    command.args([
        switch("no-color", "without colours"),
        switch("show-secrets", "show the contents of Secrets"),
        switch("show-secrets-decoded", "show the contents of Secrets, decoded"),
        switch("detailed-exitcode", "exit with 2 where something would change"),
        text("context", "so many lines around changes; all where left out").short('C'),
        many("suppress", "do not show the changes of a kind; again and again"),
        switch("suppress-secrets", "do not show the changes of Secrets").short('q'),
        switch("strip-trailing-cr", "do not see carriage returns at the ends of lines"),
        switch("include-tests", "compare tests and hooks too"),
        text("output", "diff or simple"),
    ])
}

pub fn command() -> Command {
    let upgrade = diff_flags(upgrade_flags(flags::command("upgrade", "what an upgrade would change")).mut_arg("dry-run", |a| a.hide(true))).args([
        switch("allow-unreleased", "a release that is not there is an empty one"),
        switch("three-way-merge", "taken for compatibility: the server's own merge is what is applied"),
        switch("normalize-manifests", "taken for compatibility, does nothing"),
        switch("reset-values-from-chart", "taken for compatibility, does nothing").hide(true),
    ]);
    Command::new("diff").about("Show what an upgrade or a rollback would change").subcommand_required(true).arg_required_else_help(true).subcommands([
        upgrade,
        diff_flags(flags::command("rollback", "what a rollback would change")),
        diff_flags(flags::command("revision", "how two revisions differ, or one and the last")),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let Some((what, m)) = m.subcommand() else { return Err(Failure::new("no command given")) };
    let cluster = Cluster::connect(settings).await?;
    let storage = Storage::new(&cluster, settings, &cluster.namespace)?;
    let tests = m.on("include-tests");
    let manifest = |r: &charts::Release| documents(&whole(r, tests), &r.namespace);
    let (old, new) = match what {
        "upgrade" => upgrade(m, settings, &cluster, &storage, tests).await?,
        "rollback" => {
            let words = flags::exactly(m, "helm diff rollback", "[flags] [RELEASE] [REVISION]", 2)?;
            let target = storage.get(words[0], number(words[1])?).await?.release;
            (manifest(&storage.last(words[0]).await?.release), manifest(&target))
        }
        _ => {
            let words = flags::at_least(m, "helm diff revision", "[flags] RELEASE REVISION1 [REVISION2]", 2)?;
            let first = storage.get(words[0], number(words[1])?).await?.release;
            match words.get(2) {
                Some(second) => {
                    let second = storage.get(words[0], number(second)?).await?.release;
                    // The older one is the one that changes.
                    if first.revision < second.revision { (manifest(&first), manifest(&second)) } else { (manifest(&second), manifest(&first)) }
                }
                None => (manifest(&storage.last(words[0]).await?.release), manifest(&first)),
            }
        }
    };
    show(m, &old, &new)
}

fn number(text: &str) -> Outcome<u64> {
    text.parse().map_err(|_| Failure::new(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
}

/// The manifest with the hooks that are compared: all but tests, which only come where they are asked for.
fn whole(release: &charts::Release, tests: bool) -> String {
    let hooks = release.hooks.iter().filter(|h| tests || !h.is_for("test"));
    hooks.fold(release.manifest.clone(), |text, h| format!("{text}---\n# Source: {}\n{}\n", h.path, h.manifest))
}

type Documents = BTreeMap<String, Document>;

async fn upgrade(m: &ArgMatches, settings: &Settings, cluster: &Cluster, storage: &Storage<'_>, tests: bool) -> Outcome<(Documents, Documents)> {
    let words = flags::exactly(m, "helm diff upgrade", "[flags] [RELEASE] [CHART]", 2)?;
    let (name, reference) = (words[0], words[1]);
    let path = locate::chart(m, settings, reference).await?;
    let values = crate::valueopts::read(m).await?;
    let chart = load_installable(m, settings, &path).await?;
    let fresh = match storage.last(name).await {
        Err(e) if e.text == NOT_FOUND => true,
        other => other.map(|_| false)?,
    };
    if !fresh {
        let this = crate::ops::upgrade::Upgrade { dry_run: DryRun::Server, ..read(m, settings, name)? };
        let prepared = prepare(&this, cluster, storage, &Lease::new(cluster).await?, chart, values).await?;
        return Ok((documents(&whole(&prepared.current, tests), &prepared.current.namespace), documents(&whole(&prepared.next, tests), &prepared.next.namespace)));
    }
    if !(m.on("allow-unreleased") || m.on("install")) {
        return Err(Failure::new(format!("{name:?} has no deployed releases")));
    }
    if m.value("output").is_none_or(|o| o == "diff") {
        out("********************\n\n\tRelease was not present in Helm.  Diff will show entire contents as new.\n\n********************\n");
    }
    let mut this = super::install::read(m, settings, cluster.namespace.clone(), DryRun::Server)?;
    this.dry_run = DryRun::Server;
    this.name = name.to_string();
    let made = crate::ops::install::run(&this, settings, chart, values).await.map_err(|(_, e)| e)?;
    Ok((Documents::new(), documents(&whole(&made, tests), &made.namespace)))
}

fn show(m: &ArgMatches, old: &Documents, new: &Documents) -> Outcome {
    use std::io::IsTerminal as _;
    let mut suppressed: Vec<String> = m.all("suppress").iter().map(|s| s.to_string()).collect();
    if m.on("suppress-secrets") {
        suppressed.push("Secret".into());
    }
    let style = Style {
        colour: !m.on("no-color") && std::env::var_os("NO_COLOR").is_none() && (std::io::stdout().is_terminal() || std::env::var("HELM_DIFF_COLOR").is_ok_and(|v| v == "true")),
        context: m.value("context").and_then(|c| c.parse().ok()).filter(|c: &i64| *c >= 0).map(|c| c as usize),
        secrets: m.on("show-secrets"),
        decoded: m.on("show-secrets-decoded"),
        strip_cr: m.on("strip-trailing-cr"),
        simple: match m.value("output") {
            None | Some("diff") => false,
            Some("simple") => true,
            Some(other) => return Err(Failure::new(format!("output {other:?} is not served; use diff or simple"))),
        },
        suppressed,
    };
    let (text, changed) = print(old, new, &style);
    out(&text);
    if changed && m.on("detailed-exitcode") {
        return Err(Failure { text: "identified at least one change, exiting with non-zero exit code (detailed-exitcode parameter enabled)".into(), code: 2 });
    }
    Ok(())
}
