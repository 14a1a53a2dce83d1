//! `create role`, `clusterrole`, `rolebinding`, `clusterrolebinding`.
// Upstream: kubectl pkg/cmd/create/create_role.go and its kin.

use serde_json::{Value, json};

use super::{COMMON, finish_as, name, object};
use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, array, slice, text};
use crate::{complain, global, run};

const RULES: &[Flag] = &[slice("verb", "What may be done."), slice("resource", "With which resources, as resource[.group][/subresource]."), array("resource-name", "Only with objects of these names.")];
const SUBJECTS: &[Flag] = &[array("user", "Users."), array("group", "Groups."), array("serviceaccount", "Service accounts, as <namespace>:<name>.")];
const VERBS: [&str; 15] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use", "bind", "impersonate", "*", "approve", "sign", "escalate"];
const GROUP: &str = "rbac.authorization.k8s.io";

pub const ROLE: Command = Command {
    name: "role",
    usage: "NAME --verb=verb --resource=resource.group/subresource [--resource-name=resourcename]",
    about: "Create a role of one rule.",
    examples: "kubectl create role pod-reader --verb=get,list,watch --resource=pods",
    flags: &[RULES, COMMON, global::PRINT],
    run: run!(role),
    ..EMPTY
};

pub const CLUSTERROLE: Command = Command {
    name: "clusterrole",
    usage: "NAME --verb=verb --resource=resource.group [--resource-name=resourcename]",
    about: "Create a cluster role.",
    examples: "kubectl create clusterrole pod-reader --verb=get,list,watch --resource=pods",
    flags: &[RULES, &[slice("non-resource-url", "With which paths."), array("aggregation-rule", "Labels of the roles to gather, as key=value.")], COMMON, global::PRINT],
    run: run!(cluster_role),
    ..EMPTY
};

pub const ROLEBINDING: Command = Command {
    name: "rolebinding",
    usage: "NAME --clusterrole=NAME|--role=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
    about: "Bind a role to users, groups and service accounts.",
    flags: &[SUBJECTS, &[text("clusterrole", "", "The cluster role."), text("role", "", "The role.")], COMMON, global::PRINT],
    run: run!(role_binding),
    ..EMPTY
};

pub const CLUSTERROLEBINDING: Command = Command {
    name: "clusterrolebinding",
    usage: "NAME --clusterrole=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
    about: "Bind a cluster role to users, groups and service accounts, everywhere.",
    flags: &[SUBJECTS, &[text("clusterrole", "", "The cluster role.")], COMMON, global::PRINT],
    required: &["clusterrole"],
    run: run!(cluster_role_binding),
    ..EMPTY
};

fn distinct(words: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in words {
        if !out.contains(&word) {
            out.push(word);
        }
    }
    if out.iter().any(|v| v == "*") && out.len() > 1 { vec!["*".into()] } else { out }
}

/// The rules of verbs, resources and names: one for each group.
async fn rules(call: &Call, verbs: &[String]) -> Outcome<Vec<Value>> {
    let mut by_group: Vec<(String, Vec<String>)> = Vec::new();
    for word in call.flags.list("resource") {
        let (named, sub) = word.split_once('/').map_or((word.as_str(), ""), |(r, s)| (r, s));
        if named.is_empty() {
            return fail("resource must be specified if apiGroup/subresource specified");
        }
        let (group, name) = if named == "*" {
            ("*".to_owned(), "*".to_owned())
        } else {
            match call.resource(named).await {
                Ok(found) => (found.group.clone(), found.name.clone()),
                Err(_) if named.contains('.') => {
                    let (name, group) = named.split_once('.').unwrap_or((named, ""));
                    complain!("Warning: '{named}' is not known to the server");
                    (group.to_owned(), name.to_owned())
                }
                Err(Failure::Text(why)) => return Err(Failure::Said(why)),
                Err(e) => return Err(e),
            }
        };
        if sub.is_empty() || name == "*" {
            check_verbs(verbs, &name, &group);
        }
        let name = if sub.is_empty() { name } else { format!("{name}/{sub}") };
        match by_group.iter_mut().find(|(g, _)| *g == group) {
            Some((_, names)) if !names.contains(&name) => names.push(name),
            Some(_) => {}
            None => by_group.push((group, vec![name])),
        }
    }
    let only = call.flags.list("resource-name");
    Ok(by_group
        .into_iter()
        .map(|(group, resources)| {
            let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
            if !only.is_empty() {
                rule["resourceNames"] = json!(only);
            }
            rule
        })
        .collect())
}

