//! What the level `baseline` asks for, in upstream's order: by the names of its checks.
//!
//! Upstream: `k8s.io/pod-security-admission/policy/check_*.go`.

use std::collections::BTreeSet;

use catalog::walk;
use serde_json::Value;

use super::Violation;
use super::checks::{Pod, Setting, containers, found, plural, quoted, setters};

/// Capabilities that containers may add.
const CAPABILITIES: [&str; 13] =
    ["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"];
/// Sysctls that pods may set, and the version from which on.
const SYSCTLS: [(&str, u32); 14] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
    ("net.ipv4.tcp_slow_start_after_idle", 37),
    ("net.ipv4.tcp_notsent_lowat", 37),
];
const SELINUX_TYPES: [(&str, u32); 5] = [("", 0), ("container_t", 0), ("container_init_t", 0), ("container_kvm_t", 0), ("container_engine_t", 31)];

pub fn check(pod: &Pod, list: &mut Vec<Violation>) {
    app_armor(pod, list);
    if !(pod.restricted && pod.version.has(22)) {
        capabilities(pod, list);
    }
    host_namespaces(pod, list);
    if !pod.restricted {
        host_paths(pod, list);
    }
    host_ports(pod, list);
    if pod.version.has(34) {
        probe_hosts(pod, list);
    }
    privileged(pod, list);
    if !pod.restricted && !pod.has_own_users() || pod.restricted && !pod.version.has(35) {
        proc_mount(pod, list);
    }
    selinux(pod, list);
    if !pod.version.has(19) {
        seccomp_annotations(pod, list);
    } else if !pod.restricted {
        seccomp(pod, list);
    }
    sysctls(pod, list);
    host_process(pod, list);
}

fn app_armor(pod: &Pod, list: &mut Vec<Violation>) {
    let bad = Setting { path: "securityContext.appArmorProfile.type", allows: &|value| value == "RuntimeDefault" || value == "Localhost" }.bad(pod);
    let allowed = |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    let annotated: BTreeSet<_> =
        pod.annotations().filter(|(key, value)| key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !allowed(value)).map(|(key, value)| format!("{key}={value:?}")).collect();
    let mut who = setters(bad.pod, &bad.names);
    if !annotated.is_empty() {
        who.push(plural("annotation", "annotations", annotated.len()).to_owned());
    }
    if !who.is_empty() {
        let values: Vec<_> = bad.values.iter().chain(&annotated).collect();
        let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
        found(list, reason, format!("{} must not set AppArmor profile type to {}", who.join(" and "), quoted(values)));
    }
}

/// Capabilities that a container adds and may not.
pub fn added<'a>(container: &'a Value, allowed: &[&str]) -> Vec<&'a str> {
    walk::list(container, "securityContext.capabilities.add").iter().filter_map(Value::as_str).filter(|c| !allowed.contains(c)).collect()
}

fn capabilities(pod: &Pod, list: &mut Vec<Violation>) {
    let names = pod.names(|c| !added(c, &CAPABILITIES).is_empty());
    if !names.is_empty() {
        let all: BTreeSet<_> = pod.containers().flat_map(|c| added(c, &CAPABILITIES)).collect();
        found(list, "non-default capabilities", format!("{} must not include {} in securityContext.capabilities.add", containers(&names), quoted(all)));
    }
}

fn host_namespaces(pod: &Pod, list: &mut Vec<Violation>) {
    let host: Vec<_> = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|key| walk::flag(pod.spec, key)).map(|key| format!("{key}=true")).collect();
    if !host.is_empty() {
        found(list, "host namespaces", host.join(", "));
    }
}

fn host_paths(pod: &Pod, list: &mut Vec<Violation>) {
    let names: Vec<_> = walk::list(pod.spec, "volumes").iter().filter(|v| walk::at(v, "hostPath").is_object()).map(|v| walk::text(v, "name")).collect();
    if !names.is_empty() {
        found(list, "hostPath volumes", format!("{} {}", plural("volume", "volumes", names.len()), quoted(names)));
    }
}

fn host_ports(pod: &Pod, list: &mut Vec<Violation>) {
    let of = |container: &Value| -> Vec<String> { walk::list(container, "ports").iter().map(|p| walk::int(p, "hostPort")).filter(|p| *p != 0).map(|p| p.to_string()).collect() };
    let names = pod.names(|c| !of(c).is_empty());
    if !names.is_empty() {
        let ports: BTreeSet<_> = pod.containers().flat_map(of).collect();
        let shown: Vec<_> = ports.iter().map(String::as_str).collect();
        let (uses, what) = (plural("uses", "use", names.len()), plural("hostPort", "hostPorts", shown.len()));
        found(list, "hostPort", format!("{} {uses} {what} {}", containers(&names), shown.join(", ")));
    }
}

