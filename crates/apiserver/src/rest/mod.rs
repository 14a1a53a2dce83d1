//! What can be done with resources, the same code for every kind.

pub mod connect;
pub mod create;
pub mod delete;
pub mod list;
mod log_options;
pub mod partial;
pub mod patch;
mod proxy;
pub mod review;
pub mod scale;
pub mod selection;
pub mod subresource;
pub mod table;
pub mod token_request;
mod translate;
pub mod update;
pub mod watch;
mod websocket;

use std::sync::Arc;

use api::{ApiError, GroupResource};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::Value;
use store::Record;

use crate::admission::notes::Notes;
use crate::custom;
use api::request::Info;
use crate::object;
use api::query::Query;
use crate::registry::Served;
use crate::respond::{self, Accept, Body, Form, View};
use crate::server::Server;
use crate::user::User;

/// One authorized request for a resource, body read.
pub struct Call {
    pub server: Arc<Server>,
    pub user: User,
    pub method: Method,
    pub info: Info,
    pub query: Query,
    pub headers: HeaderMap,
    pub accept: Accept,
    pub served: Arc<Served>,
    pub body: Bytes,
    /// What admission says besides yes and no.
    pub notes: Arc<Notes>,
}

impl Call {
    pub fn resource(&self) -> GroupResource {
        self.served.resource.group_resource()
    }

    pub fn key(&self) -> String {
        object::key(self.namespace(), &self.info.name)
    }

    /// The namespace, for resources that have one.
    pub fn namespace(&self) -> &str {
        if self.served.resource.namespaced { &self.info.namespace } else { "" }
    }

    pub fn not_found(&self) -> ApiError {
        ApiError::not_found(&self.resource(), &self.info.name)
    }

    pub fn record(&self) -> Result<Arc<Record>, ApiError> {
        self.server.store.view().get(self.served.table, &self.key()).ok_or_else(|| self.not_found())
    }

    /// The record as the version of this call shows it.
    pub async fn found(&self) -> Result<Arc<Record>, ApiError> {
        self.seen_one(self.record()?).await
    }

    /// The object of a record, in the version asked for; one of a custom kind was [`Call::seen`] before.
    pub fn read(&self, record: &Record) -> Value {
        self.from_stored(object::parse(&record.value))
    }

    pub fn from_stored(&self, value: Value) -> Value {
        match self.served.resource.conversion {
            Some(conversion) => (conversion.from_stored)(value),
            None => value,
        }
    }

    pub fn dry_run(&self) -> Result<bool, ApiError> {
        let mut values = self.query.all("dryRun").filter(|v| !v.is_empty());
        match values.next() {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => {
                let error = api::FieldError::not_supported(&api::Path::new("dryRun"), serde_json::json!([other]), &["All"]);
                Err(ApiError::invalid("meta.k8s.io", &self.options_kind(), "", &[error]))
            }
        }
    }

    fn options_kind(&self) -> String {
        let kind = match self.info.verb {
            "create" => "CreateOptions",
            "update" => "UpdateOptions",
            "patch" => "PatchOptions",
            _ => "DeleteOptions",
        };
        kind.to_owned()
    }

    /// The record as the client wants it.
    pub fn respond(&self, code: StatusCode, record: &Arc<Record>) -> Response<Body> {
        if self.accept == Accept::default() && self.served.resource.conversion.is_none() {
            return respond::respond(code, respond::JSON, respond::full(record.value.clone()));
        }
        self.respond_value(code, self.read(record))
    }

    /// A value as the client wants it.
    pub fn respond_value(&self, code: StatusCode, value: Value) -> Response<Body> {
        match self.accept.view {
            View::Object => respond::encoded(code, &value, self.accept.form),
            View::Table => {
                let table = table::of_objects(self, &[value], "", true);
                respond::encoded(code, &table, table_form(self.accept.form))
            }
            View::Partial => respond::encoded(code, &partial::object(&value), self.accept.form),
        }
    }
}

/// The form of a table, which has none in protobuf.
fn table_form(form: Form) -> Form {
    if form == Form::Protobuf { Form::Json } else { form }
}

/// Serves a request for a resource.
pub async fn serve(call: Call) -> Result<Response<Body>, ApiError> {
    tell_of_its_end(&call);
    let changes_definitions = call.served.resource.table == custom::TABLE && !matches!(call.info.verb, "get" | "list" | "watch");
    let server = call.server.clone();
    let response = answer(call).await?;
    if changes_definitions {
        server.definitions.caught_up(&server.store).await;
    }
    Ok(response)
}

/// Whoever asks for what is deprecated is told so; it is counted and put on record.
// Upstream: apiserver `pkg/endpoints/metrics` (`MonitorRequest`), `pkg/endpoints/handlers/rest.go` (`AddWarningsHandler`).
fn tell_of_its_end(call: &Call) {
    let (resource, part) = (&call.served.resource, &call.info.subresource);
    let custom = resource.custom.iter().flat_map(|custom| custom.warnings.iter().map(String::as_str));
    let mut warnings = custom.chain(resource.deprecation).peekable();
    if warnings.peek().is_none() || !(part.is_empty() || resource.subresource(part).is_some()) {
        return;
    }
    warnings.for_each(|warning| call.notes.warn(warning));
    call.notes.annotate("k8s.io/deprecated", "true");
    call.server.metrics.asked_deprecated(resource, part);
}

async fn answer(call: Call) -> Result<Response<Body>, ApiError> {
    if let Some(custom) = &call.served.resource.custom
        && custom.terminating
        && call.info.verb == "create"
    {
        return Err(ApiError::not_allowed(&call.resource(), "create not allowed while custom resource definition is terminating"));
    }
    if !call.info.subresource.is_empty() {
        return subresource::serve(call).await;
    }
    let verbs = call.served.resource.verbs;
    // Upstream: while a definition goes, discovery leaves these out, but finalizers have to be taken off.
    let is_custom = call.served.resource.custom.is_some();
    match call.info.verb {
        "get" if verbs.get => get(&call).await,
        "list" if verbs.list => list::serve(&call).await,
        "watch" if verbs.watch => watch::serve(call).await,
        "create" if verbs.create => create::serve(&call).await,
        "update" if verbs.update || is_custom => update::serve(&call).await,
        "patch" if verbs.patch || is_custom => patch::serve(&call).await,
        "delete" if verbs.delete => delete::serve(&call).await,
        "deletecollection" if verbs.deletecollection => delete::collection(&call).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

async fn get(call: &Call) -> Result<Response<Body>, ApiError> {
    list::check_revision(call)?;
    let record = call.found().await?;
    Ok(call.respond(StatusCode::OK, &record))
}
