//! Flags as Helm's users write them: booleans that take `=false`, values that may be left out, lists by commas.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::failure::{Failure, Outcome};

/// A boolean: `--x`, `--x=true`, `--x=false`.
pub fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).num_args(0..=1).require_equals(true).default_missing_value("true").default_value("false").value_parser(clap::builder::BoolishValueParser::new()).hide_possible_values(true).hide_default_value(true).action(ArgAction::Set).overrides_with(name).help(help)
}

/// A text.
pub fn text(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).num_args(1).allow_hyphen_values(true).action(ArgAction::Set).overrides_with(name).help(help)
}

/// A text that may be given again and again.
pub fn many(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).num_args(1).allow_hyphen_values(true).action(ArgAction::Append).help(help)
}

/// A text that may be left out: `--x` alone means `missing`.
pub fn optional(name: &'static str, missing: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).num_args(0..=1).require_equals(true).default_missing_value(missing).action(ArgAction::Set).overrides_with(name).help(help)
}

/// The words that are no flags.
pub fn words(name: &'static str) -> Arg {
    Arg::new(name).num_args(0..).action(ArgAction::Append)
}

pub fn output() -> Arg {
    text("output", "format of the output: table, json or yaml").short('o')
}

/// What can be read of the flags; names are those given above.
pub trait Read {
    fn on(&self, name: &str) -> bool;
    fn value(&self, name: &str) -> Option<&str>;
    fn all(&self, name: &str) -> Vec<&str>;
    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Outcome<T>;
    /// The texts of a flag, also those divided by commas.
    fn listed(&self, name: &str) -> Vec<String> {
        self.all(name).iter().flat_map(|v| v.split(',')).map(str::to_string).collect()
    }
}

impl Read for ArgMatches {
    fn on(&self, name: &str) -> bool {
        self.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false)
    }
    fn value(&self, name: &str) -> Option<&str> {
        self.try_get_one::<String>(name).ok().flatten().map(String::as_str)
    }
    fn all(&self, name: &str) -> Vec<&str> {
        self.try_get_many::<String>(name).ok().flatten().into_iter().flatten().map(String::as_str).collect()
    }
    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        match self.value(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| Failure::new(format!("invalid argument {text:?} for \"--{name}\" flag: strconv.ParseInt: parsing {text:?}: invalid syntax"))),
        }
    }
}

/// The words of a command, as many as it takes; else upstream's refusal.
// Upstream: helm pkg/cmd/require/args.go.
pub fn exactly<'a>(m: &'a ArgMatches, path: &str, usage: &str, count: usize) -> Outcome<Vec<&'a str>> {
    let words = m.all("ARGS");
    if words.len() == count {
        return Ok(words);
    }
    let plural = if count == 1 { "argument" } else { "arguments" };
    let text = if count == 0 { format!("{path:?} accepts no arguments") } else { format!("{path:?} requires {count} {plural}") };
    Err(Failure::new(format!("{text}\n\nUsage:  {} [flags]", with_usage(path, usage))))
}

/// A command's path and the words it takes.
fn with_usage(path: &str, usage: &str) -> String {
    format!("{path} {usage}").trim_end().to_owned()
}

pub fn at_least<'a>(m: &'a ArgMatches, path: &str, usage: &str, count: usize) -> Outcome<Vec<&'a str>> {
    let words = m.all("ARGS");
    if words.len() >= count {
        return Ok(words);
    }
    let plural = if count == 1 { "argument" } else { "arguments" };
    Err(Failure::new(format!("{path:?} requires at least {count} {plural}\n\nUsage:  {} [flags]", with_usage(path, usage))))
}

pub fn at_most<'a>(m: &'a ArgMatches, path: &str, usage: &str, count: usize) -> Outcome<Vec<&'a str>> {
    let words = m.all("ARGS");
    if words.len() <= count {
        return Ok(words);
    }
    let plural = if count == 1 { "argument" } else { "arguments" };
    Err(Failure::new(format!("{path:?} accepts at most {count} {plural}\n\nUsage:  {} [flags]", with_usage(path, usage))))
}

