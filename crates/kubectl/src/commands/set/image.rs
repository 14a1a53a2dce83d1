//! `set image`.

use serde_json::Value;

use super::{COMMON, check_local, check_named, each_pod_spec, infos};
use crate::call::Call;
use crate::change::Change;
use crate::command::{Command, EMPTY};
use crate::failure::{Outcome, fail};
use crate::{global, run};

pub const COMMAND: Command = Command {
    name: "image",
    usage: "(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N",
    about: "Set images of containers.",
    examples: "kubectl set image deployment/nginx busybox=busybox nginx=nginx:1.9.1\n\n# All containers\nkubectl set image daemonset abc *=nginx:1.9.1",
    flags: &[COMMON, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let change = Change::of(call)?;
    let is_pair = |arg: &String| arg.contains('=') && !arg.starts_with('=');
    let resources: Vec<String> = call.args().iter().take_while(|a| !is_pair(a)).cloned().collect();
    let pairs: Vec<&String> = call.args().iter().skip(resources.len()).collect();
    if let Some(stray) = pairs.iter().find(|p| !is_pair(p)) {
        return fail(format!("all resources must be specified before image changes: {stray}"));
    }
    let infos = infos(call, &resources).await?;
    let images: Vec<(&str, &str)> = pairs.iter().filter_map(|p| p.split_once('=')).collect();
    let mut why = Vec::new();
    if call.flags.yes("all") && !call.flags.text("selector").is_empty() {
        why.push("cannot set --all and --selector at the same time".to_owned());
    }
    if let Err(e) = check_named(call, &resources) {
        why.push(e.message());
    }
    if images.is_empty() {
        why.push("at least one image update is required".into());
    } else if images.len() > 1 && images.iter().any(|(name, _)| *name == "*") {
        why.push("all containers are already specified by *, but saw more than one container_name=container_image pairs".into());
    }
    if let Err(e) = check_local(call, &change) {
        why.push(e.message());
    }
    match why.len() {
        0 => {}
        1 => return fail(why.remove(0)),
        _ => return Err(crate::failure::Failure::Many(why.into_iter().map(crate::failure::Failure::Text).collect())),
    }
    each_pod_spec(call, infos, "image updated", |_, spec| {
        for (name, image) in &images {
            let mut found = false;
            for list in ["initContainers", "containers"] {
                for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                    if *name == "*" || container["name"] == **name {
                        container["image"] = (*image).into();
                        found = true;
                    }
                }
            }
            if !found {
                return fail(format!("error: unable to find container named {name:?}"));
            }
        }
        Ok(())
    })
    .await
}
