//! The value that describes one resource at one version.

use std::borrow::Cow;
use std::sync::Arc;

use api::field::FieldErrors;
use api::names;
use api::{GroupResource, GroupVersionKind};
use jiff::Timestamp;
use serde_json::Value;

use crate::custom::Custom;

type Text = Cow<'static, str>;

/// What can be done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbs {
    pub get: bool,
    pub list: bool,
    pub watch: bool,
    pub create: bool,
    pub update: bool,
    pub patch: bool,
    pub delete: bool,
    pub deletecollection: bool,
}

impl Verbs {
    pub const ALL: Self = Self { get: true, list: true, watch: true, create: true, update: true, patch: true, delete: true, deletecollection: true };
    pub const NONE: Self = Self { get: false, list: false, watch: false, create: false, update: false, patch: false, delete: false, deletecollection: false };
    /// Reviews, bindings, tokens.
    pub const CREATE: Self = Self { create: true, ..Self::NONE };
    pub const GET: Self = Self { get: true, ..Self::NONE };
    /// Subresources that share the object: `status`, `scale`.
    pub const PART: Self = Self { get: true, update: true, patch: true, ..Self::NONE };

    /// In the order discovery lists them.
    pub fn names(self) -> Vec<&'static str> {
        [
            ("create", self.create),
            ("delete", self.delete),
            ("deletecollection", self.deletecollection),
            ("get", self.get),
            ("list", self.list),
            ("patch", self.patch),
            ("update", self.update),
            ("watch", self.watch),
        ]
        .into_iter()
        .filter_map(|(name, has)| has.then_some(name))
        .collect()
    }
}

/// A part of an object with a path of its own, or an action on it.
#[derive(Debug, Clone)]
pub struct Subresource {
    pub name: Text,
    /// The kind it speaks, when it is not the resource's own.
    pub kind: Option<GroupVersionKind>,
    pub verbs: Verbs,
}

impl Subresource {
    pub const fn part(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), kind: None, verbs: Verbs::PART }
    }

    pub fn of_kind(name: &'static str, api_version: &str, kind: &str, verbs: Verbs) -> Self {
        Self { name: Cow::Borrowed(name), kind: Some(GroupVersionKind::from_api_version(api_version, kind)), verbs }
    }
}

/// What becomes of an object's dependents where neither who deletes it nor its finalizers say. Upstream: `GarbageCollectionPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GarbagePolicy {
    /// They go after it.
    Delete,
    /// They stay, and whoever did not say so is told this.
    Orphan(Option<&'static str>),
    /// It has none: nothing waits for them, whoever asks.
    Unsupported,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: Text,
    /// `string`, `integer`, `date` ...
    pub kind: Text,
    pub format: Text,
    pub description: Text,
    /// 0 shows always, 1 only in wide tables.
    pub priority: i32,
}

/// Reads an object of this version from the stored one, and back.
#[derive(Clone, Copy)]
pub struct Conversion {
    pub from_stored: fn(Value) -> Value,
    pub to_stored: fn(Value) -> Value,
}

/// What makes an object of this kind right. Plain functions; none does IO.
#[derive(Clone)]
pub struct Rules {
    /// Fills what the user left out.
    pub default: fn(&mut Value),
    /// Sets or clears what a create or update may not say: `old` is none on create.
    pub prepare: fn(&mut Value, Option<&Value>),
    /// Sets what a write to a part of the object, by its name, may not say or left out; the last is the time.
    pub prepare_part: fn(&str, &mut Value, &Value, Timestamp),
    /// All faults at once; `old` is none on create. Metadata is checked elsewhere.
    pub validate: fn(&Value, Option<&Value>) -> FieldErrors,
    /// Faults of a write to `status`.
    pub validate_status: fn(&Value, &Value) -> FieldErrors,
    /// Faults of a write to another part of the object, by the part's name; without it the part is judged as the whole.
    pub validate_part: Option<fn(&str, &Value, &Value) -> FieldErrors>,
    /// Makes a new object take over what it says in forms that are no longer, once admission has had its say; what its writer is told of that.
    pub settle: fn(&mut Value) -> Vec<String>,
    /// What whoever writes the whole is told though nothing is wrong; `old` is none on create. Makes nothing where there is nothing to tell.
    pub warn: fn(&Value, Option<&Value>) -> Vec<String>,
    /// What whoever writes `status` is told.
    pub warn_status: fn(&Value) -> Vec<String>,
    /// Syntax of names.
    pub name: fn(&str) -> names::Faults,
    pub columns: Vec<Column>,
    /// One cell per column.
    pub cells: fn(&Value, Timestamp) -> Vec<Value>,
    /// What the wish to delete leaves on an object before anything else is looked at.
    pub before_delete: fn(&mut Value),
    /// Whether updates count up `metadata.generation`.
    pub generation: bool,
    /// Whether it counts changes of annotations too.
    pub annotations_count: bool,
    /// Whether a PUT of an absent object creates it.
    pub create_on_update: bool,
    /// Whether a PUT without resourceVersion overwrites.
    pub unconditional_update: bool,
}

