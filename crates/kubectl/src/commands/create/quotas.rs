//! `create namespace`, `serviceaccount`, `quota`, `poddisruptionbudget`, `priorityclass`.
// Upstream: kubectl pkg/cmd/create/create_namespace.go and its kin.

use serde_json::{Map, Value, json};

use super::{COMMON, finish, finish_as, name, object};
use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{int, text, yes_no};
use crate::{global, run};

pub const NAMESPACE: Command =
    Command { name: "namespace", aliases: &["ns"], usage: "NAME", about: "Create a namespace of the given name.", examples: "kubectl create namespace my-namespace", flags: &[COMMON, global::PRINT], run: run!(namespace), ..EMPTY };

pub const SERVICEACCOUNT: Command =
    Command { name: "serviceaccount", aliases: &["sa"], usage: "NAME", about: "Create a service account of the given name.", flags: &[COMMON, global::PRINT], run: run!(service_account), ..EMPTY };

pub const QUOTA: Command = Command {
    name: "quota",
    aliases: &["resourcequota"],
    usage: "NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2]",
    about: "Create a quota.",
    examples: "kubectl create quota my-quota --hard=cpu=1,memory=1G,pods=2",
    flags: &[&[text("hard", "", "The limits, as resource=amount, joined by commas."), text("scopes", "", "The scopes, joined by commas.")], COMMON, global::PRINT],
    run: run!(quota),
    ..EMPTY
};

pub const PDB: Command = Command {
    name: "poddisruptionbudget",
    aliases: &["pdb"],
    usage: "NAME --selector=SELECTOR --min-available=N",
    about: "Create a pod disruption budget.",
    flags: &[&[text("min-available", "", "How many pods must stay, as number or percentage."), text("max-unavailable", "", "How many pods may be missing."), text("selector", "", "The pods.")], COMMON, global::PRINT],
    run: run!(budget),
    ..EMPTY
};

pub const PRIORITYCLASS: Command = Command {
    name: "priorityclass",
    aliases: &["pc"],
    usage: "NAME --value=VALUE --global-default=BOOL",
    about: "Create a priority class.",
    flags: &[
        &[int("value", "0", "The priority."), yes_no("global-default", "For pods that name no class."), text("description", "", "What it is for."), text("preemption-policy", "PreemptLowerPriority", "PreemptLowerPriority or Never.")],
        COMMON,
        global::PRINT,
    ],
    run: run!(priority_class),
    ..EMPTY
};

async fn namespace(call: &Call) -> Outcome {
    let mut made = object("v1", "Namespace", &name(call)?);
    made["spec"] = json!({});
    made["status"] = json!({});
    finish(call, "/api/v1/namespaces", made).await
}

async fn service_account(call: &Call) -> Outcome {
    finish_as(call, "/api/v1/namespaces/{}/serviceaccounts", object("v1", "ServiceAccount", &name(call)?), "failed to create serviceaccount").await
}

async fn quota(call: &Call) -> Outcome {
    let mut made = object("v1", "ResourceQuota", &name(call)?);
    let mut spec = json!({});
    let hard = call.flags.text("hard");
    if !hard.is_empty() {
        spec["hard"] = Value::Object(amounts(hard)?);
    }
    let scopes = call.flags.text("scopes");
    if !scopes.is_empty() {
        let all: Vec<&str> = scopes.split(',').collect();
        if all.contains(&"") {
            return fail("invalid resource quota scope \"\"");
        }
        spec["scopes"] = json!(all);
    }
    made["spec"] = spec;
    made["status"] = json!({});
    finish_as(call, "/api/v1/namespaces/{}/resourcequotas", made, "failed to create quota").await
}

/// `cpu=1,memory=1G`
pub fn amounts(text: &str) -> Outcome<Map<String, Value>> {
    let mut out = Map::new();
    for part in text.split(',') {
        let Some((key, value)) = part.split_once('=').filter(|(_, v)| !v.contains('=')) else { return fail(format!("Invalid argument syntax {part}, expected <resource>=<value>")) };
        let amount = quantity::canonical(value).map_err(|_| Failure::Text("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".into()))?;
        out.insert(key.to_owned(), amount.into());
    }
    Ok(out)
}

fn number_or_text(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
}

async fn budget(call: &Call) -> Outcome {
    let name = name(call)?;
    let (min, max, selector) = (call.flags.text("min-available"), call.flags.text("max-unavailable"), call.flags.text("selector"));
    if selector.is_empty() {
        return fail("a selector must be specified");
    }
    if min.is_empty() && max.is_empty() {
        return fail("one of min-available or max-unavailable must be specified");
    }
    if !min.is_empty() && !max.is_empty() {
        return fail("min-available and max-unavailable cannot be both specified");
    }
    let mut spec = json!({"selector": label_selector(selector)?});
    for (key, value) in [("minAvailable", min), ("maxUnavailable", max)] {
        if !value.is_empty() {
            spec[key] = number_or_text(value);
        }
    }
    let mut made = object("policy/v1", "PodDisruptionBudget", &name);
    made["spec"] = spec;
    made["status"] = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
    finish_as(call, "/apis/policy/v1/namespaces/{}/poddisruptionbudgets", made, "failed to create poddisruptionbudgets").await
}

/// A query's text as the object form of selectors.
pub fn label_selector(text: &str) -> Outcome<Value> {
    use api::selector::Requirement as R;
    let parsed = api::selector::LabelSelector::parse(text).map_err(|e| Failure::Text(format!("couldn't parse the selector string {text:?}: {e}")))?;
    let (mut labels, mut expressions) = (Map::new(), Vec::new());
    for requirement in parsed.0 {
        match requirement {
            R::In(key, values) if values.len() == 1 => {
                labels.insert(key, values[0].as_str().into());
            }
            R::In(key, values) => expressions.push(json!({"key": key, "operator": "In", "values": values})),
            R::NotIn(key, values) => expressions.push(json!({"key": key, "operator": "NotIn", "values": values})),
            R::Exists(key) => expressions.push(json!({"key": key, "operator": "Exists"})),
            R::DoesNotExist(key) => expressions.push(json!({"key": key, "operator": "DoesNotExist"})),
            R::Greater(..) | R::Less(..) => return fail(format!("{text:?} is not a valid label selector operator")),
        }
    }
    let mut out = json!({});
    if !labels.is_empty() {
        out["matchLabels"] = Value::Object(labels);
    }
    if !expressions.is_empty() {
        out["matchExpressions"] = json!(expressions);
    }
    Ok(out)
}

async fn priority_class(call: &Call) -> Outcome {
    let flags = &call.flags;
    let mut made = object("scheduling.k8s.io/v1", "PriorityClass", &name(call)?);
    made["value"] = flags.int("value").into();
    made["preemptionPolicy"] = flags.text("preemption-policy").into();
    if flags.yes("global-default") {
        made["globalDefault"] = true.into();
    }
    if !flags.text("description").is_empty() {
        made["description"] = flags.text("description").into();
    }
    finish_as(call, "/apis/scheduling.k8s.io/v1/priorityclasses", made, "failed to create priorityclass").await
}
