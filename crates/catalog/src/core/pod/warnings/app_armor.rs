//! Warnings of AppArmor profiles that stand in annotations.

use serde_json::{Map, Value};

use super::{containers::annotated, containers_of};
use crate::walk;

pub const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
const LOCAL: &str = "localhost/";
/// Upstream: `MaxLocalhostProfileLength`.
const LONGEST: usize = 4095;

/// In a template the annotation is left alone: whoever has no field beside it is told.
pub fn of_template(told: &mut Vec<String>, container: &Value, spec: &Value, annotations: &Map<String, Value>, within: &str) {
    let has_field = |of: &Value| walk::at(of, "securityContext.appArmorProfile").is_object();
    if !has_field(spec)
        && !has_field(container)
        && let Some((key, _)) = annotated(annotations, PREFIX, container)
    {
        tell(told, key, within);
    }
}

/// Of a pod: where the annotation says what no field does. Upstream: `applyAppArmorVersionSkew`.
pub fn of_pod(told: &mut Vec<String>, pod: &Value) {
    let Some(annotations) = walk::map(pod, "metadata.annotations").filter(|all| all.keys().any(|key| key.starts_with(PREFIX))) else { return };
    let spec = &pod["spec"];
    if walk::text(spec, "os.name") == "windows" {
        return;
    }
    for (_, _, container) in containers_of(spec).filter(|(_, _, c)| !walk::at(c, "securityContext.appArmorProfile").is_object()) {
        let Some((key, value)) = annotated(annotations, PREFIX, container) else { continue };
        if profile(value).is_none_or(|profile| !is_same(profile, walk::at(spec, "securityContext.appArmorProfile"))) {
            tell(told, key, "");
        }
    }
}

fn tell(told: &mut Vec<String>, key: &str, within: &str) {
    told.push(format!("{within}metadata.annotations[{key}]: deprecated since v1.30; use the \"appArmorProfile\" field instead"));
}

/// The type of profile an annotation speaks of, and the profile's name; none where it is no profile.
fn profile(annotation: &str) -> Option<(&'static str, &str)> {
    match annotation {
        "runtime/default" => Some(("RuntimeDefault", "")),
        "unconfined" => Some(("Unconfined", "")),
        _ => annotation.strip_prefix(LOCAL).filter(|name| !name.is_empty() && name.trim() == *name && name.len() <= LONGEST).map(|name| ("Localhost", name)),
    }
}

fn is_same((kind, name): (&str, &str), field: &Value) -> bool {
    walk::text(field, "type") == kind && walk::text(field, "localhostProfile") == name
}
