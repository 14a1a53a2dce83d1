//! `set selector`, `set serviceaccount`, `set subject`.

use serde_json::{Value, json};

use super::{COMMON, check_local, check_named, each, each_pod_spec, infos};
use crate::call::Call;
use crate::change::Change;
use crate::command::{Command, EMPTY};
use crate::failure::{Outcome, fail};
use crate::flags::{array, text};
use crate::{global, run};

pub const SELECTOR: Command = Command {
    name: "selector",
    usage: "(-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version]",
    about: "Set the selector of a service.",
    examples: "kubectl set selector service/my-svc environment=qa,release=stable",
    flags: &[COMMON, &[text("resource-version", "", "Only change an object that still has this revision.")], global::PRINT, global::FILES],
    run: run!(selector),
    ..EMPTY
};

pub const SERVICEACCOUNT: Command = Command {
    name: "serviceaccount",
    aliases: &["sa"],
    usage: "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT",
    about: "Set the service account of pod templates.",
    examples: "kubectl set serviceaccount deployment nginx-deployment serviceaccount1",
    flags: &[COMMON, global::PRINT, global::FILES],
    run: run!(service_account),
    ..EMPTY
};

pub const SUBJECT: Command = Command {
    name: "subject",
    usage: "(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
    about: "Add users, groups and service accounts to a binding.",
    examples: "kubectl set subject clusterrolebinding admin --serviceaccount=namespace:serviceaccount1",
    flags: &[COMMON, &[array("user", "Users."), array("group", "Groups."), array("serviceaccount", "Service accounts, as <namespace>:<name>.")], global::PRINT, global::FILES],
    run: run!(subject),
    ..EMPTY
};

async fn selector(call: &Call) -> Outcome {
    let change = Change::of(call)?;
    check_local(call, &change)?;
    let Some((text, resources)) = call.args().split_last() else { return fail("one selector is required") };
    check_named(call, resources)?;
    let found = infos(call, resources).await?;
    let labels = crate::commands::create::label_selector(text)?;
    if labels["matchExpressions"].is_array() {
        return fail(format!("match expression {} not supported on this object", labels["matchExpressions"]));
    }
    each(call, found, "selector updated", |info, object| {
        if info.resource.kind != "Service" {
            return fail("setting a selector is only supported for Services");
        }
        object["spec"]["selector"] = labels["matchLabels"].clone();
        Ok(())
    })
    .await
}

async fn service_account(call: &Call) -> Outcome {
    let change = Change::of(call)?;
    let Some((account, resources)) = call.args().split_last() else { return fail("serviceaccount is required") };
    check_local(call, &change)?;
    let infos = infos(call, resources).await?;
    each_pod_spec(call, infos, "serviceaccount updated", |_, spec| {
        spec["serviceAccountName"] = account.as_str().into();
        if spec.get("serviceAccount").is_some() {
            spec["serviceAccount"] = account.as_str().into();
        }
        Ok(())
    })
    .await
}

async fn subject(call: &Call) -> Outcome {
    let flags = &call.flags;
    let change = Change::of(call)?;
    check_local(call, &change)?;
    if flags.yes("all") && !flags.text("selector").is_empty() {
        return fail("cannot set --all and --selector at the same time");
    }
    let infos = infos(call, call.args()).await?;
    let group = "rbac.authorization.k8s.io";
    let mut subjects: Vec<Value> = flags.list("user").iter().map(|u| json!({"kind": "User", "apiGroup": group, "name": u})).collect();
    subjects.extend(flags.list("group").iter().map(|g| json!({"kind": "Group", "apiGroup": group, "name": g})));
    for account in flags.list("serviceaccount") {
        let parts: Vec<&str> = account.split(':').collect();
        let [namespace, name] = parts[..] else { return fail("serviceaccount must be <namespace>:<name>") };
        if name.is_empty() {
            return fail("serviceaccount must be <namespace>:<name>");
        }
        if namespace.is_empty() {
            return fail("serviceaccount must be <namespace>:<name>, namespace must be specified");
        }
        subjects.push(json!({"kind": "ServiceAccount", "namespace": namespace, "name": name}));
    }
    if subjects.is_empty() {
        return fail("you must specify at least one value of user, group or serviceaccount");
    }
    each(call, infos, "subjects updated", |info, object| {
        if !["RoleBinding", "ClusterRoleBinding"].contains(&info.resource.kind.as_str()) {
            return fail("setting subjects is only supported for RoleBinding/ClusterRoleBinding");
        }
        let mut all = object["subjects"].as_array().cloned().unwrap_or_default();
        for new in &subjects {
            if !all.iter().any(|s| s["kind"] == new["kind"] && s["name"] == new["name"] && s["namespace"] == new["namespace"]) {
                all.push(new.clone());
            }
        }
        object["subjects"] = json!(all);
        Ok(())
    })
    .await
}
