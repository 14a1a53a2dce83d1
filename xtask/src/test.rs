//! Everything that is tested, in the order in which it fails fastest.

use std::time::Instant;

use anyhow::Result;

use crate::run::{self, beside, cargo, find};
use crate::{build, e2e, fuzz, kubectl, tidy};

fn run_units() -> Result<()> {
    let nextest = find("cargo-nextest").is_some();
    let mut command = if nextest { cargo(&["nextest", "run", "--workspace", "--exclude", "e2e", "--no-fail-fast"]) } else { cargo(&["test", "--workspace", "--exclude", "e2e", "--no-fail-fast"]) };
    match beside("KNARR_ORACLE", "oracle") {
        Some(oracle) => drop(command.env("KNARR_ORACLE", oracle)),
        None => println!("oracle tests are skipped: set KNARR_ORACLE to the folder of upstream's data"),
    }
    run::run(&mut command)
}

/// Unit and oracle tests, then end-to-end.
pub fn everything() -> Result<()> {
    stage("install", || {
        build::ensure_node()?;
        build::ensure(&build::TESTS)?;
        kubectl::ensure().map(drop)
    })?;
    stage("fuzz targets", fuzz::check)?;
    stage("unit and oracle tests", run_units)?;
    stage("end to end", || e2e::start(&e2e::Args::default()))
}

pub fn ci() -> Result<()> {
    stage("tidy", tidy::check)?;
    everything()
}

fn stage(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    println!("== {name}");
    work()?;
    println!("== {name}: done in {} s", start.elapsed().as_secs());
    Ok(())
}
