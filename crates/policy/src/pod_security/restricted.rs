//! What the level `restricted` asks for besides, in upstream's order.
//!
//! Upstream: `k8s.io/pod-security-admission/policy/check_*.go`.

use std::collections::BTreeSet;

use catalog::walk;
use serde_json::Value;

use super::Violation;
use super::baseline::{added, confines, proc_mount};
use super::checks::{Pod, Setting, containers, found, plural, quoted, setters};

const VOLUMES: [&str; 9] = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"];

pub fn check(pod: &Pod, list: &mut Vec<Violation>) {
    if pod.version.has(8) && !pod.is_windows() {
        privilege_escalation(pod, list);
    }
    if pod.version.has(22) && !pod.is_windows() {
        capabilities(pod, list);
    }
    if pod.version.has(35) {
        proc_mount(pod, list);
    }
    volumes(pod, list);
    if !pod.has_own_users() {
        root(pod, list);
        if pod.version.has(23) {
            user_zero(pod, list);
        }
    }
    if pod.version.has(19) && !pod.is_windows() {
        seccomp(pod, list);
    }
}

fn privilege_escalation(pod: &Pod, list: &mut Vec<Violation>) {
    let names = pod.names(|c| walk::at(c, "securityContext.allowPrivilegeEscalation").as_bool() != Some(false));
    if !names.is_empty() {
        found(list, "allowPrivilegeEscalation != false", format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&names)));
    }
}

fn capabilities(pod: &Pod, list: &mut Vec<Violation>) {
    const ALLOWED: [&str; 1] = ["NET_BIND_SERVICE"];
    let mut details = Vec::new();
    let keeping = pod.names(|c| !walk::list(c, "securityContext.capabilities.drop").iter().any(|d| d == "ALL"));
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeping)));
    }
    let adding = pod.names(|c| !added(c, &ALLOWED).is_empty());
    if !adding.is_empty() {
        let all: BTreeSet<_> = pod.containers().flat_map(|c| added(c, &ALLOWED)).collect();
        details.push(format!("{} must not include {} in securityContext.capabilities.add", containers(&adding), quoted(all)));
    }
    if !details.is_empty() {
        found(list, "unrestricted capabilities", details.join("; "));
    }
}

fn volumes(pod: &Pod, list: &mut Vec<Violation>) {
    let (mut names, mut kinds) = (Vec::new(), BTreeSet::new());
    for volume in walk::list(pod.spec, "volumes") {
        let sources: Vec<_> = volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && value.is_object()).map(|(key, _)| key.as_str()).collect();
        if !sources.iter().any(|source| VOLUMES.contains(source)) {
            names.push(walk::text(volume, "name"));
            kinds.insert(sources.first().copied().unwrap_or("unknown"));
        }
    }
    if !names.is_empty() {
        let (volumes, uses) = (plural("volume", "volumes", names.len()), plural("uses", "use", names.len()));
        let what = plural("restricted volume type", "restricted volume types", kinds.len());
        found(list, "restricted volume types", format!("{volumes} {} {uses} {what} {}", quoted(names), quoted(kinds)));
    }
}

fn root(pod: &Pod, list: &mut Vec<Violation>) {
    const PATH: &str = "securityContext.runAsNonRoot";
    const REASON: &str = "runAsNonRoot != true";
    let bad = Setting { path: PATH, allows: &|value| value == &Value::Bool(true) }.bad(pod);
    if !bad.is_none() {
        return found(list, REASON, format!("{} must not set {PATH}=false", bad.who()));
    }
    let covered = walk::flag(pod.spec, PATH);
    let silent = pod.names(|c| !covered && walk::at(c, PATH).is_null());
    if !silent.is_empty() {
        found(list, REASON, format!("pod or {} must set {PATH}=true", containers(&silent)));
    }
}

fn user_zero(pod: &Pod, list: &mut Vec<Violation>) {
    let zero = |of: &Value| walk::at(of, "securityContext.runAsUser").as_i64() == Some(0);
    let who = setters(zero(pod.spec), &pod.names(zero));
    if !who.is_empty() {
        found(list, "runAsUser=0", format!("{} must not set runAsUser=0", who.join(" and ")));
    }
}

fn seccomp(pod: &Pod, list: &mut Vec<Violation>) {
    const PATH: &str = "securityContext.seccompProfile";
    let bad = Setting { path: "securityContext.seccompProfile.type", allows: &confines }.bad(pod);
    if !bad.is_none() {
        return found(list, "seccompProfile", format!("{} must not set {PATH}.type to {}", bad.who(), quoted(&bad.values)));
    }
    let covered = walk::at(pod.spec, PATH).is_object();
    let silent = pod.names(|c| !covered && !walk::at(c, PATH).is_object());
    if !silent.is_empty() {
        found(list, "seccompProfile", format!("pod or {} must set {PATH}.type to \"RuntimeDefault\" or \"Localhost\"", containers(&silent)));
    }
}
