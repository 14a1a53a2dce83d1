//! The two writes that move ownership: an apply, and every other write that is only tracked.

use std::sync::OnceLock;

use schema::{Of, Type, Unknown};
use serde_json::{Map, Value};

use super::compare::Comparison;
use super::conflict::{ApplyError, Conflict, Conflicts, owner};
use super::field_set::{of_value, with_named_parents};
use super::managed::{ManagedEntry, Operation, cap_updaters, decode_managed, encode_managed, is_reset};
use super::merge::merge;
use super::remove::remove;
use super::set::Set;
use super::shape::Shape;
use super::path;

/// The limit on all annotations of an object together.
const MAX_ANNOTATIONS: usize = 256 << 10;
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Owned by nobody: what identifies an object or belongs to the server.
const STRIPPED: [&str; 12] = [
    "apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace", "metadata.creationTimestamp", "metadata.selfLink", "metadata.uid",
    "metadata.clusterName", "metadata.generation", "metadata.managedFields", "metadata.resourceVersion",
];

/// Who writes, when, and through what.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    pub manager: &'a str,
    /// The version of the request, such as `apps/v1`.
    pub api_version: &'a str,
    /// Empty for the resource itself.
    pub subresource: &'a str,
    /// RFC 3339 in seconds.
    pub now: &'a str,
    pub of: &'a Type,
    /// Fields that this endpoint resets, and so nobody gains or loses here.
    pub reset: Option<&'a Set>,
}

impl Write<'_> {
    fn entry(&self, operation: Operation) -> ManagedEntry {
        ManagedEntry {
            manager: self.manager.to_owned(),
            operation,
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.to_owned(),
            time: Some(self.now.to_owned()),
            fields: Set::default(),
        }
    }

    fn compare(&self, old: &Value, new: &Value) -> Comparison {
        let comparison = Comparison::of(old, new, Shape::root(self.of));
        match self.reset {
            Some(reset) => comparison.without(reset),
            None => comparison,
        }
    }
}

fn managed_of(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

fn take_managed(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

/// Made once: every write takes it away.
fn stripped() -> &'static Set {
    static STRIPPED_SET: OnceLock<Set> = OnceLock::new();
    STRIPPED_SET.get_or_init(|| Set::of_fields(STRIPPED))
}

fn put_managed(object: &mut Value, mut entries: Vec<ManagedEntry>) {
    entries.iter_mut().for_each(|e| e.fields.subtract(stripped()));
    entries.retain(|e| !e.fields.is_empty());
    take_managed(object);
    if let (false, Some(map)) = (entries.is_empty(), object.as_object_mut())
        && let Value::Object(metadata) = map.entry("metadata").or_insert_with(|| Value::Object(Map::new()))
    {
        metadata.insert("managedFields".into(), encode_managed(entries));
    }
}

/// Records in `new` who owns what after a create, update or patch. `old` is `None` on create.
///
/// Never fails: what cannot be read is treated as nobody's.
pub fn track_update(old: Option<&Value>, new: &mut Value, write: &Write) {
    let asked = managed_of(new);
    let mut entries = if write.subresource.is_empty() && is_reset(asked) {
        Vec::new()
    } else {
        let from_request = if write.subresource.is_empty() { decode_managed(asked).filter(|e| !e.is_empty()) } else { None };
        from_request.or_else(|| decode_managed(old.and_then(managed_of))).unwrap_or_default()
    };
    take_managed(new);
    // Upstream: an object that never had managers stays so until somebody applies.
    if entries.is_empty() && old.is_some_and(|o| o["metadata"]["uid"].as_str().is_some_and(|u| !u.is_empty())) {
        return;
    }
    match old {
        Some(old) => record_update(old, new, &mut entries, write),
        None => record_update(&zero(write.of), new, &mut entries, write),
    }
    cap_updaters(&mut entries);
    put_managed(new, entries);
}

fn managed_fields() -> &'static Set {
    static MANAGED: OnceLock<Set> = OnceLock::new();
    MANAGED.get_or_init(|| Set::of_fields(["metadata.managedFields"]))
}

/// What Go prints of a new object of the type: creators do not own what is there without them.
fn zero(of: &Type) -> Value {
    let fields = of.fields.iter().filter(|f| f.always && f.default.is_none()).map(|field| {
        let value = match &field.of {
            Of::Object(of) if of.get().special.is_none() => zero(of.get()),
            _ => Value::Null,
        };
        (field.name.to_string(), value)
    });
    Value::Object(fields.collect())
}

