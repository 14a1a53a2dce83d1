//! The settings of the cluster's containerd, as text. Pure.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::Layout;

/// What its settings depend on besides the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerdConfig {
    pub sandbox_image: String,
    pub plugin_dir: PathBuf,
    /// Without CAP_SYS_RESOURCE a score cannot be lowered below the own one.
    pub restrict_oom_score: bool,
}

impl ContainerdConfig {
    pub fn render(&self, layout: &Layout) -> String {
        let mut text = String::from("# Written by knarr at each start.\nversion = 2\n");
        let mut line = |key: &str, value: String| {
            let _ = writeln!(text, "{key} = {value}");
        };
        line("root", quoted(&layout.containerd_root()));
        line("state", quoted(&layout.containerd_state()));
        line("disabled_plugins", r#"["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing", "io.containerd.internal.v1.opt"]"#.into());
        text.push_str("\n[grpc]\n");
        let _ = writeln!(text, "address = {}", quoted(&layout.containerd_socket()));
        text.push_str("\n[debug]\nlevel = \"warn\"\n");
        text.push_str("\n[plugins.\"io.containerd.grpc.v1.cri\"]\n");
        let _ = writeln!(text, "sandbox_image = {}", quoted(Path::new(&self.sandbox_image)));
        let _ = writeln!(text, "restrict_oom_score_adj = {}", self.restrict_oom_score);
        text.push_str("stream_server_address = \"127.0.0.1\"\nstream_server_port = \"0\"\nnetns_mounts_under_state_dir = true\n");
        text.push_str("enable_unprivileged_ports = true\nenable_unprivileged_icmp = true\n");
        text.push_str("\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\n");
        let _ = writeln!(text, "bin_dir = {}", quoted(&self.plugin_dir));
        let _ = writeln!(text, "conf_dir = {}", quoted(&layout.cni_conf()));
        text.push_str("\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n");
        text.push_str("[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = false\n");
        text.push_str("\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n");
        let _ = writeln!(text, "config_path = {}", quoted(&layout.registry()));
        text
    }
}

/// A basic TOML string.
fn quoted(path: &Path) -> String {
    let mut text = String::from("\"");
    for c in path.to_string_lossy().chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04x}", c as u32);
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_odd_name_stays_one_string() {
        let layout = Layout { data: "/srv/a \"b\"\\c".into(), run: "/run/knarr/x".into(), tag: "x".into() };
        let config = ContainerdConfig { sandbox_image: "knarr.io/pause:1".into(), plugin_dir: "/usr/lib/cni".into(), restrict_oom_score: true };
        let text = config.render(&layout);
        assert!(text.contains("root = \"/srv/a \\\"b\\\"\\\\c/containerd\"\n"), "{text}");
        assert!(text.contains("restrict_oom_score_adj = true\n") && text.contains("sandbox_image = \"knarr.io/pause:1\"\n"));
    }
}
