//! `kubectl run`: a pod, perhaps attached to, perhaps exposed.
// Upstream: kubectl pkg/cmd/run/run.go.

use serde_json::{Map, Value, json};

use crate::call::{Call, out};
use crate::change::{Change, update_last_applied};
use crate::command::{Command, EMPTY};
use crate::commands::delete::{self, Deletion};
use crate::commands::{exec, wait};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, array, duration, text, yes_no};
use crate::print::{DryRun, Printer};
use crate::select::Info;
use crate::{complain, global, run};

const FLAGS: &[Flag] = &[
    global::RECORD,
    array("annotations", "Annotations, as key=value."),
    yes_no("attach", "Attach to the pod once it runs."),
    exec::DETACH_KEYS,
    yes_no("command", "What stands behind -- is the command, not its arguments."),
    array("env", "Environment variables, as key=value."),
    yes_no("expose", "Also create a service for --port."),
    text("image", "", "Image to run."),
    text("image-pull-policy", "", "Always, IfNotPresent or Never."),
    text("labels", "", "Labels, as key=value joined by commas.").short('l'),
    yes_no("leave-stdin-open", "Leave standard input open after the first attach."),
    text("override-type", "merge", "How --overrides are merged: json, merge or strategic."),
    text("overrides", "", "JSON that is merged into the pod."),
    duration("pod-running-timeout", "1m0s", "How long to wait for the pod to run."),
    text("port", "", "The port that the container listens on."),
    yes_no("privileged", "Run with all privileges."),
    yes_no("quiet", "Only what the process itself says.").short('q'),
    text("restart", "Always", "Always, OnFailure or Never."),
    yes_no("rm", "Delete the pod once it has ended; with --attach."),
    yes_no("stdin", "Keep standard input open.").short('i'),
    yes_no("tty", "With a terminal.").short('t'),
    global::SAVE_CONFIG,
    global::DRY_RUN,
    global::field_manager("kubectl-run"),
];

pub const COMMAND: Command = Command {
    name: "run",
    usage: "NAME --image=image [--env=\"key=value\"] [--port=port] [--dry-run=server|client] [--overrides=inline-json] [--command] -- [COMMAND] [args...]",
    about: "Run an image in a pod.",
    examples: "kubectl run nginx --image=nginx\n\n# A shell that goes when it ends\nkubectl run -i -t busybox --image=busybox --restart=Never --rm",
    flags: &[FLAGS, delete::FLAGS, global::PRINT, global::FILES],
    required: &["image"],
    run: run!(run),
    ..EMPTY
};

/// An object with a patch of text merged into it.
pub fn overridden(object: Value, text: &str, kind: &str) -> Outcome<Value> {
    // Upstream: jsonpatch.MergePatch takes an object or a list, strategicpatch any document; each in its own words.
    let document = goyaml::from_yaml(text).ok().filter(|v| v.is_object() || v.is_array());
    let Some(change) = document else {
        return fail(match (kind, text.chars().next()) {
            ("json", Some(first)) => format!("invalid character {first:?} looking for beginning of value"),
            ("strategic", _) => "invalid JSON document".to_owned(),
            ("merge" | "", _) => "Invalid JSON Patch".to_owned(),
            _ => format!("invalid override type: {kind}"),
        });
    };
    match kind {
        "json" => patch::apply_json_patch(&object, change.to_string().as_bytes()).map_err(|e| Failure::Text(e.to_string())),
        "strategic" => {
            let (version, kind) = (object["apiVersion"].as_str().unwrap_or_default().to_owned(), object["kind"].as_str().unwrap_or_default().to_owned());
            let (group, version) = version.rsplit_once('/').map_or(("", version.as_str()), |(g, v)| (g, v));
            let Some(of) = schema::by_kind(group, version, &kind) else { return fail("strategic overrides need a built-in kind") };
            patch::apply_strategic(&object, change, of).map_err(|e| Failure::Text(e.to_string()))
        }
        "merge" | "" => {
            let mut object = object;
            patch::apply_merge_patch(&mut object, change);
            Ok(object)
        }
        other => fail(format!("invalid override type: {other}")),
    }
}

