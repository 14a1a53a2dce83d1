//! `set env`.
// Upstream: kubectl pkg/cmd/set/set_env.go, env/env_resolve.go.

use serde_json::{Value, json};

use super::{COMMON, check_local, check_named, each_pod_spec, infos};
use crate::call::Call;
use crate::change::Change;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, array, slice, text, yes_no};
use crate::select::{Info, Select};
use crate::{complain, global, run, say, workload};

const FLAGS: &[Flag] = &[
    text("containers", "*", "The containers to change; * stands for anything.").short('c'),
    text("from", "", "A config map or secret to take all keys of, as TYPE/NAME."),
    text("prefix", "", "What the names of --from shall begin with."),
    array("env", "Variables, as key=value.").short('e'),
    slice("keys", "Only these keys of --from."),
    yes_no("list", "Show the variables."),
    yes_no("resolve", "With --list, show values that come from elsewhere."),
    yes_no("overwrite", "Change values that are there already.").default("true"),
];

pub const COMMAND: Command = Command {
    name: "env",
    usage: "RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
    about: "Set environment variables of containers. A name that ends with - is removed.",
    examples: "kubectl set env deployment/registry STORAGE_DIR=/local\n\n# What there is\nkubectl set env pods --all --list\n\n# From a secret\nkubectl set env --from=secret/mysecret deployment/myapp",
    flags: &[FLAGS, COMMON, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

fn is_env(arg: &str) -> bool {
    (arg.contains('=') && !arg.starts_with('=')) || (arg.ends_with('-') && arg.len() > 1)
}

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let change = Change::of(call)?;
    if flags.yes("all") && !flags.text("selector").is_empty() {
        return fail("cannot set --all and --selector at the same time");
    }
    let resources: Vec<String> = call.args().iter().take_while(|a| !is_env(a)).cloned().collect();
    let words = &call.args()[resources.len()..];
    if words.iter().any(|w| !is_env(w) && w != "-") {
        return fail(format!("all resources must be specified before environment changes: {}", call.args().join(" ")));
    }
    check_local(call, &change)?;
    check_named(call, &resources)?;
    if flags.yes("list") && !flags.text("output").is_empty() {
        return fail("--list and --output may not be specified together");
    }
    if !flags.list("keys").is_empty() && flags.text("from").is_empty() {
        return fail("when specifying --keys, a configmap or secret must be provided with --from");
    }
    let (mut set, mut remove): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for word in flags.list("env").iter().chain(words) {
        match word.split_once('=') {
            Some((name, value)) => {
                let faults = api::names::env_var_name(name);
                if !faults.is_empty() {
                    return fail(format!("{name:?} is not a valid key name: {}", faults.join(";")));
                }
                set.push(json!({"name": name, "value": value}));
            }
            None => remove.push(word.trim_end_matches('-').to_owned()),
        }
    }
    if remove.iter().any(|r| set.iter().any(|s| s["name"] == **r)) {
        return fail("can not both modify and remove the same environment variable in the same command");
    }
    if !flags.text("from").is_empty() {
        set.extend(from(call).await?);
    }
    for variable in &mut set {
        if !flags.text("prefix").is_empty() {
            variable["name"] = format!("{}{}", flags.text("prefix"), variable["name"].as_str().unwrap_or_default()).into();
        }
    }
    let infos = infos(call, &resources).await?;
    if flags.yes("list") {
        return list(call, &infos).await;
    }
    each_pod_spec(call, infos, "env updated", |info, spec| update(call, info, spec, &set, &remove)).await
}

fn update(call: &Call, info: &Info, spec: &mut Value, set: &[Value], remove: &[String]) -> Outcome {
    let pattern = call.flags.text("containers");
    let mut some = false;
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if !workload::matches(pattern, container["name"].as_str().unwrap_or_default()) {
                continue;
            }
            some = true;
            let mut all = container["env"].as_array().cloned().unwrap_or_default();
            for new in set {
                match all.iter_mut().find(|e| e["name"] == new["name"]) {
                    Some(old) => {
                        if !call.flags.yes("overwrite") && old["value"] != new["value"] {
                            return fail(format!("'{}' already has a value ({}), and --overwrite is false", old["name"].as_str().unwrap_or_default(), old["value"].as_str().unwrap_or_default()));
                        }
                        *old = new.clone();
                    }
                    None => all.push(new.clone()),
                }
            }
            all.retain(|e| !remove.iter().any(|r| e["name"] == **r));
            if let Some(map) = container.as_object_mut() {
                if all.is_empty() {
                    map.remove("env");
                } else {
                    map.insert("env".into(), Value::Array(all));
                }
            }
        }
    }
    if !some {
        complain!("warning: {}/{} does not have any containers matching {pattern:?}", info.resource.kind, info.name);
    }
    Ok(())
}

