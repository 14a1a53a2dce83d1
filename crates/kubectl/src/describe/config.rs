//! Config maps, secrets, service accounts, roles and bindings.

use base64::Engine as _;
use serde_json::Value;

use super::{Described, Writer, annotations, events, head, join, labels, list, text};

pub fn config_map(w: &mut Writer, of: &Described) {
    head(w, of.object);
    w.text.push_str("\nData\n====\n");
    for (key, value) in of.object["data"].as_object().into_iter().flatten() {
        w.text.push_str(&format!("{key}:\n----\n{}\n\n", text(value)));
    }
    w.text.push_str("\nBinaryData\n====\n");
    for (key, value) in of.object["binaryData"].as_object().into_iter().flatten() {
        w.text.push_str(&format!("{key}: {} bytes\n", decoded(value)));
    }
    w.text.push('\n');
    events(w, of);
}

fn decoded(value: &Value) -> usize {
    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap_or_default()).map_or(0, |b| b.len())
}

pub fn secret(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    w.pair(0, "Namespace", api::meta::namespace(object));
    labels(w, "Labels", &object["metadata"]["labels"]);
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
    w.text.push_str(&format!("\nType:\t{}\n", text(&object["type"])));
    w.text.push_str("\nData\n====\n");
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        // Tokens of accounts are there to be copied.
        if key == "token" && object["type"] == "kubernetes.io/service-account-token" {
            let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
            w.pair(0, key, String::from_utf8_lossy(&bytes));
        } else {
            w.pair(0, key, format!("{} bytes", decoded(value)));
        }
    }
}

pub fn service_account(w: &mut Writer, of: &Described) {
    let object = of.object;
    head(w, object);
    let names = |key: &str| -> Vec<String> { list(&object[key]).iter().map(|s| text(&s["name"])).collect() };
    let tokens: Vec<String> = of
        .related
        .get("secrets")
        .map(list)
        .unwrap_or_default()
        .iter()
        .filter(|s| s["type"] == "kubernetes.io/service-account-token" && api::meta::annotation(s, "kubernetes.io/service-account.name") == Some(api::meta::name(object)))
        .map(|s| api::meta::name(s).to_owned())
        .collect();
    for (title, values) in [("Image pull secrets", names("imagePullSecrets")), ("Mountable secrets", names("secrets")), ("Tokens", tokens)] {
        if values.is_empty() {
            w.pair(0, title, "<none>");
        }
        for (i, value) in values.iter().enumerate() {
            w.line(0, &format!("{}\t{value}", if i == 0 { format!("{title}:") } else { String::new() }));
        }
    }
    events(w, of);
}

/// `pods.`, `deployments.apps`
fn combined(rule: &Value) -> Vec<String> {
    let groups = list(&rule["apiGroups"]);
    list(&rule["resources"])
        .iter()
        .flat_map(|resource| {
            let resource = text(resource);
            let (name, sub) = resource.split_once('/').map_or((resource.as_str(), ""), |(n, s)| (n, s));
            let sub = if sub.is_empty() { String::new() } else { format!("/{sub}") };
            groups.iter().map(|group| if text(group).is_empty() { format!("{name}{sub}") } else { format!("{name}.{}{sub}", text(group)) }).collect::<Vec<_>>()
        })
        .collect()
}

/// Rules one resource each, those of the same resource joined, sorted.
// Upstream: kubectl pkg/util/rbac CompactRules, BreakdownRule; describe.go rows of PolicyRule.
pub fn rules(all: &[Value]) -> Vec<[String; 4]> {
    let mut rows: Vec<(String, Value, Value, Vec<String>)> = Vec::new();
    for rule in all {
        let verbs: Vec<String> = list(&rule["verbs"]).iter().map(text).collect();
        let mut put = |what: String, urls: Value, names: Value| match rows.iter_mut().find(|(w, u, n, _)| *w == what && *u == urls && *n == names && !what.is_empty()) {
            Some((.., known)) => known.extend(verbs.iter().filter(|v| !known.contains(v)).cloned().collect::<Vec<_>>()),
            None => rows.push((what, urls, names, verbs.clone())),
        };
        let resources = combined(rule);
        let names = list(&rule["resourceNames"]);
        for resource in resources {
            if names.is_empty() {
                put(resource, Value::Null, Value::Null);
            } else {
                for name in names {
                    put(resource.clone(), Value::Null, serde_json::json!([name]));
                }
            }
        }
        for url in list(&rule["nonResourceURLs"]) {
            put(String::new(), serde_json::json!([url]), Value::Null);
        }
    }
    rows.sort_by_key(|(what, urls, names, _)| format!("{}{}{}", what, urls, names));
    let bracketed = |v: &Value| format!("[{}]", join(v, " "));
    rows.into_iter().map(|(what, urls, names, verbs)| [what, bracketed(&urls), bracketed(&names), format!("[{}]", verbs.join(" "))]).collect()
}

pub fn role(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    labels(w, "Labels", &object["metadata"]["labels"]);
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
    w.line(0, "PolicyRule:");
    w.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    w.line(1, "---------\t-----------------\t--------------\t-----");
    for row in rules(list(&object["rules"])) {
        w.line(1, &row.join("\t"));
    }
}

pub fn binding(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    labels(w, "Labels", &object["metadata"]["labels"]);
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
    w.line(0, "Role:");
    w.pair(1, "Kind", text(&object["roleRef"]["kind"]));
    w.pair(1, "Name", text(&object["roleRef"]["name"]));
    w.line(0, "Subjects:");
    w.line(1, "Kind\tName\tNamespace");
    w.line(1, "----\t----\t---------");
    for subject in list(&object["subjects"]) {
        w.line(1, &format!("{}\t{}\t{}", text(&subject["kind"]), text(&subject["name"]), text(&subject["namespace"])));
    }
}
