//! The tree of commands: finding the one that a command line names, its flags, its help.
//!
//! Never does a command's work.
// Upstream: spf13/cobra command.go (Find, stripFlags, suggestions), kubectl pkg/util/templates (the layout of help).

use std::future::Future;
use std::pin::Pin;

use crate::call::Call;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Flags, Kind};
use crate::global;

pub type Run = for<'a> fn(&'a Call) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// `run!(get::run)`: an async function as a command's work.
#[macro_export]
macro_rules! run {
    ($work:path) => {
        Some(|call| Box::pin($work(call)))
    };
}

pub struct Command {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// What follows the command's path in the usage line.
    pub usage: &'static str,
    pub about: &'static str,
    pub examples: &'static str,
    pub flags: &'static [&'static [Flag]],
    pub subs: &'static [&'static Command],
    /// Flags without which nothing can be done.
    pub required: &'static [&'static str],
    pub run: Option<Run>,
    pub hidden: bool,
}

/// A command with nothing set.
pub const EMPTY: Command = Command { name: "", aliases: &[], usage: "", about: "", examples: "", flags: &[], subs: &[], required: &[], run: None, hidden: false };

impl Command {
    fn named(&self, word: &str) -> Option<&'static Command> {
        self.subs.iter().copied().find(|c| c.name == word || c.aliases.contains(&word))
    }

    fn known(&self) -> Flags {
        Flags::new(self.flags.iter().flat_map(|group| group.iter()).chain(global::FLAGS).copied())
    }

    pub fn first_line(&self) -> &'static str {
        self.about.lines().next().unwrap_or_default().trim_end_matches('.')
    }
}

/// The command that a line names, the path to it, and the words left over.
pub struct Named {
    pub command: &'static Command,
    pub path: String,
    pub words: Vec<String>,
}

/// Finds the command: at each level the first word that is neither a flag nor a flag's value.
pub fn find(root: &'static Command, words: &[String]) -> Outcome<Named> {
    let mut named = Named { command: root, path: root.name.to_owned(), words: words.to_vec() };
    while let Some(at) = first_argument(named.command, &named.words) {
        let word = &named.words[at];
        let Some(sub) = named.command.named(word) else {
            if named.command.name == root.name {
                return Err(unknown(root, word));
            }
            break;
        };
        named.path = format!("{} {}", named.path, sub.name);
        named.words.remove(at);
        named.command = sub;
    }
    Ok(named)
}

fn first_argument(command: &Command, words: &[String]) -> Option<usize> {
    if command.subs.is_empty() {
        return None;
    }
    let known = command.known();
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_str();
        if word == "--" {
            return None;
        }
        let takes_next = match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(long), _) => !long.contains('=') && long != "help" && known.long(long).is_none_or(|f| f.bare.is_none()),
            (None, Some(short)) if short.chars().count() == 1 => short != "h" && short.chars().next().and_then(|s| known.by_short(s)).is_none_or(|f| f.bare.is_none()),
            (None, Some(short)) if !short.is_empty() => false,
            _ => return Some(at),
        };
        at += if takes_next { 2 } else { 1 };
    }
    None
}

fn unknown(root: &Command, word: &str) -> Failure {
    let mut text = format!("unknown command {word:?} for {:?}", root.name);
    let near: Vec<&str> = root.subs.iter().filter(|c| !c.hidden && (distance(&word.to_lowercase(), c.name) <= 2 || c.name.starts_with(&word.to_lowercase()))).map(|c| c.name).collect();
    if !near.is_empty() {
        text = format!("{text}\n\nDid you mean this?\n\t{}\n", near.join("\n\t"));
    }
    Failure::Text(text)
}

/// Edits between two words.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = if ca == *cb { corner } else { 1 + corner.min(row[j]).min(row[j + 1]) };
            corner = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

impl Named {
    pub fn flags(&self) -> Outcome<Flags> {
        self.flags_with(|_| Ok(()))
    }

    /// The same; flags that were not given may get values before they are missed.
    pub fn flags_with(&self, prefer: impl FnOnce(&mut Flags) -> Outcome) -> Outcome<Flags> {
        let mut flags = self.command.known();
        flags.parse(&self.words).map_err(|why| Failure::Text(format!("{why}\nSee '{} --help' for usage.", self.path)))?;
        prefer(&mut flags)?;
        let missing: Vec<String> = self.command.required.iter().filter(|f| !flags.given(f)).map(|f| format!("{f:?}")).collect();
        if !missing.is_empty() && !flags.help {
            return Err(Failure::Text(format!("required flag(s) {} not set", missing.join(", "))));
        }
        Ok(flags)
    }

    /// The whole help page.
    pub fn help(&self) -> String {
        let command = self.command;
        let mut out = format!("{}\n\n", command.about.trim_end());
        if !command.examples.is_empty() {
            out.push_str("Examples:\n");
            for line in command.examples.trim_end().lines() {
                out.push_str(&format!("  {line}\n"));
            }
            out.push('\n');
        }
        let subs: Vec<_> = command.subs.iter().filter(|c| !c.hidden).collect();
        if !subs.is_empty() {
            out.push_str("Available Commands:\n");
            let width = subs.iter().map(|c| c.name.len()).max().unwrap_or(0).max(10);
            for sub in &subs {
                out.push_str(&format!("  {:width$}   {}\n", sub.name, sub.first_line()));
            }
            out.push('\n');
        }
        let mut own: Vec<&Flag> = command.flags.iter().flat_map(|g| g.iter()).filter(|f| f.is_there()).collect();
        own.sort_by_key(|f| f.name);
        if !own.is_empty() {
            out.push_str("Options:\n");
            out.push_str(&options(&own));
        }
        let tail = if command.usage.is_empty() { if subs.is_empty() { "[options]".to_owned() } else { "[flags] [options]".to_owned() } } else { format!("{} [options]", command.usage) };
        out.push_str(&format!("Usage:\n  {} {tail}\n\n", self.path));
        if !subs.is_empty() {
            out.push_str(&format!("Use \"{} <command> --help\" for more information about a given command.\n", self.path));
        }
        out.push_str("Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n");
        out
    }
}

/// Flags as help shows them.
pub fn options(flags: &[&Flag]) -> String {
    let mut out = String::new();
    for flag in flags {
        let short = flag.short.map_or_else(String::new, |s| format!("-{s}, "));
        let default = match flag.kind {
            Kind::Text => format!("'{}'", flag.default),
            Kind::Slice | Kind::Array => format!("[{}]", flag.default),
            _ => flag.default.to_owned(),
        };
        out.push_str(&format!("    {short}--{}={default}:\n\t{}\n\n", flag.name, flag.help));
    }
    out
}
