//! What the status of a definition says: names accepted, established, terminating. Pure: the steward of the API server writes it.
//!
//! Upstream: apiextensions-apiserver `pkg/controller/{status,establish,finalizer,apiapproval,nonstructuralschema}` and `pkg/apihelpers/helpers.go`.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::rules;
use crate::walk;

/// The finalizer under which instances are deleted before their definition.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
pub const APPROVED: &str = "api-approved.kubernetes.io";

pub fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    walk::list(definition, "status.conditions").iter().find(|c| walk::text(c, "type") == kind)
}

pub fn is_true(definition: &Value, kind: &str) -> bool {
    condition(definition, kind).is_some_and(|c| walk::text(c, "status") == "True")
}

/// Sets a condition; its time moves only when its status does.
pub fn set_condition(definition: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) {
    let Some(map) = walk::object_mut(definition, "status") else { return };
    let list = map.entry("conditions").or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return };
    let at = list.iter().position(|c| walk::text(c, "type") == kind);
    let since = at.and_then(|at| Some(list[at].get("lastTransitionTime")?.clone()).filter(|_| walk::text(&list[at], "status") == status));
    let fresh = json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since.unwrap_or_else(|| api::time::rfc3339(now).into())});
    match at {
        Some(at) => list[at] = fresh,
        None => list.push(fresh),
    }
}

/// The names that definitions of a group hold.
#[derive(Debug, Default)]
pub struct Taken {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

impl Taken {
    pub fn of<'a>(group: &str, definitions: impl Iterator<Item = &'a Value>) -> Self {
        let mut taken = Self::default();
        for definition in definitions.filter(|d| walk::text(d, "spec.group") == group) {
            let names = walk::at(definition, "status.acceptedNames");
            taken.resources.extend(["plural", "singular"].map(|key| walk::text(names, key).to_owned()));
            taken.resources.extend(walk::list(names, "shortNames").iter().filter_map(Value::as_str).map(str::to_owned));
            taken.kinds.extend(["kind", "listKind"].map(|key| walk::text(names, key).to_owned()));
        }
        taken
    }
}

/// What the definition's status should say now; none when it says so already.
pub fn plan(definition: &Value, taken: &Taken, now: Timestamp) -> Option<Value> {
    let mut after = definition.clone();
    if walk::at(definition, "spec.names") != walk::at(definition, "status.acceptedNames") {
        name(&mut after, taken, now);
    }
    if is_true(&after, "NamesAccepted") && !is_true(&after, "Established") {
        set_condition(&mut after, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted", now);
    }
    approve(&mut after, now);
    structure(&mut after, now);
    (after != *definition).then_some(after)
}

fn in_use(asked: &str, own: &str, taken: &HashSet<String>) -> Option<String> {
    (asked != own && taken.contains(asked)).then(|| format!("{asked:?} is already in use"))
}

fn name(definition: &mut Value, taken: &Taken, now: Timestamp) {
    let asked = walk::at(definition, "spec.names").clone();
    let own = walk::at(definition, "status.acceptedNames").clone();
    let mut accepted = own.as_object().cloned().unwrap_or_default();
    let mut conflict: Option<(&str, String)> = None;
    for (key, reason, taken) in [("plural", "PluralConflict", &taken.resources), ("singular", "SingularConflict", &taken.resources)] {
        accept(&mut accepted, &mut conflict, (key, reason), (&asked, &own), taken);
    }
    accept_short_names(&mut accepted, &mut conflict, &asked, &own, &taken.resources);
    for (key, reason, taken) in [("kind", "KindConflict", &taken.kinds), ("listKind", "ListKindConflict", &taken.kinds)] {
        accept(&mut accepted, &mut conflict, (key, reason), (&asked, &own), taken);
    }
    take(&mut accepted, &asked, "categories");
    let good = conflict.is_none();
    let (status, reason, message) = conflict.map_or(("True", "NoConflicts", "no conflicts found".to_owned()), |(reason, message)| ("False", reason, message));
    if let Some(map) = walk::object_mut(definition, "status") {
        map.insert("acceptedNames".into(), Value::Object(accepted));
    }
    set_condition(definition, "NamesAccepted", status, reason, &message, now);
    if condition(definition, "Established").is_none() && !good {
        set_condition(definition, "Established", "False", "NotAccepted", "not all names are accepted", now);
    }
}

fn take(accepted: &mut Map<String, Value>, asked: &Value, key: &str) {
    match asked.get(key) {
        Some(value) => drop(accepted.insert(key.to_owned(), value.clone())),
        None => drop(accepted.remove(key)),
    }
}

fn accept<'r>(accepted: &mut Map<String, Value>, conflict: &mut Option<(&'r str, String)>, (key, reason): (&str, &'r str), (asked, own): (&Value, &Value), taken: &HashSet<String>) {
    match in_use(walk::text(asked, key), walk::text(own, key), taken) {
        Some(why) => *conflict = Some((reason, why)),
        None => take(accepted, asked, key),
    }
}

fn accept_short_names(accepted: &mut Map<String, Value>, conflict: &mut Option<(&str, String)>, asked: &Value, own: &Value, taken: &HashSet<String>) {
    let texts = |names: &Value| walk::list(names, "shortNames").iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let ours = texts(own);
    let faults: Vec<String> = texts(asked).iter().filter(|name| !ours.contains(name)).filter_map(|name| in_use(name, "", taken)).collect();
    match faults.as_slice() {
        [] => take(accepted, asked, "shortNames"),
        [one] => *conflict = Some(("ShortNamesConflict", one.clone())),
        many => *conflict = Some(("ShortNamesConflict", format!("[{}]", many.join(", ")))),
    }
}

