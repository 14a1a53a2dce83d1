//! `kubectl debug`: an ephemeral container in a pod, a changed copy of a pod, or a pod on a node with its files.
// Upstream: kubectl pkg/cmd/debug/debug.go, profiles.go.

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::client::STRATEGIC_PATCH;
use crate::command::{Command, EMPTY};
use crate::commands::create::random;
use crate::commands::{exec, wait};
use crate::failure::{Outcome, fail};
use crate::flags::{Flag, array, slice, text, yes_no};
use crate::print::{BASIC, Printer};
use crate::select::{Info, Select};
use crate::{complain, global, pods, run, say};

const FLAGS: &[Flag] = &[
    yes_no("arguments-only", "What stands behind -- are arguments, not the command."),
    yes_no("attach", "Attach to the container once it runs."),
    text("container", "", "The name of the debug container.").short('c'),
    text("copy-to", "", "Make a copy of the pod, of this name."),
    array("env", "Environment variables, as key=value."),
    text("image", "", "The debug container's image."),
    text("image-pull-policy", "", "Always, IfNotPresent or Never."),
    yes_no("keep-annotations", "Keep the pod's annotations; with --copy-to."),
    yes_no("keep-init-containers", "Keep the pod's init containers; with --copy-to.").default("true"),
    yes_no("keep-labels", "Keep the pod's labels; with --copy-to."),
    yes_no("keep-liveness", "Keep the pod's liveness probes; with --copy-to."),
    yes_no("keep-readiness", "Keep the pod's readiness probes; with --copy-to."),
    yes_no("keep-startup", "Keep the pod's startup probes; with --copy-to."),
    text("profile", "general", "legacy, general, baseline, netadmin, restricted or sysadmin."),
    text("custom", "", "A file with further fields of the container."),
    yes_no("quiet", "Only what the process itself says.").short('q'),
    yes_no("replace", "Delete the pod that the copy is of; with --copy-to."),
    yes_no("same-node", "The copy runs on the same node; with --copy-to."),
    slice("set-image", "New images, as name=image; with --copy-to."),
    yes_no("share-processes", "The copy's containers see each other's processes.").default("true"),
    yes_no("stdin", "Keep standard input open.").short('i'),
    text("target", "", "The container whose processes the debug container sees."),
    yes_no("tty", "With a terminal.").short('t'),
];

const PROFILES: [&str; 6] = ["legacy", "general", "baseline", "netadmin", "restricted", "sysadmin"];

