//! `helm completion`: scripts that complete commands and flags in shells.
// Differs: upstream's scripts ask the program at each key; these hold the commands and flags themselves.

use clap::{ArgMatches, Command};
use clap_complete::Shell;

use crate::failure::{Failure, Outcome};
use crate::flags::switch;
use crate::output::out;

pub fn command() -> Command {
    let one = |name: &'static str| crate::flags::command(name, "").about(format!("for {name}")).arg(switch("no-descriptions", "without descriptions"));
    Command::new("completion").about("Print a script that completes commands in a shell").subcommand_required(true).arg_required_else_help(true).subcommands([one("bash"), one("zsh"), one("fish"), one("powershell")])
}

pub fn run(m: &ArgMatches) -> Outcome {
    let shell = match m.subcommand_name() {
        Some("bash") => Shell::Bash,
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        Some("powershell") => Shell::PowerShell,
        _ => return Err(Failure::new("no shell given")),
    };
    if let Some((name, m)) = m.subcommand() {
        crate::flags::exactly(m, &format!("helm completion {name}"), "", 0)?;
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::command(), "helm", &mut script);
    out(&String::from_utf8_lossy(&script));
    Ok(())
}