fn check(call: &Call, dry: DryRun) -> Outcome {
    let flags = &call.flags;
    let image = flags.text("image");
    if image.is_empty() {
        return fail("--image is required");
    }
    if image.contains(char::is_whitespace) || image.is_empty() || image.chars().any(char::is_uppercase) && !image.contains('/') {
        return fail(format!("Invalid image name {image:?}: invalid reference format"));
    }
    let attach = flags.yes("attach") || flags.yes("stdin");
    if flags.yes("tty") && !flags.yes("stdin") {
        return fail("-i/--stdin is required for containers with -t/--tty=true");
    }
    if flags.yes("expose") && flags.text("port").is_empty() {
        return fail("--port must be set when exposing a service");
    }
    if flags.yes("rm") && !attach {
        return fail("--rm should only be used for attached containers");
    }
    if attach && dry != DryRun::None {
        return fail("--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)");
    }
    if !["Always", "OnFailure", "Never"].contains(&flags.text("restart")) {
        return fail(format!("invalid restart policy: {}, valid values are: Always, OnFailure, Never", flags.text("restart")));
    }
    if !["", "Always", "IfNotPresent", "Never"].contains(&flags.text("image-pull-policy")) {
        return Err(call.usage(&format!("invalid image pull policy: {}", flags.text("image-pull-policy"))));
    }
    Ok(())
}

fn labels(call: &Call, name: &str) -> Outcome<Map<String, Value>> {
    let given = call.flags.text("labels");
    if given.is_empty() {
        return Ok([("run".to_owned(), Value::from(name))].into_iter().collect());
    }
    given.split(',').map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.into())).ok_or_else(|| Failure::Text(format!("unexpected label spec: {pair}")))).collect()
}

fn pod(call: &Call, name: &str, words: &[String]) -> Outcome<Value> {
    let flags = &call.flags;
    let mut container = json!({"name": name, "image": flags.text("image"), "resources": {}});
    if !words.is_empty() {
        container[if flags.yes("command") { "command" } else { "args" }] = json!(words);
    }
    let mut environment = Vec::new();
    for pair in flags.list("env") {
        match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() && api::names::env_var_name(key).is_empty() => environment.push(json!({"name": key, "value": value})),
            _ => return fail(format!("invalid env: {pair}")),
        }
    }
    if !environment.is_empty() {
        container["env"] = json!(environment);
    }
    if !flags.text("image-pull-policy").is_empty() {
        container["imagePullPolicy"] = flags.text("image-pull-policy").into();
    }
    if !flags.text("port").is_empty() {
        let port: i64 = flags.text("port").parse().map_err(|_| Failure::from("--port must be a number"))?;
        container["ports"] = json!([{"containerPort": port}]);
    }
    if flags.yes("privileged") {
        container["securityContext"] = json!({"privileged": true});
    }
    if flags.yes("stdin") {
        container["stdin"] = true.into();
        if !flags.yes("leave-stdin-open") {
            container["stdinOnce"] = true.into();
        }
    }
    if flags.yes("tty") {
        container["tty"] = true.into();
    }
    let mut made = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": labels(call, name)?},
        "spec": {"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": flags.text("restart")},
        "status": {},
    });
    for pair in flags.list("annotations") {
        let Some((key, value)) = pair.split_once('=') else { return fail(format!("invalid annotation spec: {pair}")) };
        made["metadata"]["annotations"][key] = value.into();
    }
    Ok(made)
}

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let change = Change::of(call)?;
    let Some((name, words)) = call.args().split_first() else { return fail("NAME is required for run") };
    if flags.dash == Some(0) {
        return fail("NAME is required for run");
    }
    check(call, change.dry)?;
    let namespace = call.namespace()?;
    let mut made = pod(call, name, words)?;
    if namespace.explicit {
        made["metadata"]["namespace"] = namespace.name.as_str().into();
    }
    if !flags.text("overrides").is_empty() {
        made = overridden(made, flags.text("overrides"), flags.text("override-type"))?;
    }
    update_last_applied(&mut made, flags.yes("save-config"));
    let path = format!("/api/v1/namespaces/{}/pods", namespace.name);
    let attach = flags.yes("attach") || flags.yes("stdin");
    let created = if change.dry == DryRun::Client { made } else { call.api().await?.post(&change.plain_query(&path), &made).await? };
    let service = if flags.yes("expose") { Some(expose(call, name, &change, &namespace.name).await?) } else { None };
    if !attach || flags.text("output") != "" {
        let mut printer = Printer::of_change(call, "created")?.typed();
        out(&printer.print(&created)?);
        if let Some(service) = service {
            out(&printer.print(&service)?);
        }
    }
    if !attach || change.dry != DryRun::None {
        return Ok(());
    }
    let resource = call.resource("pods").await?;
    let info = Info { resource, namespace: namespace.name.clone(), name: api::meta::name(&created).to_owned(), object: created, source: String::new() };
    let ended = attached(call, &info).await;
    // Who has left lets the pod go on.
    if flags.yes("rm") && !matches!(ended, Ok(Ended::Left)) {
        let mut deletion = Deletion::of(call)?;
        deletion.wait = false;
        deletion.ignore_not_found = true;
        // Upstream too says nothing of it with --quiet.
        deletion.quiet = flags.yes("quiet");
        deletion.delete(call, vec![Ok(info)], false).await?;
    }
    match ended? {
        Ended::Left | Ended::Well => Ok(()),
        Ended::Badly { how, code } => {
            complain!("{how}");
            Err(Failure::Exit(code))
        }
    }
}

