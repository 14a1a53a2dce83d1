//! `kubectl auth can-i`, `whoami`, `reconcile`.
// Upstream: kubectl pkg/cmd/auth.

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::change::Change;
use crate::command::{Command, EMPTY};
use crate::describe::rule_rows;
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, text, yes_no};
use crate::print::{BASIC, DryRun, Printer};
use crate::select::Select;
use crate::tabs::Tabs;
use crate::{complain, global, run, say};

pub const COMMAND: Command = Command { name: "auth", about: "Look into who may do what.", subs: &[&CAN_I, &RECONCILE, &WHOAMI], ..EMPTY };

const CAN_FLAGS: &[Flag] = &[
    global::ALL_NAMESPACES,
    yes_no("quiet", "Say nothing; the exit code tells.").short('q'),
    text("subresource", "", "The subresource: log, scale, status."),
    yes_no("list", "Show all that may be done in the namespace."),
    yes_no("no-headers", "No header line."),
];

const CAN_I: Command = Command {
    name: "can-i",
    usage: "VERB [TYPE | TYPE/NAME | NONRESOURCEURL]",
    about: "Say whether something may be done.",
    examples: "kubectl auth can-i create pods --all-namespaces\n\n# All that may be done here\nkubectl auth can-i --list --namespace=foo",
    flags: &[CAN_FLAGS],
    run: run!(can_i),
    ..EMPTY
};

const WHOAMI: Command = Command { name: "whoami", about: "Show whom the server takes this user for.", flags: &[global::PRINT], run: run!(whoami), ..EMPTY };

const RECONCILE: Command = Command {
    name: "reconcile",
    usage: "-f FILENAME",
    about: "Make roles and bindings allow at least what files say.",
    flags: &[&[yes_no("remove-extra-permissions", "Remove rules that the files do not have."), yes_no("remove-extra-subjects", "Remove subjects that the files do not have."), global::DRY_RUN], global::PRINT, global::FILES],
    run: run!(reconcile),
    ..EMPTY
};

const VERBS: [&str; 16] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use", "bind", "impersonate", "approve", "sign", "escalate", "attest", "*"];
const PATH_VERBS: [&str; 8] = ["get", "put", "post", "head", "options", "delete", "patch", "*"];

async fn can_i(call: &Call) -> Outcome {
    let flags = &call.flags;
    let namespace = if flags.yes("all-namespaces") { String::new() } else { call.namespace()?.name };
    if flags.yes("list") {
        if !call.args().is_empty() {
            return Err(call.usage("list option must be specified with no arguments"));
        }
        return list(call, &namespace).await;
    }
    if flags.yes("no-headers") {
        return fail("--no-headers cannot be set without --list specified");
    }
    let (verb, what) = match call.args() {
        [verb, what] => (verb.as_str(), what.as_str()),
        [verb, kind, name] if !kind.contains('/') => return ask_one(call, verb, kind, name, &namespace).await,
        _ => return fail("you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples."),
    };
    if what.starts_with('/') {
        if !flags.text("subresource").is_empty() {
            return fail("--subresource can not be used with NonResourceURL");
        }
        if !PATH_VERBS.contains(&verb) {
            complain!("Warning: verb '{verb}' is not a known verb\n");
        }
        return answer(call, json!({"nonResourceAttributes": {"path": what, "verb": verb}})).await;
    }
    let (kind, name) = what.split_once('/').unwrap_or((what, ""));
    ask_one(call, verb, kind, name, &namespace).await
}

async fn ask_one(call: &Call, verb: &str, kind: &str, name: &str, namespace: &str) -> Outcome {
    let (mut group, mut resource) = kind.split_once('.').map_or((String::new(), kind.to_owned()), |(r, g)| (g.to_owned(), r.to_owned()));
    if kind != "*" {
        match call.resource(kind).await {
            Ok(found) => {
                (group, resource) = (found.group.clone(), found.name.clone());
                if !found.namespaced && !namespace.is_empty() && call.namespace()?.explicit || !found.namespaced && !call.flags.yes("all-namespaces") {
                    let of = if group.is_empty() { String::new() } else { format!(" in group '{group}'") };
                    complain!("Warning: resource '{resource}' is not namespace scoped{of}\n");
                }
            }
            Err(Failure::Text(_)) if group.is_empty() => complain!("Warning: the server doesn't have a resource type '{resource}'\n"),
            Err(Failure::Text(_)) => complain!("Warning: the server doesn't have a resource type '{resource}' in group '{group}'\n"),
            Err(e) => return Err(e),
        }
    }
    if !VERBS.contains(&verb) {
        complain!("Warning: verb '{verb}' is not a known verb\n");
    }
    let attributes = json!({"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": call.flags.text("subresource"), "name": name});
    answer(call, json!({"resourceAttributes": attributes})).await
}