fn probe_hosts(pod: &Pod, list: &mut Vec<Violation>) {
    const HANDLERS: [&str; 5] = ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"];
    let of = |container: &Value| -> Vec<String> {
        let all = HANDLERS.iter().flat_map(|handler| ["httpGet", "tcpSocket"].map(|way| walk::text(walk::at(container, handler), &format!("{way}.host")).to_owned()));
        all.filter(|host| !host.is_empty()).collect()
    };
    let names: BTreeSet<_> = pod.names(|c| !of(c).is_empty()).into_iter().collect();
    if !names.is_empty() {
        let hosts: BTreeSet<_> = pod.containers().flat_map(of).collect();
        let names: Vec<_> = names.into_iter().collect();
        let (uses, what) = (plural("uses", "use", names.len()), plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len()));
        found(list, "probe or lifecycle host", format!("{} {uses} {what} {}", containers(&names), quoted(hosts)));
    }
}

fn privileged(pod: &Pod, list: &mut Vec<Violation>) {
    let names = pod.names(|c| walk::flag(c, "securityContext.privileged"));
    if !names.is_empty() {
        found(list, "privileged", format!("{} must not set securityContext.privileged=true", containers(&names)));
    }
}

pub fn proc_mount(pod: &Pod, list: &mut Vec<Violation>) {
    let bad = Setting { path: "securityContext.procMount", allows: &|value| value == "Default" }.bad(pod);
    if !bad.names.is_empty() {
        found(list, "procMount", format!("{} must not set securityContext.procMount to {}", containers(&bad.names), quoted(bad.values)));
    }
}

fn selinux(pod: &Pod, list: &mut Vec<Violation>) {
    let options = |of: &Value| walk::at(of, "securityContext.seLinuxOptions").clone();
    let knows = |kind: &str| SELINUX_TYPES.iter().any(|(known, since)| *known == kind && pod.version.has(*since));
    let is_bad = |of: &Value| {
        let options = options(of);
        !knows(walk::text(&options, "type")) || ["user", "role"].iter().any(|key| !walk::text(&options, key).is_empty())
    };
    let (whole, names) = (is_bad(pod.spec), pod.names(is_bad));
    let who = setters(whole, &names);
    if who.is_empty() {
        return;
    }
    let all: Vec<_> = std::iter::once(pod.spec).chain(pod.containers()).map(options).collect();
    let kinds: BTreeSet<_> = all.iter().map(|o| walk::text(o, "type")).filter(|kind| !knows(kind)).collect();
    let sets = |key: &str| all.iter().any(|o| !walk::text(o, key).is_empty());
    let mut what = Vec::new();
    if !kinds.is_empty() {
        what.push(format!("{} {}", plural("type", "types", kinds.len()), quoted(kinds)));
    }
    what.extend(["user", "role"].into_iter().filter(|key| sets(key)).map(|key| format!("{key} may not be set")));
    found(list, "seLinuxOptions", format!("{} set forbidden securityContext.seLinuxOptions: {}", who.join(" and "), what.join("; ")));
}

/// Before 1.19 profiles were annotations.
fn seccomp_annotations(pod: &Pod, list: &mut Vec<Violation>) {
    let names = |key: &str| key == "seccomp.security.alpha.kubernetes.io/pod" || key.starts_with("container.seccomp.security.alpha.kubernetes.io/");
    let allowed = |value: &str| matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
    let bad: BTreeSet<_> = pod.annotations().filter(|(key, value)| names(key) && !allowed(value)).map(|(key, value)| format!("{key}={value:?}")).collect();
    if !bad.is_empty() {
        let all: Vec<_> = bad.into_iter().collect();
        found(list, "seccompProfile", format!("forbidden {} {}", plural("annotation", "annotations", all.len()), all.join(", ")));
    }
}

fn seccomp(pod: &Pod, list: &mut Vec<Violation>) {
    let bad = Setting { path: "securityContext.seccompProfile.type", allows: &confines }.bad(pod);
    if !bad.is_none() {
        found(list, "seccompProfile", format!("{} must not set securityContext.seccompProfile.type to {}", bad.who(), quoted(&bad.values)));
    }
}

pub fn confines(profile: &Value) -> bool {
    profile == "RuntimeDefault" || profile == "Localhost"
}

fn sysctls(pod: &Pod, list: &mut Vec<Violation>) {
    let allowed = |name: &str| SYSCTLS.iter().any(|(known, since)| *known == name && pod.version.has(*since));
    let bad: Vec<_> = walk::list(pod.spec, "securityContext.sysctls").iter().map(|s| walk::text(s, "name")).filter(|name| !allowed(name)).collect();
    if !bad.is_empty() {
        found(list, "forbidden sysctls", bad.join(", "));
    }
}

fn host_process(pod: &Pod, list: &mut Vec<Violation>) {
    let bad = Setting { path: "securityContext.windowsOptions.hostProcess", allows: &|value| value == &Value::Bool(false) }.bad(pod);
    if !bad.is_none() {
        found(list, "hostProcess", format!("{} must not set securityContext.windowsOptions.hostProcess=true", bad.who()));
    }
}
