//! knarr: Kubernetes in one binary. Reads the command line, runs one command, says what went wrong.
//!
//! Never holds logic of its own: commands are in `commands`, the composition of a cluster in `cluster`.

mod cli;
mod cluster;
mod commands;
mod failure;
mod memory;
mod say;
mod settings;
mod tools;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    if let Some(code) = tools::run(std::env::args_os().collect()) {
        return code;
    }
    let cli = cli::Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        if let Some(advice) = cli::upstream::instead(&error) {
            eprintln!("  mend: {advice}");
        }
        std::process::exit(error.exit_code())
    });
    let filter = EnvFilter::try_from_env("KNARR_LOG").unwrap_or_else(|_| EnvFilter::new("info,kube=warn,hyper=warn,tower=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(say::colour_on_stderr()).with_target(true).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(cluster::threads()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            say::failure(&anyhow::anyhow!("the asynchronous runtime did not start: {e}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(commands::run(cli));
    // Blocking work that hangs must not keep a finished command alive.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&error);
            ExitCode::FAILURE
        }
    }
}
