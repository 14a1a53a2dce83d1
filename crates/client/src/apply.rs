//! Does what a plan says: the only place of the shell that writes to the API.
//!
//! It decides nothing. It keeps true: creates start slowly (1, 2, 4 ... at once), so that a refused one does not cost a
//! thousand; what was written is reported, so that the next look at the caches can wait for it.

use futures::StreamExt as _;
use futures::future::join_all;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Action, Announce, Kind, Propagation, Subresource, Target};
use crate::error::{Error, is_not_found};
use crate::event::{EventType, Recorder};

const DELETES_AT_ONCE: usize = 32;

/// A write that the caches will show sooner or later.
#[derive(Clone, Debug)]
pub enum Written {
    /// The cache of `kind` must reach this revision.
    Revision { kind: Kind, revision: u64 },
    /// The object with this uid must be gone.
    Gone { target: Target },
}

/// The action that failed and why.
#[derive(Debug)]
pub struct Failure {
    pub action: Action,
    pub error: Error,
}

impl Failure {
    /// The server's words.
    pub fn message(&self) -> String {
        self.error.to_string()
    }

    /// Somebody else wrote first, or the object is gone: the plan was made on an old view, nothing is wrong.
    pub fn is_stale(&self) -> bool {
        matches!(&self.error, Error::Api(kube::Error::Api(s)) if !s.is_already_exists() && (s.is_conflict() || s.is_not_found()))
    }

    /// Created into a namespace on its way out: nothing can come of it, and nobody waits for it.
    pub fn is_namespace_ending(&self) -> bool {
        matches!(&self.error, Error::Api(kube::Error::Api(s)) if s.is_forbidden() && s.message.contains("because it is being terminated"))
    }

    pub fn is_already_exists(&self) -> bool {
        matches!(&self.error, Error::Api(kube::Error::Api(s)) if s.is_already_exists())
    }