pub const COMMAND: Command = Command {
    name: "debug",
    usage: "(POD | TYPE[[.VERSION].GROUP]/NAME) [ -- COMMAND [args...] ]",
    about: "Look for faults with a container of your own: in a pod, in a copy of it, or on a node.",
    examples: "kubectl debug mypod -it --image=busybox\n\n# A node, its files below /host\nkubectl debug node/mynode -it --image=busybox",
    flags: &[FLAGS, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let before = flags.dash.unwrap_or(call.args().len());
    let (who, words) = call.args().split_at(before);
    if flags.text("image").is_empty() && flags.text("copy-to").is_empty() {
        return fail("you must specify --image when not using --copy-to.");
    }
    if who.is_empty() {
        return fail("NAME or filename is required for debug");
    }
    if !flags.text("copy-to").is_empty() && flags.text("image").is_empty() && flags.list("set-image").is_empty() && words.is_empty() {
        return fail("you must specify --image, --set-image or command arguments.");
    }
    if flags.yes("tty") && !flags.yes("stdin") {
        return fail("-i/--stdin is required for containers with -t/--tty=true");
    }
    if !PROFILES.contains(&flags.text("profile")) {
        return fail(format!("unknown profile: {}", flags.text("profile")));
    }
    let names: Vec<String> = who.iter().map(|w| if w.contains('/') { w.clone() } else { format!("pods/{w}") }).collect();
    let mut select = Select::of(call)?.latest();
    select.files = Default::default();
    for item in select.by(call, &names).await?.items {
        let info = item?;
        let (pod, container) = match info.resource.kind.as_str() {
            "Node" => on_node(call, &info, words).await?,
            "Pod" if flags.text("copy-to").is_empty() => in_pod(call, &info, words).await?,
            "Pod" => copy(call, &info, words).await?,
            other => return fail(format!("\"{}/{other}\" not supported by debug", info.resource.api_version())),
        };
        if flags.yes("attach") || flags.yes("stdin") {
            attach(call, &pod, &container).await?;
        } else if let Some(mut printer) = Printer::of_flags(call, BASIC)?.map(Printer::typed) {
            out(&printer.print(&pod.object)?);
        }
    }
    Ok(())
}

fn container(call: &Call, name: &str, words: &[String]) -> Outcome<Value> {
    let flags = &call.flags;
    let mut made = json!({"name": name, "image": flags.text("image"), "terminationMessagePolicy": "File"});
    if !words.is_empty() {
        made[if flags.yes("arguments-only") { "args" } else { "command" }] = json!(words);
    }
    let environment: Vec<Value> = flags.list("env").iter().filter_map(|p| p.split_once('=')).map(|(k, v)| json!({"name": k, "value": v})).collect();
    if !environment.is_empty() {
        made["env"] = json!(environment);
    }
    if !flags.text("image-pull-policy").is_empty() {
        made["imagePullPolicy"] = flags.text("image-pull-policy").into();
    }
    for (flag, key) in [("stdin", "stdin"), ("tty", "tty")] {
        if flags.yes(flag) {
            made[key] = true.into();
        }
    }
    match flags.text("profile") {
        "general" => made["securityContext"] = json!({"capabilities": {"add": ["SYS_PTRACE"]}}),
        "netadmin" => made["securityContext"] = json!({"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}),
        "sysadmin" => made["securityContext"] = json!({"privileged": true}),
        "restricted" => made["securityContext"] = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}),
        _ => {}
    }
    if !flags.text("custom").is_empty() {
        let text = std::fs::read_to_string(flags.text("custom")).map_err(|e| crate::failure::Failure::Text(crate::failure::path_error("open", flags.text("custom"), &e)))?;
        let change = goyaml::from_yaml(&text).map_err(|e| crate::failure::Failure::Text(format!("unable to parse {:?}: {e}", flags.text("custom"))))?;
        patch::apply_merge_patch(&mut made, change);
    }
    Ok(made)
}

/// The name asked for, or one that no other container has.
fn debugger_name(call: &Call) -> String {
    match call.flags.text("container") {
        "" => {
            let name = format!("debugger-{}", random(5));
            if !call.flags.yes("quiet") {
                complain!("Defaulting debug container name to {name}.");
            }
            name
        }
        given => given.to_owned(),
    }
}

async fn in_pod(call: &Call, info: &Info, words: &[String]) -> Outcome<(Info, String)> {
    let name = debugger_name(call);
    if pods::container_names(&info.object).iter().any(|c| c.split(' ').next() == Some(&name)) {
        return fail(format!("container name {name:?} is already taken in pod {}", info.name));
    }
    let mut made = container(call, &name, words)?;
    match call.flags.text("target") {
        "" => {}
        target => {
            made["targetContainerName"] = target.into();
            if !call.flags.yes("quiet") {
                say!("Targeting container {target:?}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.");
            }
        }
    }
    let path = format!("{}/ephemeralcontainers", info.path());
    let object = call.api().await?.patch(&path, STRATEGIC_PATCH, &json!({"spec": {"ephemeralContainers": [made]}})).await?;
    Ok((Info { object, ..info.clone() }, name))
}

async fn on_node(call: &Call, info: &Info, words: &[String]) -> Outcome<(Info, String)> {
    let namespace = call.namespace()?.name;
    let name = format!("node-debugger-{}-{}", info.name, random(5));
    let mut made = container(call, if call.flags.text("container").is_empty() { "debugger" } else { call.flags.text("container") }, words)?;
    if ["general", "baseline", "netadmin", "restricted"].contains(&call.flags.text("profile")) && call.flags.text("profile") == "general" {
        // Upstream: on a node the general profile adds no capability.
        if let Some(map) = made.as_object_mut() {
            map.remove("securityContext");
        }
    }
    let mut spec = json!({"nodeName": info.name, "restartPolicy": "Never", "tolerations": [{"operator": "Exists"}]});
    if call.flags.text("profile") != "restricted" && call.flags.text("profile") != "baseline" {
        made["volumeMounts"] = json!([{"mountPath": "/host", "name": "host-root"}]);
        spec["volumes"] = json!([{"name": "host-root", "hostPath": {"path": "/"}}]);
        spec["hostIPC"] = true.into();
        spec["hostNetwork"] = true.into();
        spec["hostPID"] = true.into();
    }
    let container_name = made["name"].as_str().unwrap_or_default().to_owned();
    spec["containers"] = json!([made]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "kubectl-debug"}}, "spec": spec});
    if !call.flags.yes("quiet") {
        say!("Creating debugging pod {name} with container {container_name} on node {}.", info.name);
    }
    let object = call.api().await?.post(&format!("/api/v1/namespaces/{namespace}/pods"), &pod).await?;
    let resource = call.resource("pods").await?;
    Ok((Info { resource, namespace, name, object, source: String::new() }, container_name))
}

