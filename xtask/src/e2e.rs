//! End-to-end tests: a cluster of their own, upstream's kubectl, real containers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{cargo, root, run};
use crate::{build, kubectl};

#[derive(clap::Args, Default)]
pub struct Args {
    /// Only tests whose name holds this
    #[arg(default_value = "")]
    pub only: String,
    /// Leave the cluster running afterwards
    #[arg(long)]
    pub keep: bool,
}

/// Ports and ranges that no other cluster of this machine uses.
const SETTINGS: [&str; 10] =
    ["--name", "knarr-e2e", "--port", "17443", "--kubelet-port", "17250", "--pod-cidr", "10.142.0.0/24", "--service-cidr", "10.143.0.0/16"];

/// A cluster for tests, ended when dropped.
pub struct Cluster {
    pub binary: PathBuf,
    pub data: PathBuf,
    keep: bool,
}

impl Cluster {
    /// Builds, starts afresh, and brings the images that tests use.
    pub fn start(keep: bool) -> Result<Self> {
        Self::start_with(keep, &[])
    }

    /// The same, with further settings.
    pub fn start_with(keep: bool, further: &[&str]) -> Result<Self> {
        build::ensure_node()?;
        build::ensure(&build::TESTS)?;
        let binary = build::release()?;
        let data = PathBuf::from("/var/tmp/knarr-e2e");
        let cluster = Self { binary, data, keep };
        // What an interrupted run left behind.
        if cluster.data.exists() {
            run(&mut cluster.knarr(&["down", "--purge"])).context("an earlier test cluster could not be removed")?;
        }
        run(cluster.knarr(&["up"]).args(SETTINGS).args(further).env("HOME", &cluster.home()?))?;
        Ok(cluster)
    }

    /// A home of its own, so that the user's kubeconfig stays as it is.
    fn home(&self) -> Result<PathBuf> {
        let home = build::target().join("e2e-home");
        std::fs::create_dir_all(&home)?;
        Ok(home)
    }

    pub fn knarr(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--data-dir").arg(&self.data).args(args).env_remove("KUBECONFIG");
        if let Ok(home) = self.home() {
            command.env("HOME", home);
        }
        command
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.data.join("kubeconfig")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keep {
            println!("the cluster stays: export KUBECONFIG={}", self.kubeconfig().display());
            return;
        }
        if let Err(error) = run(&mut self.knarr(&["down", "--purge"])) {
            eprintln!("warning: the test cluster could not be ended: {error:#}");
        }
    }
}

pub fn run_with(binary: &Path, data: &Path, kubeconfig: &Path, only: &str) -> Result<()> {
    let mut command = cargo(&["test", "--package", "e2e", "--no-fail-fast", "--", "--test-threads=1"]);
    if !only.is_empty() {
        command.arg(only);
    }
    command.env("KNARR_E2E", "1").env("KNARR_BIN", binary).env("KNARR_DATA_DIR", data).env("KUBECONFIG", kubeconfig);
    if let Some(folder) = kubectl::ensure()? {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)))?);
    }
    if let Some(seed) = crate::run::beside("KNARR_SEED", "seed") {
        command.env("KNARR_SEED", seed);
    }
    command.current_dir(root());
    run(&mut command)
}

pub fn start(args: &Args) -> Result<()> {
    let cluster = Cluster::start(args.keep)?;
    run_with(&cluster.binary, &cluster.data, &cluster.kubeconfig(), &args.only)
}
