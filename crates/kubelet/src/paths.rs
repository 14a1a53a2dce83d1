//! Where things of a pod lie on the node. Pure.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;

#[derive(Clone, Debug)]
pub struct Paths {
    pub root: PathBuf,
    pub logs: PathBuf,
}

impl Paths {
    pub fn pods(&self) -> PathBuf {
        self.root.join("pods")
    }

    pub fn pod(&self, uid: &str) -> PathBuf {
        self.pods().join(uid)
    }

    pub fn volume(&self, uid: &str, plugin: &str, name: &str) -> PathBuf {
        self.pod(uid).join("volumes").join(format!("kubernetes.io~{plugin}")).join(name)
    }

    pub fn subpath(&self, uid: &str, volume: &str, container: &str, index: usize) -> PathBuf {
        self.pod(uid).join("volume-subpaths").join(volume).join(container).join(index.to_string())
    }

    pub fn etc_hosts(&self, uid: &str) -> PathBuf {
        self.pod(uid).join("etc-hosts")
    }

    /// The file that a container's last words are written to.
    pub fn last_words(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.pod(uid).join("containers").join(container).join(attempt.to_string())
    }

    pub fn pod_logs(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.logs.join(format!("{namespace}_{name}_{uid}"))
    }

    pub fn pod_logs_of(&self, pod: &Pod) -> PathBuf {
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        self.pod_logs(&text(&pod.metadata.namespace), &text(&pod.metadata.name), &text(&pod.metadata.uid))
    }

    /// Relative to the pod's log folder.
    pub fn container_log(container: &str, attempt: u32) -> String {
        format!("{container}/{attempt}.log")
    }

    pub fn seccomp(&self) -> PathBuf {
        self.root.join("seccomp")
    }
}

/// A uid names a folder, so it may hold nothing else.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/') && !name.contains('\0') && Path::new(name).components().count() == 1
}
