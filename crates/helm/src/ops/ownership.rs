//! Which release an object belongs to: a label and two annotations.
// Upstream: helm pkg/action/validate.go.

use serde_json::Value;

use super::apply::NAMELESS;
use crate::cluster::{Cluster, Object};
use crate::failure::{Failure, Outcome};

const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "Helm");
const NAME: &str = "meta.helm.sh/release-name";
const NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// Marks objects as the release's.
pub fn mark(objects: &mut [Object], name: &str, namespace: &str) {
    for object in objects {
        object.mark("labels", LABEL.0, LABEL.1);
        object.mark("annotations", NAME, name);
        object.mark("annotations", NAMESPACE, namespace);
    }
}

/// Those of the objects that exist already. One that is not the release's is an error, unless ownership is taken.
pub async fn existing(cluster: &Cluster, objects: &[Object], name: &str, namespace: &str, take: bool) -> Outcome<Vec<Object>> {
    let mut out = Vec::new();
    for object in objects {
        let described = format!("{} {:?} in namespace {:?}", object.kind(), object.name, object.namespace.as_deref().unwrap_or_default());
        if object.name.is_empty() {
            return Err(Failure::new(format!("could not get information about the resource {described}: {NAMELESS}")));
        }
        let live = match cluster.get(&object.path()).await {
            Ok(live) => live,
            Err(e) if e.is_not_found() => continue,
            Err(e) => return Err(Failure::new(format!("could not get information about the resource {described}: {}", e.message))),
        };
        if !take {
            check(&live, name, namespace).map_err(|e| Failure::new(format!("{described} exists and cannot be imported into the current release: invalid ownership metadata; {e}")))?;
        }
        out.push(object.clone());
    }
    Ok(out)
}

fn check(live: &Value, name: &str, namespace: &str) -> Result<(), String> {
    let metadata = &live["metadata"];
    let rules = [("label", &metadata["labels"], LABEL.0, LABEL.1), ("annotation", &metadata["annotations"], NAME, name), ("annotation", &metadata["annotations"], NAMESPACE, namespace)];
    let faults: Vec<String> = rules
        .into_iter()
        .filter_map(|(what, marks, key, wanted)| match marks[key].as_str() {
            None => Some(format!("{what} validation error: missing key {key:?}: must be set to {wanted:?}")),
            Some(value) if value != wanted => Some(format!("{what} validation error: key {key:?} must equal {wanted:?}: current value is {value:?}")),
            Some(_) => None,
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
