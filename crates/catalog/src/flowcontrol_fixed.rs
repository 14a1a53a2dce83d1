//! The schemas and levels that every server has, as they must be.
//!
//! Upstream: `pkg/apis/flowcontrol/internalbootstrap`, `MandatoryFlowSchemas`, and
//! `ValidateIfMandatoryPriorityLevelConfigurationObject` in `pkg/apis/flowcontrol/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use crate::walk;

pub fn flow_schema(errors: &mut FieldErrors, object: &Value) {
    let name = api::meta::name(object);
    let wanted = match name {
        "exempt" => json!({"matchingPrecedence": 1, "priorityLevelConfiguration": {"name": "exempt"}, "rules": [anything(&["system:masters"])]}),
        "catch-all" => {
            let rules = [anything(&["system:unauthenticated", "system:authenticated"])];
            json!({"matchingPrecedence": 10_000, "priorityLevelConfiguration": {"name": "catch-all"}, "distinguisherMethod": {"type": "ByUser"}, "rules": rules})
        }
        _ => return,
    };
    if *walk::at(object, "spec") != wanted {
        refuse(errors, object, "");
    }
}

pub fn priority_level(errors: &mut FieldErrors, object: &Value) {
    let spec = walk::at(object, "spec");
    match api::meta::name(object) {
        // How much others may have of what it has is the administrator's to say.
        "exempt" if walk::text(spec, "type") != "Exempt" || !walk::at(spec, "limited").is_null() => refuse(errors, object, " except the 'spec.exempt' field"),
        "catch-all" if *spec != json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}}) => refuse(errors, object, ""),
        _ => {}
    }
}

fn refuse(errors: &mut FieldErrors, object: &Value, except: &str) {
    let why = format!("spec of '{}'{except} must equal the fixed value", api::meta::name(object));
    errors.push(FieldError::invalid(&Path::new("spec"), walk::at(object, "spec").clone(), why));
}

fn anything(groups: &[&str]) -> Value {
    let subjects: Vec<Value> = groups.iter().map(|group| json!({"kind": "Group", "group": {"name": group}})).collect();
    json!({
        "subjects": subjects,
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    })
}