fn record_update(old: &Value, new: &Value, entries: &mut Vec<ManagedEntry>, write: &Write) {
    let Comparison { added, mut modified, mut removed } = write.compare(old, new);
    // `new` carries no managedFields here, whatever `old` carries.
    removed.subtract_recursively(managed_fields());
    modified.unite(added);
    let mut gained = modified;
    for entry in entries.iter_mut() {
        entry.fields.subtract(&gained);
        entry.fields.subtract(&removed);
    }
    gained.subtract(&removed);
    if let Some(reset) = write.reset {
        gained.subtract_recursively(reset);
    }
    gained.subtract(stripped());
    if !gained.is_empty() {
        let mut mine = write.entry(Operation::Update);
        match entries.iter_mut().find(|e| e.is_same_manager(&mine)) {
            Some(entry) => {
                entry.fields.unite(gained);
                entry.time = mine.time;
            }
            None => {
                mine.fields = gained;
                entries.push(mine);
            }
        }
    }
    entries.retain(|e| !e.fields.is_empty());
}

/// Applies a configuration. `live` is `None` when the apply creates the object. The result carries the new managedFields;
/// it equals `live` when nothing changed.
pub fn apply(live: Option<&Value>, applied: Value, force: bool, write: &Write) -> Result<Value, ApplyError> {
    check_applied(&applied, write)?;
    let mut base = live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let mut entries = decode_managed(managed_of(&base)).unwrap_or_default();
    take_managed(&mut base);
    if entries.is_empty() && live.is_some() {
        let first = Write { manager: BEFORE_FIRST_APPLY, ..*write };
        record_update(&zero(write.of), &base, &mut entries, &first);
        for entry in &mut entries {
            entry.fields.subtract(stripped());
        }
    }
    match merge_applied(&base, &applied, entries.clone(), force, write) {
        Err(ApplyError::Conflicts(conflicts)) if write.manager == "kubectl" => {
            let left = not_from_client_side_apply(conflicts, &base, write);
            if left.is_empty() { finish(merge_applied(&base, &applied, entries, true, write)?, live, &applied, write) } else { Err(ApplyError::Conflicts(Conflicts(left))) }
        }
        other => finish(other?, live, &applied, write),
    }
}

struct Merged {
    object: Value,
    entries: Vec<ManagedEntry>,
    same: bool,
}

fn merge_applied(base: &Value, applied: &Value, mut entries: Vec<ManagedEntry>, force: bool, write: &Write) -> Result<Merged, ApplyError> {
    let shape = Shape::root(write.of);
    let merged = merge(Some(base), Some(applied), shape).unwrap_or_else(|| Value::Object(Map::new()));
    let mut mine = write.entry(Operation::Apply);
    mine.fields = of_value(applied, shape);
    if let Some(reset) = write.reset {
        mine.fields = mine.fields.recursive_difference(reset);
    }
    let last = entries.iter().position(|e| e.is_same_manager(&mine)).map(|at| entries.remove(at));
    let owned = entries.iter().fold(mine.fields.clone(), |all, e| all.union(&e.fields));
    let object = match &last {
        Some(last) if !last.fields.is_empty() => prune(&merged, &last.fields, &owned, shape),
        _ => merged,
    };
    let comparison = write.compare(base, &object);
    let changed = comparison.modified.union(&comparison.added);
    let conflicts: Vec<Conflict> = entries.iter().flat_map(|e| conflicts_with(e, &changed)).collect();
    if !force && !conflicts.is_empty() {
        return Err(ApplyError::Conflicts(Conflicts(conflicts)));
    }
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&changed).difference(&comparison.removed);
    }
    let untouched = last.as_ref().is_some_and(|l| l.api_version == mine.api_version && l.fields == mine.fields.difference(stripped()));
    let same = comparison.is_same();
    if let (true, true, Some(last)) = (same, untouched, &last) {
        mine.time.clone_from(&last.time);
    }
    entries.push(mine);
    Ok(Merged { object, entries, same })
}

fn conflicts_with(entry: &ManagedEntry, changed: &Set) -> Vec<Conflict> {
    let mut paths = entry.fields.intersection(changed).paths();
    paths.sort_by_key(|p| path::display_path(p));
    paths.into_iter().map(|path| Conflict { owner: owner(entry), path }).collect()
}

fn finish(merged: Merged, live: Option<&Value>, applied: &Value, write: &Write) -> Result<Value, ApplyError> {
    let Merged { mut object, entries, same } = merged;
    if let (true, Some(live)) = (same, live) {
        object = live.clone();
    }
    put_managed(&mut object, entries);
    sync_last_applied(&mut object, applied, write);
    Ok(object)
}