fn no_change(_: &mut Value) {}
fn no_prepare(_: &mut Value, _: Option<&Value>) {}
fn no_part(_: &str, _: &mut Value, _: &Value, _: Timestamp) {}
fn no_fault(_: &Value, _: Option<&Value>) -> FieldErrors {
    FieldErrors::new()
}
fn no_status_fault(_: &Value, _: &Value) -> FieldErrors {
    FieldErrors::new()
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            default: no_change,
            prepare: no_prepare,
            prepare_part: no_part,
            validate: no_fault,
            validate_status: no_status_fault,
            validate_part: None,
            settle: |_| Vec::new(),
            warn: |_, _| Vec::new(),
            warn_status: |_| Vec::new(),
            name: names::dns1123_subdomain,
            columns: crate::columns::name_and_age(),
            cells: crate::columns::name_and_age_cells,
            before_delete: no_change,
            generation: false,
            annotations_count: false,
            create_on_update: false,
            unconditional_update: true,
        }
    }
}

/// One resource at one version.
#[derive(Clone)]
pub struct Resource {
    pub group: Text,
    pub version: Text,
    pub kind: Text,
    /// The kind of its list; empty where there is none.
    pub list_kind: Text,
    pub plural: Text,
    pub singular: Text,
    pub short_names: Vec<Text>,
    pub categories: Vec<Text>,
    pub namespaced: bool,
    pub verbs: Verbs,
    pub subresources: Vec<Subresource>,
    /// Fields a field selector may name besides `metadata.name` and `metadata.namespace`.
    pub selectable: Vec<Text>,
    /// Where objects lie in the store; shared by all versions of a resource.
    pub table: Text,
    /// The version whose form is stored.
    pub stored_version: Text,
    /// The group whose form is stored, where two groups share one table.
    pub stored_group: Text,
    pub conversion: Option<Conversion>,
    /// Whether who deletes an object is given it, not a Status. Upstream: the stores that say `ReturnDeletedObject`.
    pub gives_deleted: bool,
    pub garbage: GarbagePolicy,
    /// What whoever asks for the kind is told of its end. Upstream: the `prerelease-lifecycle-gen` marks of the types, in the
    /// words of apiserver `pkg/endpoints/deprecation`.
    pub deprecation: Option<&'static str>,
    pub rules: Rules,
    /// Rules made at run time, where a definition stands behind the resource; they take the place of the plain functions.
    pub custom: Option<Arc<Custom>>,
}

/// What to do with an object: one way in for kinds built in and custom ones.
impl Resource {
    pub fn default(&self, object: &mut Value) {
        match &self.custom {
            None => (self.rules.default)(object),
            Some(custom) => custom.default(object),
        }
    }

    pub fn prepare(&self, object: &mut Value, old: Option<&Value>) {
        match &self.custom {
            None => (self.rules.prepare)(object, old),
            Some(custom) => custom.prepare(object, old),
        }
    }

    /// Faults of a new object.
    pub fn validate(&self, object: &Value) -> FieldErrors {
        match &self.custom {
            None => (self.rules.validate)(object, None),
            Some(custom) => custom.validate(object, None, &mut Vec::new()),
        }
    }

