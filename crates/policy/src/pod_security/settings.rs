//! The plug-in's configuration: what holds where a namespace says nothing, and for whom nothing holds.

use std::collections::BTreeMap;

use catalog::walk;
use serde::Deserialize;
use serde_json::Value;

use super::levels::{LEVELS, Level, MODES, Version};

/// What holds where a namespace says nothing, and for whom nothing holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub defaults: BTreeMap<String, String>,
    pub exemptions: Exemptions,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Exemptions {
    pub usernames: Vec<String>,
    pub namespaces: Vec<String>,
    pub runtime_classes: Vec<String>,
}

impl Settings {
    /// Reads the plug-in's configuration. Upstream: `k8s.io/pod-security-admission/admission/api`.
    pub fn read(configuration: &Value) -> Result<Self, String> {
        let version = walk::text(configuration, "apiVersion").strip_prefix("pod-security.admission.config.k8s.io/").unwrap_or_default();
        if !matches!(version, "v1" | "v1beta1" | "v1alpha1") || configuration["kind"] != "PodSecurityConfiguration" {
            return Err("wanted a PodSecurityConfiguration of pod-security.admission.config.k8s.io/v1".into());
        }
        let mut plain = configuration.clone();
        if let Some(map) = plain.as_object_mut() {
            map.retain(|key, _| !matches!(key.as_str(), "apiVersion" | "kind"));
        }
        let settings: Self = serde_json::from_value(plain).map_err(|e| e.to_string())?;
        for (key, value) in &settings.defaults {
            let mode = key.strip_suffix("-version").unwrap_or(key);
            let fits = if key == mode { Level::parse(value).is_some() } else { Version::parse(value).is_some() };
            if !MODES.contains(&mode) || !fits {
                return Err(format!("defaults.{key}: Invalid value: {value:?}: levels are {LEVELS}, versions latest or like v1.30"));
            }
        }
        Ok(settings)
    }
}