/// A Go duration: `5m0s`, `1h30m`, `300ms`, `90s`; a negative one is none at all.
pub fn duration(text: &str) -> Outcome<std::time::Duration> {
    let nanos = gotime::parse(text).map_err(Failure::new)?;
    Ok(std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()))
}

pub fn timeout(m: &ArgMatches) -> Outcome<std::time::Duration> {
    match m.value("timeout") {
        None => Ok(std::time::Duration::from_secs(300)),
        Some(text) => duration(text).map_err(|e| Failure::new(format!("invalid argument {text:?} for \"--timeout\" flag: {e}"))),
    }
}

/// How long to wait after what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For hooks alone.
    HookOnly,
    /// Until all is ready, told by watches.
    Ready,
    /// The same, and what was not ready in time is not named.
    Legacy,
}

impl Wait {
    /// What is said of a wait that was too long.
    pub fn told(self, e: Failure) -> Failure {
        const LATE: &str = "context deadline exceeded";
        if self == Wait::Legacy && e.text.ends_with(LATE) { Failure { text: LATE.into(), ..e } } else { e }
    }
}

pub fn wait(m: &ArgMatches) -> Outcome<Wait> {
    match m.value("wait") {
        None | Some("hookOnly" | "false") => Ok(Wait::HookOnly),
        Some("watcher" | "true") => Ok(Wait::Ready),
        // The older way of waiting differs in how it asks and what it says, not in what it waits for.
        Some("legacy") => Ok(Wait::Legacy),
        Some(other) => Err(Failure::new(format!("invalid argument {other:?} for \"--wait\" flag: invalid wait input {other:?}. Valid inputs are watcher, hookOnly, and legacy"))),
    }
}

/// Whether and how far an operation is only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRun {
    No,
    Client,
    Server,
}

// Upstream: helm pkg/cmd/helpers.go cmdGetDryRunFlagStrategy.
pub fn dry_run(m: &ArgMatches, default: DryRun) -> Outcome<DryRun> {
    if m.value("dry-run") == Some("unset") {
        crate::failure::warn("--dry-run is deprecated and should be replaced with '--dry-run=client'");
    }
    match m.value("dry-run") {
        None => Ok(default),
        Some("none" | "false" | "") => Ok(DryRun::No),
        Some("client" | "true" | "unset") => Ok(DryRun::Client),
        Some("server") => Ok(DryRun::Server),
        Some(other) => Err(Failure::new(format!("invalid dry-run value ({other:?}). Must be \"none\", \"server\", or \"client\""))),
    }
}

/// A command with its words, without clap's own ideas of help texts for them.
pub fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).arg(words("ARGS").hide(true))
}

/// Flags of where charts come from.
pub fn chart_flags(command: Command) -> Command {
    command.args([
        text("version", "version of the chart, or a range of versions; the latest one where left out"),
        switch("verify", "verify the chart's signature before using it"),
        text("keyring", "file of the public keys that signatures are verified with"),
        text("repo", "URL of the repository that has the chart"),
        text("username", "user name for the repository"),
        text("password", "password for the repository"),
        text("cert-file", "certificate that identifies this client"),
        text("key-file", "key of that certificate"),
        text("ca-file", "certificate authorities of the repository's server"),
        switch("insecure-skip-tls-verify", "do not verify the server's certificate"),
        switch("plain-http", "speak HTTP without TLS"),
        switch("pass-credentials", "send the credentials to all hosts"),
    ])
}

/// Flags of values.
pub fn value_flags(command: Command) -> Command {
    command.args([
        many("values", "YAML file or URL of values; again and again, the last one counts").short('f'),
        many("set", "a value: a.b=1,c={x,y}"),
        many("set-string", "a value that is a text whatever it looks like"),
        many("set-file", "a value that is the content of a file"),
        many("set-json", "a value as JSON: a.b=[1,2], or a whole object"),
        many("set-literal", "a value that is taken as it stands, commas and all"),
    ])
}
