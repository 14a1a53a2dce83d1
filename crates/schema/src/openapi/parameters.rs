//! The query and path parameters of operations, told once and rendered in either dialect.

use serde_json::{Value, json};

use super::Dialect;

pub(super) struct Parameter {
    pub name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const fn p(name: &'static str, kind: &'static str, text: &'static str) -> Parameter {
    Parameter { name, kind, text }
}

pub(super) const PRETTY: Parameter = p("pretty", "string", "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget).");
const DRY_RUN: Parameter = p("dryRun", "string", "When present, indicates that modifications should not be persisted. An invalid or unrecognized dryRun directive will result in an error response and no further processing of the request. Valid values are: - All: all dry run stages will be processed");
const FIELD_MANAGER: Parameter = p("fieldManager", "string", "fieldManager is a name associated with the actor or entity that is making these changes. The value must be less than or 128 characters long, and only contain printable characters, as defined by https://golang.org/pkg/unicode/#IsPrint.");
const FIELD_VALIDATION: Parameter = p("fieldValidation", "string", "fieldValidation instructs the server on how to handle objects in the request (POST/PUT/PATCH) containing unknown or duplicate fields. Valid values are: - Ignore, - Warn (default), - Strict.");
const FORCE: Parameter = p("force", "boolean", "Force is going to \"force\" Apply requests. It means user will re-acquire conflicting fields owned by other people. Force flag must be unset for non-apply patch requests.");
const GRACE: Parameter = p("gracePeriodSeconds", "integer", "The duration in seconds before the object should be deleted. Value must be non-negative integer. The value zero indicates delete immediately. If this value is nil, the default grace period for the specified type will be used.");
const ORPHAN: Parameter = p("orphanDependents", "boolean", "Deprecated: please use the PropagationPolicy, this field will be deprecated in 1.7. Should the dependent objects be orphaned.");
const PROPAGATION: Parameter = p("propagationPolicy", "string", "Whether and how garbage collection will be performed. Acceptable values are: 'Orphan', 'Background', 'Foreground'.");

const UNREADABLE: Parameter = p("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", "Delete an object that can neither be decrypted nor decoded, without looking at its finalizers and preconditions. It can break a workload or the cluster.");
const BOOKMARKS: Parameter = p("allowWatchBookmarks", "boolean", "allowWatchBookmarks requests watch events with type \"BOOKMARK\".");
const CONTINUE: Parameter = p("continue", "string", "The continue option should be set when retrieving more results from the server.");
const FIELDS: Parameter = p("fieldSelector", "string", "A selector to restrict the list of returned objects by their fields. Defaults to everything.");
const LABELS: Parameter = p("labelSelector", "string", "A selector to restrict the list of returned objects by their labels. Defaults to everything.");
const LIMIT: Parameter = p("limit", "integer", "limit is a maximum number of responses to return for a list call.");
const REVISION: Parameter = p("resourceVersion", "string", "resourceVersion sets a constraint on what resource versions a request may be served from.");
const REVISION_MATCH: Parameter = p("resourceVersionMatch", "string", "resourceVersionMatch determines how resourceVersion is applied to list calls.");
const INITIAL: Parameter = p("sendInitialEvents", "boolean", "`sendInitialEvents=true` may be set together with `watch=true`.");
const TIMEOUT: Parameter = p("timeoutSeconds", "integer", "Timeout for the list/watch call. This limits the duration of the call, regardless of any activity or inactivity.");
const WATCH: Parameter = p("watch", "boolean", "Watch for changes to the described resources and return them as a stream of add, update, and remove notifications.");

pub(super) const LIST: [Parameter; 10] = [BOOKMARKS, CONTINUE, FIELDS, LABELS, LIMIT, REVISION, REVISION_MATCH, INITIAL, TIMEOUT, WATCH];
pub(super) const WRITE: [Parameter; 3] = [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];
pub(super) const PATCH: [Parameter; 4] = [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];
pub(super) const DELETE: [Parameter; 5] = [DRY_RUN, GRACE, UNREADABLE, ORPHAN, PROPAGATION];
/// Upstream: a collection is chosen as a list is, and not watched.
pub(super) const DELETE_COLLECTION: [Parameter; 13] =
    [CONTINUE, DRY_RUN, FIELDS, GRACE, UNREADABLE, LABELS, LIMIT, ORPHAN, PROPAGATION, REVISION, REVISION_MATCH, INITIAL, TIMEOUT];

impl Parameter {
    pub fn render(&self, dialect: Dialect) -> Value {
        render(self.name, "query", self.kind, self.text, dialect)
    }
}

pub(super) fn of_path(name: &str, text: &str, dialect: Dialect) -> Value {
    render(name, "path", "string", text, dialect)
}

pub(super) fn of_query(name: &str, kind: &str, text: &str, dialect: Dialect) -> Value {
    render(name, "query", kind, text, dialect)
}

fn render(name: &str, place: &str, kind: &str, text: &str, dialect: Dialect) -> Value {
    let mut out = json!({ "name": name, "in": place, "description": text });
    if place == "path" {
        out["required"] = true.into();
    }
    if dialect == Dialect::V2 {
        out["type"] = kind.into();
    } else {
        out["schema"] = json!({ "type": kind });
    }
    out["uniqueItems"] = true.into();
    if dialect == Dialect::V3
        && let Some(map) = out.as_object_mut()
        && let Some(unique) = map.remove("uniqueItems")
    {
        map["schema"]["uniqueItems"] = unique;
    }
    out
}
