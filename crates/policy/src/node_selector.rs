//! PodNodeSelector: pods of a namespace go to the nodes that the namespace names.
//!
//! Upstream: `plugin/pkg/admission/podnodeselector/admission.go`.

use std::collections::BTreeMap;

use api::meta;
use catalog::walk;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/node-selector";
/// The selector of namespaces that name none.
const USUAL: &str = "clusterDefaultNodeSelector";

type Labels = BTreeMap<String, String>;

/// Selectors by namespace: which labels its pods may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectors {
    pod_node_selector_plugin_config: BTreeMap<String, String>,
}

/// Why a pod is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It asks for other nodes than it may.
    Conflict(&'static str),
    /// The namespace or the configuration holds no selector.
    Unreadable(String),
}

impl NodeSelectors {
    pub fn read(configuration: &Value) -> Result<Self, String> {
        serde_json::from_value(configuration.clone()).map_err(|e| e.to_string())
    }

    fn of(&self, namespace: &Value) -> Result<Labels, Fault> {
        let usual = self.pod_node_selector_plugin_config.get(USUAL).map(String::as_str);
        labels(meta::annotation(namespace, ANNOTATION).or(usual).unwrap_or_default())
    }

    /// Gives the pod what its namespace asks for.
    pub fn mutate(&self, pod: &mut Value, namespace: &Value) -> Result<(), Fault> {
        let wanted = self.of(namespace)?;
        conflict(pod, &wanted)?;
        if !wanted.is_empty()
            && let Some(spec) = walk::object_mut(pod, "spec")
            && let Some(selector) = spec.entry("nodeSelector").or_insert_with(|| json!({})).as_object_mut()
        {
            selector.extend(wanted.into_iter().map(|(key, value)| (key, Value::from(value))));
        }
        self.check(pod, namespace)
    }

    pub fn check(&self, pod: &Value, namespace: &Value) -> Result<(), Fault> {
        conflict(pod, &self.of(namespace)?)?;
        let allowed = labels(self.pod_node_selector_plugin_config.get(meta::name(namespace)).map_or("", String::as_str))?;
        let fits = |(key, value): (&String, &Value)| allowed.get(key).map(String::as_str) == value.as_str();
        if allowed.is_empty() || selector(pod).is_none_or(|own| own.iter().all(fits)) {
            return Ok(());
        }
        Err(Fault::Conflict("pod node label selector labels conflict with its namespace whitelist"))
    }
}

fn selector(pod: &Value) -> Option<&Map<String, Value>> {
    walk::map(pod, "spec.nodeSelector")
}

fn conflict(pod: &Value, wanted: &Labels) -> Result<(), Fault> {
    let differs = |(key, value): (&String, &Value)| wanted.get(key).is_some_and(|wanted| Some(wanted.as_str()) != value.as_str());
    if selector(pod).is_some_and(|own| own.iter().any(differs)) {
        return Err(Fault::Conflict("pod node label selector conflicts with its namespace node label selector"));
    }
    Ok(())
}

/// `a=b,c=d`. Upstream: `labels.ConvertSelectorToLabelsMap`.
fn labels(text: &str) -> Result<Labels, Fault> {
    let one = |part: &str| match part.split('=').collect::<Vec<_>>().as_slice() {
        [key, value] => Ok((key.trim().to_owned(), value.trim().to_owned())),
        parts => Err(Fault::Unreadable(format!("invalid selector: [{}]", parts.join(" ")))),
    };
    if text.is_empty() { Ok(Labels::new()) } else { text.split(',').map(one).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_go_where_their_namespace_says() {
        let selectors = NodeSelectors::read(&json!({"podNodeSelectorPluginConfig": {"clusterDefaultNodeSelector": "env=dev", "tight": "env=prod,zone=a"}})).unwrap();
        let namespace = |name: &str, says: Option<&str>| json!({"metadata": {"name": name, "annotations": says.map(|s| json!({ANNOTATION: s})).unwrap_or_default()}});
        let pod = |own: Value| json!({"spec": {"nodeSelector": own}});
        let mut plain = json!({"spec": {}});
        selectors.mutate(&mut plain, &namespace("free", None)).unwrap();
        assert_eq!(plain["spec"]["nodeSelector"], json!({"env": "dev"}));
        let other = selectors.mutate(&mut pod(json!({"env": "test"})), &namespace("free", None));
        assert_eq!(other, Err(Fault::Conflict("pod node label selector conflicts with its namespace node label selector")));
        let mut own = pod(json!({"zone": "a"}));
        selectors.mutate(&mut own, &namespace("tight", Some(" env = prod "))).unwrap();
        assert_eq!(own["spec"]["nodeSelector"], json!({"zone": "a", "env": "prod"}));
        let outside = selectors.mutate(&mut pod(json!({"disk": "ssd"})), &namespace("tight", Some("env=prod")));
        assert_eq!(outside, Err(Fault::Conflict("pod node label selector labels conflict with its namespace whitelist")));
        assert_eq!(selectors.check(&plain, &namespace("x", Some("env=a=b"))), Err(Fault::Unreadable("invalid selector: [env a b]".into())));
    }
}
