//! A chart in memory: what Chart.yaml says, its templates, values and files, and the charts that it holds.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Where values of parents reach all charts below.
pub const GLOBAL_KEY: &str = "global";

/// A file of a chart; the name is relative to the chart and has `/` between its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub data: Vec<u8>,
}

impl File {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// A chart and the charts below it.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    pub metadata: Metadata,
    /// Whether Chart.yaml has a list of dependencies, an empty one too: without one the charts below are taken as they are.
    pub lists_dependencies: bool,
    pub lock: Option<Lock>,
    /// Numbers are floating point, as Go reads them into `interface{}`.
    pub values: Map<String, Value>,
    pub schema: Option<Vec<u8>>,
    pub templates: Vec<File>,
    /// All that is neither template, values, schema, lock, Chart.yaml nor a chart below.
    pub files: Vec<File>,
    /// The files as they were found, those of charts below included.
    pub raw: Vec<File>,
    pub dependencies: Vec<Chart>,
}

impl Chart {
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether the chart only lends its templates to others.
    pub fn is_library(&self) -> bool {
        self.metadata.kind == "library"
    }

    /// The text of values.yaml, as it stands in the file.
    pub fn values_text(&self) -> Option<String> {
        self.raw.iter().find(|f| f.name == "values.yaml").map(File::text)
    }

    /// The custom resource definitions of this chart and those below: (full name of the file, file).
    // Upstream: helm pkg/chart/v2/chart.go CRDObjects: those of the chart, then of its dependencies in order.
    pub fn crds(&self) -> Vec<(String, &File)> {
        self.crds_below("")
    }

    fn crds_below(&self, parent: &str) -> Vec<(String, &File)> {
        let full = format!("{parent}{}", self.name());
        let is_manifest = |name: &str| [".yaml", ".yml", ".json"].iter().any(|ext| name.ends_with(ext));
        let own = self.files.iter().filter(|f| f.name.starts_with("crds/") && is_manifest(&f.name));
        let mut out: Vec<(String, &File)> = own.map(|f| (format!("{full}/{}", f.name), f)).collect();
        for below in &self.dependencies {
            out.extend(below.crds_below(&format!("{full}/charts/")));
        }
        out
    }
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

fn is_false(b: &bool) -> bool {
    !*b
}

/// Chart.yaml.
// Upstream: helm pkg/chart/v2/metadata.go; the order is that of the fields there, which release records show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub home: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub sources: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub version: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub description: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub keywords: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub maintainers: Vec<Maintainer>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub icon: String,
    #[serde(rename = "apiVersion", skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub condition: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub tags: String,
    #[serde(rename = "appVersion", skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub app_version: String,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub deprecated: bool,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: std::collections::BTreeMap<String, String>,
    #[serde(rename = "kubeVersion", skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub kube_version: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub dependencies: Vec<Dependency>,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub kind: String,
}

/// Who cares for a chart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Maintainer {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub email: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub url: String,
}

/// A chart that another needs.
// Upstream: helm pkg/chart/v2/dependency.go. The repository is written even when empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    #[serde(deserialize_with = "null_is_default")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub version: String,
    #[serde(deserialize_with = "null_is_default")]
    pub repository: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub condition: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub enabled: bool,
    #[serde(rename = "import-values", skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub import_values: Vec<Value>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub alias: String,
}

/// Chart.lock: the versions that the dependencies were resolved to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lock {
    #[serde(deserialize_with = "null_is_default")]
    pub generated: String,
    #[serde(deserialize_with = "null_is_default")]
    pub digest: String,
    #[serde(deserialize_with = "null_is_default")]
    pub dependencies: Vec<Dependency>,
}

impl Metadata {
    /// What is wrong with the metadata, the first thing only.
    // Upstream: helm pkg/chart/v2/metadata.go Validate.
    pub fn validate(&self) -> Result<(), String> {
        let fail = |text: String| Err(format!("validation: {text}"));
        if self.api_version.is_empty() {
            return fail("chart.metadata.apiVersion is required".into());
        }
        if self.name.is_empty() {
            return fail("chart.metadata.name is required".into());
        }
        if self.name.rsplit('/').next() != Some(self.name.as_str()) || self.name == "." || self.name == ".." {
            return fail(format!("chart.metadata.name {:?} is invalid", self.name));
        }
        if self.version.is_empty() {
            return fail("chart.metadata.version is required".into());
        }
        if crate::version::Version::parse(&self.version).is_none() {
            return fail(format!("chart.metadata.version {:?} is invalid", self.version));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return fail("chart.metadata.type must be application or library".into());
        }
        self.validate_dependencies().or_else(fail)
    }

    fn validate_dependencies(&self) -> Result<(), String> {
        let mut seen = std::collections::BTreeSet::new();
        for dependency in &self.dependencies {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !dependency.alias.chars().all(good) {
                return Err(format!("dependency {:?} has disallowed characters in the alias", dependency.name));
            }
            let key = if dependency.alias.is_empty() { &dependency.name } else { &dependency.alias };
            if !seen.insert(key) {
                return Err(format!("more than one dependency with name or alias {key:?}"));
            }
        }
        Ok(())
    }
}
