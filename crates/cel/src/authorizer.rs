//! The `authorizer` variable: builder values that end in one question to whoever decides.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/library/authz.go.

use std::fmt;
use std::sync::Arc;

use crate::value::EvalError;

/// What an expression asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// `serviceAccount(namespace, name)` instead of the requester.
    pub service_account: Option<(String, String)>,
    /// A path that is no resource.
    pub path: Option<String>,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub field_selector: Option<String>,
    pub label_selector: Option<String>,
    pub verb: String,
}

/// What the answer was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub allowed: bool,
    pub reason: String,
    pub error: Option<String>,
}

/// Answers questions about the requester's rights. The expression stands still meanwhile: answers come from memory.
pub trait Authorizer: Send + Sync {
    fn authorize(&self, question: &Question) -> Answer;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Authorizer,
    Path,
    Group,
    Resource,
    Decision,
}

/// A step of the builder.
#[derive(Clone)]
pub struct Authorization<'a> {
    authorizer: &'a dyn Authorizer,
    stage: Stage,
    question: Arc<Question>,
    answer: Option<Arc<Answer>>,
}

impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("stage", &self.stage).field("question", &self.question).finish_non_exhaustive()
    }
}

impl<'a> Authorization<'a> {
    /// The value of the variable `authorizer`.
    pub fn new(authorizer: &'a dyn Authorizer) -> Authorization<'a> {
        Authorization { authorizer, stage: Stage::Authorizer, question: Arc::default(), answer: None }
    }

    /// The value of the variable `authorizer.requestResource`: a question about the request's own resource.
    pub fn of_request(authorizer: &'a dyn Authorizer, question: Question) -> Authorization<'a> {
        Authorization { authorizer, stage: Stage::Resource, question: Arc::new(question), answer: None }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self.stage {
            Stage::Authorizer => "kubernetes.authorization.Authorizer",
            Stage::Path => "kubernetes.authorization.PathCheck",
            Stage::Group => "kubernetes.authorization.GroupCheck",
            Stage::Resource => "kubernetes.authorization.ResourceCheck",
            Stage::Decision => "kubernetes.authorization.Decision",
        }
    }

    pub(crate) fn equals(&self, other: &Authorization<'_>) -> bool {
        self.stage == other.stage && self.question == other.question
    }

    fn with(&self, stage: Stage, change: impl FnOnce(&mut Question)) -> Authorization<'a> {
        let mut question = (*self.question).clone();
        change(&mut question);
        Authorization { authorizer: self.authorizer, stage, question: Arc::new(question), answer: None }
    }

    /// One of the builder's functions; the checker has matched function and stage.
    pub(crate) fn step(&self, function: &str, arg: &str, second: &str) -> Result<Authorization<'a>, EvalError> {
        let text = arg.to_owned();
        Ok(match function {
            "path" if arg.trim().is_empty() => return Err(EvalError::new("path must not be empty")),
            "path" => self.with(Stage::Path, |q| q.path = Some(text)),
            "group" => self.with(Stage::Group, |q| q.group = text),
            "resource" if arg.trim().is_empty() => return Err(EvalError::new("resource must not be empty")),
            "resource" => self.with(Stage::Resource, |q| q.resource = text),
            "subresource" => self.with(Stage::Resource, |q| q.subresource = text),
            "namespace" => self.with(Stage::Resource, |q| q.namespace = text),
            "name" => self.with(Stage::Resource, |q| q.name = text),
            "fieldSelector" => self.with(Stage::Resource, |q| q.field_selector = Some(text)),
            "labelSelector" => self.with(Stage::Resource, |q| q.label_selector = Some(text)),
            "serviceAccount" if !is_subdomain(second) => return Err(EvalError::new("Invalid service account name")),
            "serviceAccount" if !is_label(arg) => return Err(EvalError::new("Invalid service account namespace")),
            "serviceAccount" => self.with(Stage::Authorizer, |q| q.service_account = Some((text, second.to_owned()))),
            _ => {
                let mut step = self.with(Stage::Decision, |q| q.verb = text);
                step.answer = Some(Arc::new(self.authorizer.authorize(&step.question)));
                step
            }
        })
    }

    pub(crate) fn answer(&self) -> Answer {
        self.answer.as_deref().cloned().unwrap_or_default()
    }
}

fn is_label(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63 && name.starts_with(plain) && name.ends_with(plain) && name.chars().all(|c| plain(c) || c == '-')
}

fn is_subdomain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 253 && name.split('.').all(|part| is_label(part) || part.len() > 63 && is_label(&part[..63]))
}
