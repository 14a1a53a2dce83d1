//! kubectl: upstream's command line, in words, layout and exit codes, over any Kubernetes API.
//!
//! Knows a cluster through its kubeconfig alone; types, columns, short names, patch rules and schemas are what discovery,
//! Tables and OpenAPI tell. Never polls where the API can watch.

mod call;
mod change;
mod client;
mod command;
mod commands;
mod credentials;
mod describe;
mod discovery;
mod failure;
mod files;
mod flags;
mod global;
mod hints;
mod kubeconfig;
mod kuberc;
mod kustomize;
mod notes;
mod openapi;
mod pods;
mod print;
mod select;
mod session;
mod sort;
mod tabs;
mod time;
mod watch;
mod workload;

use std::process::ExitCode;

use call::{Call, err, out};
use failure::{Failure, Outcome};

/// Runs one command line, without the program's own name.
pub fn main(args: Vec<std::ffi::OsString>) -> ExitCode {
    let args: Vec<String> = args.into_iter().map(|a| a.to_string_lossy().into_owned()).collect();
    match start(&args) {
        Ok(code) => code,
        Err(failure) => {
            if let Some(text) = failure.shown() {
                err(&text);
                if !text.ends_with('\n') {
                    err("\n");
                }
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn start(args: &[String]) -> Outcome<ExitCode> {
    if let Some((_, words)) = args.split_first().filter(|(first, _)| *first == commands::completion::COMPLETE.name) {
        out(&commands::completion::candidates(words).iter().map(|c| format!("{c}\n")).collect::<String>());
        out(":4\n");
        return Ok(ExitCode::SUCCESS);
    }
    // `help get` is `get --help`.
    let mut args = args.to_vec();
    if args.first().is_some_and(|first| first == "help") {
        args.remove(0);
        args.push("--help".into());
    }
    let preferred = kuberc::rewrite(args)?;
    let args = &preferred.words[..];
    let mut named = command::find(&commands::ROOT, args).map_err(|unknown| match commands::plugin::find(args) {
        Some((program, used)) => commands::plugin::exec(&program, &args[used..]),
        None => unknown,
    })?;
    let flags = preferred.flags(&mut named)?;
    let Some(run) = named.command.run.filter(|_| !flags.help) else {
        if let Some(word) = flags.args.first().filter(|_| !flags.help && named.command.run.is_none()) {
            return Err(Failure::Text(format!("unknown command {word:?}\nSee '{} -h' for help and examples", named.path)));
        }
        if flags.help || named.command.name == commands::ROOT.name {
            out(&named.help());
            return Ok(ExitCode::SUCCESS);
        }
        // Upstream: a group of commands shows its help as a complaint, but for rollout's.
        if named.command.name == "rollout" {
            out(&named.help());
        } else {
            err(&named.help());
        }
        return Ok(ExitCode::FAILURE);
    };
    notes::tell(&flags);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| Failure::Text(format!("the asynchronous runtime did not start: {e}")))?;
    let call = Call::new(flags, named.path).with_plugins(preferred.plugins);
    let outcome = runtime.block_on(run(&call));
    // Reads of standard input that never end must not keep a finished command alive.
    runtime.shutdown_background();
    outcome.and_then(|()| call.check_warnings()).map(|()| if call.failed.get() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
