//! `set resources`.

use serde_json::{Value, json};

use super::{COMMON, check_local, check_named, each_pod_spec, infos};
use crate::call::Call;
use crate::change::Change;
use crate::command::{Command, EMPTY};
use crate::commands::create;
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, text};
use crate::{global, run, workload};

const FLAGS: &[Flag] = &[
    text("containers", "*", "The containers to change; * stands for anything.").short('c'),
    text("limits", "", "Limits, as cpu=200m,memory=512Mi; 0 removes."),
    text("requests", "", "Requests, as cpu=100m,memory=256Mi; 0 removes."),
];

pub const COMMAND: Command = Command {
    name: "resources",
    usage: "(-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS]",
    about: "Set what containers request and are limited to.",
    examples: "kubectl set resources deployment nginx -c=nginx --limits=cpu=200m,memory=512Mi",
    flags: &[FLAGS, COMMON, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let change = Change::of(call)?;
    check_local(call, &change)?;
    if flags.yes("all") && !flags.text("selector").is_empty() {
        return fail("cannot set --all and --selector at the same time");
    }
    if flags.text("limits").is_empty() && flags.text("requests").is_empty() {
        return fail("you must specify an update to requests or limits (in the form of --requests/--limits)");
    }
    let amounts = |flag: &str| if flags.text(flag).is_empty() { Ok(Default::default()) } else { create::amounts(flags.text(flag)).map_err(|e| Failure::Text(e.message().replacen("Invalid", "invalid", 1))) };
    let (limits, requests) = (amounts("limits")?, amounts("requests")?);
    check_named(call, call.args())?;
    let infos = infos(call, call.args()).await?;
    let pattern = flags.text("containers");
    each_pod_spec(call, infos, "resource requirements updated", |_, spec| {
        let mut some = false;
        let Some(map) = spec.as_object_mut() else { return fail("the pod spec is no object") };
        for container in map.iter_mut().filter(|(k, _)| *k == "containers" || *k == "initContainers").filter_map(|(_, v)| v.as_array_mut()).flatten() {
            if !workload::matches(pattern, container["name"].as_str().unwrap_or_default()) {
                continue;
            }
            some = true;
            for (field, wanted) in [("limits", &limits), ("requests", &requests)] {
                for (name, amount) in wanted {
                    if !container["resources"].is_object() {
                        container["resources"] = json!({});
                    }
                    if amount == "0" {
                        if let Some(map) = container["resources"].get_mut(field).and_then(Value::as_object_mut) {
                            map.remove(name);
                        }
                    } else {
                        container["resources"][field][name.as_str()] = amount.clone();
                    }
                }
            }
        }
        if some { Ok(()) } else { fail(format!("error: unable to find container named {pattern}")) }
    })
    .await
}
