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
    text("load-restrictor", "LoadRestrictionsRootOnly", "LoadRestrictionsNone lets kustomizations read files outside of their folders."),
    text("reorder", "", "legacy or none; taken for compatibility.").deprecated("use the new 'sortOptions' field in kustomization.yaml instead."),
    array("env", "Taken for compatibility.").short('e'),
    yes_no("enable-helm", "Charts are not run here; without charts this changes nothing."),
    yes_no("enable-alpha-plugins", "Plugins are not run here; without plugins this changes nothing."),
    yes_no("as-current-user", "Taken for compatibility."),
    yes_no("network", "Taken for compatibility."),
    text("network-name", "bridge", "Taken for compatibility."),
    array("mount", "Taken for compatibility."),
    text("helm-command", "helm", "Taken for compatibility."),
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
    let is_restricted = match call.flags.text("load-restrictor") {
        "LoadRestrictionsRootOnly" => true,
        "LoadRestrictionsNone" => false,
        other => return fail(format!("illegal flag value --load-restrictor {other}; legal values: [LoadRestrictionsRootOnly LoadRestrictionsNone]")),
    };
    let order = call.flags.text("reorder");
    if !matches!(order, "" | "legacy" | "none") {
        return fail(format!("illegal flag value --reorder {order}; legal values: [legacy none]"));
    }
    let objects = kustomize::build(Path::new(folder), is_restricted).map_err(|e| match e.message() {
        why if why.ends_with("must specify --enable-helm") && call.flags.yes("enable-helm") => Failure::Text("charts of kustomizations are not run here; make their manifests with `helm template` and name those".into()),
        why if why.contains("external plugins disabled") && call.flags.yes("enable-alpha-plugins") => Failure::Text("plugins of kustomizations are not run here".into()),
        _ => e,
    })?;
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
