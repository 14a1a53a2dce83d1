//! What a plan may ask of the API, as plain values with their preconditions and the words for the event.
//!
//! No IO here. Every action names the state it was decided on (uid, resourceVersion), so that acting on an old view fails
//! instead of doing harm; every action can be printed as one line for tests.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Serialize;
use serde_json::{Value, json};

use crate::event::EventType;
use crate::{Failure, merge_diff};

/// A resource: where its objects live and what they are called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    pub group: Cow<'static, str>,
    pub version: Cow<'static, str>,
    pub kind: Cow<'static, str>,
    pub plural: Cow<'static, str>,
}

impl Kind {
    pub fn of<K: kube::Resource<DynamicType = ()>>() -> Self {
        Self { group: K::group(&()), version: K::version(&()), kind: K::kind(&()), plural: K::plural(&()) }
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of the collection; an empty namespace means all of them, or a cluster-scoped resource.
    pub fn path(&self, namespace: &str) -> String {
        let mut path = if self.group.is_empty() { format!("/api/{}", self.version) } else { format!("/apis/{}/{}", self.group, self.version) };
        if !namespace.is_empty() {
            let _ = write!(path, "/namespaces/{namespace}");
        }
        let _ = write!(path, "/{}", self.plural);
        path
    }
}

/// One object, with the state of it that the decision was made on.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
}

impl Target {
    /// Exactly this object in exactly this state.
    pub fn of<K: kube::Resource<DynamicType = ()>>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            kind: Kind::of::<K>(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
        }
    }

    /// This object in whatever state it is by now.
    #[must_use]
    pub fn any_version(mut self) -> Self {
        self.resource_version = None;
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Foreground,
    Background,
    Orphan,
}

/// Which part of an object a patch goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    None,
    Status,
}

