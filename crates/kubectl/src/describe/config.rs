//! Config maps, secrets, service accounts, roles and bindings.

use base64::Engine as _;
use serde_json::Value;

use super::{Described, Writer, annotations, events, head, labels, list, text};

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
    let values: Vec<String> = list(&object["imagePullSecrets"]).iter().map(|s| text(&s["name"])).collect();
    if values.is_empty() {
        w.pair(0, "Image pull secrets", "<none>");
    }
    for (i, value) in values.iter().enumerate() {
        w.line(0, &format!("{}\t{value}", if i == 0 { "Image pull secrets:" } else { "" }));
    }
    events(w, of);
}

/// One row: what may be done with one resource, or one path.
struct Row {
    group: String,
    resource: String,
    names: String,
    url: String,
    verbs: Vec<String>,
}

impl Row {
    /// Upstream sorts by the text of the rule's protobuf struct.
    fn key(&self) -> String {
        format!("[{}],[{}],[{}],[{}],[{}]", self.verbs.join(" "), self.group, self.resource, self.names, self.url)
    }

    /// `pods/log`, `deployments.apps`
    fn shown(&self) -> String {
        let (name, sub) = self.resource.split_once('/').map_or((self.resource.as_str(), String::new()), |(n, s)| (n, format!("/{s}")));
        if self.group.is_empty() { format!("{name}{sub}") } else { format!("{name}.{}{sub}", self.group) }
    }
}

/// Rules one resource each, the verbs of the same resource joined.
// Upstream: kubectl pkg/util/rbac CompactRules, BreakdownRule, SortableRuleSlice.
pub fn rules(all: &[Value]) -> Vec<[String; 4]> {
    let mut rows: Vec<Row> = Vec::new();
    for rule in all {
        let verbs: Vec<String> = list(&rule["verbs"]).iter().map(text).collect();
        let names: Vec<String> = list(&rule["resourceNames"]).iter().map(text).collect();
        let names = if names.is_empty() { vec![String::new()] } else { names };
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                for name in &names {
                    put(&mut rows, Row { group: text(group), resource: text(resource), names: name.clone(), url: String::new(), verbs: verbs.clone() });
                }
            }
        }
        for url in list(&rule["nonResourceURLs"]) {
            rows.push(Row { group: String::new(), resource: String::new(), names: String::new(), url: text(url), verbs: verbs.clone() });
        }
    }
    rows.sort_by_key(Row::key);
    rows.into_iter().map(|row| [row.shown(), format!("[{}]", row.url), format!("[{}]", row.names), format!("[{}]", row.verbs.join(" "))]).collect()
}

fn put(rows: &mut Vec<Row>, new: Row) {
    match rows.iter_mut().find(|r| r.group == new.group && r.resource == new.resource && r.names == new.names && r.url.is_empty()) {
        Some(known) => {
            for verb in new.verbs {
                if !known.verbs.contains(&verb) {
                    known.verbs.push(verb);
                }
            }
        }
        None => rows.push(new),
    }
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