/// Whether the community holds a group.
pub fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|g| group == *g || group.ends_with(&format!(".{g}")))
}

/// How a definition of a protected group stands to its review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    Missing,
    Bypassed,
    Approved,
    Invalid,
}

pub fn approval(definition: &Value) -> (Approval, String) {
    const SEE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";
    let text = api::meta::annotation(definition, APPROVED).unwrap_or_default();
    let is_url = sprig::url::parse(text.as_bytes()).is_ok_and(|url| !url.scheme.is_empty() && !url.host.is_empty());
    if text.is_empty() {
        (Approval::Missing, format!("protected groups must have approval annotation {APPROVED:?}, {SEE}"))
    } else if text.starts_with("unapproved") {
        (Approval::Bypassed, format!("not approved: {text:?}"))
    } else if is_url {
        (Approval::Approved, format!("approved in {text}"))
    } else {
        (Approval::Invalid, format!("protected groups must have approval annotation {APPROVED:?} with either a URL or a reason starting with \"unapproved\", {SEE}"))
    }
}

fn approve(definition: &mut Value, now: Timestamp) {
    if !is_protected(walk::text(definition, "spec.group")) {
        return;
    }
    let (state, message) = approval(definition);
    let (status, reason) = match state {
        Approval::Missing => ("False", "MissingAnnotation"),
        Approval::Bypassed => ("False", "UnapprovedAnnotation"),
        Approval::Approved => ("True", "ApprovedAnnotation"),
        Approval::Invalid => ("False", "InvalidAnnotation"),
    };
    set_condition(definition, "KubernetesAPIApprovalPolicyConformant", status, reason, &message, now);
}

/// Says what keeps old schemas from being structural; new ones are refused.
fn structure(definition: &mut Value, now: Timestamp) {
    const KIND: &str = "NonStructuralSchema";
    match rules::unstructured(definition) {
        Some((status, reason, message)) => set_condition(definition, KIND, status, reason, &message, now),
        None if condition(definition, KIND).is_some() => {
            if let Some(list) = walk::object_mut(definition, "status").and_then(|s| s.get_mut("conditions")).and_then(Value::as_array_mut) {
                list.retain(|c| walk::text(c, "type") != KIND);
            }
        }
        None => {}
    }
}

/// Marks a definition whose deletion was asked for: its instances go first.
pub fn mark_deleted(definition: &mut Value, now: Timestamp) {
    let metadata = api::meta::metadata_mut(definition);
    if let Some(list) = metadata.entry("finalizers").or_insert_with(|| json!([])).as_array_mut()
        && !list.iter().any(|f| f == CLEANUP)
    {
        list.push(CLEANUP.into());
    }
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    set_condition(definition, "Terminating", "True", "InstanceDeletionPending", message, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(plural: &str, kind: &str, short: &[&str]) -> Value {
        json!({"metadata": {"name": format!("{plural}.x.example")}, "spec": {"group": "x.example", "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"), "shortNames": short}}})
    }

    #[test]
    fn old_schemas_are_told_to_be_odd() {
        let now = Timestamp::UNIX_EPOCH;
        let mut old = definition("foos", "Foo", &[]);
        old["spec"]["preserveUnknownFields"] = true.into();
        old["spec"]["versions"] = json!([{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {}}}}}]);
        let mut after = plan(&old, &Taken::default(), now).expect("a new definition is named");
        let told = |of: &Value| condition(of, "NonStructuralSchema").map(|c| ["status", "reason", "message"].map(|key| walk::text(c, key).to_owned()));
        let why = "[spec.preserveUnknownFields: Invalid value: true: must be false, spec.versions[0].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields]";
        assert_eq!(told(&after), Some(["True", "Violations", why].map(str::to_owned)));
        after["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["$ref"] = "x".into();
        let after = plan(&after, &Taken::default(), now).expect("the schema changed");
        assert_eq!(told(&after), Some(["Unknown", "StructuralError", "failed to check validation schema for version v1: OpenAPIV3Schema '$ref' is not supported"].map(str::to_owned)));
        let mut mended = after;
        mended["spec"]["preserveUnknownFields"] = false.into();
        mended["spec"]["versions"] = json!([{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object"}}}]);
        assert_eq!(told(&plan(&mended, &Taken::default(), now).expect("the schema changed")), None);
    }

    #[test]
    fn the_first_of_a_name_holds_it() {
        let now = Timestamp::UNIX_EPOCH;
        let first = plan(&definition("foos", "Foo", &["f"]), &Taken::default(), now).expect("a new definition is named");
        assert!(is_true(&first, "Established") && is_true(&first, "NamesAccepted"));
        let taken = Taken::of("x.example", [&first].into_iter());
        assert_eq!(plan(&first, &taken, now), None);
        let second = plan(&definition("bars", "Foo", &["f", "b"]), &taken, now).expect("a new definition is named");
        assert!(!is_true(&second, "Established"));
        let told = condition(&second, "NamesAccepted").expect("told");
        assert_eq!((walk::text(told, "reason"), walk::text(told, "message")), ("ListKindConflict", "\"FooList\" is already in use"));
        assert_eq!(walk::text(&second, "status.acceptedNames.plural"), "bars");
        assert_eq!(walk::text(condition(&second, "Established").expect("told"), "reason"), "NotAccepted");
    }
}
