//! The measured cluster.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const SETTINGS: [&str; 10] = ["--name", "knarr-bench", "--port", "18643", "--kubelet-port", "18650", "--pod-cidr", "10.152.0.0/24", "--service-cidr", "10.153.0.0/16"];

pub struct Cluster {
    knarr: PathBuf,
    data: PathBuf,
}

impl Cluster {
    pub fn new(knarr: &Path, data: &Path) -> Result<Self> {
        let cluster = Self { knarr: knarr.to_owned(), data: data.to_owned() };
        if data.exists() {
            cluster.purge()?;
        }
        Ok(cluster)
    }

    fn run(&self, words: &[&str]) -> Result<()> {
        let home = std::env::temp_dir().join("knarr-bench-home");
        std::fs::create_dir_all(&home)?;
        let mut command = Command::new(&self.knarr);
        command.arg("--data-dir").arg(&self.data).args(words).env("HOME", home).env_remove("KUBECONFIG").stdout(Stdio::null());
        let status = command.status().with_context(|| format!("could not start {}", self.knarr.display()))?;
        if !status.success() {
            bail!("knarr {} failed with {status}", words.join(" "));
        }
        Ok(())
    }

    /// Starts the cluster; how long until its node is Ready and its DNS answers.
    pub fn up(&self) -> Result<Duration> {
        let start = Instant::now();
        let words: Vec<&str> = std::iter::once("up").chain(SETTINGS).collect();
        self.run(&words)?;
        Ok(start.elapsed())
    }

    pub fn purge(&self) -> Result<()> {
        self.run(&["down", "--purge"])
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.data.join("kubeconfig")
    }

    /// Where the cluster's own containerd listens, as its configuration tells.
    pub fn cri_socket(&self) -> Option<String> {
        let config = std::fs::read_to_string(self.data.join("containerd.toml")).ok()?;
        let line = config.lines().map(str::trim).find(|l| l.starts_with("address") && l.contains(".sock"))?;
        line.split('"').nth(1).map(str::to_owned)
    }

    /// Resident memory of the serving process.
    pub fn idle_memory(&self) -> Result<u64> {
        let data = self.data.display().to_string();
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            let Ok(line) = std::fs::read(path.join("cmdline")) else { continue };
            let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
            if words.contains(&data.as_bytes()) && words.contains(&b"server".as_slice()) {
                let status = std::fs::read_to_string(path.join("status"))?;
                let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).and_then(|v| v.trim().split(' ').next()).and_then(|v| v.parse::<u64>().ok());
                return kib.map(|kib| kib << 10).context("the process tells no VmRSS");
            }
        }
        bail!("no knarr serves {data}")
    }
}
