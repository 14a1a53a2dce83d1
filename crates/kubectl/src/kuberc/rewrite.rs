//! What preferences make of a command line: an alias becomes its command, flags that were not given get the preferred values.
// Upstream: kubectl pkg/kuberc/kuberc.go (Apply, applyAliases, applyOverrides, validate).

use std::collections::HashSet;

use serde_json::Value;

use super::{PluginPolicy, Wanted, file, flag, read, text, wanted};
use crate::call::err;
use crate::command::{self, Command, Named};
use crate::commands::ROOT;
use crate::failure::{Failure, Outcome};
use crate::flags::Flags;

/// A command line after preferences.
#[derive(Default)]
pub struct Rewritten {
    pub words: Vec<String>,
    pub plugins: PluginPolicy,
    /// The alias that was called.
    alias: Option<String>,
    options: Vec<(String, String)>,
}

fn fault(why: &str) -> Failure {
    Failure::Said(format!("error occurred while applying preferences {why}"))
}

/// Reads the preferences and rewrites the words.
pub fn rewrite(words: Vec<String>) -> Outcome<Rewritten> {
    let plain = |words| Ok(Rewritten { words, ..Rewritten::default() });
    if wanted() == Wanted::Absent && words.first().is_some_and(|w| w == "kuberc") {
        return Err(Failure::Text(format!("unknown command \"kuberc\" for {:?}", ROOT.name)));
    }
    if words.is_empty() || wanted() != Wanted::Yes {
        return plain(words);
    }
    let Some(preferences) = load(&words)? else { return plain(words) };
    validate(&preferences)?;
    let plugins = PluginPolicy::of(&preferences).map_err(|e| fault(&e.message()))?;
    let mut rewritten = Rewritten { words, plugins, ..Rewritten::default() };
    rewritten.call_alias(&preferences)?;
    if rewritten.alias.is_none() {
        rewritten.prefer(&preferences);
    }
    Ok(rewritten)
}

fn load(words: &[String]) -> Outcome<Option<Value>> {
    let (path, named) = file(flag(words));
    let text = match text(&path) {
        Ok(None) if !named => return Ok(None),
        Ok(None) => return Err(fault(&format!("kuberc error kuberc: open {}: no such file or directory", path.display()))),
        Ok(Some(text)) => text,
        Err(e) if named => return Err(fault(&format!("kuberc error kuberc: {}", e.message()))),
        Err(e) => {
            err(&format!("kuberc: no preferences loaded from {}: {}", path.display(), e.message()));
            return Ok(None);
        }
    };
    match read(&text, &path) {
        Ok(None) => Ok(None),
        Ok(Some(read)) => {
            if let Some(strict) = read.strict {
                err(&format!("kuberc: ignoring strict decoding error in {}: {strict}", path.display()));
            }
            Ok(Some(read.preferences))
        }
        Err(why) if named => Err(fault(&format!("kuberc error kuberc: {why}"))),
        Err(why) => {
            err(&format!("kuberc: no preferences loaded from {}: {why}", path.display()));
            Ok(None)
        }
    }
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn validate(preferences: &Value) -> Outcome {
    let mut names = HashSet::new();
    let long = |of: &Value| items(of, "options").map(|o| word(o, "name")).find(|n| n.starts_with('-')).map(|n| fault(&format!("flag name {n} should be in long form without dashes")));
    for alias in items(preferences, "aliases") {
        let name = word(alias, "name");
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphabetic()) {
            return Err(fault("invalid alias name, can only include alphabetical characters"));
        }
        if let Some(fault) = long(alias) {
            return Err(fault);
        }
        if !names.insert(name) {
            return Err(fault(&format!("duplicate alias name {name}")));
        }
    }
    items(preferences, "defaults").find_map(long).map_or(Ok(()), Err)
}

/// The command that words such as `set image` name, and its path.
fn find(words: &str) -> Option<(&'static Command, String)> {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let named = command::find(&ROOT, &words).ok().filter(|n| n.command.name != ROOT.name)?;
    Some((named.command, named.path))
}

