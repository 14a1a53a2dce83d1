//! `kubectl kuberc`: shows and changes the file of preferences.
// Upstream: kubectl pkg/cmd/kuberc (view.go, set.go).

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail, path_error};
use crate::flags::{Flag, array, text, yes_no};
use crate::kuberc::{self, Wanted};
use crate::print::{self, Printer};
use crate::{global, run, say};

pub const COMMAND: Command = Command {
    name: "kuberc",
    usage: "SUBCOMMAND",
    about: "Manage kuberc configuration files.\n\nA file of preferences holds defaults of flags, aliases of commands, and which credential plugins may run.",
    examples: "# The preferences in force\nkubectl kuberc view\n\n# Another default of a flag\nkubectl kuberc set --section defaults --command get --option output=wide",
    subs: &[&SET, &VIEW],
    ..EMPTY
};

const VIEW: Command = Command { name: "view", about: "Display the current kuberc configuration.", flags: &[global::PRINT], run: run!(view), ..EMPTY };

const SET_FLAGS: &[Flag] = &[
    text("section", "", "What to set: defaults, aliases or credentialplugin."),
    text("command", "", "The command, such as get or 'set env'."),
    text("name", "", "The alias."),
    array("option", "A flag and its value, as flag=value; may be given several times."),
    array("prependarg", "An argument right behind the command; aliases only."),
    array("appendarg", "An argument at the end; aliases only."),
    text("policy", "", "Which credential plugins may run: AllowAll, DenyAll or Allowlist."),
    array("allowlist-entry", "A plugin that may run, as command=NAME; may be given several times."),
    yes_no("overwrite", "Replace what is there."),
];

const SET: Command = Command { name: "set", about: "Set values in the kuberc configuration.", flags: &[SET_FLAGS], required: &["section"], run: run!(set), ..EMPTY };

fn enabled() -> Outcome {
    if kuberc::wanted() == Wanted::Off { fail("KUBERC is disabled via KUBERC=off environment variable") } else { Ok(()) }
}

/// The preferences of a file; none where it is not there.
fn load(file: &Path) -> Outcome<Option<Value>> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(None) };
    let fault = |why: String| Failure::Text(format!("error reading kuberc file: {why}"));
    match kuberc::read(&text, file).map_err(fault)? {
        Some(read) => read.strict.map_or(Ok(Some(read.preferences)), |why| Err(fault(why))),
        None => Ok(None),
    }
}

fn save(file: &Path, preferences: &Value) -> Outcome {
    let fault = |e: std::io::Error| Failure::Text(path_error("open", &file.display().to_string(), &e));
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fault)?;
    // Preferences are no secret.
    let mut new = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o644)).tempfile_in(folder).map_err(fault)?;
    new.write_all(print::yaml(preferences).as_bytes()).map_err(fault)?;
    new.persist(file).map_err(|e| fault(e.error))?;
    say!("Updated {}", file.display());
    Ok(())
}

/// What upstream recommends.
fn recommended() -> Value {
    let of = |command: &str, flag: &str| json!({"command": command, "options": [{"name": flag, "default": "true"}]});
    json!({"apiVersion": kuberc::VERSION, "kind": "Preference", "aliases": null, "defaults": [of("apply", "server-side"), of("delete", "interactive")]})
}

async fn view(call: &Call) -> Outcome {
    enabled()?;
    let (file, _) = kuberc::file(call.flags.text("kuberc"));
    let Some(preferences) = load(&file)? else {
        out(&format!("kuberc file not found at {}\nWould you like to generate a default kuberc file with recommended options? (y/N): ", file.display()));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        return if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") { save(&file, &recommended()) } else { Ok(()) };
    };
    match Printer::of_flags(call, print::BASIC)? {
        Some(printer) => out(&printer.listed(kuberc::FIELDS).print(&preferences)?),
        None => out(&print::yaml(&preferences)),
    }
    Ok(())
}

/// `flag=value` pairs as a list of options.
fn options(call: &Call) -> Outcome<Value> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok(json!({"name": name, "default": value})),
        None => fail(format!("invalid option format {text:?}, expected flag=value")),
    };
    let list = call.flags.list("option").iter().map(pair).collect::<Outcome<Vec<_>>>()?;
    Ok(if list.is_empty() { Value::Null } else { Value::Array(list) })
}

