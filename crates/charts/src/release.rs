//! A release: a chart installed under a name, at one revision.
// Upstream: helm pkg/release/v1/release.go, info.go, hook.go.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chart::{Chart, File, Lock, Metadata};

/// How a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    #[default]
    Unknown,
    Deployed,
    Uninstalled,
    Superseded,
    Failed,
    Uninstalling,
    PendingInstall,
    PendingUpgrade,
    PendingRollback,
}

impl Status {
    const NAMES: [(Status, &'static str); 9] = [
        (Status::Unknown, "unknown"),
        (Status::Deployed, "deployed"),
        (Status::Uninstalled, "uninstalled"),
        (Status::Superseded, "superseded"),
        (Status::Failed, "failed"),
        (Status::Uninstalling, "uninstalling"),
        (Status::PendingInstall, "pending-install"),
        (Status::PendingUpgrade, "pending-upgrade"),
        (Status::PendingRollback, "pending-rollback"),
    ];

    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(s, _)| *s == self).map_or("unknown", |(_, name)| name)
    }

    pub fn parse(text: &str) -> Status {
        Self::NAMES.iter().find(|(_, name)| *name == text).map_or(Status::Unknown, |(s, _)| *s)
    }

    /// Whether an operation is at work, or was when it was interrupted.
    pub fn is_pending(self) -> bool {
        matches!(self, Status::PendingInstall | Status::PendingUpgrade | Status::PendingRollback)
    }
}

/// When and how a release came to be. Times are texts of RFC 3339.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Info {
    pub first_deployed: String,
    pub last_deployed: String,
    pub deleted: String,
    pub description: String,
    pub status: Status,
    pub notes: String,
    pub rollback_revision: u64,
}

/// A manifest that runs at an event and is no part of the release's manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manifest: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    pub last_run: LastRun,
    #[serde(skip_serializing_if = "is_zero")]
    pub weight: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delete_policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_log_policies: Vec<String>,
}

fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// How a hook's last run went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastRun {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub started_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub completed_at: String,
    /// `Unknown`, `Running`, `Succeeded`, `Failed`, or nothing.
    pub phase: String,
}

impl Hook {
    pub fn is_for(&self, event: &str) -> bool {
        self.events.iter().any(|e| e == event)
    }
}

/// A chart installed under a name, at one revision.
#[derive(Debug, Clone, Default)]
pub struct Release {
    pub name: String,
    pub namespace: String,
    pub revision: u64,
    pub info: Info,
    /// Without the charts below, which records do not keep.
    pub chart: Chart,
    /// What the user gave.
    pub config: Map<String, Value>,
    pub manifest: String,
    pub hooks: Vec<Hook>,
    /// Labels of the user; they stand beside the record, not in it.
    pub labels: std::collections::BTreeMap<String, String>,
    /// `ssa` or `csa`: how the objects were applied last; nothing in records of older versions.
    pub apply_method: String,
}

impl Release {
    /// The release as JSON, as upstream's `json.Marshal` gives it.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        put_text(&mut out, "name", &self.name);
        out.insert("info".into(), info_value(&self.info));
        out.insert("chart".into(), chart_value(&self.chart));
        if !self.config.is_empty() {
            out.insert("config".into(), Value::Object(self.config.clone()));
        }
        put_text(&mut out, "manifest", &self.manifest);
        if !self.hooks.is_empty() {
            out.insert("hooks".into(), serde_json::to_value(&self.hooks).unwrap_or_default());
        }
        if self.revision > 0 {
            out.insert("version".into(), self.revision.into());
        }
        put_text(&mut out, "namespace", &self.namespace);
        put_text(&mut out, "apply_method", &self.apply_method);
        Value::Object(out)
    }

    /// Reads what [`Release::to_value`], or upstream, wrote.
    pub fn from_value(value: Value) -> Result<Release, String> {
        let Value::Object(mut map) = value else { return Err("a release must be a JSON object".into()) };
        let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        Ok(Release {
            name: text(&map, "name"),
            namespace: text(&map, "namespace"),
            revision: map.get("version").and_then(Value::as_u64).unwrap_or_default(),
            info: map.get("info").and_then(Value::as_object).map(read_info).unwrap_or_default(),
            manifest: text(&map, "manifest"),
            apply_method: text(&map, "apply_method"),
            chart: match map.remove("chart") {
                Some(Value::Object(chart)) => read_chart(chart)?,
                _ => Chart::default(),
            },
            config: match map.remove("config").map(crate::values::as_floats) {
                Some(Value::Object(config)) => config,
                _ => Map::new(),
            },
            hooks: match map.remove("hooks") {
                None | Some(Value::Null) => Vec::new(),
                Some(hooks) => read_hooks(hooks)?,
            },
            labels: Default::default(),
        })
    }
}

