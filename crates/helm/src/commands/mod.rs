//! The commands, one a file: what each takes, and what it does.

mod completion;
mod create;
mod dependency;
mod diff;
mod env;
mod get;
mod history;
mod install;
mod lint;
mod list;
mod package;
mod plugin;
mod pull;
mod push;
mod registry;
mod repo;
mod rollback;
mod search;
mod show;
mod starter;
mod status;
mod template;
mod test;
mod uninstall;
mod upgrade;
mod verify;
mod version;

use clap::{ArgMatches, Command};

use crate::failure::{Failure, Outcome};
use crate::settings::Settings;

pub fn all() -> Vec<Command> {
    vec![
        completion::command(),
        create::command(),
        dependency::command(),
        diff::command(),
        env::command(),
        get::command(),
        history::command(),
        install::command(),
        lint::command(),
        list::command(),
        package::command(),
        plugin::command(),
        pull::command(),
        push::command(),
        registry::command(),
        repo::command(),
        rollback::command(),
        search::command(),
        show::command(),
        status::command(),
        template::command(),
        test::command(),
        uninstall::command(),
        upgrade::command(),
        verify::command(),
        version::command(),
    ]
}

/// Whether the labels of the flags are as labels are.
pub fn check_labels(m: &ArgMatches) -> Outcome {
    install::labels(m).map(drop)
}

pub async fn run(matches: &ArgMatches, settings: &Settings) -> Outcome {
    let Some((name, m)) = matches.subcommand() else { return Err(Failure::new("no command given")) };
    match name {
        "completion" => completion::run(m),
        "create" => create::run(m, settings),
        "dependency" => dependency::run(m, settings).await,
        "diff" => diff::run(m, settings).await,
        "env" => env::run(m, settings).await,
        "get" => get::run(m, settings).await,
        "history" => history::run(m, settings).await,
        "install" => install::run(m, settings).await,
        "lint" => lint::run(m).await,
        "list" => list::run(m, settings).await,
        "package" => package::run(m, settings).await,
        "plugin" => plugin::run(m, settings).await,
        "pull" => pull::run(m, settings).await,
        "push" => push::run(m, settings).await,
        "registry" => registry::run(m, settings).await,
        "repo" => repo::run(m, settings).await,
        "rollback" => rollback::run(m, settings).await,
        "search" => search::run(m, settings),
        "show" => show::run(m, settings).await,
        "status" => status::run(m, settings).await,
        "template" => template::run(m, settings).await,
        "test" => test::run(m, settings).await,
        "uninstall" => uninstall::run(m, settings).await,
        "upgrade" => upgrade::run(m, settings).await,
        "verify" => verify::run(m),
        "version" => version::run(m),
        other => Err(Failure::new(format!("unknown command {other:?} for \"helm\""))),
    }
}
