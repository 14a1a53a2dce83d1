//! `metadata.managedFields`: read, written in upstream's order, and kept from growing without end.

use serde_json::{Map, Value, json};

use super::set::Set;

/// Update managers beyond this many are folded into one bucket per version.
const MAX_UPDATE_MANAGERS: usize = 10;
const BUCKET: &str = "ancient-changes";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

/// One manager's entry.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedEntry {
    pub manager: String,
    pub operation: Operation,
    pub api_version: String,
    pub subresource: String,
    pub time: Option<String>,
    pub fields: Set,
}

impl ManagedEntry {
    /// Appliers are the same whatever version they apply with; updaters are told apart by it.
    pub fn is_same_manager(&self, other: &Self) -> bool {
        self.operation == other.operation
            && self.manager == other.manager
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }
}

/// Reads the entries; `None` when any of them cannot be read.
pub fn decode_managed(managed: Option<&Value>) -> Option<Vec<ManagedEntry>> {
    let Some(managed) = managed.filter(|m| !m.is_null()) else { return Some(Vec::new()) };
    managed.as_array()?.iter().map(decode_entry).collect()
}

fn decode_entry(entry: &Value) -> Option<ManagedEntry> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text("fieldsType") != "FieldsV1" {
        return None;
    }
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    Some(ManagedEntry {
        manager: text("manager"),
        operation,
        api_version: text("apiVersion"),
        subresource: text("subresource"),
        time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
        fields: entry.get("fieldsV1").map_or(Some(Set::default()), Set::from_fields_v1)?,
    })
}

/// Writes the entries in upstream's order: appliers first, then by time, manager, version, subresource.
pub fn encode_managed(mut entries: Vec<ManagedEntry>) -> Value {
    fn key(e: &ManagedEntry) -> (Operation, &str, &str, &str, &str) {
        (e.operation, e.time.as_deref().unwrap_or_default(), &e.manager, &e.api_version, &e.subresource)
    }
    entries.sort_by(|a, b| key(a).cmp(&key(b)));
    Value::Array(entries.into_iter().map(encode_entry).collect())
}

fn encode_entry(entry: ManagedEntry) -> Value {
    let operation = match entry.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    let mut out = Map::new();
    let mut text = |name: &str, value: &str| {
        if !value.is_empty() {
            out.insert(name.into(), Value::from(value));
        }
    };
    text("manager", &entry.manager);
    text("operation", operation);
    text("apiVersion", &entry.api_version);
    text("subresource", &entry.subresource);
    text("time", entry.time.as_deref().unwrap_or_default());
    text("fieldsType", "FieldsV1");
    out.insert("fieldsV1".into(), entry.fields.into_fields_v1());
    Value::Object(out)
}

/// True for the two forms by which a client asks to forget all ownership: `[]` and `[{}]`.
pub(super) fn is_reset(managed: Option<&Value>) -> bool {
    managed.is_some_and(|m| *m == json!([]) || *m == json!([{}]))
}

/// Folds the oldest updaters of a version into one entry until no more than the cap are left.
pub(super) fn cap_updaters(entries: &mut Vec<ManagedEntry>) {
    let mut updaters: Vec<usize> = (0..entries.len()).filter(|i| entries[*i].operation == Operation::Update).collect();
    let mut count = updaters.len();
    updaters.sort_by_key(|i| (entries[*i].time.clone().unwrap_or_default(), entries[*i].manager.clone()));
    let mut gone = Vec::new();
    let mut firsts: Vec<(String, usize)> = Vec::new();
    for at in updaters {
        if count <= MAX_UPDATE_MANAGERS {
            break;
        }
        let version = entries[at].api_version.clone();
        let Some(&(_, first)) = firsts.iter().find(|(v, _)| *v == version) else {
            firsts.push((version, at));
            continue;
        };
        let joined = entries[first].fields.union(&entries[at].fields);
        let time = entries[at].time.clone();
        let bucket = &mut entries[first];
        (bucket.manager, bucket.subresource) = (BUCKET.to_owned(), String::new());
        (bucket.fields, bucket.time) = (joined, time);
        gone.push(at);
        count -= 1;
    }
    gone.sort_unstable();
    for at in gone.into_iter().rev() {
        entries.remove(at);
    }
}
