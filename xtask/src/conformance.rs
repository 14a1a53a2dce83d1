//! Upstream's own end-to-end suite against a cluster of ours.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::build;
use crate::e2e::Cluster;
use crate::run::{beside, run};

#[derive(clap::Args)]
pub struct Args {
    /// Only tests whose names match this expression
    #[arg(long, default_value = ".")]
    pub only: String,
    /// Where the suite is built; about 6 GB
    #[arg(long, default_value = "/var/tmp/knarr-conformance", env = "KNARR_CONFORMANCE_WORK")]
    pub work: PathBuf,
    /// Where results and logs go
    #[arg(long, default_value = "/var/tmp/knarr-conformance-out")]
    pub out: PathBuf,
    /// Tests at once
    #[arg(long, default_value_t = 3)]
    pub procs: usize,
    /// Another kubectl than that of the suite's day for the tests to call: a program, or `ours`
    #[arg(long, value_name = "PROGRAM")]
    pub kubectl: Option<PathBuf>,
    /// Against a running cluster instead of one of its own; the images must be there
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
}

pub fn start(args: &Args) -> Result<()> {
    let suite = beside("KNARR_CONFORMANCE", "conformance").context("the suite's scripts are missing: set KNARR_CONFORMANCE to the folder of build.sh and run.py")?;
    run(Command::new("bash").arg(suite.join("build.sh")).arg(&args.work))?;
    let own = match args.kubeconfig {
        Some(_) => None,
        // One test of the suite's day waits for the token Secrets that 1.24 abolished.
        None => Some(Cluster::start_with(false, &["--account-secrets"])?),
    };
    if let Some(cluster) = &own {
        let images = args.work.join("images.tar");
        run(cluster.knarr(&["image", "import"]).arg(images))?;
    }
    let kubeconfig = args.kubeconfig.clone().or_else(|| own.as_ref().map(Cluster::kubeconfig)).context("no kubeconfig")?;
    let work = match &args.kubectl {
        None => args.work.clone(),
        Some(kubectl) if kubectl.as_os_str() == "ours" => with_kubectl(args, &build::release()?)?,
        Some(kubectl) => with_kubectl(args, &std::path::absolute(kubectl)?)?,
    };
    let mut command = Command::new("python3");
    command.arg(suite.join("run.py")).arg(work).arg(kubeconfig);
    command.args(["--only", &args.only, "--procs", &args.procs.to_string(), "--out"]).arg(&args.out);
    run(&mut command)
}

/// The suite's folder once more, as links, but for kubectl: its scripts take the program from there.
fn with_kubectl(args: &Args, kubectl: &Path) -> Result<PathBuf> {
    let view = args.out.join("work");
    let bin = view.join("bin");
    if view.exists() {
        std::fs::remove_dir_all(&view).with_context(|| view.display().to_string())?;
    }
    std::fs::create_dir_all(&bin)?;
    symlink(args.work.join("source"), view.join("source"))?;
    for entry in std::fs::read_dir(args.work.join("bin"))? {
        let entry = entry?;
        let target = if entry.file_name() == "kubectl" { kubectl.to_owned() } else { entry.path() };
        symlink(target, bin.join(entry.file_name()))?;
    }
    Ok(view)
}