async fn answer(call: &Call, spec: Value) -> Outcome {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {}, "spec": spec});
    let answer = call.api().await?.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await?;
    let status = &answer["status"];
    let allowed = status["allowed"] == true;
    if !call.flags.yes("quiet") {
        let mut said = if allowed { "yes".to_owned() } else { "no".to_owned() };
        if !allowed {
            for key in ["reason", "evaluationError"] {
                if let Some(why) = status[key].as_str().filter(|w| !w.is_empty()) {
                    said.push_str(&format!(" - {why}"));
                }
            }
        }
        say!("{said}");
    }
    if allowed { Ok(()) } else { Err(Failure::Exit(1)) }
}

async fn list(call: &Call, namespace: &str) -> Outcome {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "metadata": {}, "spec": {"namespace": namespace}});
    let answer = call.api().await?.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &review).await?;
    let status = &answer["status"];
    if status["incomplete"] == true
        && let Some(why) = status["evaluationError"].as_str().filter(|w| !w.is_empty())
    {
        complain!("warning: the list may be incomplete: {why}");
    }
    let mut rules = status["resourceRules"].as_array().cloned().unwrap_or_default();
    rules.extend(status["nonResourceRules"].as_array().cloned().unwrap_or_default());
    let mut tabs = Tabs::table();
    if !call.flags.yes("no-headers") {
        tabs.push("Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
    }
    for row in rule_rows(&rules) {
        tabs.row(&row);
    }
    out(&tabs.flush());
    Ok(())
}

async fn whoami(call: &Call) -> Outcome {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = call.api().await?.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review).await.map_err(|e| match e.reason() {
        "Forbidden" => Failure::Text("the selfsubjectreviews API is not enabled in the cluster or you do not have permission to call it".into()),
        "NotFound" => Failure::Text("the selfsubjectreviews API is not enabled in the cluster\nenable APISelfSubjectReview feature gate and authentication.k8s.io/v1alpha1 or authentication.k8s.io/v1beta1 API".into()),
        _ => e,
    })?;
    if let Some(mut printer) = Printer::of_flags(call, BASIC)?.map(Printer::typed) {
        out(&printer.print(&answer)?);
        return Ok(());
    }
    let user = &answer["status"]["userInfo"];
    let mut tabs = Tabs::table();
    tabs.push("ATTRIBUTE\tVALUE\n");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let listed = |v: &Value| format!("[{}]", v.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" "));
    if !text(&user["username"]).is_empty() {
        tabs.push(&format!("Username\t{}\n", text(&user["username"])));
    }
    if !text(&user["uid"]).is_empty() {
        tabs.push(&format!("UID\t{}\n", text(&user["uid"])));
    }
    if user["groups"].as_array().is_some_and(|g| !g.is_empty()) {
        tabs.push(&format!("Groups\t{}\n", listed(&user["groups"])));
    }
    for (key, values) in user["extra"].as_object().into_iter().flatten() {
        tabs.push(&format!("Extra: {key}\t{}\n", listed(values)));
    }
    out(&tabs.flush());
    Ok(())
}

async fn reconcile(call: &Call) -> Outcome {
    crate::files::FileFlags::of(call).require()?;
    if !call.args().is_empty() {
        return fail("no arguments are allowed");
    }
    let change = Change::of(call)?;
    let flags = &call.flags;
    for item in Select::of(call)?.by(call, &[]).await?.items {
        let mut info = item?;
        let kind = info.resource.kind.clone();
        let (field, exact) = match kind.as_str() {
            "Role" | "ClusterRole" => ("rules", flags.yes("remove-extra-permissions")),
            "RoleBinding" | "ClusterRoleBinding" => ("subjects", flags.yes("remove-extra-subjects")),
            // Other kinds are not this command's affair.
            _ => continue,
        };
        let now = match call.api().await?.get(&info.path()).await {
            Ok(now) => Some(now),
            Err(e) if e.is_not_found() => None,
            Err(e) => return Err(e),
        };
        let object = match now {
            None if change.dry == DryRun::Client => info.object.clone(),
            None => change.create(call, &info).await?,
            Some(now) => {
                let mut merged = info.object[field].as_array().cloned().unwrap_or_default();
                if !exact {
                    let had = now[field].as_array().cloned().unwrap_or_default();
                    let new: Vec<Value> = merged.drain(..).filter(|m| !had.contains(m)).collect();
                    merged = had;
                    merged.extend(new);
                }
                let mut wanted = now.clone();
                wanted[field] = json!(merged);
                if kind.ends_with("Binding") && now["roleRef"] != info.object["roleRef"] {
                    // What a binding refers to cannot be changed: it is made anew.
                    if change.dry == DryRun::None {
                        call.api().await?.delete(&info.path(), &json!({})).await?;
                    }
                    info.object[field] = json!(merged);
                    if change.dry == DryRun::Client { info.object.clone() } else { change.create(call, &info).await? }
                } else if wanted == now || change.dry == DryRun::Client {
                    wanted
                } else {
                    info.object = wanted;
                    change.replace(call, &info).await?
                }
            }
        };
        out(&Printer::of_change(call, "reconciled")?.typed().print(&object)?);
    }
    Ok(())
}
