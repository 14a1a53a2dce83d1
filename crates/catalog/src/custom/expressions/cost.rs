//! What the rules of a schema may cost at most, and what is too much.
//!
//! Upstream: apiextensions-apiserver `pkg/apis/apiextensions/validation` (`validation.go`, `cel_validation.go`).

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::walk;

/// One expression, as often as it may be asked.
const RULE_LIMIT: u64 = 10_000_000;
/// All expressions of a schema.
const SCHEMA_LIMIT: u64 = 100_000_000;

/// The sum over a schema, and who is to blame for it.
pub struct Costs {
    total: u64,
    dearest: Vec<(Path, u64)>,
    is_known: bool,
}

impl Costs {
    pub fn new(is_known: bool) -> Self {
        Self { total: 0, dearest: Vec::new(), is_known }
    }

    pub fn of_rule(&mut self, path: &Path, cost: u64, faults: &mut FieldErrors) {
        self.observe("estimated rule cost", path, cost, faults);
    }

    pub fn of_message(&mut self, path: &Path, cost: u64, faults: &mut FieldErrors) {
        self.observe("estimated messageExpression cost", path, cost, faults);
    }

    fn observe(&mut self, what: &str, path: &Path, cost: u64, faults: &mut FieldErrors) {
        if cost > RULE_LIMIT && !self.is_known {
            faults.push(FieldError::forbidden(path, exceeds(what, cost, RULE_LIMIT)));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= SCHEMA_LIMIT / 100 {
            self.dearest.push((path.clone(), cost));
            self.dearest.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
            self.dearest.truncate(4);
        }
    }

    /// `path` is the schema's.
    pub fn judge(self, path: &Path, faults: &mut FieldErrors) {
        if self.total <= SCHEMA_LIMIT {
            return;
        }
        let part = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        faults.extend(self.dearest.iter().map(|(path, _)| FieldError::forbidden(path, part)));
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        faults.push(FieldError::forbidden(path, exceeds(what, self.total, SCHEMA_LIMIT)));
    }
}

fn exceeds(what: &str, cost: u64, limit: u64) -> String {
    let times = cost as f64 / limit as f64;
    let factor = if times > 100.0 {
        "more than 100x".to_owned()
    } else if times < 1.5 {
        format!("{times:.6}x")
    } else {
        format!("{times:.1}x")
    };
    format!("{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)")
}

/// By how much a place multiplies what stands in it; none where nothing bounds it.
pub fn most_elements(schema: &Value) -> Option<u64> {
    let most = |key: &str| schema.get(key).and_then(Value::as_i64).map(|n| u64::try_from(n).unwrap_or_default());
    match walk::text(schema, "type") {
        "object" if schema.get("additionalProperties").is_some_and(|a| !a.is_null()) => most("maxProperties"),
        "array" => most("maxItems"),
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom::expressions::{Judged, Tree};
    use serde_json::json;

    fn told(schema: &Value, is_known: bool) -> Vec<String> {
        let mut faults = FieldErrors::new();
        Tree::compile(schema, &Path::new("s"), Judged::new(is_known), &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    fn items(most: Option<u64>, length: Option<u64>) -> Value {
        let mut items = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": "self.all(x, x.matches('a+'))"}]});
        if let Some(most) = most {
            items["maxItems"] = most.into();
        }
        if let Some(length) = length {
            items["items"]["maxLength"] = length.into();
        }
        json!({"type": "object", "properties": {"items": items}})
    }

    #[test]
    fn unbounded_rules_cost_too_much() {
        let told = told(&items(None, None), false);
        assert!(told[0].starts_with("s.properties[items].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try"), "{told:?}");
        assert!(told[1].ends_with("Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"), "{told:?}");
        assert!(told[2].starts_with("s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of"), "{told:?}");
    }

    #[test]
    fn bounds_make_rules_cheap() {
        assert_eq!(told(&items(Some(10), Some(64)), false), Vec::<String>::new());
    }

    #[test]
    fn a_known_schema_is_refused_for_its_sum_only() {
        assert!(told(&items(None, None), true).iter().all(|f| f.contains("total")));
    }
}
