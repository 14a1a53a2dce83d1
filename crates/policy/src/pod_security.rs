//! Pod security: what the levels `baseline` and `restricted` ask of a pod.
//!
//! Pure: level and pod in, every violation out in upstream's words. Upstream: `k8s.io/pod-security-admission/policy`.

use std::collections::BTreeMap;

use catalog::walk;
use serde::Deserialize;
use serde_json::Value;

/// How a level is meant: refuse, record, warn.
pub const MODES: [&str; 3] = ["enforce", "audit", "warn"];
const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];

/// Capabilities that baseline lets containers add.
const BASELINE_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "NET_RAW",
];
const RESTRICTED_VOLUMES: [&str; 8] = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
const SYSCTLS: [&str; 11] = [
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
];

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| walk::list(spec, list))
}

/// `container "a"` or `containers "a", "b"`; none where there is none.
fn named<'a>(found: impl Iterator<Item = &'a Value>) -> Option<String> {
    let names: Vec<_> = found.map(|c| format!("{:?}", walk::text(c, "name"))).collect();
    match names.len() {
        0 => None,
        1 => Some(format!("container {}", names[0])),
        _ => Some(format!("containers {}", names.join(", "))),
    }
}

/// What holds where a namespace says nothing, and for whom nothing holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub defaults: BTreeMap<String, String>,
    pub exemptions: Exemptions,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Exemptions {
    pub usernames: Vec<String>,
    pub namespaces: Vec<String>,
    pub runtime_classes: Vec<String>,
}

impl Settings {
    /// Reads the plug-in's configuration. Upstream: `k8s.io/pod-security-admission/admission/api`.
    pub fn read(configuration: &Value) -> Result<Self, String> {
        let version = walk::text(configuration, "apiVersion").strip_prefix("pod-security.admission.config.k8s.io/").unwrap_or_default();
        if !matches!(version, "v1" | "v1beta1" | "v1alpha1") || configuration["kind"] != "PodSecurityConfiguration" {
            return Err("wanted a PodSecurityConfiguration of pod-security.admission.config.k8s.io/v1".into());
        }
        let mut plain = configuration.clone();
        if let Some(map) = plain.as_object_mut() {
            map.retain(|key, _| !matches!(key.as_str(), "apiVersion" | "kind"));
        }
        let settings: Self = serde_json::from_value(plain).map_err(|e| e.to_string())?;
        for (key, value) in &settings.defaults {
            let mode = key.strip_suffix("-version").unwrap_or(key);
            let fits = match key == mode {
                true => LEVELS.contains(&value.as_str()),
                false => value == "latest" || value.strip_prefix("v1.").is_some_and(|minor| minor.parse::<u16>().is_ok()),
            };
            if !MODES.contains(&mode) || !fits {
                return Err(format!("defaults.{key}: Invalid value: {value:?}: levels are {}, versions latest or like v1.30", LEVELS.join(", ")));
            }
        }
        Ok(settings)
    }
}

/// What the pod does that the level does not allow.
pub fn violations(level: &str, spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if matches!(level, "baseline" | "restricted") {
        baseline(spec, level, &mut found);
    }
    if level == "restricted" {
        restricted(spec, &mut found);
    }
    found
}

fn baseline(spec: &Value, level: &str, found: &mut Vec<String>) {
    let host: Vec<_> = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|key| walk::flag(spec, key)).map(|key| format!("{key}=true")).collect();
    if !host.is_empty() {
        found.push(format!("host namespaces ({})", host.join(", ")));
    }
    let paths: Vec<_> = walk::list(spec, "volumes").iter().filter(|v| walk::at(v, "hostPath").is_object()).map(|v| format!("{:?}", walk::text(v, "name"))).collect();
    if !paths.is_empty() {
        found.push(format!("hostPath volumes (volume{} {})", if paths.len() > 1 { "s" } else { "" }, paths.join(", ")));
    }
    if let Some(who) = named(containers(spec).filter(|c| walk::list(c, "ports").iter().any(|p| walk::int(p, "hostPort") != 0))) {
        let ports: Vec<_> = containers(spec).flat_map(|c| walk::list(c, "ports")).map(|p| walk::int(p, "hostPort")).filter(|p| *p != 0).map(|p| p.to_string()).collect();
        found.push(format!("hostPort ({who} uses hostPort{} {})", if ports.len() > 1 { "s" } else { "" }, ports.join(", ")));
    }
    if let Some(who) = named(containers(spec).filter(|c| walk::flag(c, "securityContext.privileged"))) {
        found.push(format!("privileged ({who} must not set securityContext.privileged=true)"));
    }
    if level == "baseline" {
        capabilities(spec, &BASELINE_CAPABILITIES, "non-default capabilities", found);
    }
    if let Some(who) = named(containers(spec).filter(|c| walk::text(c, "securityContext.procMount") == "Unmasked")) {
        found.push(format!("procMount ({who} must not set securityContext.procMount to \"Unmasked\")"));
    }
    let unconfined = |of: &Value| walk::text(of, "securityContext.seccompProfile.type") == "Unconfined";
    if level == "baseline" && (unconfined(spec) || containers(spec).any(unconfined)) {
        let who = if unconfined(spec) { "pod".to_owned() } else { named(containers(spec).filter(|c| unconfined(c))).unwrap_or_default() };
        found.push(format!("seccompProfile ({who} must not set securityContext.seccompProfile.type to \"Unconfined\")"));
    }
    let sysctls: Vec<_> = walk::list(spec, "securityContext.sysctls").iter().map(|s| walk::text(s, "name")).filter(|name| !SYSCTLS.contains(name)).collect();
    if !sysctls.is_empty() {
        found.push(format!("forbidden sysctls ({})", sysctls.join(", ")));
    }
}

