//! Where a cluster keeps what, and the tag that tells its links, tables and groups from another cluster's. Pure but for `new`.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Every path and name that belongs to one cluster on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Absolute; survives reboots.
    pub data: PathBuf,
    /// Below /run: sockets, process ids, mounts.
    pub run: PathBuf,
    /// Short, unique on the machine, at most ten characters.
    pub tag: String,
}

impl Layout {
    pub const DEFAULT_DATA: &'static str = "/var/lib/knarr";

    /// The default data folder gets the plain names; any other one a tag made of its path.
    pub fn new(data: &Path) -> std::io::Result<Self> {
        let data = std::path::absolute(data)?;
        let tag = if data == Path::new(Self::DEFAULT_DATA) {
            "knarr".to_owned()
        } else {
            Sha256::digest(data.as_os_str().as_encoded_bytes()).iter().take(3).fold("kn-".to_owned(), |tag, byte| format!("{tag}{byte:02x}"))
        };
        Ok(Self { run: Path::new("/run/knarr").join(&tag), data, tag })
    }

    /// The cluster's own link: the anchor of its node-local addresses.
    pub fn link(&self) -> String {
        format!("{}0", self.tag)
    }
    pub fn nft_table(&self) -> String {
        self.tag.clone()
    }
    /// Below each cgroup hierarchy.
    pub fn cgroup(&self) -> String {
        format!("/{}", self.tag)
    }
    pub fn containerd_socket(&self) -> PathBuf {
        self.run.join("containerd.sock")
    }
    pub fn containerd_root(&self) -> PathBuf {
        self.data.join("containerd")
    }
    pub fn containerd_state(&self) -> PathBuf {
        self.run.join("containerd")
    }
    pub fn containerd_config(&self) -> PathBuf {
        self.data.join("containerd.toml")
    }
    pub fn containerd_pid(&self) -> PathBuf {
        self.run.join("containerd.pid")
    }
    pub fn server_pid(&self) -> PathBuf {
        self.run.join("server.pid")
    }
    pub fn cni_conf(&self) -> PathBuf {
        self.data.join("cni")
    }
    pub fn cni_state(&self) -> PathBuf {
        self.run.join("cni")
    }
    pub fn registry(&self) -> PathBuf {
        self.data.join("registry")
    }
    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }
    pub fn pod_logs(&self) -> PathBuf {
        self.data.join("logs/pods")
    }
    pub fn pki(&self) -> PathBuf {
        self.data.join("pki")
    }
    pub fn store(&self) -> PathBuf {
        self.data.join("store")
    }
    pub fn kubelet(&self) -> PathBuf {
        self.data.join("kubelet")
    }
    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }
    pub fn kubeconfig(&self) -> PathBuf {
        self.data.join("kubeconfig")
    }
    /// The settings of the last start, so that `status` and `down` need no flags but the data folder.
    pub fn settings(&self) -> PathBuf {
        self.data.join("settings.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_folders_never_share_a_name_and_a_link_name_fits() {
        let [plain, one, two] = ["/var/lib/knarr", "/tmp/a", "/tmp/b"].map(|p| Layout::new(Path::new(p)).unwrap());
        assert_eq!(plain.link(), "knarr0");
        assert_ne!(one.tag, two.tag);
        assert!(one.link().len() <= 15);
    }
}
