//! A request as expressions see it, and who answers their questions about rights.

use api::ApiError;
use cel::{Answer, Authorizer, Question};
use policy::matching::Form;
use policy::review;
use policy::scope::Inputs;
use serde_json::Value;

use super::attributes::Attributes;
use super::versions;
use crate::auth::authorize::{self, Decision};
use crate::registry::Served;
use crate::server::Server;
use crate::user::User;

/// Answers what expressions ask about rights, of the requester or of a service account.
pub struct Rights<'a> {
    server: &'a Server,
    user: &'a User,
}

impl Authorizer for Rights<'_> {
    fn authorize(&self, question: &Question) -> Answer {
        let account = question.service_account.as_ref().map(|(namespace, name)| {
            let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
            User::new(format!("system:serviceaccount:{namespace}:{name}"), &groups.each_ref().map(String::as_str))
        });
        let attributes = authorize::Attributes {
            is_resource: question.path.is_none(),
            path: question.path.clone().unwrap_or_default(),
            verb: question.verb.clone(),
            group: question.group.clone(),
            // Upstream: whatever the version.
            version: "*".into(),
            resource: question.resource.clone(),
            subresource: question.subresource.clone(),
            namespace: question.namespace.clone(),
            name: question.name.clone(),
            ..authorize::Attributes::default()
        };
        match self.server.authorizer.decide_now(&self.server.store, account.as_ref().unwrap_or(self.user), &attributes) {
            Decision::Allow(reason) => Answer { allowed: true, reason, error: None },
            Decision::Deny(reason) => Answer { allowed: false, reason, error: None },
            Decision::Failed { reason, error } => Answer { allowed: false, reason, error: Some(error) },
        }
    }
}

/// Everything of a request in the form that somebody asked for.
pub struct Shown<'a> {
    pub object: Value,
    pub old: Value,
    pub request: Value,
    rights: Rights<'a>,
    question: Question,
}

impl<'a> Shown<'a> {
    pub async fn of(attributes: &Attributes<'a>, form: &Form, served: &Served) -> Result<Self, ApiError> {
        let call = attributes.call;
        let subject = &attributes.subject;
        let question = Question {
            group: subject.group.clone(),
            resource: subject.resource.clone(),
            subresource: subject.subresource.clone(),
            namespace: subject.namespace.clone(),
            name: subject.name.clone(),
            ..Question::default()
        };
        let mut review = attributes.question("v1", "", form, served, (&Value::Null, &Value::Null));
        let mut request = review["request"].take();
        if let Some(map) = request.as_object_mut() {
            for key in ["uid", "object", "oldObject"] {
                map.remove(key);
            }
        }
        let rights = Rights { server: &call.server, user: &call.user };
        let object = versions::convert_some(call, attributes.object.as_ref(), served).await?;
        let old = versions::convert_some(call, attributes.old.as_ref(), served).await?;
        Ok(Self { object, old, request, rights, question })
    }

    pub fn inputs<'b>(&'b self, namespace: &'b Value, params: &'b Value) -> Inputs<'b> {
        Inputs { object: &self.object, old: &self.old, request: &self.request, namespace, params, authorizer: &self.rights, resource: &self.question }
    }
}

impl Attributes<'_> {
    /// The review that asks about this request.
    pub fn question(&self, version: &str, uid: &str, form: &Form, served: &Served, (object, old): (&Value, &Value)) -> Value {
        let form_kind = versions::kind_in(served, &self.call.info.subresource, &self.kind, self.subject.operation == "CONNECT");
        let question = review::Question {
            uid,
            subject: &self.subject,
            kind: &self.kind,
            form,
            form_kind: &form_kind,
            user: &self.user,
            object,
            old,
            options: &self.options,
            dry_run: self.dry_run,
        };
        review::question(version, &question)
    }
}
