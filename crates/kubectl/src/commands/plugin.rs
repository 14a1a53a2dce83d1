//! `kubectl plugin`, and programs called `kubectl-NAME` as further commands; `kubectl options`.
// Upstream: kubectl pkg/cmd/plugin/plugin.go, pkg/cmd/cmd.go HandlePluginCommand.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use crate::call::{Call, out};
use crate::command::{self, Command, EMPTY};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, yes_no};
use crate::{complain, global, run, say};

pub const COMMAND: Command = Command {
    name: "plugin",
    about: "Programs called kubectl-NAME, anywhere on the PATH, are further commands.",
    subs: &[&LIST],
    ..EMPTY
};

const LIST_FLAGS: &[Flag] = &[yes_no("name-only", "Only the names, not the paths.")];
const LIST: Command = Command { name: "list", about: "Show the plugins on the PATH.", flags: &[LIST_FLAGS], run: run!(list), ..EMPTY };

pub const OPTIONS: Command = Command { name: "options", about: "Show the flags that every command takes.", run: run!(options), ..EMPTY };

async fn options(_call: &Call) -> Outcome {
    out("The following options can be passed to any command:\n\n");
    let mut flags: Vec<&Flag> = global::FLAGS.iter().collect();
    flags.sort_by_key(|f| f.name);
    out(&command::options(&flags));
    Ok(())
}

fn folders() -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = Vec::new();
    for folder in std::env::var_os("PATH").iter().flat_map(std::env::split_paths) {
        if !out.contains(&folder) {
            out.push(folder);
        }
    }
    out
}

fn is_executable(path: &std::path::Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

async fn list(call: &Call) -> Outcome {
    let (mut seen, mut warnings, mut some): (Vec<String>, usize, bool) = (Vec::new(), 0, false);
    for folder in folders() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|n| n.starts_with("kubectl-")) else { continue };
            if !std::mem::replace(&mut some, true) {
                out("The following compatible plugins are available:\n\n");
            }
            say!("{}", if call.flags.yes("name-only") { name.to_owned() } else { path.display().to_string() });
            let mut warn = |why: String| {
                warnings += 1;
                complain!("  - {why}");
            };
            if !is_executable(&path) {
                warn(format!("warning: {} identified as a kubectl plugin, but it is not executable", path.display()));
            }
            if seen.iter().any(|s| s == name) {
                warn(format!("warning: {} is overshadowed by a similarly named plugin", path.display()));
            }
            let word = name.trim_start_matches("kubectl-");
            if crate::commands::ROOT.subs.iter().any(|c| c.name == word) {
                warn(format!("warning: {name} overwrites existing command: \"kubectl {word}\""));
            }
            seen.push(name.to_owned());
        }
    }
    if !some {
        return Err(Failure::Text("unable to find any kubectl plugins in your PATH".into()));
    }
    match warnings {
        0 => Ok(()),
        1 => Err(Failure::Text("one plugin warning was found".into())),
        n => Err(Failure::Text(format!("{n} plugin warnings were found"))),
    }
}

/// The program for the longest beginning of the words: `kubectl a b` is `kubectl-a-b` or `kubectl-a`.
pub fn find(words: &[String]) -> Option<(PathBuf, usize)> {
    let named: Vec<String> = words.iter().take_while(|w| !w.starts_with('-')).map(|w| w.replace('-', "_")).collect();
    (1..=named.len()).rev().find_map(|len| {
        let name = format!("kubectl-{}", named[..len].join("-"));
        let found = folders().into_iter().map(|f| f.join(&name)).find(|p| is_executable(p))?;
        Some((found, len))
    })
}

/// Becomes the plugin; comes back only with a fault.
pub fn exec(program: &PathBuf, words: &[String]) -> Failure {
    let error = std::process::Command::new(program).args(words).exec();
    Failure::Text(format!("{}: {}", program.display(), crate::failure::go_io(&error)))
}