async fn copy(call: &Call, info: &Info, words: &[String]) -> Outcome<(Info, String)> {
    let flags = &call.flags;
    let name = flags.text("copy-to").to_owned();
    let mut spec = info.object["spec"].clone();
    if let Some(map) = spec.as_object_mut() {
        map.remove("ephemeralContainers");
        if !flags.yes("same-node") {
            map.remove("nodeName");
        }
        if !flags.yes("keep-init-containers") {
            map.remove("initContainers");
        }
    }
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        let Some(map) = container.as_object_mut() else { continue };
        for (flag, key) in [("keep-liveness", "livenessProbe"), ("keep-readiness", "readinessProbe"), ("keep-startup", "startupProbe")] {
            if !flags.yes(flag) {
                map.remove(key);
            }
        }
    }
    if flags.given("share-processes") || spec["shareProcessNamespace"].is_null() {
        spec["shareProcessNamespace"] = flags.yes("share-processes").into();
    }
    for pair in flags.list("set-image") {
        let Some((container, image)) = pair.split_once('=') else { return fail(format!("invalid --set-image: {pair}")) };
        for one in spec["containers"].as_array_mut().into_iter().flatten().filter(|c| container == "*" || c["name"] == container) {
            one["image"] = image.into();
        }
    }
    let asked = flags.text("container");
    let at = spec["containers"].as_array().and_then(|all| all.iter().position(|c| c["name"] == asked && !asked.is_empty()));
    let target = if let Some(at) = at {
        let one = &mut spec["containers"][at];
        if !flags.text("image").is_empty() {
            one["image"] = flags.text("image").into();
        }
        if !words.is_empty() {
            one[if flags.yes("arguments-only") { "args" } else { "command" }] = json!(words);
        }
        for (flag, key) in [("stdin", "stdin"), ("tty", "tty")] {
            if flags.yes(flag) {
                one[key] = true.into();
            }
        }
        asked.to_owned()
    } else if flags.text("image").is_empty() {
        spec["containers"][0]["name"].as_str().unwrap_or_default().to_owned()
    } else {
        let debugger = debugger_name(call);
        let made = container(call, &debugger, words)?;
        if let Some(all) = spec["containers"].as_array_mut() {
            all.push(made);
        }
        debugger
    };
    let mut metadata = json!({"name": name, "namespace": info.namespace});
    for (flag, key) in [("keep-labels", "labels"), ("keep-annotations", "annotations")] {
        if flags.yes(flag) {
            metadata[key] = info.object["metadata"][key].clone();
        }
    }
    let api = call.api().await?;
    if flags.yes("replace") {
        api.delete(&info.path(), &json!({"gracePeriodSeconds": 0})).await?;
    }
    let object = api.post(&info.resource.collection(&info.namespace), &json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})).await?;
    Ok((Info { name, object, ..info.clone() }, target))
}

async fn attach(call: &Call, pod: &Info, container: &str) -> Outcome {
    let state = |object: &Value| {
        ["containerStatuses", "ephemeralContainerStatuses"].iter().flat_map(|k| object["status"][*k].as_array().into_iter().flatten()).find(|s| s["name"] == container).map(|s| s["state"].clone())
    };
    let object = wait::follow(call, pod, |object| {
        let Some(object) = object else { return fail(format!("pod {} was deleted", pod.name)) };
        Ok(state(object).is_some_and(|s| s["running"].is_object() || s["terminated"].is_object()))
    })
    .await?;
    if state(&object).is_some_and(|s| s["terminated"].is_object()) {
        let path = format!("{}/log?container={container}", pod.path());
        let response = call.api().await?.send(crate::client::request(http::Method::GET, &path, crate::client::JSON, None)).await?;
        return crate::watch::copy(response, crate::call::out_bytes).await;
    }
    exec::to(call, &object, container).await.map(drop)
}
