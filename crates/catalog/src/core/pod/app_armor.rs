//! AppArmor profiles that stand in annotations, where they once stood.

use serde_json::{Map, Value, json};

use super::annotations::APP_ARMOR_OF as PREFIX;
use super::warnings::containers::annotated;
use crate::walk;

const LOCAL: &str = "localhost/";
/// Upstream: `MaxLocalhostProfileLength`.
const LONGEST: usize = 4095;

/// In a template the annotation is left alone: whoever has no field beside it is told.
pub fn warn_template(told: &mut Vec<String>, container: &Value, spec: &Value, annotations: &Map<String, Value>, within: &str) {
    let has_field = |of: &Value| walk::at(of, "securityContext.appArmorProfile").is_object();
    if !has_field(spec)
        && !has_field(container)
        && let Some((key, _)) = annotated(annotations, PREFIX, container)
    {
        told.push(deprecated(key, within));
    }
}

/// Of a new pod the containers without a profile take their annotation's; its writer is told, unless the whole pod's is the same.
/// Upstream: `applyAppArmorVersionSkew` of `pkg/registry/core/pod/strategy.go`.
pub fn take_over(pod: &mut Value) -> Vec<String> {
    let mut told = Vec::new();
    let Some(annotations) = walk::map(pod, "metadata.annotations").filter(|all| all.keys().any(|key| key.starts_with(PREFIX))).cloned() else { return told };
    let spec = &mut pod["spec"];
    if walk::text(spec, "os.name") == "windows" {
        return told;
    }
    let whole = walk::at(spec, "securityContext.appArmorProfile").clone();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in walk::list_mut(spec, list).iter_mut().filter(|c| !walk::at(c, "securityContext.appArmorProfile").is_object()) {
            let Some((key, value)) = annotated(&annotations, PREFIX, container) else { continue };
            let profile = profile(value);
            if profile.as_ref() == Some(&whole) {
                continue;
            }
            told.push(deprecated(key, ""));
            if let (Some(profile), Some(context)) = (profile, walk::object_mut(container, "securityContext")) {
                context.insert("appArmorProfile".into(), profile);
            }
        }
    }
    told
}

fn deprecated(key: &str, within: &str) -> String {
    format!("{within}metadata.annotations[{key}]: deprecated since v1.30; use the \"appArmorProfile\" field instead")
}

/// The profile an annotation speaks of, as the field says it; none where it is no profile.
fn profile(annotation: &str) -> Option<Value> {
    match annotation {
        "runtime/default" => Some(json!({"type": "RuntimeDefault"})),
        "unconfined" => Some(json!({"type": "Unconfined"})),
        _ => {
            let name = annotation.strip_prefix(LOCAL).filter(|name| !name.is_empty() && name.trim() == *name && name.len() <= LONGEST)?;
            Some(json!({"type": "Localhost", "localhostProfile": name}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_become_fields() {
        let key = |name: &str| format!("{PREFIX}{name}");
        let mut pod = json!({
            "metadata": {"annotations": {key("a"): "localhost/mine", key("b"): "runtime/default", key("c"): "odd", key("d"): "unconfined", key("e"): "unconfined"}},
            "spec": {
                "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d", "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}}],
                "initContainers": [{"name": "e", "securityContext": {"privileged": false}}]
            }
        });
        assert_eq!(take_over(&mut pod), [deprecated(&key("e"), ""), deprecated(&key("a"), ""), deprecated(&key("c"), "")]);
        let profile = |list: &str, at: usize| walk::at(&pod["spec"][list][at], "securityContext.appArmorProfile").clone();
        assert_eq!(profile("containers", 0), json!({"type": "Localhost", "localhostProfile": "mine"}));
        assert_eq!((profile("containers", 1), profile("containers", 2)), (Value::Null, Value::Null));
        assert_eq!(profile("containers", 3), json!({"type": "RuntimeDefault"}));
        assert_eq!(profile("initContainers", 0), json!({"type": "Unconfined"}));
        assert_eq!(take_over(&mut json!({"metadata": {"annotations": {key("a"): "unconfined"}}, "spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}})), [""; 0]);
    }
}
