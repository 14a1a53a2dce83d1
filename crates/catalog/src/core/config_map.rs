//! ConfigMaps.

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "ConfigMap", "configmaps", true).short(&["cm"]).rules(|rules| rules.validate = super::config_data::config_map).columns(columns(&["Name", "Data", "Age"]), |object, now| {
        let count = ["data", "binaryData"].iter().filter_map(|key| walk::map(object, key)).map(serde_json::Map::len).sum::<usize>();
        vec![name(object), count.into(), age(object, now)]
    })
}
