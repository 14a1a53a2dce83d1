//! Environment of a container: services, envFrom, env. Upstream: pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables; pkg/kubelet/envvars.
//!
//! Never waits: the referenced objects come in through `Lookup`. Keeps true: a missing object that is not optional fails the start.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret, Service};

use super::expand::expand;
use super::resources::resource_field;

/// Objects that environment may refer to, already fetched.
pub struct Lookup<'a> {
    pub config_maps: &'a dyn Fn(&str) -> Option<std::sync::Arc<ConfigMap>>,
    pub secrets: &'a dyn Fn(&str) -> Option<std::sync::Arc<Secret>>,
    pub services: &'a [std::sync::Arc<Service>],
    pub pod_ips: &'a [String],
    pub host_ips: &'a [String],
    pub node_name: &'a str,
    pub allocatable: &'a dyn Fn(&str) -> Option<quantity::Quantity>,
}

/// What was found, and the warnings for events.
#[derive(Debug, Default)]
pub struct Environment {
    pub variables: Vec<(String, String)>,
    pub warnings: Vec<String>,
}

pub fn environment(pod: &Pod, container: &Container, lookup: &Lookup<'_>) -> Result<Environment, String> {
    let mut found = Environment::default();
    let mut from = BTreeMap::new();
    for source in container.env_from.iter().flatten() {
        add_source(pod, source, lookup, &mut from, &mut found.warnings)?;
    }
    let services = service_variables(pod, lookup.services);
    let mut explicit: Vec<(String, String)> = Vec::new();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for variable in container.env.iter().flatten() {
        let Some(value) = value_of(pod, container, variable, lookup, |name| {
            known.get(name).or_else(|| from.get(name)).or_else(|| services.get(name)).cloned()
        })?
        else {
            continue;
        };
        known.insert(variable.name.clone(), value.clone());
        explicit.retain(|(name, _)| *name != variable.name);
        explicit.push((variable.name.clone(), value));
    }
    let mut merged = services;
    merged.extend(from);
    found.variables = merged.into_iter().filter(|(name, _)| !known.contains_key(name)).chain(explicit).collect();
    Ok(found)
}

fn add_source(pod: &Pod, source: &k8s_openapi::api::core::v1::EnvFromSource, lookup: &Lookup<'_>, out: &mut BTreeMap<String, String>, warnings: &mut Vec<String>) -> Result<(), String> {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let (kind, name, pairs) = if let Some(reference) = &source.config_map_ref {
        let Some(map) = (lookup.config_maps)(&reference.name) else {
            return missing(reference.optional, format!("configmap {:?} not found", reference.name));
        };
        ("configMap", &reference.name, map.data.clone().unwrap_or_default())
    } else if let Some(reference) = &source.secret_ref {
        let Some(secret) = (lookup.secrets)(&reference.name) else {
            return missing(reference.optional, format!("secret {:?} not found", reference.name));
        };
        let pairs = secret.data.iter().flatten().map(|(k, v)| (k.clone(), String::from_utf8_lossy(&v.0).into_owned())).collect();
        ("secret", &reference.name, pairs)
    } else {
        return Ok(());
    };
    let mut skipped = Vec::new();
    for (key, value) in pairs {
        let full = format!("{prefix}{key}");
        if is_variable_name(&full) {
            out.insert(full, value);
        } else {
            skipped.push(full);
        }
    }
    if !skipped.is_empty() {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        warnings.push(format!("Keys [{}] from the EnvFrom {kind} {namespace}/{name} were skipped since they are considered invalid environment variable names.", skipped.join(", ")));
    }
    Ok(())
}

fn missing(optional: Option<bool>, message: String) -> Result<(), String> {
    if optional == Some(true) { Ok(()) } else { Err(message) }
}

/// Upstream (relaxed since 1.34): printable ASCII without `=`.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'=')
}

fn value_of(pod: &Pod, container: &Container, variable: &EnvVar, lookup: &Lookup<'_>, known: impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    let Some(source) = &variable.value_from else {
        return Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), known)));
    };
    from_source(pod, container, source, lookup)
}

