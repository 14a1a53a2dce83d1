//! `helm plugin`: the plugins that are here.
// Upstream: helm pkg/cmd/plugin_*.go.

mod archive;
mod install;
mod package;

use std::path::PathBuf;

use charts::notice::{Level, Notice};
use clap::{ArgMatches, Command};

use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, Read as _, switch, text};
use crate::output::{Table, out};
use crate::plugins::{self, Plugin};
use crate::settings::Settings;

pub fn command() -> Command {
    Command::new("plugin").about("Plugins: commands, post-renderers and getters").subcommand_required(true).arg_required_else_help(true).subcommands([
        flags::command("install", "take a plugin from a folder, an archive, a URL or a git repository").visible_alias("add").args([
            text("version", "tag, branch or commit of a git repository"),
            switch("verify", "verify the signature of an archive; =false takes unsigned ones").default_value("true"),
            text("keyring", "file of the public keys that signatures are verified with"),
            text("username", "user name for the server"),
            text("password", "password for the server"),
            text("cert-file", "certificate that identifies this client"),
            text("key-file", "key of that certificate"),
            text("ca-file", "certificate authorities of the server"),
            switch("insecure-skip-tls-verify", "do not verify the server's certificate"),
            switch("plain-http", "speak HTTP without TLS"),
        ]),
        flags::command("list", "show those that are here").visible_alias("ls").arg(text("type", "of this type")),
        flags::command("package", "make an archive of a plugin, signed").args([
            switch("sign", "sign the archive; =false leaves it unsigned").default_value("true"),
            text("key", "user name of the key to sign with"),
            text("keyring", "file of the keys"),
            text("passphrase-file", "file of the key's passphrase; - is standard input"),
            text("destination", "folder to write to").short('d'),
        ]),
        flags::command("verify", "verify a signed archive").arg(text("keyring", "file of the public keys that signatures are verified with")),
        flags::command("uninstall", "remove plugins").visible_aliases(["rm", "remove"]),
        flags::command("update", "bring plugins up to date").visible_alias("up"),
    ])
}

pub async fn run(m: &ArgMatches, _: &Settings) -> Outcome {
    match m.subcommand() {
        Some(("install", m)) => install::run(m).await,
        Some(("package", m)) => package::package(m),
        Some(("verify", m)) => package::verify(m),
        Some(("list", m)) => list(m),
        Some(("uninstall", m)) => uninstall(m),
        Some(("update", m)) => update(m),
        _ => Err(Failure::new("no command given")),
    }
}

fn list(m: &ArgMatches) -> Outcome {
    let wanted = m.value("type").unwrap_or_default();
    let mut table = Table::new(&["NAME", "VERSION", "TYPE", "APIVERSION", "PROVENANCE", "SOURCE"]);
    for p in plugins::all().into_iter().filter(|p| wanted.is_empty() || p.kind == wanted) {
        let source = p.value["sourceURL"].as_str().unwrap_or("unknown").to_string();
        let provenance = provenance_of(&p);
        table.row(vec![p.name, p.version, p.kind, p.api_version, provenance.into(), source]);
    }
    out(&table.render());
    Ok(())
}

fn find(name: &str) -> Outcome<Plugin> {
    plugins::all().into_iter().find(|p| p.name == name).ok_or_else(|| Failure::new(format!("plugin: {name} not found")))
}

/// What is known of a plugin's origin.
// Upstream: helm pkg/cmd/plugin_list.go; it looks for the plugin by its name, so a folder of another name is not known.
fn provenance_of(plugin: &Plugin) -> &'static str {
    let home = plugin.folder.parent().map_or_else(PathBuf::new, PathBuf::from);
    let named = home.join(&plugin.name);
    let archive = home.join(format!("{}-{}.tgz", plugin.name, plugin.version));
    match named.symlink_metadata() {
        Ok(facts) if facts.file_type().is_symlink() => "local dev",
        Ok(_) if home.join(format!("{}-{}.tgz.prov", plugin.name, plugin.version)).is_file() && archive.is_file() => "signed",
        Ok(_) if archive.is_file() => "unsigned",
        _ => "unknown",
    }
}

/// Runs `work` with each plugin named; what goes wrong is told of each.
fn each(words: &[&str], work: impl Fn(&Plugin) -> Outcome) -> Outcome {
    let faults: Vec<String> = words.iter().filter_map(|name| find(name).and_then(|plugin| work(&plugin)).err()).map(|e| e.text).collect();
    if faults.is_empty() { Ok(()) } else { Err(Failure::new(faults.join("\n"))) }
}

fn uninstall(m: &ArgMatches) -> Outcome {
    let words = m.all("ARGS");
    if words.is_empty() {
        return Err(Failure::new("please provide plugin name to uninstall"));
    }
    each(&words, |plugin| {
        let is_link = plugin.folder.symlink_metadata().is_ok_and(|f| f.file_type().is_symlink());
        let removed = if is_link { std::fs::remove_file(&plugin.folder) } else { std::fs::remove_dir_all(&plugin.folder) };
        removed.map_err(|e| io("remove", &plugin.folder, &e))?;
        for end in ["tgz", "tgz.prov"] {
            let _ = std::fs::remove_file(plugin.folder.with_file_name(format!("{}-{}.{end}", plugin.name, plugin.version)));
        }
        plugin.hook("delete")?;
        out(&format!("Uninstalled plugin: {}\n", plugin.name));
        Ok(())
    })
}

fn update(m: &ArgMatches) -> Outcome {
    let words = m.all("ARGS");
    if words.is_empty() {
        return Err(Failure::new("please provide plugin name to update"));
    }
    each(&words, |plugin| {
        let failed = |why: &str| Failure::new(format!("failed to update plugin {}, got error ({why})", plugin.name));
        let real = std::fs::canonicalize(&plugin.folder).map_err(|e| io("open", &plugin.folder, &e))?;
        if !real.join(".git").exists() {
            let notice = Notice::new(Level::Warn, "cannot get information about plugin source");
            eprintln!("{}", notice.about("location", real.display().to_string()).about("error", "Cannot detect VCS"));
            return Err(failed("cannot get information about plugin source"));
        }
        install::git(&real, &["pull", "--ff-only", "--quiet"]).map_err(|e| failed(&e.text))?;
        Plugin::read(&plugin.folder)?.hook("update")?;
        out(&format!("Updated plugin: {}\n", plugin.name));
        Ok(())
    })
}
