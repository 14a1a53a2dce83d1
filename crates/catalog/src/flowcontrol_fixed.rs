//! The schemas and levels that every server has, as they must be.
//!
//! Upstream: `pkg/apis/flowcontrol/internalbootstrap`, `MandatoryFlowSchemas`, and
//! `ValidateIfMandatoryPriorityLevelConfigurationObject` in `pkg/apis/flowcontrol/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use crate::go_form::{self, Field, Form, Zero};
use crate::walk;

// Upstream: `pkg/apis/flowcontrol/types.go`.
const TYPE: &[Field] = &[("Type", "type", Zero::Text, Form::Json)];
const NAME: &[Field] = &[("Name", "name", Zero::Text, Form::Json)];
const ACCOUNT: &[Field] = &[("Namespace", "namespace", Zero::Text, Form::Json), ("Name", "name", Zero::Text, Form::Json)];
const SUBJECT: &[Field] = &[
    ("Kind", "kind", Zero::Text, Form::Json),
    ("User", "user", Zero::Null, Form::Of(NAME)),
    ("Group", "group", Zero::Null, Form::Of(NAME)),
    ("ServiceAccount", "serviceAccount", Zero::Null, Form::Of(ACCOUNT)),
];
const RESOURCES: &[Field] = &[
    ("Verbs", "verbs", Zero::Null, Form::Json),
    ("APIGroups", "apiGroups", Zero::Null, Form::Json),
    ("Resources", "resources", Zero::Null, Form::Json),
    ("ClusterScope", "clusterScope", Zero::False, Form::Json),
    ("Namespaces", "namespaces", Zero::Null, Form::Json),
];
const OTHERS: &[Field] = &[("Verbs", "verbs", Zero::Null, Form::Json), ("NonResourceURLs", "nonResourceURLs", Zero::Null, Form::Json)];
const RULES: &[Field] =
    &[("Subjects", "subjects", Zero::Null, Form::List(SUBJECT)), ("ResourceRules", "resourceRules", Zero::Null, Form::List(RESOURCES)), ("NonResourceRules", "nonResourceRules", Zero::Null, Form::List(OTHERS))];
const SCHEMA: &[Field] = &[
    ("PriorityLevelConfiguration", "priorityLevelConfiguration", Zero::Null, Form::Inner(NAME)),
    ("MatchingPrecedence", "matchingPrecedence", Zero::Number, Form::Json),
    ("DistinguisherMethod", "distinguisherMethod", Zero::Null, Form::Of(TYPE)),
    ("Rules", "rules", Zero::Null, Form::List(RULES)),
];
const QUEUING: &[Field] = &[("Queues", "queues", Zero::Number, Form::Json), ("HandSize", "handSize", Zero::Number, Form::Json), ("QueueLengthLimit", "queueLengthLimit", Zero::Number, Form::Json)];
const RESPONSE: &[Field] = &[("Type", "type", Zero::Text, Form::Json), ("Queuing", "queuing", Zero::Null, Form::Of(QUEUING))];
const LIMITED: &[Field] = &[
    ("NominalConcurrencyShares", "nominalConcurrencyShares", Zero::Number, Form::Json),
    ("LimitResponse", "limitResponse", Zero::Null, Form::Inner(RESPONSE)),
    ("LendablePercent", "lendablePercent", Zero::Null, Form::Json),
    ("BorrowingLimitPercent", "borrowingLimitPercent", Zero::Null, Form::Json),
];
const EXEMPT: &[Field] = &[("NominalConcurrencyShares", "nominalConcurrencyShares", Zero::Null, Form::Json), ("LendablePercent", "lendablePercent", Zero::Null, Form::Json)];
const LEVEL: &[Field] = &[("Type", "type", Zero::Text, Form::Json), ("Limited", "limited", Zero::Null, Form::Of(LIMITED)), ("Exempt", "exempt", Zero::Null, Form::Of(EXEMPT))];

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
        refuse(errors, object, SCHEMA, "");
    }
}

/// How a flow's requests are told apart, as faults print it.
pub fn method(method: &Value) -> String {
    go_form::object(method, TYPE)
}

pub fn priority_level(errors: &mut FieldErrors, object: &Value) {
    let spec = walk::at(object, "spec");
    match api::meta::name(object) {
        // How much others may have of what it has is the administrator's to say.
        "exempt" if walk::text(spec, "type") != "Exempt" || !walk::at(spec, "limited").is_null() => refuse(errors, object, LEVEL, " except the 'spec.exempt' field"),
        "catch-all" if *spec != json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}}) => refuse(errors, object, LEVEL, ""),
        _ => {}
    }
}

fn refuse(errors: &mut FieldErrors, object: &Value, fields: &[Field], except: &str) {
    let why = format!("spec of '{}'{except} must equal the fixed value", api::meta::name(object));
    errors.push(FieldError::invalid(&Path::new("spec"), Value::Null, why).shown_as(go_form::object(walk::at(object, "spec"), fields)));
}

fn anything(groups: &[&str]) -> Value {
    let subjects: Vec<Value> = groups.iter().map(|group| json!({"kind": "Group", "group": {"name": group}})).collect();
    json!({
        "subjects": subjects,
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    })
}