fn from_source(pod: &Pod, container: &Container, source: &EnvVarSource, lookup: &Lookup<'_>) -> Result<Option<String>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(field) = &source.field_ref {
        return pod_field(pod, &field.field_path, lookup).map(Some);
    }
    if let Some(field) = &source.resource_field_ref {
        return resource_field(pod, container, field, lookup.allocatable).map(Some);
    }
    if let Some(key) = &source.config_map_key_ref {
        let optional = key.optional == Some(true);
        let Some(map) = (lookup.config_maps)(&key.name) else {
            return if optional { Ok(None) } else { Err(format!("configmap {:?} not found", key.name)) };
        };
        let value = map.data.as_ref().and_then(|d| d.get(&key.key)).cloned();
        return match value {
            None if !optional => Err(format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name)),
            value => Ok(value),
        };
    }
    if let Some(key) = &source.secret_key_ref {
        let optional = key.optional == Some(true);
        let Some(secret) = (lookup.secrets)(&key.name) else {
            return if optional { Ok(None) } else { Err(format!("secret {:?} not found", key.name)) };
        };
        let value = secret.data.as_ref().and_then(|d| d.get(&key.key)).map(|v| String::from_utf8_lossy(&v.0).into_owned());
        return match value {
            None if !optional => Err(format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name)),
            value => Ok(value),
        };
    }
    Err("env source is not supported".into())
}

/// Fields that only the node knows, then those of the object.
fn pod_field(pod: &Pod, path: &str, lookup: &Lookup<'_>) -> Result<String, String> {
    let first = |ips: &[String]| ips.first().cloned().unwrap_or_default();
    Ok(match path {
        "status.podIP" => first(lookup.pod_ips),
        "status.podIPs" => lookup.pod_ips.join(","),
        "status.hostIP" => first(lookup.host_ips),
        "status.hostIPs" => lookup.host_ips.join(","),
        "spec.nodeName" => lookup.node_name.to_owned(),
        other => return metadata_field(pod, other),
    })
}

/// Fields of the object itself, as the downward API names them.
pub fn metadata_field(pod: &Pod, path: &str) -> Result<String, String> {
    let meta = &pod.metadata;
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let spec = pod.spec.as_ref();
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        let values = match map {
            "metadata.labels" => &meta.labels,
            "metadata.annotations" => &meta.annotations,
            _ => return Err(format!("unsupported fieldPath: {path}")),
        };
        return Ok(values.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => text(&meta.name),
        "metadata.namespace" => text(&meta.namespace),
        "metadata.uid" => text(&meta.uid),
        "metadata.labels" => format_map(meta.labels.as_ref()),
        "metadata.annotations" => format_map(meta.annotations.as_ref()),
        "spec.nodeName" => spec.and_then(|s| s.node_name.clone()).unwrap_or_default(),
        "spec.serviceAccountName" => spec.and_then(|s| s.service_account_name.clone()).unwrap_or_default(),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// `key="escaped"` lines in key order, without a last newline. Upstream: pkg/fieldpath, FormatMap (Go's %q).
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    map.into_iter().flatten().map(|(k, v)| format!("{k}={}", gotemplate::text::quote(v.as_bytes()))).collect::<Vec<_>>().join("\n")
}

/// Docker-links style variables of the namespace's services and of `default/kubernetes`.
fn service_variables(pod: &Pod, services: &[std::sync::Arc<Service>]) -> BTreeMap<String, String> {
    let links = pod.spec.as_ref().and_then(|s| s.enable_service_links).unwrap_or(true);
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut out = BTreeMap::new();
    let mut chosen: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        let (of, name) = (service.metadata.namespace.as_deref().unwrap_or_default(), service.metadata.name.as_deref().unwrap_or_default());
        let has_address = service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()).is_some_and(|ip| !ip.is_empty() && ip != "None");
        if !has_address {
            continue;
        }
        if of == "default" && name == "kubernetes" {
            chosen.entry(name).or_insert(service);
        } else if links && of == namespace {
            chosen.insert(name, service);
        }
    }
    for (name, service) in chosen {
        add_service(name, service, &mut out);
    }
    out
}

fn add_service(name: &str, service: &Service, out: &mut BTreeMap<String, String>) {
    let Some(spec) = &service.spec else { return };
    let prefix = name.to_uppercase().replace('-', "_");
    let ip = spec.cluster_ip.clone().unwrap_or_default();
    let ports = spec.ports.as_deref().unwrap_or_default();
    out.insert(format!("{prefix}_SERVICE_HOST"), ip.clone());
    let Some(first) = ports.first() else { return };
    out.insert(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|n| !n.is_empty()) {
            out.insert(format!("{prefix}_SERVICE_PORT_{}", port_name.to_uppercase().replace('-', "_")), port.port.to_string());
        }
    }
    let shown = if ip.contains(':') { format!("[{ip}]") } else { ip.clone() };
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{shown}:{}", protocol.to_lowercase(), port.port);
        if index == 0 {
            out.insert(format!("{prefix}_PORT"), url.clone());
        }
        let each = format!("{prefix}_PORT_{}_{}", port.port, protocol.to_uppercase());
        out.insert(each.clone(), url);
        out.insert(format!("{each}_PROTO"), protocol.to_lowercase());
        out.insert(format!("{each}_PORT"), port.port.to_string());
        out.insert(format!("{each}_ADDR"), ip.clone());
    }
}
