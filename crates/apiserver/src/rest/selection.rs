//! Which objects a list or watch is about.

use api::ApiError;
use api::selector::{FieldSelector, LabelSelector};
use catalog::custom::Custom;
use catalog::custom::kind::Strategy;
use store::Record;

use super::Call;
use crate::object;
use crate::registry::Served;

/// Selectors of one request, made ready for matching.
pub struct Selection {
    labels: LabelSelector,
    fields: Vec<(usize, bool, String)>,
    /// Fields that a definition made selectable, read from the object itself: definitions change, indexes do not.
    own: Vec<(String, bool, String)>,
    /// Beginning of the keys that can match.
    pub prefix: String,
}

impl Selection {
    pub fn of(call: &Call) -> Result<Self, ApiError> {
        let labels = LabelSelector::parse(call.query.get("labelSelector")).map_err(|why| ApiError::bad_request(format!("unable to parse requirement: {why}")))?;
        let selector = FieldSelector::parse(call.query.get("fieldSelector")).map_err(ApiError::bad_request)?;
        let (mut fields, mut own) = (Vec::new(), Vec::new());
        for (path, equal, value) in selector.0 {
            let resource = &call.served.resource;
            if resource.custom.as_ref().is_some_and(|c| c.selectable.contains(&path)) {
                own.push((path, equal, value));
                continue;
            }
            let Some(position) = object::field_position(resource, &path) else {
                return Err(ApiError::bad_request(format!("field label not supported: {path}")));
            };
            fields.push((position, equal, value));
        }
        let mut prefix = match call.namespace() {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        };
        if !call.info.name.is_empty() {
            // A single object named by path or selector: its key is the only one that can match, checked by its name.
            fields.push((0, true, call.info.name.clone()));
            if !prefix.is_empty() || !call.served.resource.namespaced {
                prefix.push_str(&call.info.name);
            }
        }
        Ok(Self { labels, fields, own, prefix })
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_empty() && self.own.is_empty()
    }

    /// Whether fields are asked for that a webhook may put elsewhere in this version.
    pub fn needs_conversion(&self, call: &Call) -> bool {
        let by_webhook = call.served.resource.custom.as_ref().is_some_and(|c| c.strategy != Strategy::None);
        by_webhook && !self.own.is_empty()
    }

    pub fn matches(&self, served: &Served, record: &Record) -> bool {
        if !record.key.starts_with(&self.prefix) {
            return false;
        }
        if self.is_everything() {
            return true;
        }
        let index = record.index(|bytes| object::index(&served.stored, &object::parse(bytes)));
        if !self.own.is_empty() {
            let object = object::parse(&record.value);
            if !self.own.iter().all(|(path, equal, value)| (Custom::field(&object, path) == *value) == *equal) {
                return false;
            }
        }
        self.fields.iter().all(|(at, equal, value)| (index.fields.get(*at).is_some_and(|f| **f == **value)) == *equal) && self.labels.matches(|key| index.label(key))
    }
}
