//! Disruption budgets, as evictions spend them.

use api::selector::LabelSelector;
use api::{ApiError, meta};
use catalog::walk;
use serde_json::Value;
use store::TableId;

use crate::object;
use crate::rest::{Call, update};

pub struct Budgets {
    table: TableId,
}

impl Budgets {
    pub fn new(store: &store::Store) -> Self {
        Self { table: store.table("/registry/poddisruptionbudgets") }
    }

    /// Spends one disruption of the pod's budget; refuses with upstream's words where there is none left.
    pub async fn take(&self, call: &Call, pod: &Value) -> Result<(), ApiError> {
        let namespace = meta::namespace(pod);
        let prefix = format!("{namespace}/");
        let range = call.server.store.view().table(self.table);
        let selects = |budget: &Value| {
            let selector = walk::at(budget, "spec.selector");
            selector.is_object() && LabelSelector::from_value(selector).is_ok_and(|s| s.matches(|key| meta::label(pod, key)))
        };
        let budgets: Vec<Value> = range.scan(&prefix, "").map(|r| object::parse(&r.value)).filter(selects).collect();
        let budget = match budgets.as_slice() {
            [] => return Ok(()),
            [one] => one,
            _ => return Err(ApiError::internal("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")),
        };
        if spares_unhealthy(budget, pod) {
            return Ok(());
        }
        let name = meta::name(budget).to_owned();
        let registry = call.server.registry();
        let served = registry.find("policy", "v1", "poddisruptionbudgets").ok_or_else(ApiError::no_such_path)?.clone();
        let mut of_budget = call.about(namespace, &name);
        of_budget.served = served;
        of_budget.info.subresource = "status".into();
        of_budget.user = crate::user::User::new("system:apiserver", &["system:masters"]);
        let pod_name = meta::name(pod).to_owned();
        update::update(&of_budget, &|old| spend(old, &name, &pod_name)).await.map(|_| ())
    }
}

/// A pod that is not ready is no loss where the budget says so, or where enough others are healthy.
fn spares_unhealthy(budget: &Value, pod: &Value) -> bool {
    if walk::list(pod, "status.conditions").iter().any(|c| walk::text(c, "type") == "Ready" && walk::text(c, "status") == "True") {
        return false;
    }
    if walk::text(budget, "spec.unhealthyPodEvictionPolicy") == "AlwaysAllow" {
        return true;
    }
    let (healthy, desired) = (walk::int(budget, "status.currentHealthy"), walk::int(budget, "status.desiredHealthy"));
    desired > 0 && healthy >= desired
}

fn spend(budget: &Value, name: &str, pod: &str) -> Result<Value, ApiError> {
    let refused = |detail: String| {
        ApiError::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 0).with_cause("DisruptionBudget", &detail, "")
    };
    if walk::int(budget, "status.observedGeneration") < meta::generation(budget) {
        return Err(ApiError::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 10).with_cause(
            "DisruptionBudget",
            &format!("The disruption budget {name} is still being processed by the server."),
            "",
        ));
    }
    let allowed = walk::int(budget, "status.disruptionsAllowed");
    if allowed <= 0 {
        let (desired, current) = (walk::int(budget, "status.desiredHealthy"), walk::int(budget, "status.currentHealthy"));
        return Err(refused(format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently")));
    }
    let mut budget = budget.clone();
    if let Some(status) = walk::object_mut(&mut budget, "status") {
        status.insert("disruptionsAllowed".into(), (allowed - 1).into());
        let now = api::time::rfc3339(jiff::Timestamp::now());
        if let Some(disrupted) = status.entry("disruptedPods").or_insert_with(|| serde_json::json!({})).as_object_mut() {
            disrupted.insert(pod.into(), now.into());
        }
    }
    Ok(budget)
}
