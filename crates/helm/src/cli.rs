//! The command line: global flags, the list of commands, and clap's complaints in cobra's words.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use crate::commands;
use crate::failure::{Failure, Outcome};
use crate::flags::{many, switch, text};
use crate::settings::Settings;

const ABOUT: &str = "Charts for Kubernetes: search, render, install, upgrade and remove them.";
const AFTER: &str = "Examples:\n  helm create app && helm install web ./app      a chart of your own, installed\n  helm upgrade web ./app --set replicas=3        a new revision\n  helm history web && helm rollback web 1        what was, and back to it\n  helm repo add r URL && helm install x r/chart  a chart of a repository\n\nPlaces and defaults are set by HELM_* variables; `helm env` shows them.";

pub fn command() -> Command {
    let global = [
        text("namespace", "namespace of the release").short('n'),
        text("kube-context", "context of the kubeconfig"),
        text("kubeconfig", "path of the kubeconfig"),
        text("kube-apiserver", "address of the API server"),
        text("kube-as-user", "user to act as"),
        many("kube-as-group", "group to act as; again and again"),
        text("kube-ca-file", "certificate authorities of the API server"),
        text("kube-token", "bearer token for the API server"),
        text("kube-tls-server-name", "name that the API server's certificate must have"),
        switch("kube-insecure-skip-tls-verify", "do not verify the API server's certificate"),
        switch("debug", "say more"),
        text("color", "colours in the output: never, auto, always").visible_alias("colour"),
        text("registry-config", "path of the registry's credentials"),
        text("repository-config", "path of the file of repositories"),
        text("repository-cache", "folder of cached indexes"),
        text("content-cache", "folder of cached charts"),
        text("burst-limit", "taken for compatibility: requests are not throttled here"),
        text("qps", "taken for compatibility: requests are not throttled here"),
    ];
    let root = Command::new("helm").about(ABOUT).after_help(AFTER).disable_version_flag(true).subcommand_required(true).arg_required_else_help(true).infer_long_args(false);
    root.args(global.map(|a| a.global(true).help_heading("Global flags"))).subcommands(commands::all())
}

/// Runs one command line.
pub async fn run(arguments: Vec<OsString>) -> Outcome {
    let words = std::iter::once(OsString::from("helm")).chain(arguments.iter().cloned());
    match command().try_get_matches_from(words) {
        Ok(matches) => {
            let leaf = leaf(&matches);
            crate::checks::check(matches.subcommand_name().unwrap_or_default(), &leaf)?;
            let settings = Settings::read(&leaf);
            commands::run(&matches, &settings).await
        }
        Err(e) => match e.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                crate::output::out(&e.render().to_string());
                Ok(())
            }
            ErrorKind::InvalidSubcommand if crate::plugins::find(&arguments).is_some() => crate::plugins::run(&arguments),
            ErrorKind::InvalidSubcommand if group(&arguments).is_some() => {
                let help = group(&arguments).map(|mut g| g.render_help().to_string()).unwrap_or_default();
                crate::output::out(&help);
                Ok(())
            }
            _ => Err(complaint(&e)),
        },
    }
}

/// The innermost matches, which have the global flags wherever they stood.
fn leaf(matches: &ArgMatches) -> ArgMatches {
    let mut at = matches;
    while let Some((_, inner)) = at.subcommand() {
        at = inner;
    }
    at.clone()
}

/// The group of commands that a command line begins with. Upstream: one that names no command of it shows its help.
fn group(arguments: &[OsString]) -> Option<Command> {
    let root = command();
    let word = arguments.iter().map(|a| a.to_string_lossy()).find(|a| root.find_subcommand(a.as_ref()).is_some())?;
    let group = root.find_subcommand(word.as_ref())?.clone();
    group.has_subcommands().then(|| group.bin_name(format!("helm {word}")))
}

/// Commands in the order of upstream's suggestions.
const NAMES: [&str; 24] = [
    "create", "dependency", "pull", "show", "lint", "package", "repo", "search", "verify", "get", "history", "install", "list", "test", "rollback", "status", "template", "uninstall", "upgrade", "completion", "env", "plugin",
    "version", "registry",
];

/// The commands that a word may have meant.
// Upstream: spf13/cobra SuggestionsFor.
fn suggestions(word: &str) -> String {
    let word = word.to_lowercase();
    let near = |name: &&str| distance(&word, name) <= 2 || name.starts_with(&word);
    let found: String = NAMES.iter().chain(&["push"]).filter(|n| near(n)).map(|n| format!("\t{n}\n")).collect();
    if found.is_empty() { String::new() } else { format!("\n\nDid you mean this?\n{found}") }
}

/// How many letters differ between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let best = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

// Upstream: spf13/cobra and pflag's texts.
fn complaint(e: &clap::Error) -> Failure {
    let context = |kind: ContextKind| match e.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let bare = |text: String| text.split([' ', '=', '[']).next().unwrap_or_default().to_string();
    match e.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand);
            Failure::new(format!("unknown command {word:?} for \"helm\"{}\nRun 'helm --help' for usage.", suggestions(&word)))
        }
        ErrorKind::UnknownArgument => {
            let flag = bare(context(ContextKind::InvalidArg));
            match flag.strip_prefix("--") {
                Some(_) => Failure::new(format!("unknown flag: {flag}")),
                None => Failure::new(format!("unknown shorthand flag: '{}' in {flag}", flag.chars().nth(1).unwrap_or(' '))),
            }
        }
        ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues | ErrorKind::NoEquals | ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            Failure::new(format!("flag needs an argument: {}", bare(context(ContextKind::InvalidArg))))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let (flag, value) = (bare(context(ContextKind::InvalidArg)), context(ContextKind::InvalidValue));
            Failure::new(format!("invalid argument {value:?} for {flag:?} flag: strconv.ParseBool: parsing {value:?}: invalid syntax"))
        }
        _ => Failure::new(e.render().to_string().trim_start_matches("error: ").trim_end().to_string()),
    }
}
