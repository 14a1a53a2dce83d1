//! Whether a container that ended is started again: the pod's policy, the container's own, and its rules by exit code.

use k8s_openapi::api::core::v1::Pod;

use crate::observed::{Container, RunState};
use crate::spec::{Kind, SpecContainer, restart_policy};

/// The policy that counts for this container.
pub(crate) fn effective_policy<'a>(pod: &'a Pod, wanted: &'a SpecContainer) -> &'a str {
    let of_pod = pod.spec.as_ref().map_or("Always", restart_policy);
    match wanted.kind {
        Kind::Ephemeral => "Never",
        Kind::Sidecar => "Always",
        Kind::Init | Kind::Regular => {
            let own = wanted.container.restart_policy.as_deref().unwrap_or(of_pod);
            // An init container has nothing to do again after it succeeded.
            if wanted.kind == Kind::Init && own == "Always" { "OnFailure" } else { own }
        }
    }
}

/// Whether `found`, which does not run, is to be replaced by a new one.
pub(crate) fn restarts(pod: &Pod, wanted: &SpecContainer, found: &Container) -> bool {
    match found.state {
        RunState::Running => return false,
        RunState::Created | RunState::Unknown => return wanted.kind != Kind::Ephemeral,
        RunState::Exited => {}
    }
    if let Some(by_rule) = rule_restarts(wanted, found.exit_code) {
        return by_rule;
    }
    match effective_policy(pod, wanted) {
        "Never" => false,
        "OnFailure" => found.exit_code != 0,
        _ => true,
    }
}

/// The first rule that matches decides.
fn rule_restarts(wanted: &SpecContainer, exit_code: i32) -> Option<bool> {
    for rule in wanted.container.restart_policy_rules.iter().flatten() {
        let Some(codes) = &rule.exit_codes else { continue };
        let listed = codes.values.iter().flatten().any(|v| *v == exit_code);
        let matches = match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        if matches {
            return Some(matches!(rule.action.as_str(), "Restart" | "RestartAllContainers"));
        }
    }
    None
}