/// Variables of all keys of a config map or secret.
async fn from(call: &Call) -> Outcome<Vec<Value>> {
    let mut select = Select::of(call)?.latest();
    select.files = Default::default();
    let keys = call.flags.list("keys");
    let mut out = Vec::new();
    for info in select.by(call, &[call.flags.text("from").to_owned()]).await?.all()? {
        let (field, source) = match info.resource.kind.as_str() {
            "Secret" => ("secretKeyRef", &info.object["data"]),
            "ConfigMap" => ("configMapKeyRef", &info.object["data"]),
            _ => return fail("unsupported resource specified in --from"),
        };
        for key in source.as_object().into_iter().flatten().map(|(k, _)| k).filter(|k| keys.is_empty() || keys.contains(k)) {
            let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_uppercase() } else { '_' }).collect();
            out.push(json!({"name": name, "valueFrom": {field: {"name": info.name, "key": key}}}));
        }
    }
    Ok(out)
}

/// How a variable's source is named.
fn source_text(source: &Value) -> String {
    let text = |of: &str, key: &str| source[of][key].as_str().unwrap_or_default().to_owned();
    if source["configMapKeyRef"].is_object() {
        format!("configmap {}, key {}", text("configMapKeyRef", "name"), text("configMapKeyRef", "key"))
    } else if source["secretKeyRef"].is_object() {
        format!("secret {}, key {}", text("secretKeyRef", "name"), text("secretKeyRef", "key"))
    } else if source["fieldRef"].is_object() {
        format!("field path {}", text("fieldRef", "fieldPath"))
    } else if source["resourceFieldRef"].is_object() {
        let container = text("resourceFieldRef", "containerName");
        format!("resource field {}{}", if container.is_empty() { String::new() } else { format!("{container}.") }, text("resourceFieldRef", "resource"))
    } else {
        "invalid valueFrom".into()
    }
}

async fn list(call: &Call, infos: &[Info]) -> Outcome {
    let pattern = call.flags.text("containers");
    for info in infos {
        let Some(path) = workload::pod_spec_path(&info.object) else { continue };
        let spec = workload::at(&info.object, path);
        for list in ["initContainers", "containers"] {
            for container in spec[list].as_array().into_iter().flatten() {
                let name = container["name"].as_str().unwrap_or_default();
                if !workload::matches(pattern, name) {
                    continue;
                }
                say!("# {} {}, container {name}", info.resource.kind, info.name);
                for variable in container["env"].as_array().into_iter().flatten() {
                    show(call, info, variable).await?;
                }
            }
        }
    }
    Ok(())
}

async fn show(call: &Call, info: &Info, variable: &Value) -> Outcome {
    let name = variable["name"].as_str().unwrap_or_default();
    let source = &variable["valueFrom"];
    if source.is_null() {
        say!("{name}={}", variable["value"].as_str().unwrap_or_default());
        return Ok(());
    }
    if call.flags.yes("resolve") {
        match resolved(call, info, source).await {
            Ok(Some(value)) => {
                say!("{name}={value}");
                return Ok(());
            }
            Ok(None) => {}
            Err(e) => complain!("error retrieving reference for {name}: {}", e.message()),
        }
    }
    say!("# {name} from {}", source_text(source));
    Ok(())
}

async fn resolved(call: &Call, info: &Info, source: &Value) -> Outcome<Option<String>> {
    use base64::Engine as _;
    for (field, list) in [("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")] {
        let reference = &source[field];
        let (Some(name), Some(key)) = (reference["name"].as_str(), reference["key"].as_str()) else { continue };
        let object = call.api().await?.get(&format!("/api/v1/namespaces/{}/{list}/{name}", info.namespace)).await?;
        let Some(value) = object["data"][key].as_str() else { return fail(format!("key {key} not found in {} {name}", list.trim_end_matches('s'))) };
        if list == "configmaps" {
            return Ok(Some(value.to_owned()));
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(value).map_err(|e| Failure::Text(e.to_string()))?;
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(None)
}
