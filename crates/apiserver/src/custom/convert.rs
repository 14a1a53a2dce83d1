//! Stored objects of a custom kind as the version asked for shows them, and back to the version that is stored.
//!
//! What was written under the schema in force and in the version asked for is its own bytes: nothing is read. All else is
//! converted, pruned and defaulted, as upstream does when it reads from storage.

use std::sync::Arc;

use api::ApiError;
use catalog::custom::kind::Strategy;
use serde_json::Value;
use store::Record;

use super::webhook;
use crate::object;
use crate::rest::Call;

impl Call {
    /// Records as the version of this call shows them. Those of built-in kinds are what they are.
    pub async fn seen(&self, mut records: Vec<Arc<Record>>) -> Result<Vec<Arc<Record>>, ApiError> {
        let Some(custom) = self.served.resource.custom.clone() else { return Ok(records) };
        let (mut places, mut objects) = (Vec::new(), Vec::new());
        for (at, record) in records.iter().enumerate().filter(|(_, r)| !self.is_fresh(r)) {
            places.push(at);
            objects.push(object::parse(&record.value));
        }
        if places.is_empty() {
            return Ok(records);
        }
        let converted = self.converted(objects, &self.served.resource.version).await?;
        for (at, mut object) in places.into_iter().zip(converted) {
            // What was stored fitted its type when it was written.
            if let Err(why) = custom.conform(&mut object) {
                tracing::warn!(why, key = &*records[at].key, "a stored object no longer fits its type");
            }
            custom.default(&mut object);
            let record = &records[at];
            records[at] = Arc::new(Record::dry(record.key.clone(), &object::encode_custom(&object), record.revision));
        }
        Ok(records)
    }

    pub async fn seen_one(&self, record: Arc<Record>) -> Result<Arc<Record>, ApiError> {
        if self.is_fresh(&record) {
            return Ok(record);
        }
        let mut records = self.seen(vec![record]).await?;
        records.pop().ok_or_else(|| ApiError::internal("a conversion lost its object"))
    }

    /// Whether the bytes of a record are just what this version shows.
    fn is_fresh(&self, record: &Record) -> bool {
        let served = &self.served;
        served.resource.custom.is_none() || (record.revision > served.since && served.resource.version == served.resource.stored_version)
    }

    /// An object in the version that is stored.
    pub async fn to_stored_version(&self, object: Value) -> Result<Value, ApiError> {
        let Some(custom) = self.served.stored.custom.clone() else { return Ok(object) };
        if self.served.resource.version == self.served.stored.version {
            return Ok(object);
        }
        let mut converted = self.converted(vec![object], &self.served.stored.version).await?;
        let mut object = converted.pop().ok_or_else(|| ApiError::internal("a conversion lost its object"))?;
        custom.conform(&mut object).map_err(ApiError::internal)?;
        Ok(object)
    }

    /// Whether what is stored is what storing the object would write. Upstream: an update that changes nothing moves an object
    /// to the version and schema in force.
    pub async fn is_stored_as(&self, record: &Record, object: &Value) -> Result<bool, ApiError> {
        if self.served.resource.custom.is_none() || record.revision > self.served.since {
            return Ok(true);
        }
        let stored = self.record()?;
        Ok(stored.revision == record.revision && self.to_stored_version(object.clone()).await? == object::parse(&stored.value))
    }

    /// Objects at another version, by the definition's strategy.
    pub async fn converted(&self, mut objects: Vec<Value>, version: &str) -> Result<Vec<Value>, ApiError> {
        let resource = &self.served.resource;
        let wanted = api::resource::api_version(&resource.group, version);
        let strategy = resource.custom.as_ref().map(|c| c.strategy.clone()).unwrap_or(Strategy::None);
        let others: Vec<usize> = (0..objects.len()).filter(|at| objects[*at]["apiVersion"] != wanted.as_str()).collect();
        if others.is_empty() {
            return Ok(objects);
        }
        match strategy {
            Strategy::None => others.into_iter().for_each(|at| objects[at]["apiVersion"] = wanted.clone().into()),
            Strategy::Webhook(hook) => {
                let given = others.iter().map(|at| std::mem::take(&mut objects[*at])).collect();
                let converted = webhook::convert(&self.server, &hook, given, &wanted).await?;
                others.into_iter().zip(converted).for_each(|(at, object)| objects[at] = object);
            }
        }
        Ok(objects)
    }
}