    /// What a writer of the whole (`part` empty), of `status` or of another part is told though nothing is wrong.
    /// Upstream: the strategies' `WarningsOnCreate` and `WarningsOnUpdate`; only those of status and scale have any beside the whole's.
    pub fn warnings(&self, part: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
        match (part, &self.custom) {
            ("" | "scale", None) => (self.rules.warn)(object, old),
            ("status", None) => (self.rules.warn_status)(object),
            ("" | "scale", Some(_)) => crate::custom::warnings(object, old),
            _ => Vec::new(),
        }
    }

    /// Faults of an update of the whole (`part` empty), of `status`, or of another part. What is `told` is wrong as it was before.
    pub fn validate_update(&self, part: &str, object: &Value, old: &Value, told: &mut Vec<String>) -> FieldErrors {
        match (&self.custom, part, self.rules.validate_part) {
            (Some(custom), "status", _) => custom.validate_status(object, old, told),
            (Some(custom), ..) => custom.validate(object, Some(old), told),
            (None, "status", _) => (self.rules.validate_status)(object, old),
            (None, "", _) | (None, _, None) => (self.rules.validate)(object, Some(old)),
            (None, part, Some(validate)) => validate(part, object, old),
        }
    }

    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        match &self.custom {
            None => (self.rules.cells)(object, now),
            Some(custom) => custom.cells(object, now),
        }
    }
}

impl Resource {
    /// A resource with all verbs and no rules of its own yet.
    pub fn new(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str, namespaced: bool) -> Self {
        let table = format!("/registry/{}{plural}", if group.contains('.') { format!("{group}/") } else { String::new() });
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            list_kind: format!("{kind}List").into(),
            plural: plural.into(),
            singular: kind.to_lowercase().into(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced,
            verbs: Verbs::ALL,
            subresources: Vec::new(),
            selectable: Vec::new(),
            table: table.into(),
            stored_version: version.into(),
            stored_group: group.into(),
            conversion: None,
            gives_deleted: false,
            garbage: GarbagePolicy::Delete,
            deprecation: None,
            rules: Rules::default(),
            custom: None,
        }
    }

    /// A kind that is only ever posted: reviews.
    pub fn review(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str, namespaced: bool) -> Self {
        Self { verbs: Verbs::CREATE, list_kind: "".into(), ..Self::new(group, version, kind, plural, namespaced) }
    }

    pub fn short(mut self, names: &[&'static str]) -> Self {
        self.short_names = names.iter().map(|n| Cow::Borrowed(*n)).collect();
        self
    }

    pub fn in_all(mut self) -> Self {
        self.categories.push("all".into());
        self
    }

    pub fn status(mut self) -> Self {
        self.subresources.push(Subresource::part("status"));
        self.rules.generation = true;
        self
    }

    pub fn category(mut self, name: &'static str) -> Self {
        self.categories.push(name.into());
        self
    }

    pub fn gives_deleted(mut self) -> Self {
        self.gives_deleted = true;
        self
    }

    pub fn garbage(mut self, policy: GarbagePolicy) -> Self {
        self.garbage = policy;
        self
    }

    pub fn deprecated(mut self, why: &'static str) -> Self {
        self.deprecation = Some(why);
        self
    }

    /// Status without a generation that counts. Upstream: pods before 1.33, nodes, services and others.
    pub fn status_only(mut self) -> Self {
        self.subresources.push(Subresource::part("status"));
        self
    }

    pub fn scale(mut self) -> Self {
        self.subresources.push(Subresource::of_kind("scale", "autoscaling/v1", "Scale", Verbs::PART));
        self
    }

    pub fn sub(mut self, subresource: Subresource) -> Self {
        self.subresources.push(subresource);
        self
    }

    pub fn select(mut self, fields: &[&'static str]) -> Self {
        self.selectable = fields.iter().map(|n| Cow::Borrowed(*n)).collect();
        self
    }

    pub fn rules(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(&mut self.rules);
        self
    }

    pub fn columns(mut self, columns: Vec<Column>, cells: fn(&Value, Timestamp) -> Vec<Value>) -> Self {
        self.rules.columns = columns;
        self.rules.cells = cells;
        self
    }

    pub fn api_version(&self) -> String {
        api::resource::api_version(&self.group, &self.version)
    }

    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind { group: self.group.to_string(), version: self.version.to_string(), kind: self.kind.to_string() }
    }

    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.group.clone(), self.plural.clone())
    }

    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }
}
