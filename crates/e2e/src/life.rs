//! The life of an object of any kind, by kubectl and by raw requests.

use serde_json::{Value, json};

use crate::Cluster;

/// A kind, and an object of it without a name.
pub struct Kind<'a> {
    cluster: &'a Cluster,
    /// `deployments.apps`
    name: &'static str,
    /// Where the collection lies.
    path: String,
    scope: String,
    manifest: Value,
}

impl<'a> Kind<'a> {
    pub fn new(cluster: &'a Cluster, namespace: Option<&str>, plural: &'static str, manifest: Value) -> Self {
        let version = manifest["apiVersion"].as_str().expect("a version");
        let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        let (within, scope) = match namespace {
            Some(namespace) => (format!("/namespaces/{namespace}"), format!("-n {namespace}")),
            None => (String::new(), String::new()),
        };
        Self { cluster, name: plural, path: format!("{root}{within}/{plural}"), scope, manifest }
    }

    pub fn named(&self, name: &str) -> Value {
        let mut object = self.manifest.clone();
        object["metadata"] = json!({"name": name, "labels": {"e2e-life": self.name}});
        object
    }

    pub fn create(&self, name: &str) {
        self.cluster.kubectl_with(&format!("create {} -f -", self.scope), &self.named(name).to_string()).ok();
    }

    pub fn get(&self, name: &str) -> Value {
        self.cluster.object(&format!("get {} {name} {}", self.resource(), self.scope))
    }

    /// Kinds of other groups may share a name.
    fn resource(&self) -> String {
        match self.path.strip_prefix("/apis/").and_then(|p| p.split('/').next()) {
            Some(group) => format!("{}.{group}", self.name),
            None => self.name.to_owned(),
        }
    }

    fn count(&self) -> usize {
        let list = self.cluster.kubectl(&format!("get --raw {}?labelSelector=e2e-life%3D{}", self.path, self.name)).ok();
        let list: Value = serde_json::from_str(&list).expect("a list");
        list["items"].as_array().map_or(0, Vec::len)
    }

    /// Create, read, list, patch, replace, delete; again, and delete as a collection.
    pub fn lives(&self) {
        let (resource, scope) = (self.resource(), &self.scope);
        self.create("life-1");
        let made = self.get("life-1");
        assert!(made["metadata"]["uid"].as_str().is_some_and(|uid| uid.len() == 36), "{made}");
        assert_eq!(self.count(), 1, "{resource}");
        self.cluster.kubectl(&format!("label {resource} life-1 patched=yes {scope}")).ok();
        assert_eq!(self.get("life-1")["metadata"]["labels"]["patched"], "yes");
        let mut replaced = self.get("life-1");
        replaced["metadata"]["annotations"]["replaced"] = json!("yes");
        self.cluster.kubectl_with(&format!("replace {scope} -f -"), &replaced.to_string()).ok();
        let after = self.get("life-1");
        assert_eq!(after["metadata"]["annotations"]["replaced"], "yes");
        assert_eq!(after["metadata"]["uid"], made["metadata"]["uid"]);
        self.cluster.kubectl(&format!("delete {resource} life-1 {scope} --timeout=60s")).ok();
        assert_eq!(self.count(), 0, "{resource}");
        self.create("life-2");
        self.create("life-3");
        assert_eq!(self.count(), 2, "{resource}");
        self.cluster.kubectl(&format!("delete --raw {}?labelSelector=e2e-life%3D{}", self.path, self.name)).ok();
        self.cluster.kubectl(&format!("wait {resource} -l e2e-life={} {scope} --for=delete --timeout=60s", self.name)).ok();
        assert_eq!(self.count(), 0, "{resource}");
    }

    /// GET, PATCH and PUT of the status, each seen by the next read.
    pub fn has_status(&self, patch: &Value, pointer: &str) {
        let (resource, scope) = (self.resource(), &self.scope);
        self.create("life-s");
        let wanted = patch.pointer(pointer).expect("the patch holds what is looked for").clone();
        self.cluster.kubectl(&format!("get {resource} life-s {scope} --subresource=status")).ok();
        self.cluster.kubectl(&format!("patch {resource} life-s {scope} --subresource=status --type=merge -p '{patch}'")).ok();
        // Controllers may write theirs at any moment: what is asked for comes back from the write itself.
        for _ in 0..20 {
            let mut object: Value = serde_json::from_str(&self.cluster.kubectl(&format!("get {resource} life-s {scope} --subresource=status -o json")).ok()).expect("an object");
            for (key, value) in patch["status"].as_object().into_iter().flatten() {
                object["status"][key] = value.clone();
            }
            object["metadata"]["annotations"]["status"] = json!("put");
            let put = self.cluster.kubectl_with(&format!("replace {scope} --subresource=status -o json -f -"), &object.to_string());
            if put.err.contains("the object has been modified") {
                continue;
            }
            let stored: Value = serde_json::from_str(&put.ok()).expect("an object");
            assert_eq!(stored.pointer(pointer), Some(&wanted), "{resource}: {stored}");
            break;
        }
        self.cluster.kubectl(&format!("delete {resource} life-s {scope} --timeout=60s")).ok();
    }
}
