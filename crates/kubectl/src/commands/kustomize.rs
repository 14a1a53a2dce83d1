//! `kubectl kustomize`: what a kustomization makes, as YAML.
// Upstream: kubectl pkg/cmd/kustomize; kustomize cmd build.

use std::path::Path;

use crate::call::{Call, out};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail, path_error};
use crate::flags::{Flag, array, text, yes_no};
use crate::{kustomize, print, run};

const FLAGS: &[Flag] = &[
    text("output", "", "A file or folder to write to.").short('o'),
    text("load-restrictor", "LoadRestrictionsRootOnly", "Taken for compatibility."),
    text("reorder", "", "Taken for compatibility."),
    array("env", "Taken for compatibility.").short('e'),
    yes_no("enable-helm", "Not supported."),
    yes_no("enable-alpha-plugins", "Not supported."),
];

pub const COMMAND: Command = Command {
    name: "kustomize",
    usage: "DIR",
    about: "Build a kustomization from a folder.",
    examples: "kubectl kustomize ./overlays/production",
    flags: &[FLAGS],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let folder = match call.args() {
        [] => ".",
        [one] => one,
        _ => return fail("specify one path to kustomization.yaml"),
    };
    if call.flags.yes("enable-helm") || call.flags.yes("enable-alpha-plugins") {
        return fail("charts and plugins of kustomize are not run here");
    }
    let objects = kustomize::build(Path::new(folder))?;
    let text = objects.iter().map(print::yaml).collect::<Vec<_>>().join("---\n");
    match call.flags.text("output") {
        "" => out(&text),
        file if Path::new(file).is_dir() => {
            for object in &objects {
                let version = object["apiVersion"].as_str().unwrap_or_default().replace('/', "_");
                let name = format!("{version}_{}_{}.yaml", object["kind"].as_str().unwrap_or_default(), api::meta::name(object)).to_lowercase();
                let path = Path::new(file).join(name);
                std::fs::write(&path, print::yaml(object)).map_err(|e| Failure::Text(path_error("open", &path.display().to_string(), &e)))?;
            }
        }
        file => std::fs::write(file, text).map_err(|e| Failure::Text(path_error("open", file, &e)))?,
    }
    Ok(())
}