/// Plugins that may run.
fn allowlist(call: &Call) -> Outcome<Vec<Value>> {
    let entry = |text: &String| match text.split_once('=') {
        Some(("command", value)) => Ok(json!({"command": value})),
        Some(("name", _)) => fail("allowlist entry field \"name\" is deprecated, use \"command\" instead"),
        Some((field, _)) => fail(format!("unrecognized allowlist entry field: {field:?}")),
        None => fail(format!("improperly formatted allowlist entry: {text:?}")),
    };
    call.flags.list("allowlist-entry").iter().map(entry).collect()
}

fn check(call: &Call) -> Outcome {
    let flags = &call.flags;
    let (section, policy) = (flags.text("section"), flags.text("policy"));
    let arguments = flags.given("prependarg") || flags.given("appendarg");
    match section {
        "defaults" | "aliases" if flags.text("command").is_empty() => fail("--command is required when --section=aliases or --section=defaults"),
        "defaults" if !flags.text("name").is_empty() => fail("--name should not be specified when --section=defaults"),
        "defaults" if arguments => fail("--prependarg and --appendarg are only valid for --section=aliases"),
        "aliases" if flags.text("name").is_empty() => fail("--name is required when --section=aliases"),
        "defaults" | "aliases" => Ok(()),
        "credentialplugin" => match (policy, flags.given("allowlist-entry")) {
            ("", _) => fail("--policy is required when --section=credentialplugin"),
            ("AllowAll" | "DenyAll", true) => fail("--allowlist-entry may only be used when --section=credentialplugin and --policy=Allowlist"),
            ("Allowlist", false) => fail("--allowlist-entry is required when --section=credentialplugin and --policy=Allowlist"),
            ("AllowAll" | "DenyAll" | "Allowlist", _) => Ok(()),
            (other, _) => fail(format!(" --policy must be  \"AllowAll\", \"DenyAll\", or \"Allowlist\", got: {other}")),
        },
        other => fail(format!("--section must be \"defaults\", \"aliases\", or \"credentialplugin\", got: {other}")),
    }
}

/// Puts an entry in the place of the one that has the same key, or behind the last.
fn put(list: &mut Value, key: &str, entry: Value, overwrite: bool, taken: String) -> Outcome {
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(items) = list.as_array_mut() else { return Ok(()) };
    match items.iter_mut().find(|i| i[key] == entry[key]) {
        Some(_) if !overwrite => return fail(taken),
        Some(there) => *there = entry,
        None => items.push(entry),
    }
    Ok(())
}

async fn set(call: &Call) -> Outcome {
    enabled()?;
    check(call)?;
    let flags = &call.flags;
    let (file, _) = kuberc::file(flags.text("kuberc"));
    let mut preferences = load(&file)?.unwrap_or_else(|| json!({"apiVersion": kuberc::VERSION, "kind": "Preference"}));
    let (command, overwrite) = (flags.text("command"), flags.yes("overwrite"));
    match flags.text("section") {
        "defaults" => put(&mut preferences["defaults"], "command", json!({"command": command, "options": options(call)?}), overwrite, format!("defaults for command {command:?} already exist, use --overwrite to replace"))?,
        "aliases" => {
            let name = flags.text("name");
            let mut alias = json!({"name": name, "command": command});
            for (key, value) in [("options", options(call)?), ("prependArgs", json!(flags.list("prependarg"))), ("appendArgs", json!(flags.list("appendarg")))] {
                if value.as_array().is_some_and(|list| !list.is_empty()) {
                    alias[key] = value;
                }
            }
            put(&mut preferences["aliases"], "name", alias, overwrite, format!("alias {name:?} already exists, use --overwrite to replace"))?;
        }
        _ => {
            preferences["credentialPluginPolicy"] = flags.text("policy").into();
            let list = allowlist(call)?;
            if let Some(map) = preferences.as_object_mut() {
                map.remove("credentialPluginAllowlist");
            }
            if !list.is_empty() {
                preferences["credentialPluginAllowlist"] = Value::Array(list);
            }
        }
    }
    // Upstream: empty lists are written as null.
    for list in ["defaults", "aliases"] {
        if preferences[list].as_array().is_none_or(Vec::is_empty) {
            preferences[list] = Value::Null;
        }
    }
    save(&file, &preferences)
}