async fn expose(call: &Call, name: &str, change: &Change, namespace: &str) -> Outcome<Value> {
    let port: i64 = call.flags.text("port").parse().unwrap_or(0);
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": port, "protocol": "TCP", "targetPort": port}], "selector": labels(call, name)?},
        "status": {"loadBalancer": {}},
    });
    if change.dry != DryRun::Client {
        service = call.api().await?.post(&change.plain_query(&format!("/api/v1/namespaces/{namespace}/services")), &service).await?;
    }
    Ok(service)
}

/// How the pod that was attached to ended.
enum Ended {
    Well,
    Badly { how: String, code: u8 },
    /// It goes on.
    Left,
}

/// Waits until the pod runs, shows what it said until then, attaches, and ends as the pod's container ends.
async fn attached(call: &Call, info: &Info) -> Outcome<Ended> {
    let flags = &call.flags;
    let started = |object: &Value| matches!(object["status"]["phase"].as_str(), Some("Running" | "Succeeded" | "Failed"));
    let waiting = wait::follow(call, info, |object| match object {
        Some(object) => Ok(started(object)),
        None => fail(format!("pod {} was deleted", info.name)),
    });
    let pod = match tokio::time::timeout(flags.duration("pod-running-timeout"), waiting).await {
        Ok(pod) => pod?,
        Err(_) => return fail("timed out waiting for the condition"),
    };
    let container = pod["spec"]["containers"][0]["name"].as_str().unwrap_or_default().to_owned();
    if pod["status"]["phase"] == "Running" {
        // A short process would else have told before anyone listened.
        logs(call, info, &container).await?;
        match exec::to(call, &pod, &container).await {
            // A short process has ended before anyone could attach.
            Err(why @ (Failure::Text(_) | Failure::Status(_))) => {
                complain!("warning: couldn't attach to pod/{}, falling back to streaming logs: {}", info.name, why.message());
                logs(call, info, &container).await?;
            }
            Ok(exec::Left::Detached) => return Ok(Ended::Left),
            other => drop(other?),
        }
    } else {
        logs(call, info, &container).await?;
    }
    if flags.text("restart") == "Always" {
        return Ok(Ended::Well);
    }
    let done = wait::follow(call, info, |object| Ok(object.is_none_or(|o| matches!(o["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))))).await?;
    let statuses = done["status"]["containerStatuses"].as_array().into_iter().flatten();
    let code = statuses.filter_map(|s| s["state"]["terminated"]["exitCode"].as_i64()).find(|c| *c != 0);
    Ok(match code {
        Some(code) => Ended::Badly {
            how: format!("pod {}/{} terminated ({})", info.namespace, info.name, done["status"]["reason"].as_str().unwrap_or("Error")),
            code: u8::try_from(code.rem_euclid(256)).unwrap_or(1),
        },
        None => Ended::Well,
    })
}

async fn logs(call: &Call, info: &Info, container: &str) -> Outcome {
    let path = format!("{}/log?container={container}", info.path());
    let response = call.api().await?.send(crate::client::request(http::Method::GET, &path, crate::client::JSON, None)).await?;
    crate::watch::copy(response, crate::call::out_bytes).await
}
