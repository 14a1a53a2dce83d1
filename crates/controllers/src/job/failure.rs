//! What a failed pod means for its job: the pod failure policy. Pure. Upstream: pod_failure_policy.go.

use k8s_openapi::api::batch::v1::{PodFailurePolicy, PodFailurePolicyRule};
use k8s_openapi::api::core::v1::Pod;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Counts towards the limits.
    Counts,
    /// Does not count.
    Ignored,
    /// Ends its index.
    EndsIndex,
    /// Ends the job, with these words.
    EndsJob(String),
}

pub(crate) fn meaning(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Meaning {
    let Some(policy) = policy else { return Meaning::Counts };
    for (index, rule) in policy.rules.iter().enumerate() {
        let Some(words) = by_exit_code(rule, pod, index).or_else(|| by_condition(rule, pod, index)) else { continue };
        return match rule.action.as_str() {
            "Ignore" => Meaning::Ignored,
            "FailIndex" => Meaning::EndsIndex,
            "FailJob" => Meaning::EndsJob(words),
            _ => Meaning::Counts,
        };
    }
    Meaning::Counts
}

fn by_exit_code(rule: &PodFailurePolicyRule, pod: &Pod, index: usize) -> Option<String> {
    let wanted = rule.on_exit_codes.as_ref()?;
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    for container in containers.filter(|c| wanted.container_name.as_ref().is_none_or(|n| *n == c.name)) {
        let Some(code) = container.state.as_ref().and_then(|s| s.terminated.as_ref()).map(|t| t.exit_code).filter(|c| *c != 0) else { continue };
        let listed = wanted.values.contains(&code);
        if (wanted.operator == "In") == listed {
            let name = pod_name(pod);
            return Some(format!("Container {} for pod {name} failed with exit code {code} matching {} rule at index {index}", container.name, rule.action));
        }
    }
    None
}

fn by_condition(rule: &PodFailurePolicyRule, pod: &Pod, index: usize) -> Option<String> {
    let patterns = rule.on_pod_conditions.as_deref()?;
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let hit = patterns.iter().find(|p| conditions.iter().any(|c| c.type_ == p.type_ && c.status == p.status.as_deref().unwrap_or("True")))?;
    Some(format!("Pod {} has condition {} matching {} rule at index {index}", pod_name(pod), hit.type_, rule.action))
}

fn pod_name(pod: &Pod) -> String {
    client::ObjectKey::of(pod).to_string()
}
