//! What a changed namespace means for the pods that run in it.
//!
//! Upstream: `ValidateNamespace`, `EvaluatePodsInNamespace` of `k8s.io/pod-security-admission/admission`.

use std::collections::{BTreeMap, HashSet};

use api::meta;
use serde_json::Value;

use super::{Level, LevelVersion, PREFIX, Policy, Settings, violations};

/// Upstream: `defaultNamespaceMaxPodsToCheck`.
const MOST: usize = 3000;

/// Whether pods that run may now be refused: not where the level stayed or was loosened.
pub fn needs_look(new: LevelVersion, old: LevelVersion) -> bool {
    new != old && new.level != Level::Privileged && !(new.version == old.version && new.level <= old.level)
}

/// The warning about labels of a namespace in which nothing holds.
pub fn exempt_warning(namespace: &Value, policy: &Policy, settings: &Settings) -> Option<String> {
    if *policy == Policy::usual(settings) || policy.modes().iter().all(|(_, of)| of.level == Level::Privileged) {
        return None;
    }
    let said = |mode: &str| ["", "-version"].iter().any(|end| meta::label(namespace, &format!("{PREFIX}{mode}{end}")).is_some());
    let shown: Vec<_> = policy.modes().into_iter().filter(|(mode, of)| of.level != Level::Privileged && said(mode)).map(|(mode, of)| format!("{mode}={of}")).collect();
    Some(format!("namespace {:?} is exempt from Pod Security, and the policy ({}) will be ignored", meta::name(namespace), shown.join(", ")))
}

/// As much of a pod as tells when it is looked at.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Belongs {
    metadata: Owned,
    spec: Runs,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Owned {
    owner_references: Vec<Owner>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Owner {
    uid: String,
    controller: bool,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Runs {
    runtime_class_name: String,
}

/// The pods of a namespace, in the order in which they are looked at; each is read once it is its turn.
pub struct Existing<P> {
    first: Vec<P>,
    /// Further pods of controllers that have one among the first: they say the same, most likely.
    further: Vec<P>,
    controllers: HashSet<String>,
}

impl<P> Default for Existing<P> {
    fn default() -> Self {
        Self { first: Vec::new(), further: Vec::new(), controllers: HashSet::new() }
    }
}

impl<P> Existing<P> {
    pub fn add(&mut self, pod: P, belongs: Belongs, settings: &Settings) {
        let class = &belongs.spec.runtime_class_name;
        if !class.is_empty() && settings.exemptions.runtime_classes.contains(class) {
            return;
        }
        let controller = belongs.metadata.owner_references.into_iter().find(|owner| owner.controller);
        let is_first = controller.is_none_or(|owner| self.controllers.insert(owner.uid));
        if is_first { self.first.push(pod) } else { self.further.push(pod) }
    }

    /// The warnings about a level newly enforced; `read` gives the pod whole, `late` tells that the time for it has passed.
    pub fn warnings(self, namespace: &str, enforce: LevelVersion, read: impl Fn(&P) -> Value, late: impl Fn() -> bool) -> Vec<String> {
        let total = self.first.len() + self.further.len();
        let mut checked = 0;
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pod in self.first.iter().chain(&self.further).take(MOST).map(read) {
            checked += 1;
            let reasons: Vec<_> = violations(enforce, &pod).into_iter().map(|v| v.reason).collect();
            if !reasons.is_empty() {
                found.entry(reasons.join(", ")).or_default().push(meta::name(&pod).to_owned());
            }
            if late() {
                break;
            }
        }
        let mut warnings = Vec::new();
        if checked < total {
            warnings.push(format!("new PodSecurity enforce level only checked against the first {checked} of {total} existing pods"));
        }
        if !found.is_empty() {
            warnings.push(format!("existing pods in namespace {namespace:?} violate the new PodSecurity enforce level {:?}", enforce.to_string()));
        }
        let mut told: Vec<_> = found.into_iter().map(|(reasons, names)| format!("{}: {reasons}", who(&names))).collect();
        told.sort();
        warnings.extend(told);
        warnings
    }
}

fn who(names: &[String]) -> String {
    let first = names.iter().min().map(String::as_str).unwrap_or_default();
    match names.len() {
        0 | 1 => first.to_owned(),
        2 => format!("{first} (and 1 other pod)"),
        many => format!("{first} (and {} other pods)", many - 1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Version;
    use super::*;

    fn add(existing: &mut Existing<Value>, pod: Value) {
        let belongs = serde_json::from_value(pod.clone()).expect("a pod");
        existing.add(pod, belongs, &Settings::default());
    }

    #[test]
    fn pods_of_one_controller_are_told_together() {
        let mut existing = Existing::default();
        let pod = |name: &str, owner: &str, host: bool| {
            let owners = if owner.is_empty() { json!([]) } else { json!([{"uid": owner, "controller": true}]) };
            json!({"metadata": {"name": name, "ownerReferences": owners}, "spec": {"hostNetwork": host, "containers": [{"name": "c"}]}})
        };
        for (name, owner, host) in [("b", "x", true), ("a", "x", true), ("c", "", true), ("d", "", false)] {
            add(&mut existing, pod(name, owner, host));
        }
        let of = LevelVersion { level: Level::Baseline, version: Version::LATEST };
        assert_eq!(existing.warnings("n", of, Value::clone, || false), ["existing pods in namespace \"n\" violate the new PodSecurity enforce level \"baseline:latest\"", "a (and 2 other pods): host namespaces"]);
        let mut existing = Existing::default();
        (0..3001).for_each(|i| add(&mut existing, pod(&format!("p{i}"), "", false)));
        assert_eq!(existing.warnings("n", of, Value::clone, || false), ["new PodSecurity enforce level only checked against the first 3000 of 3001 existing pods"]);
    }

    #[test]
    fn only_a_stricter_level_is_looked_at() {
        let of = |level, version| LevelVersion { level, version: Version::parse(version).expect("a version") };
        for (new, old, looks) in [
            (of(Level::Baseline, "latest"), of(Level::Privileged, "latest"), true),
            (of(Level::Baseline, "latest"), of(Level::Restricted, "latest"), false),
            (of(Level::Baseline, "v1.34"), of(Level::Restricted, "latest"), true),
            (of(Level::Privileged, "latest"), of(Level::Restricted, "latest"), false),
            (of(Level::Baseline, "latest"), of(Level::Baseline, "latest"), false),
        ] {
            assert_eq!(needs_look(new, old), looks, "{new} after {old}");
        }
    }
}