/// Events told when an action succeeds or fails; `{name}` becomes the object's name, `{error}` the server's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Announce {
    pub regarding: ObjectReference,
    pub done: Option<(&'static str, String)>,
    pub failed: Option<(&'static str, String)>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Creates `object`. With `exists_ok` an object of that name that is there already is no failure.
    Create { kind: Kind, namespace: String, object: Value, exists_ok: bool, announce: Option<Box<Announce>> },
    /// A JSON merge patch; the target's preconditions travel in its metadata.
    Patch { target: Target, subresource: Subresource, body: Value, announce: Option<Box<Announce>> },
    /// Removes the target; one that is gone already is no failure.
    Delete { target: Target, propagation: Option<Propagation>, grace: Option<u32>, announce: Option<Box<Announce>> },
    /// A request that is no plain object write (a collection's deletion, a subresource). Not found is no failure.
    Call { kind: Kind, method: &'static str, path: String, body: Value },
    /// Tells the world.
    Event { regarding: ObjectReference, kind: EventType, reason: Cow<'static, str>, message: String },
}

impl Action {
    pub fn create<K: kube::Resource<DynamicType = ()> + Serialize>(object: &K) -> Self {
        Self::Create {
            kind: Kind::of::<K>(),
            namespace: object.meta().namespace.clone().unwrap_or_default(),
            object: serde_json::to_value(object).unwrap_or_default(),
            exists_ok: false,
            announce: None,
        }
    }

    /// Changes `old` into `new`, if they differ.
    pub fn update<K: kube::Resource<DynamicType = ()> + Serialize>(old: &K, new: &K) -> Option<Self> {
        Self::change(old, new, Subresource::None)
    }

    /// Changes the status of `old` into that of `new`, if the objects differ.
    pub fn update_status<K: kube::Resource<DynamicType = ()> + Serialize>(old: &K, new: &K) -> Option<Self> {
        Self::change(old, new, Subresource::Status)
    }

    fn change<K: kube::Resource<DynamicType = ()> + Serialize>(old: &K, new: &K, subresource: Subresource) -> Option<Self> {
        let body = merge_diff(&serde_json::to_value(old).ok()?, &serde_json::to_value(new).ok()?)?;
        Some(Self::Patch { target: Target::of(old), subresource, body, announce: None })
    }

    pub fn patch<K: kube::Resource<DynamicType = ()>>(object: &K, body: Value) -> Self {
        Self::Patch { target: Target::of(object), subresource: Subresource::None, body, announce: None }
    }

    /// Removes exactly this object (by uid, whatever its resourceVersion is by now).
    pub fn delete<K: kube::Resource<DynamicType = ()>>(object: &K) -> Self {
        Self::Delete { target: Target::of(object).any_version(), propagation: None, grace: None, announce: None }
    }

    pub fn event(regarding: ObjectReference, kind: EventType, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Event { regarding, kind, reason: reason.into(), message: message.into() }
    }

    #[must_use]
    pub fn announced(mut self, words: Announce) -> Self {
        if let Self::Create { announce, .. } | Self::Patch { announce, .. } | Self::Delete { announce, .. } = &mut self {
            *announce = Some(Box::new(words));
        }
        self
    }

    #[must_use]
    pub fn or_exists(mut self) -> Self {
        if let Self::Create { exists_ok, .. } = &mut self {
            *exists_ok = true;
        }
        self
    }

    /// One line: what is done to what, and on which condition.
    pub fn describe(&self) -> String {
        match self {
            Self::Create { kind, namespace, object, .. } => {
                let meta = &object["metadata"];
                let name = meta["name"].as_str().map_or_else(|| format!("{}*", meta["generateName"].as_str().unwrap_or_default()), str::to_owned);
                format!("create {} {namespace}/{name} {object}", kind.kind)
            }
            Self::Patch { target, subresource, body, .. } => {
                let sub = if *subresource == Subresource::Status { "/status" } else { "" };
                format!("patch {}{sub} {}/{} {body}", target.kind.kind, target.namespace, target.name)
            }
            Self::Delete { target, propagation, .. } => {
                let how = propagation.map(|p| format!(" {p:?}")).unwrap_or_default();
                format!("delete {} {}/{}{how}", target.kind.kind, target.namespace, target.name)
            }
            Self::Call { method, path, body, .. } => format!("{} {path} {body}", method.to_lowercase()),
            Self::Event { kind, reason, message, .. } => format!("event {} {reason}: {message}", kind.as_str()),
        }
    }
}

/// Answers a failed plan with what is still to be told (a status, mostly).
pub type OnFailure = Box<dyn FnOnce(&Failure) -> Vec<Action> + Send>;

/// What to do now and when to look again.
#[derive(Default)]
pub struct Plan {
    /// Done in order; runs of creates and of deletes go side by side. The first failure ends the list.
    pub actions: Vec<Action>,
    /// Done after `actions` when none failed.
    pub finally: Vec<Action>,
    /// Done in place of `finally` after a failure.
    pub on_failure: Option<OnFailure>,
    /// Look again after this time even if nothing changes.
    pub wake: Option<Duration>,
}

impl Plan {
    pub fn of(actions: impl IntoIterator<Item = Action>) -> Self {
        Self { actions: actions.into_iter().collect(), ..Self::default() }
    }

    /// Keeps the sooner of two wakes.
    pub fn wake_after(&mut self, delay: Duration) {
        self.wake = Some(self.wake.map_or(delay, |now| now.min(delay)));
    }

    /// For tests as data: one line per action.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for action in self.actions.iter().chain(&self.finally) {
            let _ = writeln!(text, "{}", action.describe());
        }
        if let Some(wake) = self.wake {
            let _ = writeln!(text, "wake {}s", wake.as_secs());
        }
        text
    }
}

/// A reference to an object for events and targetRefs.
pub fn reference<K: kube::Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// The owner reference of a controller that blocks its owner's deletion.
pub fn owner_reference<K: kube::Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        uid: owner.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The one owner that controls the object.
pub fn controller_owner<K: kube::Resource>(object: &K) -> Option<&OwnerReference> {
    object.meta().owner_references.as_deref()?.iter().find(|owner| owner.controller == Some(true))
}

impl Target {
    /// The preconditions as members of a patch's metadata.
    pub(crate) fn preconditions(&self) -> Value {
        let mut meta = json!({});
        if let Some(uid) = &self.uid {
            meta["uid"] = json!(uid);
        }
        if let Some(version) = &self.resource_version {
            meta["resourceVersion"] = json!(version);
        }
        meta
    }
}
