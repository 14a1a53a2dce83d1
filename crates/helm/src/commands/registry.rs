//! `helm registry`: credentials for registries.
// Upstream: helm pkg/cmd/registry_login.go, registry_logout.go.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use charts::notice::{Level, Notice};
use clap::{ArgMatches, Command};

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, switch, text};
use crate::output::out;
use crate::settings::Settings;
use crate::source::fetch::Access;
use crate::source::oci;

pub fn command() -> Command {
    let login = flags::command("login", "Keep the credentials for a registry").args([
        text("username", "user name").short('u'),
        text("password", "password or token").short('p'),
        switch("password-stdin", "read the password from standard input"),
        switch("insecure", "do not verify the registry's certificate"),
        switch("plain-http", "speak HTTP without TLS"),
        text("cert-file", "certificate that identifies this client"),
        text("key-file", "key of that certificate"),
        text("ca-file", "certificate authorities of the registry"),
    ]);
    let logout = flags::command("logout", "Forget the credentials for a registry");
    Command::new("registry").about("Log in to registries, and out").subcommand_required(true).arg_required_else_help(true).subcommands([login, logout])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    match m.subcommand() {
        Some(("login", m)) => login(m, settings).await,
        Some(("logout", m)) => {
            let words = flags::at_least(m, "helm registry logout", "[host]", 1)?;
            oci::logout(settings, host(words[0]))?;
            out(&format!("Removing login credentials for {}\n", host(words[0])));
            Ok(())
        }
        _ => Err(Failure::new("no command given")),
    }
}

fn host(text: &str) -> &str {
    text.strip_prefix("oci://").unwrap_or(text).split('/').next().unwrap_or(text)
}

async fn login(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_least(m, "helm registry login", "[host]", 1)?;
    let mut access = Access::from_flags(m);
    if m.on("password-stdin") {
        let mut text = String::new();
        std::io::stdin().lock().take(64 * 1024).read_to_string(&mut text).map_err(|e| Failure::new(format!("standard input: {e}")))?;
        access.password = text.trim_end_matches(['\r', '\n']).to_string();
    } else if access.password.is_empty() {
        if access.username.is_empty() {
            access.username = asked("Username: ")?;
        }
        access.password = secret("Password: ")?;
        if access.password.is_empty() {
            return Err(Failure::new("password required"));
        }
    } else {
        eprintln!("level=WARN msg=\"using --password via the CLI is insecure. Use --password-stdin\"");
    }
    let given = words[0];
    if let Some((host, _)) = given.split_once('/') {
        let notice = Notice::new(Level::Warn, "registry login currently only supports registry hostname, not a repository path");
        eprintln!("{}", notice.about("host", given).about("suggested", host));
        return Err(Failure::new(format!("invalid reference: invalid registry {given:?}")));
    }
    oci::login(settings, given, &access).await?;
    out("Login Succeeded\n");
    Ok(())
}

/// A line that the user types.
fn asked(what: &str) -> Outcome<String> {
    out(what);
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) => Err(Failure::new("EOF")),
        Ok(_) => Ok(line.trim().to_string()),
        Err(e) => Err(Failure::new(format!("standard input: {e}"))),
    }
}

/// A password that the user types; only a terminal is asked for one.
pub fn secret(what: &str) -> Outcome<String> {
    if !std::io::stdin().is_terminal() {
        out(what);
        return Err(Failure::new("inappropriate ioctl for device"));
    }
    asked(what)
}