    pub fn reason(&self) -> &str {
        match &self.error {
            Error::Api(kube::Error::Api(s)) => &s.reason,
            _ => "",
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Brief {
    kind: String,
    metadata: BriefMeta,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct BriefMeta {
    name: String,
    resource_version: String,
    deletion_timestamp: Option<String>,
}

/// Carries actions out with one identity.
#[derive(Clone)]
pub struct Executor {
    client: kube::Client,
    recorder: Recorder,
    manager: String,
}

impl Executor {
    /// `manager` is the field manager under which the writes are booked.
    pub fn new(client: kube::Client, recorder: Recorder, manager: impl Into<String>) -> Self {
        Self { client, recorder, manager: manager.into() }
    }

    /// The same with events told under another component's name.
    #[must_use]
    pub fn named(&self, component: &str) -> Self {
        Self { recorder: self.recorder.named(component), ..self.clone() }
    }

    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Carries the actions out in order, ending at the first failure.
    pub async fn run(&self, actions: Vec<Action>) -> (Vec<Written>, Option<Failure>) {
        let mut written = Vec::new();
        let mut rest = actions.into_iter().peekable();
        while let Some(first) = rest.next() {
            let same: fn(&Action) -> bool = match first {
                Action::Create { .. } => |a| matches!(a, Action::Create { .. }),
                Action::Delete { .. } => |a| matches!(a, Action::Delete { .. }),
                _ => |_| false,
            };
            let slow_start = matches!(first, Action::Create { .. });
            let mut group = vec![first];
            while let Some(next) = rest.next_if(same) {
                group.push(next);
            }
            if let Some(failure) = self.run_group(group, slow_start, &mut written).await {
                return (written, Some(failure));
            }
        }
        (written, None)
    }

    async fn run_group(&self, mut group: Vec<Action>, slow_start: bool, written: &mut Vec<Written>) -> Option<Failure> {
        let mut size = if slow_start { 1 } else { DELETES_AT_ONCE };
        while !group.is_empty() {
            let later = group.split_off(size.min(group.len()));
            let results = join_all(group.into_iter().map(|action| self.run_one(action))).await;
            let mut failed = None;
            for result in results {
                match result {
                    Ok(seen) => written.extend(seen),
                    Err(failure) => failed = failed.or(Some(failure)),
                }
            }
            if failed.is_some() {
                return failed;
            }
            group = later;
            size = if slow_start { size.saturating_mul(2) } else { size };
        }
        None
    }

    async fn run_one(&self, action: Action) -> Result<Option<Written>, Failure> {
        let (result, announce) = match &action {
            Action::Event { regarding, kind, reason, message } => {
                self.recorder.event(regarding, *kind, reason.clone(), message.clone());
                return Ok(None);
            }
            Action::Create { kind, namespace, object, exists_ok, announce } => (self.create(kind, namespace, object, *exists_ok).await, announce),
            Action::Patch { target, subresource, body, announce } => (self.patch(target, *subresource, body).await, announce),
            Action::Call { kind, method, path, body } => (self.call(kind, method, path, body).await, &None),
            Action::Delete { target, propagation, grace, announce } => (self.delete(target, *propagation, *grace).await, announce),
        };
        match result {
            Ok((name, written)) => {
                if let Some(Announce { regarding, done: Some((reason, text)), .. }) = announce.as_deref() {
                    self.recorder.event(regarding, EventType::Normal, *reason, text.replace("{name}", &name));
                }
                Ok(written)
            }
            Err(error) => {
                if let Some(Announce { regarding, failed: Some((reason, text)), .. }) = announce.as_deref() {
                    self.recorder.event(regarding, EventType::Warning, *reason, text.replace("{error}", &error.to_string()));
                }
                Err(Failure { action, error })
            }
        }
    }

    async fn create(&self, kind: &Kind, namespace: &str, object: &Value, exists_ok: bool) -> Result<(String, Option<Written>), Error> {
        let mut object = object.clone();
        if object.get("kind").is_none() {
            object["apiVersion"] = kind.api_version().into();
            object["kind"] = kind.kind.as_ref().into();
        }
        let params = PostParams { field_manager: Some(self.manager.clone()), ..PostParams::default() };
        let request = Request::new(kind.path(namespace)).create(&params, serde_json::to_vec(&object)?).map_err(build)?;
        match self.client.request::<Brief>(request).await {
            Ok(brief) => Ok((brief.metadata.name.clone(), revision(kind, &brief))),
            Err(kube::Error::Api(s)) if exists_ok && s.is_already_exists() => Ok((String::new(), None)),
            Err(error) => Err(error.into()),
        }
    }

    async fn patch(&self, target: &Target, subresource: Subresource, body: &Value) -> Result<(String, Option<Written>), Error> {
        let mut body = body.clone();
        if let (Value::Object(conditions), Some(meta)) = (target.preconditions(), metadata_of(&mut body)) {
            meta.extend(conditions);
        }
        let params = PatchParams { field_manager: Some(self.manager.clone()), ..PatchParams::default() };
        let request = Request::new(target.kind.path(&target.namespace));
        let patch = Patch::Merge(&body);
        let request = match subresource {
            Subresource::None => request.patch(&target.name, &params, &patch),
            Subresource::Status => request.patch_subresource("status", &target.name, &params, &patch),
        };
        let brief: Brief = self.client.request(request.map_err(build)?).await?;
        Ok((brief.metadata.name.clone(), revision(&target.kind, &brief)))
    }

    async fn call(&self, kind: &Kind, method: &str, path: &str, body: &Value) -> Result<(String, Option<Written>), Error> {
        match request_json(&self.client, method, path, Some(body)).await {
            Ok(answer) => {
                let brief: Brief = serde_json::from_value(answer).unwrap_or_default();
                Ok((brief.metadata.name.clone(), if brief.kind == kind.kind { revision(kind, &brief) } else { None }))
            }
            Err(error) if is_not_found(&error) => Ok((String::new(), None)),
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, target: &Target, propagation: Option<Propagation>, grace: Option<u32>) -> Result<(String, Option<Written>), Error> {
        let params = DeleteParams {
            grace_period_seconds: grace,
            propagation_policy: propagation.map(|p| match p {
                Propagation::Foreground => PropagationPolicy::Foreground,
                Propagation::Background => PropagationPolicy::Background,
                Propagation::Orphan => PropagationPolicy::Orphan,
            }),
            preconditions: Some(Preconditions { uid: target.uid.clone(), resource_version: target.resource_version.clone() }),
            ..DeleteParams::default()
        };
        let request = Request::new(target.kind.path(&target.namespace)).delete(&target.name, &params).map_err(build)?;
        match self.client.request::<Brief>(request).await {
            Ok(brief) if brief.kind != "Status" && brief.metadata.deletion_timestamp.is_some() => Ok((target.name.clone(), revision(&target.kind, &brief))),
            Ok(_) => Ok((target.name.clone(), Some(Written::Gone { target: target.clone() }))),
            Err(error) if is_not_found(&error) => Ok((target.name.clone(), None)),
            // Another object of that name: the one that was meant is gone.
            Err(kube::Error::Api(s)) if s.is_conflict() && target.resource_version.is_none() => {
                tracing::debug!(name = %target.name, message = %s.message, "object to delete was replaced by another");
                Ok((target.name.clone(), None))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn metadata_of(body: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    body.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(serde_json::Map::new())).as_object_mut()
}

fn revision(kind: &Kind, brief: &Brief) -> Option<Written> {
    let revision = brief.metadata.resource_version.parse().ok()?;
    Some(Written::Revision { kind: kind.clone(), revision })
}

fn build(error: kube::core::request::Error) -> Error {
    Error::Build(error.to_string())
}

/// Sends `body` as JSON (or nothing) and returns the JSON answer: for the few calls that are no plain object write.
pub async fn request_json(client: &kube::Client, method: &str, path: &str, body: Option<&Value>) -> Result<Value, kube::Error> {
    let bytes = body.map(serde_json::to_vec).transpose().map_err(kube::Error::SerdeError)?.unwrap_or_default();
    let request = http::Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, "application/json").body(bytes).map_err(kube::Error::HttpError)?;
    client.request(request).await
}

/// Runs many independent futures with a bound; for controllers that must ask the API about many things.
pub async fn bounded<T>(limit: usize, work: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures::stream::iter(work).buffer_unordered(limit).collect().await
}
