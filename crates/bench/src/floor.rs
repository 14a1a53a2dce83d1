//! What the runtime alone takes: a container of the same image by its own test tool, no Kubernetes in between.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;

/// `ctr run` makes a container and starts it, without sandbox or network: a floor from below.
pub fn bare_container(cluster: &Cluster, runs: usize) -> Result<Vec<Duration>> {
    let socket = cluster.cri_socket().context("the cluster's containerd has no socket")?;
    let ctr = |words: &[&str]| {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&socket).args(["--namespace", "k8s.io"]).args(words);
        command
    };
    let mut all = Vec::new();
    for run in 0..runs {
        let name = format!("bench-floor-{run}");
        let start = Instant::now();
        let made = ctr(&["run", "--detach", "knarr.io/hello:1", &name]).output()?;
        all.push(start.elapsed());
        if !made.status.success() {
            bail!("ctr run: {}", String::from_utf8_lossy(&made.stderr));
        }
        let _ = ctr(&["task", "kill", "--signal", "9", &name]).output()?;
        let _ = ctr(&["task", "delete", "--force", &name]).output()?;
        let _ = ctr(&["container", "delete", &name]).output()?;
    }
    Ok(all)
}
