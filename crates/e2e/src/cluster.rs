//! The cluster under test, as its user sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::image::Image;
use crate::process::{Ran, Running, run};

pub struct Cluster {
    pub data: PathBuf,
    pub kubeconfig: PathBuf,
    knarr: PathBuf,
    seed: PathBuf,
    /// Commands go through knarr's own kubectl instead of upstream's.
    own_kubectl: bool,
}

impl Cluster {
    /// The cluster that the environment names; none where tests run without one.
    pub fn of_environment() -> Option<Self> {
        if std::env::var_os("KNARR_E2E").is_none() {
            println!("skipped: needs a cluster, see `cargo xtask e2e`");
            return None;
        }
        let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")));
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("seed");
        let seed = std::env::var_os("KNARR_SEED").map(PathBuf::from).unwrap_or(own);
        Some(Self { data: path("KNARR_DATA_DIR"), kubeconfig: path("KUBECONFIG"), knarr: path("KNARR_BIN"), seed, own_kubectl: false })
    }

    /// The same cluster through knarr's own kubectl.
    pub fn with_own_kubectl(self) -> Self {
        Self { own_kubectl: true, ..self }
    }

    fn kubectl_program(&self) -> Command {
        if !self.own_kubectl {
            return Command::new("kubectl");
        }
        let mut command = Command::new(&self.knarr);
        command.arg("kubectl");
        command
    }

    pub fn kubectl_command(&self, line: &str) -> Command {
        let mut command = self.kubectl_program();
        // Each test program asks what is served for itself: what kubectl remembers of another's custom resources is gone by now.
        let cache = self.data.join("kubectl-cache").join(std::process::id().to_string());
        command.arg("--cache-dir").arg(cache).args(words(line)).env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Runs a kubectl command line; quotes hold words together.
    pub fn kubectl(&self, line: &str) -> Ran {
        run(&mut self.kubectl_command(line), "")
    }

    /// `kubectl` with a manifest on its standard input.
    pub fn kubectl_with(&self, line: &str, manifest: &str) -> Ran {
        run(&mut self.kubectl_command(line), manifest)
    }

    pub fn start(&self, line: &str) -> Running {
        Running::start(&mut self.kubectl_command(line))
    }

    pub fn knarr(&self, args: &[&str]) -> Ran {
        run(&mut self.knarr_command(args), "")
    }

    pub fn knarr_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.knarr);
        command.arg("--data-dir").arg(&self.data).args(args);
        command
    }

    pub fn seed(&self, file: &str) -> String {
        self.seed.join(file).display().to_string()
    }

    pub fn object(&self, line: &str) -> Value {
        let text = self.kubectl(&format!("{line} -o json")).ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("`kubectl {line}`: {e}"))
    }

    pub fn import(&self, image: &Image) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("image.tar");
        std::fs::write(&file, image.archive()).expect("the archive is written");
        self.knarr(&["image", "import", &file.display().to_string()]).ok();
    }

    /// A namespace that goes with the test.
    pub fn namespace<'a>(&'a self, name: &str) -> Namespace<'a> {
        self.kubectl(&format!("delete namespace {name} --ignore-not-found --wait=true")).ok();
        self.kubectl(&format!("create namespace {name}")).ok();
        Namespace { cluster: self, name: name.to_owned() }
    }
}

/// Splits a command line at blanks; single quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in line.split('\'').enumerate() {
        if i % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

pub struct Namespace<'a> {
    cluster: &'a Cluster,
    pub name: String,
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // A failed test leaves its namespace for the one who looks.
        if !std::thread::panicking() {
            self.cluster.kubectl(&format!("delete namespace {} --wait=false", self.name)).ok();
        }
    }
}
