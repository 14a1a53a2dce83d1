//! One file per command.

mod apply;
mod component;
mod down;
mod encryption;
mod image;
mod links;
mod server;
mod status;
mod up;

use crate::cli::{Cli, Command};
use crate::settings;

pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let layout = settings::layout(cli.data_dir.as_ref())?;
    match cli.command {
        Command::Up(args) => up::run(&layout, &args).await,
        Command::Down(args) => down::run(&layout, &args).await,
        Command::Status => status::run(&layout).await,
        Command::Server(args) => server::run(&layout, &args).await,
        Command::Apply(args) => apply::run(&layout, &args).await,
        Command::Image(command) => image::run(&layout, &command).await,
        Command::Encryption(command) => encryption::run(&layout, &command),
        // Taken before the command line is read; it stands there to be seen.
        Command::Helm | Command::Kubectl => Ok(()),
        Command::InstallLinks(args) => links::run(&args),
        Command::Apiserver(args) => component::apiserver(&layout, &args).await,
        Command::Scheduler(args) => component::scheduler(&args).await,
        Command::Controllers(args) => component::controllers(&layout, &args).await,
        Command::Kubelet(args) => component::kubelet(&layout, &args).await,
        Command::Proxy(args) => component::proxy(&args).await,
        Command::Dns(args) => component::dns(&args).await,
    }
}
