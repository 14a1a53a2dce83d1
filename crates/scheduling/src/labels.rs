//! Label selectors, taints and tolerations: the small pure matches that schedulers and controllers share.
//!
//! Never fails: an operator that does not exist matches nothing.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

pub type Labels = BTreeMap<String, String>;

/// An empty selector matches everything; no labels are the empty set of labels.
pub fn selects(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let value = |key: &str| labels.and_then(|l| l.get(key));
    let by_labels = selector.match_labels.iter().flatten().all(|(key, wanted)| value(key) == Some(wanted));
    by_labels
        && selector.match_expressions.iter().flatten().all(|rule| {
            let values = rule.values.as_deref().unwrap_or_default();
            match (rule.operator.as_str(), value(&rule.key)) {
                ("In", Some(found)) => values.contains(found),
                ("NotIn", found) => found.is_none_or(|f| !values.contains(f)),
                ("Exists", found) => found.is_some(),
                ("DoesNotExist", found) => found.is_none(),
                _ => false,
            }
        })
}

/// The plain map form of services and replication controllers. An empty map selects nothing here.
pub fn map_selects(selector: &Labels, labels: Option<&Labels>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, wanted)| labels.and_then(|l| l.get(key)) == Some(wanted))
}

/// True when the selector has no rule at all.
pub fn selects_all(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty) && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// Upstream: ToleratesTaint. An empty key with Exists tolerates everything, an empty effect every effect.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    if !effect.is_empty() && effect != taint.effect || !key.is_empty() && key != taint.key {
        return false;
    }
    let wanted = toleration.value.as_deref().unwrap_or_default();
    let found = taint.value.as_deref().unwrap_or_default();
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "" | "Equal" => wanted == found,
        "Exists" => true,
        "Lt" => integers(found, wanted).is_some_and(|(found, wanted)| found < wanted),
        "Gt" => integers(found, wanted).is_some_and(|(found, wanted)| found > wanted),
        _ => false,
    }
}

/// The first taint of those that `counts` which no toleration covers.
pub fn untolerated<'t>(tolerations: &[Toleration], taints: &'t [Taint], counts: impl Fn(&Taint) -> bool) -> Option<&'t Taint> {
    taints.iter().filter(|t| counts(t)).find(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

fn integers(left: &str, right: &str) -> Option<(i64, i64)> {
    Some((left.parse().ok()?, right.parse().ok()?))
}