/// Takes out what the applier set last time and sets no longer, unless somebody else holds it.
fn prune(merged: &Value, last: &Set, owned: &Set, shape: Shape) -> Value {
    let named = |set: &Set| with_named_parents(set, shape);
    let empty = || Value::Object(Map::new());
    let pruned = remove(merged, &named(last), shape).unwrap_or_else(empty);
    let all = named(&of_value(merged, shape));
    let kept = named(&of_value(&pruned, shape)).union(&named(owned));
    let restored = remove(merged, &all.difference(&kept), shape).unwrap_or_else(empty);
    let left = named(&of_value(&restored, shape));
    let gone = all.difference(&left).intersection(&named(last));
    remove(merged, &gone, shape).unwrap_or_else(empty)
}

/// Conflicts with fields that client-side apply set to what they still are, are no conflicts for `kubectl`.
fn not_from_client_side_apply(conflicts: Conflicts, live: &Value, write: &Write) -> Vec<Conflict> {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or_default();
    let allowed = match serde_json::from_str::<Value>(text) {
        Ok(last) if last["apiVersion"] == write.api_version => {
            let shape = Shape::root(write.of);
            let comparison = Comparison::of(&last, live, shape);
            of_value(&last, shape).difference(&comparison.modified).difference(&comparison.added).difference(&comparison.removed)
        }
        _ => return conflicts.0,
    };
    let allowed = allowed.paths();
    conflicts.0.into_iter().filter(|c| !allowed.contains(&c.path)).collect()
}

/// `kubectl apply --server-side` keeps the annotation of client-side apply in step where it exists.
fn sync_last_applied(object: &mut Value, applied: &Value, write: &Write) {
    if write.manager != "kubectl" || object["metadata"]["annotations"][LAST_APPLIED].as_str().is_none_or(str::is_empty) {
        return;
    }
    let mut plain = applied.clone();
    take_managed(&mut plain);
    if let Some(map) = plain.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        map.remove(LAST_APPLIED);
    }
    let text = plain.to_string() + "\n";
    if text.len() <= MAX_ANNOTATIONS {
        object["metadata"]["annotations"][LAST_APPLIED] = Value::from(text);
    }
}

/// Whether a configuration may be applied at all: of the version asked for, and all of it declared.
pub fn check_applied(applied: &Value, write: &Write) -> Result<(), ApplyError> {
    if managed_of(applied).is_some_and(|m| !m.is_null()) {
        return Err(ApplyError::Bad("metadata.managedFields must be nil".into()));
    }
    let version = applied["apiVersion"].as_str().unwrap_or_default();
    if version != write.api_version {
        return Err(ApplyError::Bad(format!("Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}", write.api_version)));
    }
    let mut errors = Vec::new();
    undeclared(applied, Shape::root(write.of), &mut Vec::new(), &mut errors, 0);
    if errors.is_empty() {
        return Ok(());
    }
    let text = |name: &str| applied["metadata"][name].as_str().unwrap_or_default();
    let (group, version) = version.split_once('/').map_or_else(|| (String::new(), version), |(g, v)| (g.to_owned(), v));
    let kind = applied["kind"].as_str().unwrap_or_default();
    let object = format!("{}/{}; {group}/{version}, Kind={kind}", text("namespace"), text("name"));
    let why = if let [one] = &errors[..] { one.clone() } else { format!("errors:\n{}", errors.iter().map(|e| format!("  {e}")).collect::<Vec<_>>().join("\n")) };
    Err(ApplyError::NotTyped { object, why })
}

/// Collects fields that the schema does not know and lists whose items cannot be told apart.
fn undeclared(value: &Value, shape: Shape, at: &mut Vec<String>, errors: &mut Vec<String>, depth: usize) {
    if depth > 100 || errors.len() >= 100 {
        return;
    }
    if let Some(map) = shape.object(Some(value)) {
        for (key, value) in map {
            at.push(path::of_name(key));
            match shape {
                Shape::Struct(of) if of.unknown == Unknown::Drop && of.field(key).is_none() => errors.push(format!("{}: field not declared in schema", path::display_path(at))),
                _ => undeclared(value, shape.under(key), at, errors, depth + 1),
            }
            at.pop();
        }
    } else if let (Shape::Set | Shape::Keyed(_), Value::Array(items)) = (shape, value) {
        if let Some(why) = shape.broken_item(items) {
            errors.push(format!("{}: {why}", path::display_path(at)));
        }
        for (element, item) in shape.items(Some(value)).unwrap_or_default() {
            at.push(element);
            undeclared(item, shape.item(), at, errors, depth + 1);
            at.pop();
        }
    }
}
