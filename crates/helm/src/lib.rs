//! `knarr helm`: Helm 4, and Helm 3's spellings, over the API of any Kubernetes.
//!
//! Knows a kubeconfig and nothing of the cluster behind it. Charts and records are `charts`' matter, rendering too; here are the
//! commands, what they do to a cluster, and where charts come from. Texts of output and errors are upstream's, help texts our own.

mod checks;
mod cli;
mod cluster;
mod commands;
mod failure;
mod flags;
mod lease;
mod ops;
mod output;
mod plugins;
mod settings;
mod source;
mod storage;
mod valueopts;

use std::ffi::OsString;
use std::process::ExitCode;

/// The version of Helm whose behaviour this is, for `helm version` and `.Capabilities.HelmVersion`.
pub const VERSION: &str = "v4.3.1";

/// Runs one command line; the first argument is the first word behind `helm`.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("Error: the asynchronous runtime did not start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(cli::run(arguments));
    // Blocking work that hangs must not keep a finished command alive.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                eprintln!("Error: {failure}");
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Waits until someone asks this process to end.
pub(crate) async fn interrupted() {
    let mut terminated = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
