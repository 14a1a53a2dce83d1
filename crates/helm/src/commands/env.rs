//! `helm env`: where things are kept, and what is set.

use clap::{ArgMatches, Command};

use super::install::namespace_of;
use crate::failure::Outcome;
use crate::flags;
use crate::output::out;
use crate::settings::Settings;

pub fn command() -> Command {
    flags::command("env", "Show the places and settings that Helm works with")
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_most(m, "helm env", "", 1)?;
    let all = settings.variables(&namespace_of(settings));
    match words.first() {
        Some(name) => out(&format!("{}\n", all.get(name).cloned().unwrap_or_default())),
        None => out(&all.iter().map(|(k, v)| format!("{k}={v:?}\n")).collect::<String>()),
    }
    Ok(())
}
