//! The order of the house: arrows between crates, sizes of files, a header in every module.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{cargo, output, root};
use crate::tidy_docs;

/// The wall; files should stay below 300 lines.
const MAX_LINES: usize = 800;
const COMPONENTS: u64 = 4;
const BANNED: [&str; 5] = ["manager", "helper", "util", "common", "misc"];

pub fn check() -> Result<()> {
    let mut faults = Vec::new();
    let members = members()?;
    arrows(&members, &mut faults);
    for member in &members {
        for file in sources(&member.folder.join("src"))? {
            source(&file, &mut faults)?;
        }
    }
    tidy_docs::check(&members.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), &mut faults)?;
    if faults.is_empty() {
        println!("tidy: {} crates in order", members.len());
        return Ok(());
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    bail!("{} faults", faults.len())
}

struct Member {
    name: String,
    folder: PathBuf,
    floor: Option<u64>,
    uses: Vec<String>,
}

fn members() -> Result<Vec<Member>> {
    let text = output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is no JSON")?;
    let member = |package: &Value| Member {
        name: package["name"].as_str().unwrap_or_default().to_owned(),
        folder: Path::new(package["manifest_path"].as_str().unwrap_or_default()).parent().map(Path::to_path_buf).unwrap_or_default(),
        floor: package["metadata"]["knarr"]["floor"].as_u64(),
        uses: package["dependencies"].as_array().into_iter().flatten().filter(|d| d["kind"].is_null()).filter_map(|d| d["name"].as_str().map(str::to_owned)).collect(),
    };
    Ok(metadata["packages"].as_array().into_iter().flatten().map(member).collect())
}

/// A crate uses only lower floors, or its own where it is no component; only the API server touches the store.
fn arrows(members: &[Member], faults: &mut Vec<String>) {
    let floors: HashMap<&str, Option<u64>> = members.iter().map(|m| (m.name.as_str(), m.floor)).collect();
    for member in members {
        let Some(floor) = member.floor else {
            faults.push(format!("{}: Cargo.toml names no floor; add [package.metadata.knarr] floor = N", member.name));
            continue;
        };
        for used in &member.uses {
            let Some(Some(below)) = floors.get(used.as_str()) else { continue };
            let allowed = *below < floor || (*below == floor && floor < COMPONENTS);
            if !allowed {
                faults.push(format!("{} (floor {floor}) uses {used} (floor {below}): arrows only point down", member.name));
            }
            if used == "store" && !matches!(member.name.as_str(), "apiserver" | "bench") {
                faults.push(format!("{} uses store: only apiserver does, all others go through the API", member.name));
            }
        }
    }
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn source(file: &Path, faults: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let shown = file.strip_prefix(root()).unwrap_or(file).display().to_string();
    let lines = text.lines().count();
    let generated = text.starts_with("// @generated");
    if lines > MAX_LINES && !generated {
        faults.push(format!("{shown}: {lines} lines, the wall is {MAX_LINES}: a concept in it has no name yet"));
    }
    if !generated && !text.trim_start().starts_with("//!") {
        faults.push(format!("{shown}: opens without `//!`: say what it is, what it never does, what it keeps true"));
    }
    let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    if stem.split('_').any(|word| BANNED.contains(&word)) {
        faults.push(format!("{shown}: `{stem}` names nothing; say what it holds"));
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if ["todo!(", "unimplemented!(", "#[ignore"].iter().any(|w| code.starts_with(w)) {
            faults.push(format!("{shown}:{}: unfinished: {code}", number + 1));
        }
    }
    Ok(())
}
