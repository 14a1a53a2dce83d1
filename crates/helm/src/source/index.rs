//! The index of a repository: which charts it has, at which versions.
// Upstream: helm pkg/repo/v1/index.go.

use std::collections::BTreeMap;

use charts::Metadata;
use charts::version::{Range, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::{Failure, Outcome};

/// One version of a chart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    #[serde(flatten)]
    pub metadata: Metadata,
    #[serde(deserialize_with = "list")]
    pub urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

fn list<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(d)?.unwrap_or_default())
}

#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Newest versions first.
    pub entries: BTreeMap<String, Vec<Entry>>,
}

impl Index {
    /// Reads an index; entries that are no charts are left out.
    pub fn parse(text: &[u8]) -> Outcome<Index> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(Failure::new("empty index.yaml file"));
        }
        let text = String::from_utf8_lossy(text);
        let value = goyaml::from_yaml(&text).map_err(|e| Failure::new(format!("error converting YAML to JSON: {e}")))?;
        if value["apiVersion"].as_str().unwrap_or_default().is_empty() {
            return Err(Failure::new("no API version specified"));
        }
        let mut entries: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for (name, versions) in value["entries"].as_object().into_iter().flatten() {
            let read = |v: &Value| serde_json::from_value::<Entry>(v.clone()).ok().filter(|e| Version::parse(&e.metadata.version).is_some());
            let list = versions.as_array().into_iter().flatten().filter_map(read).collect();
            entries.insert(name.clone(), list);
        }
        let mut index = Index { entries };
        index.sort();
        Ok(index)
    }

    pub fn sort(&mut self) {
        for versions in self.entries.values_mut() {
            versions.sort_by_key(|e| std::cmp::Reverse(Version::parse(&e.metadata.version)));
        }
    }

    /// The newest version in a range; without one, the newest that is released.
    pub fn get(&self, name: &str, range: &str) -> Outcome<&Entry> {
        let versions = self.entries.get(name).ok_or_else(|| Failure::new("no chart name found"))?;
        let found = if range.is_empty() {
            let any = Range::parse("*").ok_or_else(|| Failure::new("no chart version found"))?;
            versions.iter().find(|e| Version::parse(&e.metadata.version).is_some_and(|v| any.contains(&v)))
        } else {
            let exact = versions.iter().find(|e| e.metadata.version == range);
            let range = Range::parse(range).ok_or_else(|| Failure::new(format!("improper constraint: {range:?}")))?;
            exact.or_else(|| versions.iter().find(|e| Version::parse(&e.metadata.version).is_some_and(|v| range.contains(&v))))
        };
        found.ok_or_else(|| Failure::new(format!("no chart version found for {name}-{range}")))
    }

    /// As a file: sorted, with the time it was made.
    pub fn to_value(&self) -> Value {
        serde_json::json!({
            "apiVersion": "v1",
            "entries": serde_json::to_value(&self.entries).unwrap_or_default(),
            "generated": crate::output::now(),
        })
    }
}