fn options(of: &Value) -> Vec<(String, String)> {
    items(of, "options").map(|o| (word(o, "name").to_owned(), word(o, "default").to_owned())).collect()
}

impl Rewritten {
    fn call_alias(&mut self, preferences: &Value) -> Outcome {
        let name = self.words[0].clone();
        // Commands come before aliases of their name.
        if ROOT.subs.iter().any(|c| c.name == name || c.aliases.contains(&name.as_str())) {
            return Ok(());
        }
        let Some(alias) = items(preferences, "aliases").find(|a| word(a, "name") == name) else { return Ok(()) };
        let command = word(alias, "command");
        let Some((_, path)) = find(command) else {
            return Err(fault(&format!("command {command:?} not found to set alias {name:?}: [{command}]")));
        };
        let strings = |key: &str| items(alias, key).filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
        let mut words: Vec<String> = path.split(' ').skip(1).map(str::to_owned).collect();
        words.extend(strings("prependArgs"));
        words.extend(self.words.drain(1..));
        words.extend(strings("appendArgs"));
        self.words = words;
        self.options = options(alias);
        self.alias = Some(name);
        Ok(())
    }

    /// Remembers the preferred flags of the command that the words name.
    fn prefer(&mut self, preferences: &Value) {
        let called = command::find(&ROOT, &self.words).map(|n| n.path).unwrap_or_default();
        for defaults in items(preferences, "defaults") {
            let command = word(defaults, "command");
            if command.is_empty() {
                continue;
            }
            match find(command) {
                None => err(&format!("Warning: command {command:?} not found to set kuberc override\n")),
                Some((_, path)) if path == called => {
                    self.options = options(defaults);
                    return;
                }
                Some(_) => {}
            }
        }
    }

    /// The command's flags: given ones, then preferred ones.
    pub fn flags(&self, named: &mut Named) -> Outcome<Flags> {
        if let Some(alias) = &self.alias {
            named.path = format!("{} {alias}", ROOT.name);
        }
        named.flags_with(|flags| {
            for (name, value) in &self.options {
                let (known, set) = (flags.long(name).is_some(), flags.prefer(name, value));
                let why = match (&self.alias, known, set) {
                    (_, true, Ok(())) => continue,
                    (Some(_), false, _) => format!("invalid alias flag {name} in alias {}", ROOT.name),
                    (None, false, _) => format!("invalid flag {name} for command {}", named_last(&self.words)),
                    (Some(_), true, Err(why)) => format!("could not apply value {value} to flag {name} in alias {} err: {why}", ROOT.name),
                    (None, true, Err(why)) => format!("could not apply override value {value} to flag {name} in command {} err: {why}", named_last(&self.words)),
                };
                return Err(fault(&why));
            }
            Ok(())
        })
    }
}

/// The name of the command that the words call.
fn named_last(words: &[String]) -> String {
    command::find(&ROOT, words).map_or_else(|_| String::new(), |n| n.command.name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(words: &[&str]) -> Rewritten {
        Rewritten { words: words.iter().map(|w| (*w).to_owned()).collect(), ..Rewritten::default() }
    }

    #[test]
    fn aliases_and_defaults() {
        let preferences = json!({
            "aliases": [{"name": "getn", "command": "get", "prependArgs": ["nodes"], "appendArgs": ["--", "x"], "options": [{"name": "output", "default": "wide"}]}],
            "defaults": [{"command": "set image", "options": [{"name": "local", "default": "true"}]}],
        });
        let mut alias = of(&["getn", "-A"]);
        alias.call_alias(&preferences).unwrap();
        assert_eq!(alias.words, ["get", "nodes", "-A", "--", "x"]);
        let flags = alias.flags(&mut command::find(&ROOT, &alias.words).unwrap()).unwrap();
        assert_eq!(flags.text("output"), "wide");
        let mut image = of(&["set", "image", "deploy/a", "b=c"]);
        image.prefer(&preferences);
        assert!(image.flags(&mut command::find(&ROOT, &image.words).unwrap()).unwrap().yes("local"));
        let mut env = of(&["set", "env", "deploy/a", "b=c"]);
        env.prefer(&preferences);
        assert!(env.options.is_empty());
    }
}
