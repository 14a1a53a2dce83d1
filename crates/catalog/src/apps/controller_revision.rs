//! ControllerRevisions.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::check;
use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("apps", "v1", "ControllerRevision", "controllerrevisions", true).rules(|rules| rules.validate = validate).columns(columns(&["Name", "Controller", "Revision#", "Age"]), |object, now| {
        let owner = walk::list(object, "metadata.ownerReferences").iter().find(|o| walk::flag(o, "controller"));
        let controller = owner.map_or("<none>".to_owned(), |o| {
            let (group, _) = api::resource::split_api_version(walk::text(o, "apiVersion"));
            let kind = walk::text(o, "kind").to_lowercase();
            if group.is_empty() { format!("{kind}/{}", walk::text(o, "name")) } else { format!("{kind}.{group}/{}", walk::text(o, "name")) }
        });
        vec![name(object), controller.into(), walk::int(object, "revision").into(), age(object, now)]
    })
}

/// Upstream: `ValidateControllerRevision` in `pkg/apis/apps/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (data, path) = (walk::at(object, "data"), Path::new("data"));
    match data {
        Value::Null => errors.push(FieldError::required(&path, "data is mandatory")),
        Value::Object(_) => {}
        _ => errors.push(FieldError::invalid(&path, data.clone(), "must be a valid JSON object")),
    }
    let revision = walk::int(object, "revision");
    if revision < 0 {
        errors.push(FieldError::invalid(&Path::new("revision"), revision, check::NEGATIVE));
    }
    if let Some(old) = old {
        check::immutable(&mut errors, &path, data, walk::at(old, "data"));
    }
    errors
}
