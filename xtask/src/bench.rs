//! Measurements, as docs/benchmarks.md shows them.

use anyhow::Result;

use crate::e2e::Cluster;
use crate::run::{cargo, run};

#[derive(clap::Args)]
pub struct Args {
    /// Times each measurement is taken; the table shows the median
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
}

pub fn start(args: &Args) -> Result<()> {
    // The bench package measures the cold start itself: it needs the binary, not a cluster that runs already.
    let cluster = Cluster::start(false)?;
    let (binary, data) = (cluster.binary.clone(), cluster.data.clone());
    drop(cluster);
    let mut command = cargo(&["run", "--release", "--package", "bench", "--"]);
    command.arg("--knarr").arg(binary).arg("--data-dir").arg(data).arg("--runs").arg(args.runs.to_string());
    run(&mut command)
}
