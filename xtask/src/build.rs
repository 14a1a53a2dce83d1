//! What has to be there before anything runs: packages, and the release binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, find, output, root, run};

/// A program, a file or a module of Python (`python3:name`), and the Debian package that brings it.
const NODE: [(&str, &str); 7] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("nft", "nftables"),
    // The compiler of C libraries that crates bring, and what the linker wants.
    ("cc", "gcc"),
    ("make", "make"),
    ("/usr/include/stdio.h", "libc6-dev"),
];

/// What tests need on top.
pub const TESTS: [(&str, &str); 8] = [
    ("etcd", "etcd-server"),
    ("/bin/busybox", "busybox-static"),
    ("curl", "curl"),
    ("docker-registry", "docker-registry"),
    ("script", "bsdutils"),
    // Unmodified clients of other languages; their own packages come from PyPI and npm (crates/e2e/tests/clients.rs).
    ("python3:ensurepip", "python3-venv"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

fn is_there(what: &str) -> bool {
    if let Some(module) = what.strip_prefix("python3:") {
        let asked = Command::new("python3").args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
        return asked.is_ok_and(|status| status.success());
    }
    if what.starts_with('/') { Path::new(what).exists() } else { find(what).is_some() }
}

/// Installs the packages whose programs are missing; where there is no apt, says what to install.
pub fn ensure(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().filter(|(what, _)| !is_there(what)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() {
        bail!("missing: {}. There is no apt-get here: install these with your distribution's package manager (names are Debian's) and run this again", missing.join(", "));
    }
    if !is_root()? {
        bail!("missing: {}. Run this as root, or install them yourself: apt-get install {}", missing.join(", "), missing.join(" "));
    }
    println!("installing {}", missing.join(", "));
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(args).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(&mut apt(&["update"]))?;
    let mut install = apt(&["install", "-y", "--no-install-recommends"]);
    run(install.args(&missing).stdout(std::process::Stdio::null()))
}

pub fn ensure_node() -> Result<()> {
    ensure(&NODE)
}

pub fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// Builds the release binary and says where it is.
pub fn release() -> Result<PathBuf> {
    let mut build = cargo(&["build", "--release", "--package", "knarr"]);
    // The server tells its clients which commit it is; a checkout without git is built all the same.
    if let Ok(commit) = output(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root())) {
        build.env("KNARR_COMMIT", commit.trim());
    }
    run(&mut build)?;
    let binary = target().join("release/knarr");
    binary.is_file().then_some(binary).context("cargo built no target/release/knarr")
}

pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).unwrap_or_else(|| root().join("target"))
}