fn put_text(out: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        out.insert(key.into(), Value::String(text.into()));
    }
}

fn info_value(info: &Info) -> Value {
    let mut out = Map::new();
    put_text(&mut out, "first_deployed", &info.first_deployed);
    put_text(&mut out, "last_deployed", &info.last_deployed);
    put_text(&mut out, "deleted", &info.deleted);
    put_text(&mut out, "description", &info.description);
    put_text(&mut out, "status", info.status.as_str());
    if info.rollback_revision > 0 {
        out.insert("rollback_revision".into(), info.rollback_revision.into());
    }
    put_text(&mut out, "notes", &info.notes);
    Value::Object(out)
}

fn read_info(map: &Map<String, Value>) -> Info {
    let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    Info {
        first_deployed: text("first_deployed"),
        last_deployed: text("last_deployed"),
        deleted: text("deleted"),
        description: text("description"),
        status: Status::parse(&text("status")),
        notes: text("notes"),
        rollback_revision: map.get("rollback_revision").and_then(Value::as_u64).unwrap_or_default(),
    }
}

fn read_hooks(mut hooks: Value) -> Result<Vec<Hook>, String> {
    // Upstream writes null for lists that are empty.
    for hook in hooks.as_array_mut().into_iter().flatten() {
        if let Some(map) = hook.as_object_mut() {
            map.retain(|_, v| !v.is_null());
        }
    }
    serde_json::from_value(hooks).map_err(|e| format!("hooks of a release: {e}"))
}

/// A chart as records keep it.
// Upstream: the JSON of pkg/chart/v2/chart.go, whose charts below are no exported field.
fn chart_value(chart: &Chart) -> Value {
    let file = |f: &File| serde_json::json!({ "name": f.name, "data": base64_of(&f.data) });
    let files = |list: &[File]| if list.is_empty() { Value::Null } else { Value::Array(list.iter().map(file).collect()) };
    serde_json::json!({
        "metadata": serde_json::to_value(&chart.metadata).unwrap_or_default(),
        "lock": serde_json::to_value(&chart.lock).unwrap_or_default(),
        "templates": files(&chart.templates),
        "values": Value::Object(chart.values.clone()),
        "schema": chart.schema.as_ref().map(|s| base64_of(s)),
        "files": files(&chart.files),
    })
}

fn base64_of(data: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(data)
}

fn read_chart(mut map: Map<String, Value>) -> Result<Chart, String> {
    use base64::Engine as _;
    let bytes = |value: &Value| match value.as_str() {
        Some(text) => base64::engine::general_purpose::STANDARD.decode(text).map(Some).map_err(|e| format!("a file of a release's chart: {e}")),
        None => Ok(None),
    };
    let files = |list: Option<&Value>| -> Result<Vec<File>, String> {
        let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let one = |f: &Value| Ok(File { name: f["name"].as_str().unwrap_or_default().to_string(), data: bytes(&f["data"])?.unwrap_or_default() });
        list.iter().map(one).collect()
    };
    let wrong = |what: &str, e: serde_json::Error| format!("{what} of a release's chart: {e}");
    Ok(Chart {
        templates: files(map.get("templates"))?,
        files: files(map.get("files"))?,
        schema: map.get("schema").map(bytes).transpose()?.flatten(),
        metadata: match map.remove("metadata") {
            None | Some(Value::Null) => Metadata::default(),
            Some(m) => serde_json::from_value(m).map_err(|e| wrong("the metadata", e))?,
        },
        lock: match map.remove("lock") {
            None | Some(Value::Null) => None,
            Some(l) => Some(serde_json::from_value::<Lock>(l).map_err(|e| wrong("the lock", e))?),
        },
        values: match map.remove("values").map(crate::values::as_floats) {
            Some(Value::Object(values)) => values,
            _ => Map::new(),
        },
        ..Chart::default()
    })
}