/// Verbs that upstream does not know are said, not refused.
fn check_verbs(verbs: &[String], _resource: &str, _group: &str) {
    for verb in verbs.iter().filter(|v| !VERBS.contains(&v.as_str())) {
        complain!("Warning: '{verb}' is not a standard resource verb");
    }
}

async fn role(call: &Call) -> Outcome {
    let name = name(call)?;
    let verbs = distinct(call.flags.list("verb"));
    if verbs.is_empty() {
        return fail("at least one verb must be specified");
    }
    if call.flags.list("resource").is_empty() {
        return fail("at least one resource must be specified");
    }
    let mut made = object(&format!("{GROUP}/v1"), "Role", &name);
    made["rules"] = json!(rules(call, &verbs).await?);
    finish_as(call, "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles", made, "").await
}

async fn cluster_role(call: &Call) -> Outcome {
    let (flags, name) = (&call.flags, name(call)?);
    let (verbs, urls, gathered) = (distinct(flags.list("verb")), flags.list("non-resource-url"), flags.list("aggregation-rule"));
    let mut made = object(&format!("{GROUP}/v1"), "ClusterRole", &name);
    if !gathered.is_empty() {
        if !urls.is_empty() || !verbs.is_empty() || !flags.list("resource").is_empty() || !flags.list("resource-name").is_empty() {
            return fail("aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames");
        }
        let labels: serde_json::Map<String, Value> = gathered.iter().filter_map(|p| p.split_once('=')).map(|(k, v)| (k.to_owned(), v.into())).collect();
        made["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": labels}]});
        made["rules"] = Value::Null;
        return finish_as(call, "/apis/rbac.authorization.k8s.io/v1/clusterroles", made, "").await;
    }
    if verbs.is_empty() {
        return fail("at least one verb must be specified");
    }
    if flags.list("resource").is_empty() && urls.is_empty() {
        return fail("one of resource or nonResourceURL must be specified");
    }
    let mut all = rules(call, &verbs).await?;
    if !urls.is_empty() {
        for verb in &verbs {
            if !["get", "put", "post", "head", "options", "delete", "patch", "*"].contains(&verb.as_str()) {
                return fail(format!("invalid verb: '{verb}' for nonResourceURL"));
            }
        }
        for url in &urls {
            if *url != "*" && !url.starts_with('/') {
                return fail("nonResourceURL should start with /");
            }
            if url.trim_end_matches('*').contains('*') {
                return fail("nonResourceURL only supports wildcard matches when '*' is at the end");
            }
        }
        all.push(json!({"nonResourceURLs": urls, "verbs": verbs}));
    }
    made["rules"] = json!(all);
    finish_as(call, "/apis/rbac.authorization.k8s.io/v1/clusterroles", made, "").await
}

fn subjects(call: &Call) -> Outcome<Vec<Value>> {
    let named = |kind: &str, name: &String| json!({"apiGroup": GROUP, "kind": kind, "name": name});
    let mut out: Vec<Value> = call.flags.list("user").iter().map(|u| named("User", u)).collect();
    out.extend(call.flags.list("group").iter().map(|g| named("Group", g)));
    for account in call.flags.list("serviceaccount") {
        match account.split(':').collect::<Vec<_>>()[..] {
            [namespace, name] if !name.is_empty() => out.push(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})),
            _ => return Err(Failure::Text("serviceaccount must be <namespace>:<name>".into())),
        }
    }
    Ok(out)
}

fn binding(call: &Call, kind: &str, name: &str, role_kind: &str, role: &str) -> Outcome<Value> {
    let mut made = object(&format!("{GROUP}/v1"), kind, name);
    made["roleRef"] = json!({"apiGroup": GROUP, "kind": role_kind, "name": role});
    let subjects = subjects(call)?;
    if !subjects.is_empty() {
        made["subjects"] = json!(subjects);
    }
    Ok(made)
}

async fn role_binding(call: &Call) -> Outcome {
    let name = name(call)?;
    let (role, cluster_role) = (call.flags.text("role"), call.flags.text("clusterrole"));
    if role.is_empty() == cluster_role.is_empty() {
        return fail("exactly one of clusterrole or role must be specified");
    }
    let made = if role.is_empty() { binding(call, "RoleBinding", &name, "ClusterRole", cluster_role)? } else { binding(call, "RoleBinding", &name, "Role", role)? };
    finish_as(call, "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings", made, "failed to create rolebinding").await
}

async fn cluster_role_binding(call: &Call) -> Outcome {
    let name = name(call)?;
    let made = binding(call, "ClusterRoleBinding", &name, "ClusterRole", call.flags.text("clusterrole"))?;
    finish_as(call, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", made, "failed to create clusterrolebinding").await
}
