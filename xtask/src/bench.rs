//! Measurements, as docs/benchmarks.md shows them.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::e2e::Cluster;
use crate::run::{beside, cargo, find, run};
use crate::build;

#[derive(clap::Args)]
pub struct Args {
    /// Times each measurement is taken; the table shows the median
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
    /// Measure the API server beside upstream's instead, with the same load client in the same run
    #[arg(long)]
    pub against_upstream: bool,
    /// Measure the API server with very many objects and watchers instead
    #[arg(long)]
    pub scale: bool,
    /// Where upstream's servers were built, as `cargo xtask conformance` does
    #[arg(long, default_value = "/var/tmp/knarr-conformance", env = "KNARR_CONFORMANCE_WORK")]
    pub work: PathBuf,
    /// Pods that the load client creates
    #[arg(long, default_value_t = 5000)]
    pub objects: usize,
}

pub fn start(args: &Args) -> Result<()> {
    if args.against_upstream {
        return against_upstream(args);
    }
    if args.scale {
        let mut command = cargo(&["run", "--release", "--package", "bench", "--"]);
        return run(command.arg("--knarr").arg(build::release()?).args(["--data-dir", "/var/tmp/knarr-scale", "--scale"]));
    }
    // The bench package measures the cold start itself: it needs the binary, not a cluster that runs already.
    let cluster = Cluster::start(false)?;
    let (binary, data) = (cluster.binary.clone(), cluster.data.clone());
    drop(cluster);
    let mut command = cargo(&["run", "--release", "--package", "bench", "--"]);
    command.arg("--knarr").arg(binary).arg("--data-dir").arg(data).arg("--runs").arg(args.runs.to_string());
    run(&mut command)
}

fn against_upstream(args: &Args) -> Result<()> {
    let upstream = args.work.join("bin");
    if !upstream.join("kube-apiserver").is_file() {
        bail!("{}: no kube-apiserver; `cargo xtask conformance --only none` builds upstream's servers there", upstream.display());
    }
    if find("etcd").is_none() {
        bail!("etcd is missing: apt-get install etcd-server");
    }
    let source = beside("KNARR_APIBENCH", "apibench").context("the load client is missing: set KNARR_APIBENCH to its folder")?;
    let target = build::target().join("apibench");
    run(cargo(&["build", "--release", "--manifest-path"]).arg(source.join("Cargo.toml")).env("CARGO_TARGET_DIR", &target))?;
    let binary = build::release()?;
    let mut command = cargo(&["run", "--release", "--package", "bench", "--"]);
    command.arg("--knarr").arg(binary).args(["--data-dir", "/var/tmp/knarr-rivals", "--objects", &args.objects.to_string()]);
    command.arg("--upstream").arg(upstream).arg("--load-client").arg(target.join("release/apibench"));
    run(&mut command)
}
