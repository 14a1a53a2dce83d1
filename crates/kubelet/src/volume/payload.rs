//! What files a configMap, secret, downwardAPI or projected volume holds. Upstream: pkg/volume/{configmap,secret,downwardapi,projected}.
//!
//! Pure: objects and tokens come in. Keeps true: a key that is asked for and missing fails the mount unless it is optional.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret};

use crate::make::env::metadata_field;
use crate::make::resources::resource_field;

pub const DEFAULT_MODE: u32 = 0o644;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    pub data: Vec<u8>,
    pub mode: u32,
    pub user: Option<u32>,
}

/// Files by relative path.
pub type Payload = BTreeMap<String, FileContent>;

pub fn mode(value: Option<i32>, otherwise: u32) -> u32 {
    value.and_then(|m| u32::try_from(m).ok()).map_or(otherwise, |m| m & 0o7777)
}

pub fn user(value: Option<i64>) -> Option<u32> {
    value.and_then(|u| u32::try_from(u).ok())
}

/// All keys, or the chosen ones under their paths.
pub fn from_keys(data: &BTreeMap<String, Vec<u8>>, items: Option<&[KeyToPath]>, default_mode: u32, default_user: Option<u32>, optional: bool, kind: &str, out: &mut Payload) -> Result<(), String> {
    let Some(items) = items.filter(|i| !i.is_empty()) else {
        for (key, value) in data {
            insert(out, key, value.clone(), default_mode, default_user)?;
        }
        return Ok(());
    };
    for item in items {
        match data.get(&item.key) {
            Some(value) => insert(out, &item.path, value.clone(), mode(item.mode, default_mode), user(item.user).or(default_user))?,
            None if optional => {}
            None if kind == "configmap" => return Err(format!("configmap references non-existent config key: {}", item.key)),
            None => return Err(format!("references non-existent secret key: {}", item.key)),
        }
    }
    Ok(())
}

pub fn insert(out: &mut Payload, path: &str, data: Vec<u8>, mode: u32, user: Option<u32>) -> Result<(), String> {
    let ok = !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| !part.is_empty() && part != ".." && part != ".") && !path.starts_with("..") && path.len() <= 4096;
    if !ok {
        return Err(format!("invalid path: must be relative and without '..': {path}"));
    }
    out.insert(path.to_owned(), FileContent { data, mode, user });
    Ok(())
}

pub fn config_map_data(map: &ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map.data.iter().flatten().map(|(k, v)| (k.clone(), v.clone().into_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone()));
    text.chain(binary).collect()
}

pub fn secret_data(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone())).collect()
}

pub fn from_downward(pod: &Pod, items: &[DownwardAPIVolumeFile], default_mode: u32, default_user: Option<u32>, allocatable: &dyn Fn(&str) -> Option<quantity::Quantity>, out: &mut Payload) -> Result<(), String> {
    for item in items {
        let value = if let Some(field) = &item.field_ref {
            metadata_field(pod, &field.field_path)?
        } else if let Some(field) = &item.resource_field_ref {
            let name = field.container_name.as_deref().unwrap_or_default();
            let container = pod_lifecycle::find_container(pod, name).ok_or_else(|| format!("container {name} not found"))?;
            resource_field(pod, &container.container, field, allocatable)?
        } else {
            continue;
        };
        insert(out, &item.path, value.into_bytes(), mode(item.mode, default_mode), user(item.user).or(default_user))?;
    }
    Ok(())
}
