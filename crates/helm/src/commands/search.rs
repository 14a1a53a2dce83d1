//! `helm search`: charts in the repositories that are known here.
// Upstream: helm pkg/cmd/search_repo.go, pkg/cmd/search/search.go.

use charts::notice::{Level, Notice};
use charts::version::{Range, Version};
use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, output, switch, text};
use crate::output::{Format, Table, out};
use crate::settings::Settings;
use crate::source::index::Entry;
use crate::source::repositories::Repositories;

pub fn command() -> Command {
    let repo = flags::command("repo", "in the repositories that are known here").args([
        switch("regexp", "the word is a regular expression").short('r'),
        switch("versions", "each version on a line of its own").short('l'),
        switch("devel", "versions that are not released too"),
        text("version", "a range of versions"),
        text("max-col-width", "most characters of a column"),
        switch("fail-on-no-result", "finding nothing is an error"),
        output(),
    ]);
    let hub = flags::command("hub", "on a hub in the network (refused, with the reason)").args([text("endpoint", "the hub's URL"), text("max-col-width", "most characters of a column"), output()]);
    Command::new("search").about("Search for charts").subcommand_required(true).arg_required_else_help(true).subcommands([repo, hub])
}

pub fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    match m.subcommand() {
        Some(("repo", m)) => repo(m, settings),
        // Differs: upstream asks a service of others, and tells it what is looked for.
        Some(("hub", _)) => Err(Failure::new("search hub is not served: it would tell a third party's hub what you look for; add a repository (helm repo add NAME URL) and use: helm search repo KEYWORD")),
        _ => Err(Failure::new("no command given")),
    }
}

/// What stands before the reason for which an index is not in the cache.
const NO_CACHE: &str = "no cached repo found. (try 'helm repo update'): ";

/// What is wrong with a pattern, in the words of Go's `regexp`.
pub fn pattern_fault(pattern: &str) -> Option<String> {
    sprig::regex::compile(pattern.as_bytes()).err().map(|e| e.to_string())
}

struct Found {
    name: String,
    entry: Entry,
    score: usize,
}

fn repo(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = m.all("ARGS");
    let format = Format::parse(m.value("output"))?;
    let all = Repositories::load(settings)?;
    if all.repositories.is_empty() {
        return Err(Failure::new("no repositories configured"));
    }
    let range = match m.value("version").filter(|v| !v.is_empty()) {
        Some(version) => version.to_string(),
        None if m.on("devel") => ">0.0.0-0".into(),
        None => ">0.0.0".into(),
    };
    let wanted = Range::parse(&range).ok_or_else(|| Failure::new(format!("an invalid version/constraint format: improper constraint: {range:?}")))?;
    let word = words.join(" ").to_lowercase();
    let mut indexes = Vec::new();
    for repository in &all.repositories {
        match repository.cached(settings) {
            Ok(index) => indexes.push((repository, index)),
            Err(e) => {
                let why = e.text.strip_prefix(NO_CACHE).unwrap_or(&e.text);
                eprintln!("{}", Notice::new(Level::Warn, "repo is corrupt or missing").about("repo", repository.name.as_str()).about("error", why));
            }
        }
    }
    let pattern = if m.on("regexp") { Some(regex::RegexBuilder::new(&word).case_insensitive(true).build().map_err(|e| Failure::new(pattern_fault(&word).unwrap_or_else(|| e.to_string())))?) } else { None };
    let mut found = Vec::new();
    for (repository, index) in indexes {
        for (chart, versions) in index.entries {
            let name = format!("{}/{chart}", repository.name);
            let fitting = versions.into_iter().filter(|e| Version::parse(&e.metadata.version).is_some_and(|v| wanted.contains(&v)));
            for entry in fitting.take(if m.on("versions") { usize::MAX } else { 1 }) {
                if let Some(score) = score(&name, &entry, &word, pattern.as_ref()) {
                    found.push(Found { name: name.clone(), entry, score });
                }
            }
        }
    }
    found.sort_by(|a, b| a.score.cmp(&b.score).then_with(|| a.name.cmp(&b.name)).then_with(|| Version::parse(&b.entry.metadata.version).cmp(&Version::parse(&a.entry.metadata.version))));
    print(m, &found, format)
}

/// How far into the entry's text the word stands.
fn score(name: &str, entry: &Entry, word: &str, pattern: Option<&regex::Regex>) -> Option<usize> {
    let text = format!("{name}\u{b}{}\u{b}{}", entry.metadata.description, entry.metadata.keywords.join(" ")).to_lowercase();
    match pattern {
        Some(pattern) => pattern.find(&text).map(|f| text[..f.start()].matches('\u{b}').count()),
        None => text.find(word).map(|at| text[..at].matches('\u{b}').count()),
    }
}

fn print(m: &ArgMatches, found: &[Found], format: Format) -> Outcome {
    if found.is_empty() && m.on("fail-on-no-result") {
        return Err(Failure::new("no results found"));
    }
    let value: Value = found.iter().map(|f| json!({ "name": f.name, "version": f.entry.metadata.version, "app_version": f.entry.metadata.app_version, "description": f.entry.metadata.description })).collect();
    if format.print_in_order(&value, &["name", "version", "app_version", "description"]) {
        return Ok(());
    }
    if found.is_empty() {
        out("No results found\n");
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "CHART VERSION", "APP VERSION", "DESCRIPTION"]).max_width(match m.number("max-col-width", 50usize)? {
        0 => usize::MAX,
        width => width,
    });
    for f in found {
        let metadata = &f.entry.metadata;
        table.row(vec![f.name.clone(), metadata.version.clone(), metadata.app_version.clone(), metadata.description.clone()]);
    }
    out(&table.render());
    Ok(())
}
