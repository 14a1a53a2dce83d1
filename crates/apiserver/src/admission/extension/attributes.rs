//! A request as extensions see it.

use api::{ApiError, GroupVersionKind, meta};
use catalog::walk;
use policy::matching::{Facts, Form, Match, Matcher, Subject};
use serde_json::{Value, json};

use super::super::Operation;
use super::versions;
use crate::object;
use crate::rest::{Call, scale};
use crate::wire;

/// Metadata that a create is given after admission.
const STAMPED: [&str; 4] = ["uid", "creationTimestamp", "generation", "resourceVersion"];

pub struct Attributes<'a> {
    pub call: &'a Call,
    pub subject: Subject,
    pub kind: GroupVersionKind,
    pub object: Option<Value>,
    pub old: Option<Value>,
    pub options: Value,
    pub dry_run: bool,
    /// The namespace of the request, as it is stored.
    pub namespace: Option<Value>,
    pub user: Value,
    stamped: Vec<(&'static str, Value)>,
}

impl<'a> Attributes<'a> {
    pub fn of(call: &'a Call, operation: Operation, object: Option<&Value>, old: Option<&Value>) -> Result<Self, ApiError> {
        let resource = &call.served.resource;
        let part = call.info.subresource.as_str();
        let is_namespace = resource.group.is_empty() && resource.plural == "namespaces";
        let namespace = if resource.namespaced || is_namespace { call.info.namespace.clone() } else { String::new() };
        let subject = Subject {
            group: resource.group.to_string(),
            version: resource.version.to_string(),
            resource: resource.plural.to_string(),
            subresource: part.to_owned(),
            namespace,
            name: call.info.name.clone(),
            operation: operation.word(),
        };
        let kind = match object.filter(|_| operation == Operation::Connect) {
            Some(options) => GroupVersionKind::from_api_version(walk::text(options, "apiVersion"), walk::text(options, "kind")),
            None => resource.subresource(part).and_then(|s| s.kind.clone()).unwrap_or_else(|| resource.gvk()),
        };
        let shown = |value: Option<&Value>| value.map(|v| if part == "scale" && operation == Operation::Update { scale::scale_of(call, v) } else { Ok(v.clone()) }).transpose();
        let (options, dry_run) = options(call, operation)?;
        let mut all = Self { call, kind, object: shown(object)?, old: shown(old)?, options, dry_run, namespace: None, user: call.user.info(), stamped: Vec::new(), subject };
        if operation == Operation::Create && part.is_empty() {
            all.take_stamps();
        }
        all.namespace = all.find_namespace();
        Ok(all)
    }

    /// Upstream: what is created has no identity yet when it is mutated.
    fn take_stamps(&mut self) {
        let Some(metadata) = self.object.as_mut().and_then(|o| o.get_mut("metadata")).and_then(Value::as_object_mut) else { return };
        self.stamped = STAMPED.into_iter().filter_map(|key| metadata.remove(key).map(|value| (key, value))).collect();
    }

    /// Upstream: when it is validated, it has.
    pub fn with_identity(mut self) -> Self {
        if let Some(object) = &mut self.object {
            self.stamped.drain(..).for_each(|(key, value)| meta::set(object, key, value));
        }
        self
    }

    fn find_namespace(&self) -> Option<Value> {
        if self.subject.namespace.is_empty() {
            return None;
        }
        let server = &self.call.server;
        let record = server.store.view().get(server.store.table("/registry/namespaces"), &self.subject.namespace)?;
        Some(object::parse(&record.value))
    }

    /// Puts the object, as extensions changed it, where it came from.
    pub fn write_back(mut self, target: &mut Value) -> Result<(), ApiError> {
        let Some(mut object) = self.object.take() else { return Ok(()) };
        if self.subject.subresource == "scale" {
            *target = scale::with_scale(self.call, target, &object)?;
            return Ok(());
        }
        for key in STAMPED {
            let value = self.stamped.iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone());
            if self.subject.operation == "CREATE" {
                meta::set(&mut object, key, value.unwrap_or_default());
            }
        }
        *target = object;
        Ok(())
    }

    /// Whether a matcher is about this request, and in which form it wants it.
    pub fn matched(&self, matcher: &Matcher, all_without_rules: bool) -> Result<Option<Form>, ApiError> {
        let facts = Facts { object: self.object.as_ref().filter(|_| self.subject.operation != "CONNECT"), old: self.old.as_ref(), namespace: self.namespace.as_ref() };
        match matcher.decide(&self.subject, &versions::equivalents(self.call), &facts, all_without_rules) {
            Match::No => Ok(None),
            Match::Yes(form) => Ok(Some(form)),
            Match::NoNamespace => Err(ApiError::not_found(&api::GroupResource::new("", "namespaces"), &self.subject.namespace)),
            Match::Fault(why) => Err(ApiError::internal(why)),
        }
    }
}

impl Operation {
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// The options of the request as an object, and whether it is a dry run.
fn options(call: &Call, operation: Operation) -> Result<(Value, bool), ApiError> {
    let kind = match operation {
        Operation::Connect => return Ok((Value::Null, false)),
        Operation::Create => "CreateOptions",
        Operation::Update => "UpdateOptions",
        Operation::Delete => return delete_options(call),
    };
    let mut options = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
    let dry_run = call.dry_run()?;
    if dry_run {
        options["dryRun"] = json!(["All"]);
    }
    for key in ["fieldManager", "fieldValidation"] {
        if !call.query.get(key).is_empty() {
            options[key] = call.query.get(key).into();
        }
    }
    Ok((options, dry_run))
}

fn delete_options(call: &Call) -> Result<(Value, bool), ApiError> {
    let mut options = match wire::decode_options(call)? {
        Value::Object(map) => Value::Object(map),
        _ => json!({}),
    };
    options["kind"] = "DeleteOptions".into();
    options["apiVersion"] = "meta.k8s.io/v1".into();
    for key in ["propagationPolicy", "gracePeriodSeconds", "orphanDependents"] {
        if options.get(key).is_none() && call.query.has(key) {
            options[key] = serde_json::from_str(call.query.get(key)).unwrap_or_else(|_| call.query.get(key).into());
        }
    }
    let dry_run = call.dry_run()? || !walk::list(&options, "dryRun").is_empty();
    if dry_run {
        options["dryRun"] = json!(["All"]);
    }
    Ok((options, dry_run))
}
