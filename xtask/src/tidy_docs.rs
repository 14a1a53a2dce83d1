//! The map agrees with the ground: ARCHITECTURE.md names every crate and none that is gone.

use std::fs;

use anyhow::{Context, Result};

use crate::run::root;

pub fn check(crates: &[&str], faults: &mut Vec<String>) -> Result<()> {
    let path = root().join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let named: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("- `")).filter_map(|rest| rest.split('`').next()).collect();
    for name in crates {
        if !named.contains(name) {
            faults.push(format!("ARCHITECTURE.md: no line \"- `{name}`\" for the crate {name}"));
        }
    }
    for name in named {
        if !crates.contains(&name) {
            faults.push(format!("ARCHITECTURE.md: `{name}` is no crate of this workspace"));
        }
    }
    for file in ["README.md", "CHANGELOG.md", "LICENSE", "docs/benchmarks.md", "docs/decisions"] {
        if !root().join(file).exists() {
            faults.push(format!("{file} is missing"));
        }
    }
    Ok(())
}
