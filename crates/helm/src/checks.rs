//! What is checked of flags before a command runs: their types, flags that exclude each other, and words on those that are old.
// Upstream: spf13/pflag's texts, spf13/cobra flag_groups.go, and the flags' declarations in helm pkg/cmd.

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _};
use crate::output::Format;

/// How a flag's value is read: what it is called in errors, and the function of Go's `strconv` that refuses it.
const NUMBERS: [(&str, &str, Number); 7] = [
    ("max", "-m, --max", Number::Int),
    ("offset", "--offset", Number::Int),
    ("revision", "--revision", Number::Int),
    ("history-max", "--history-max", Number::Int),
    ("burst-limit", "--burst-limit", Number::Int),
    ("max-col-width", "--max-col-width", Number::Uint),
    ("qps", "--qps", Number::Float),
];

#[derive(Clone, Copy)]
enum Number {
    Int,
    Uint,
    Float,
}

/// Old flags, and what is said of them.
const OLD: [(&str, &str); 3] = [("atomic", "use --rollback-on-failure instead"), ("force", "use --force-replace instead"), ("validate", "use '--dry-run=server' instead")];
const IDLE: &str = "this flag has no effect for 'helm template' and will be removed in Helm 5";

/// Checks the flags of a command, given by its name.
pub fn check(command: &str, m: &ArgMatches) -> Outcome {
    told(command, m);
    for (name, shown, kind) in NUMBERS {
        number(m, name, if name == "max" && command == "history" { "--max" } else { shown }, kind)?;
    }
    if given(m, "timeout") {
        flags::timeout(m)?;
    }
    if given(m, "wait") {
        flags::wait(m)?;
    }
    if given(m, "output") {
        Format::parse(m.value("output"))?;
    }
    if given(m, "labels") {
        super::commands::check_labels(m)?;
    }
    if matches!(command, "install" | "template") {
        boolean(m, "server-side")?;
    }
    exclusive(m, &["force-replace", "force-conflicts"])?;
    exclusive(m, &["force", "force-replace"])?;
    color(m)
}

fn given(m: &ArgMatches, name: &str) -> bool {
    m.try_contains_id(name).unwrap_or(false) && m.value_source(name) == Some(ValueSource::CommandLine)
}

fn told(command: &str, m: &ArgMatches) {
    for (name, text) in OLD.into_iter().filter(|(name, _)| given(m, name)) {
        eprintln!("Flag --{name} has been deprecated, {text}");
    }
    for name in ["hide-notes", "render-subchart-notes"].into_iter().filter(|name| command == "template" && given(m, name)) {
        eprintln!("Flag --{name} has been deprecated, {IDLE}");
    }
}

fn number(m: &ArgMatches, name: &str, shown: &str, kind: Number) -> Outcome {
    let Some(text) = m.value(name).filter(|_| given(m, name)) else { return Ok(()) };
    let (good, function) = match kind {
        Number::Int => (text.parse::<i64>().is_ok(), "ParseInt"),
        Number::Uint => (text.parse::<u64>().is_ok(), "ParseUint"),
        Number::Float => (text.parse::<f64>().is_ok(), "ParseFloat"),
    };
    if good { Ok(()) } else { Err(refused(text, shown, function)) }
}

fn boolean(m: &ArgMatches, name: &str) -> Outcome {
    match m.value(name).filter(|_| given(m, name)) {
        Some(text) if !matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False") => Err(refused(text, &format!("--{name}"), "ParseBool")),
        _ => Ok(()),
    }
}

fn refused(text: &str, flag: &str, function: &str) -> Failure {
    Failure::new(format!("invalid argument {text:?} for {flag:?} flag: strconv.{function}: parsing {text:?}: invalid syntax"))
}

fn exclusive(m: &ArgMatches, group: &[&str]) -> Outcome {
    let mut set: Vec<&str> = group.iter().copied().filter(|name| given(m, name)).collect();
    set.sort_unstable();
    if set.len() < 2 { Ok(()) } else { Err(Failure::new(format!("if any flags in the group [{}] are set none of the others can be; [{}] were all set", group.join(" "), set.join(" ")))) }
}

fn color(m: &ArgMatches) -> Outcome {
    match m.value("color").filter(|c| !matches!(*c, "never" | "auto" | "always" | "")) {
        None => Ok(()),
        Some(mode) => {
            eprintln!("level=WARN msg=\"command failed\" error=\"invalid color mode \\\"{mode}\\\": must be one of: never, auto, always\"");
            Err(Failure::new(""))
        }
    }
}
