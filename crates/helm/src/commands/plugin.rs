//! `helm plugin`: the plugins that are here.
// Upstream: helm pkg/cmd/plugin_*.go.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};

use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, Read as _, switch, text};
use crate::output::{Table, out};
use crate::plugins::{self, Plugin};
use crate::settings::Settings;

pub fn command() -> Command {
    Command::new("plugin").about("Plugins: commands, post-renderers and getters").subcommand_required(true).arg_required_else_help(true).subcommands([
        flags::command("install", "take a plugin from a folder").visible_alias("add").args([text("version", "taken for compatibility, does nothing"), switch("verify", "taken for compatibility, does nothing")]),
        flags::command("list", "show those that are here").visible_alias("ls").arg(text("type", "of this type")),
        flags::command("uninstall", "remove plugins").visible_aliases(["rm", "remove"]),
        flags::command("update", "bring plugins up to date").visible_alias("up"),
    ])
}

pub fn run(m: &ArgMatches, _: &Settings) -> Outcome {
    match m.subcommand() {
        Some(("install", m)) => install(m),
        Some(("list", m)) => list(m),
        Some(("uninstall", m)) => uninstall(m),
        Some(("update", m)) => update(m),
        _ => Err(Failure::new("no command given")),
    }
}

fn install(m: &ArgMatches) -> Outcome {
    let words = flags::exactly(m, "helm plugin install", "[options] <path|url>", 1)?;
    let path = Path::new(words[0]);
    if !path.is_dir() {
        return Err(Failure::new(format!("{}: plugins are installed from folders here; fetch it first and name the folder that has its plugin.yaml", words[0])));
    }
    let real = std::fs::canonicalize(path).map_err(|e| io("open", path, &e))?;
    out("Installing plugin from local directory (development mode)\n");
    if !real.join("plugin.yaml").exists() {
        return Err(Failure::new("plugin metadata (plugin.yaml) missing"));
    }
    let plugin = Plugin::read(&real)?;
    let home = plugins::folders().into_iter().next().unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&home).map_err(|e| io("mkdir", &home, &e))?;
    let target = home.join(&plugin.name);
    if target.symlink_metadata().is_ok() {
        return Err(Failure::new("plugin already exists"));
    }
    std::os::unix::fs::symlink(&real, &target).map_err(|e| io("symlink", &target, &e))?;
    plugin.hook("install")?;
    out(&format!("Installed plugin: {}\n", plugin.name));
    Ok(())
}

fn list(m: &ArgMatches) -> Outcome {
    let wanted = m.value("type").unwrap_or_default();
    let mut table = Table::new(&["NAME", "VERSION", "TYPE", "APIVERSION", "PROVENANCE", "SOURCE"]);
    for p in plugins::all().into_iter().filter(|p| wanted.is_empty() || p.kind == wanted) {
        let source = p.value["sourceURL"].as_str().unwrap_or("unknown").to_string();
        let provenance = if p.folder.symlink_metadata().is_ok_and(|f| f.file_type().is_symlink()) { "local dev" } else { "unknown" };
        table.row(vec![p.name, p.version, p.kind, p.api_version, provenance.into(), source]);
    }
    out(&table.render());
    Ok(())
}

fn find(name: &str) -> Outcome<Plugin> {
    plugins::all().into_iter().find(|p| p.name == name).ok_or_else(|| Failure::new(format!("plugin: {name} not found")))
}

fn uninstall(m: &ArgMatches) -> Outcome {
    let words = m.all("ARGS");
    if words.is_empty() {
        return Err(Failure::new("please provide plugin name to uninstall"));
    }
    for name in words {
        let plugin = find(name)?;
        let is_link = plugin.folder.symlink_metadata().is_ok_and(|f| f.file_type().is_symlink());
        let removed = if is_link { std::fs::remove_file(&plugin.folder) } else { std::fs::remove_dir_all(&plugin.folder) };
        removed.map_err(|e| io("remove", &plugin.folder, &e))?;
        plugin.hook("delete").or_else(|e| if is_link { Err(e) } else { Ok(()) })?;
        out(&format!("Uninstalled plugin: {name}\n"));
    }
    Ok(())
}

fn update(m: &ArgMatches) -> Outcome {
    let words = m.all("ARGS");
    if words.is_empty() {
        return Err(Failure::new("please provide plugin name to update"));
    }
    for name in words {
        // A plugin here is a link to its folder: what changes there has changed here already.
        find(name)?.hook("update")?;
        out(&format!("Updated plugin: {name}\n"));
    }
    Ok(())
}
