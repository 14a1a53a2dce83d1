//! The message of a pod that found no place. Upstream: framework/types.go FitError.

use std::collections::BTreeMap;

/// Reasons with their numbers of nodes, sorted as text.
pub fn message<'r>(total: usize, reasons: impl IntoIterator<Item = &'r str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_insert(0) += 1;
    }
    let mut parts: Vec<String> = counts.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    parts.sort();
    let listed = parts.join(", ");
    if listed.is_empty() { format!("0/{total} nodes are available") } else { format!("0/{total} nodes are available: {listed}.") }
}

/// The whole message when something about the pod itself keeps it from every node.
pub fn message_for_all(total: usize, reason: &str) -> String {
    format!("0/{total} nodes are available: {reason}.")
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_and_sorts() {
        let text = super::message(3, ["Insufficient memory", "Insufficient cpu", "Insufficient cpu", "node(s) were unschedulable"]);
        assert_eq!(text, "0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu.");
    }
}
