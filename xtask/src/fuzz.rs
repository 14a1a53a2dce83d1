//! Fuzzing: every target for a bounded time, from its committed corpus.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run::{beside, cargo, find, root, run};

#[derive(clap::Args)]
pub struct Args {
    /// Only this target
    #[arg(value_name = "TARGET")]
    pub only: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
}

pub fn start(args: &Args) -> Result<()> {
    if find("cargo-fuzz").is_none() && !std::env::var_os("HOME").is_some_and(|home| std::path::Path::new(&home).join(".cargo/bin/cargo-fuzz").is_file()) {
        bail!("cargo-fuzz is missing: cargo install cargo-fuzz");
    }
    let folder = root().join("fuzz/fuzz_targets");
    let mut targets: Vec<String> = std::fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .filter(|name| args.only.as_ref().is_none_or(|only| only == name))
        .collect();
    targets.sort();
    if targets.is_empty() {
        bail!("no target of that name in {}", folder.display());
    }
    for target in targets {
        println!("== {target}");
        let time = format!("-max_total_time={}", args.seconds);
        // What a run finds stays out of the committed corpus until somebody puts it there.
        let found = root().join("fuzz/target/corpus").join(&target);
        std::fs::create_dir_all(&found)?;
        let mut command = cargo(&["fuzz", "run", &target]);
        command.args(std::iter::once(found).chain(corpora(&target))).args(["--", &time, "-timeout=5", "-rss_limit_mb=2048", "-max_len=65536"]);
        // The flags that libFuzzer needs are not stable; the compiler of this project takes them with this.
        run(command.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

/// That all targets compile: they are a workspace of their own, which nothing else builds. The library that they are linked with is left out.
pub fn check() -> Result<()> {
    let manifest = root().join("fuzz/Cargo.toml");
    let mut command = cargo(&["check", "--quiet", "--locked", "--manifest-path"]);
    command.arg(manifest).arg("--target-dir").arg(root().join("target/fuzz"));
    run(command.env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libnone.a"))
}

/// Where a target begins: its committed corpus, and the oracle's objects where it reads whole objects and they are there.
fn corpora(target: &str) -> Vec<PathBuf> {
    let own = root().join("fuzz/corpus").join(target);
    let wire = matches!(target, "object" | "protobuf" | "json" | "yaml").then(|| beside("KNARR_ORACLE", "oracle")).flatten().map(|oracle| oracle.join("wire"));
    std::iter::once(own).chain(wire).filter(|folder| folder.is_dir()).collect()
}
