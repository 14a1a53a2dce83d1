//! Small images for tests: one layer over busybox, in the form `docker save` writes.

use std::io::Write;

use serde_json::json;
use sha2::{Digest, Sha256};

/// An image by name, with files and what it runs.
pub struct Image {
    pub tag: String,
    pub command: Vec<String>,
    /// Path, content, mode.
    pub files: Vec<(String, Vec<u8>, u32)>,
}

/// An image that runs a shell script on busybox.
pub fn shell_image(tag: &str, script: &str, files: &[(&str, &str)]) -> Image {
    let mut all: Vec<(String, Vec<u8>, u32)> = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec(), 0o755)).collect();
    all.push(("entry.sh".into(), format!("#!/bin/sh\n{script}\n").into_bytes(), 0o755));
    Image { tag: tag.into(), command: vec!["/bin/sh".into(), "/entry.sh".into()], files: all }
}

impl Image {
    /// The archive that `knarr image import` takes.
    pub fn archive(&self) -> Vec<u8> {
        let layer = self.layer();
        let digest = hex(&Sha256::digest(&layer));
        let config = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
            "config": {"Cmd": self.command, "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]}, "history": [{"created_by": "e2e"}],
        })
        .to_string()
        .into_bytes();
        let config_name = format!("{}.json", hex(&Sha256::digest(&config)));
        let layer_name = format!("{digest}/layer.tar");
        let manifest = json!([{"Config": config_name, "RepoTags": [self.tag], "Layers": [layer_name]}]).to_string();
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes) in [(layer_name.as_str(), layer.as_slice()), (config_name.as_str(), config.as_slice()), ("manifest.json", manifest.as_bytes())] {
            put(&mut archive, name, bytes, 0o644);
        }
        archive.into_inner().expect("memory takes the archive")
    }

    fn layer(&self) -> Vec<u8> {
        let busybox = std::fs::read("/bin/busybox").expect("/bin/busybox: install busybox-static");
        let mut layer = tar::Builder::new(Vec::new());
        for folder in ["bin/", "sbin/", "usr/", "usr/bin/", "usr/sbin/", "etc/", "tmp/", "root/", "var/", "proc/", "sys/", "dev/"] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(if folder == "tmp/" { 0o1777 } else { 0o755 });
            header.set_size(0);
            layer.append_data(&mut header, folder, std::io::empty()).expect("memory takes a folder");
        }
        put(&mut layer, "bin/busybox", &busybox, 0o755);
        let applets = std::process::Command::new("/bin/busybox").arg("--list").output().expect("busybox runs").stdout;
        for applet in String::from_utf8_lossy(&applets).split_whitespace().filter(|a| *a != "busybox") {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            layer.append_link(&mut header, format!("bin/{applet}"), "/bin/busybox").expect("memory takes a link");
        }
        put(&mut layer, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644);
        for (path, bytes, mode) in &self.files {
            put(&mut layer, path, bytes, *mode);
        }
        layer.into_inner().expect("memory takes the layer")
    }
}

fn put<W: Write>(archive: &mut tar::Builder<W>, name: &str, bytes: &[u8], mode: u32) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, name, bytes).expect("memory takes a file");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
