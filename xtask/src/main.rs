//! The project's chores: bring up, test, check, measure. `cargo xtask --help` lists them.

mod bench;
mod build;
mod conformance;
mod e2e;
mod fuzz;
mod kubectl;
mod run;
mod test;
mod tidy;
mod tidy_docs;
mod up;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the knarr project", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what is missing, build, start a cluster and show the example application on it
    Up(up::Args),
    /// Everything: unit and oracle tests, then end-to-end on real containers
    Test,
    /// What CI runs: tidy, build, test
    Ci,
    /// Check arrows between crates, file sizes, module docs and the map
    Tidy,
    /// End-to-end tests against a cluster of their own
    E2e(e2e::Args),
    /// Upstream's conformance tests against a cluster of their own
    Conformance(conformance::Args),
    /// Fuzz every decoder and parser for a bounded time
    Fuzz(fuzz::Args),
    /// Measure, and print docs/benchmarks.md's tables
    Bench(bench::Args),
}

fn main() -> std::process::ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Up(args) => up::start(&args),
        Chore::Test => test::everything(),
        Chore::Ci => test::ci(),
        Chore::Tidy => tidy::check(),
        Chore::E2e(args) => e2e::start(&args),
        Chore::Conformance(args) => conformance::start(&args),
        Chore::Fuzz(args) => fuzz::start(&args),
        Chore::Bench(args) => bench::start(&args),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
