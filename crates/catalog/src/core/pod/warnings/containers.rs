//! Warnings of what single containers say.

use std::fmt::Display;

use quantity::Quantity;
use serde_json::{Map, Value};

use super::super::annotations::{APP_ARMOR_OF, SECCOMP_OF};
use super::super::app_armor;
use super::{containers_of, repeated};
use crate::walk;

pub fn each(told: &mut Vec<String>, spec: &Value, annotations: Option<&Map<String, Value>>, within: &str) {
    let about_containers = annotations.filter(|all| all.keys().any(|key| key.starts_with(SECCOMP_OF) || key.starts_with(APP_ARMOR_OF)));
    for (list, i, container) in containers_of(spec) {
        let path = format_args!("{within}spec.{list}[{i}]");
        if let Some(annotations) = about_containers {
            seccomp(told, container, annotations, within);
            if !within.is_empty() {
                app_armor::warn_template(told, container, spec, annotations, within);
            }
        }
        resources(told, &container["resources"], path);
        variables(told, walk::list(container, "env"), path);
    }
}

/// An annotation about a container, where it is there: `prefix` and the container's name make its key.
pub fn annotated<'a>(annotations: &'a Map<String, Value>, prefix: &str, container: &Value) -> Option<(&'a str, &'a str)> {
    let key = format!("{prefix}{}", walk::text(container, "name"));
    annotations.get_key_value(&key).map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

fn seccomp(told: &mut Vec<String>, container: &Value, annotations: &Map<String, Value>, within: &str) {
    if !walk::at(container, "securityContext.seccompProfile").is_object()
        && let Some((key, _)) = annotated(annotations, SECCOMP_OF, container)
    {
        told.push(format!("{within}metadata.annotations[{key}]: non-functional in v1.27+; use the \"seccompProfile\" field instead"));
    }
}

fn resources(told: &mut Vec<String>, resources: &Value, path: impl Display) {
    for key in ["memory", "ephemeral-storage"] {
        for kind in ["limits", "requests"] {
            fractional_byte(told, &resources[kind][key], format_args!("{path}.resources.{kind}[{key}]"));
        }
    }
}

/// Amounts of memory and disk in a map of amounts.
pub fn fractional(told: &mut Vec<String>, amounts: &Value, path: impl Display) {
    for key in ["memory", "ephemeral-storage"] {
        fractional_byte(told, &amounts[key], format_args!("{path}[{key}]"));
    }
}

/// An amount of bytes that leaves a part of one over.
pub fn fractional_byte(told: &mut Vec<String>, amount: &Value, path: impl Display) {
    // Without one of these marks an amount is whole: hardly any needs to be read.
    let Some(text) = amount.as_str().filter(|text| text.bytes().any(|b| matches!(b, b'.' | b'-' | b'm' | b'u' | b'n'))) else { return };
    if text.parse::<Quantity>().is_ok_and(|amount| amount.milli_value() % 1000 != 0) {
        let shown = quantity::canonical(text).unwrap_or_default();
        told.push(format!("{path}: fractional byte value {shown:?} is invalid, must be an integer"));
    }
}

/// A variable that is there already and whose new value does not build on the old one.
fn variables(told: &mut Vec<String>, env: &[Value], path: impl Display) {
    for (i, name) in repeated(env, "name") {
        let (value, reference) = (walk::text(&env[i], "value"), format!("$({name})"));
        if env[i]["valueFrom"].is_object() || value == reference || !value.contains(&reference) {
            told.push(format!("{path}.env[{i}]: hides previous definition of {name:?}, which may be dropped when using apply"));
        }
    }
}
