//! The network of the pods, as CNI reads it.
//!
//! Pods hang on routed pairs of interfaces (`ptp`), not on a bridge: every packet between two pods passes the host's routing, so the service
//! rules see both directions without br_netfilter or host-wide sysctls. Masquerading and host ports are the proxy's, never the plugins'.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{Error, Layout};

const PLUGINS: [&str; 3] = ["ptp", "host-local", "loopback"];
const FOLDERS: [&str; 4] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni", "/usr/lib/x86_64-linux-gnu/cni"];

/// The folder that holds every plugin needed.
pub fn find_plugins() -> Result<PathBuf, Error> {
    FOLDERS
        .iter()
        .map(Path::new)
        .find(|folder| PLUGINS.iter().all(|plugin| folder.join(plugin).is_file()))
        .map(Path::to_owned)
        .ok_or_else(|| Error::Plugins { wanted: PLUGINS.join(", "), looked: FOLDERS.join(", ") })
}

/// Writes the network list. `pod_cidr` such as `10.42.0.0/24`.
pub fn write_cni(layout: &Layout, pod_cidr: &str) -> Result<(), Error> {
    let folder = layout.cni_conf();
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let list = json!({
        "cniVersion": "0.4.0",
        "name": layout.tag,
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": layout.cni_state(),
                "ranges": [[{"subnet": pod_cidr}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    });
    let path = folder.join("10-knarr.conflist");
    let text = format!("{list:#}\n");
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let next = folder.join(".10-knarr.next");
    std::fs::write(&next, text).map_err(Error::file(&next))?;
    std::fs::rename(&next, &path).map_err(Error::file(&path))
}
