//! The people's tools inside this binary: `knarr helm ...`, or the tool's own name by which a link to the binary is called.
//!
//! A tool gets its arguments as they are, before the command line of knarr is looked at.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

type Tool = fn(Vec<OsString>) -> ExitCode;

/// The tools by name; `knarr install-links` makes a link for each.
const TOOLS: &[(&str, Tool)] = &[("helm", helm::main), ("kubectl", kubectl::main)];

/// Runs the tool that the arguments ask for, if they ask for one.
pub fn run(arguments: Vec<OsString>) -> Option<ExitCode> {
    let called = Path::new(arguments.first()?).file_name()?.to_str()?;
    if let Some(tool) = named(called) {
        return Some(tool(arguments[1..].to_vec()));
    }
    let tool = named(arguments.get(1)?.to_str()?)?;
    Some(tool(arguments[2..].to_vec()))
}

fn named(name: &str) -> Option<Tool> {
    TOOLS.iter().find(|(n, _)| *n == name).map(|(_, tool)| *tool)
}

/// The names of the tools.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(name, _)| *name)
}