fn capabilities(spec: &Value, allowed: &[&str], title: &str, found: &mut Vec<String>) {
    let bad = |container: &Value| -> Vec<String> {
        walk::list(container, "securityContext.capabilities.add").iter().filter_map(Value::as_str).filter(|c| !allowed.contains(c)).map(|c| format!("{c:?}")).collect()
    };
    if let Some(who) = named(containers(spec).filter(|c| !bad(c).is_empty())) {
        let all: std::collections::BTreeSet<_> = containers(spec).flat_map(bad).collect();
        let all: Vec<_> = all.into_iter().collect();
        found.push(format!("{title} ({who} must not include {} in securityContext.capabilities.add)", all.join(", ")));
    }
}

fn restricted(spec: &Value, found: &mut Vec<String>) {
    let windows = walk::text(spec, "os.name") == "windows";
    if let Some(who) = named(containers(spec).filter(|c| !windows && walk::at(c, "securityContext.allowPrivilegeEscalation").as_bool() != Some(false))) {
        found.push(format!("allowPrivilegeEscalation != false ({who} must set securityContext.allowPrivilegeEscalation=false)"));
    }
    let drops_all = |c: &&Value| walk::list(c, "securityContext.capabilities.drop").iter().any(|d| d == "ALL");
    if let Some(who) = named(containers(spec).filter(|c| !windows && !drops_all(c))) {
        found.push(format!("unrestricted capabilities ({who} must set securityContext.capabilities.drop=[\"ALL\"])"));
    }
    capabilities(spec, &["NET_BIND_SERVICE"], "unrestricted capabilities", found);
    for volume in walk::list(spec, "volumes") {
        let kind = volume.as_object().into_iter().flatten().find(|(key, value)| *key != "name" && value.is_object()).map(|(key, _)| key.as_str());
        if let Some(kind) = kind.filter(|kind| !RESTRICTED_VOLUMES.contains(kind)) {
            found.push(format!("restricted volume types (volume {:?} uses restricted volume type {kind:?})", walk::text(volume, "name")));
        }
    }
    let set = |of: &Value, path: &str| walk::at(of, path).as_bool();
    let (key, pod_wide) = ("securityContext.runAsNonRoot", set(spec, "securityContext.runAsNonRoot"));
    if let Some(who) = named(containers(spec).filter(|c| set(c, key).or(pod_wide) != Some(true))) {
        let head = if pod_wide.is_none() { format!("pod or {who}") } else { who };
        found.push(format!("runAsNonRoot != true ({head} must set securityContext.runAsNonRoot=true)"));
    }
    if walk::at(spec, "securityContext.runAsUser").as_i64() == Some(0) {
        found.push("runAsUser=0 (pod must not set runAsUser=0)".into());
    }
    if let Some(who) = named(containers(spec).filter(|c| walk::at(c, "securityContext.runAsUser").as_i64() == Some(0))) {
        found.push(format!("runAsUser=0 ({who} must not set runAsUser=0)"));
    }
    let profile = |of: &Value| walk::text(of, "securityContext.seccompProfile.type").to_owned();
    let confined = |of: &Value| matches!(profile(of).as_str(), "RuntimeDefault" | "Localhost");
    let whole = confined(spec);
    if let Some(who) = named(containers(spec).filter(|c| !windows && !(confined(c) || (whole && profile(c).is_empty())))) {
        let head = if profile(spec).is_empty() { format!("pod or {who}") } else { who };
        found.push(format!("seccompProfile ({head} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn tells_what_restricted_misses() {
        let plain = json!({"containers": [{"name": "a"}]});
        assert!(super::violations("privileged", &plain).is_empty() && super::violations("baseline", &plain).is_empty());
        let found = super::violations("restricted", &plain);
        assert_eq!(found.len(), 4);
        assert_eq!(found[2], "runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true)");
        let good = json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "a", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]});
        assert!(super::violations("restricted", &good).is_empty());
    }
}
