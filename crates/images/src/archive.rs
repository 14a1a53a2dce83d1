//! Packs programs into an OCI image layout, as one tar in memory. Pure: no clock, no file, no order that varies.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One image with one program in it.
pub struct Image<'a> {
    /// Full reference, such as `knarr.io/pause:1`.
    pub reference: &'a str,
    /// Path of the program inside the image, without the leading slash.
    pub program: &'a str,
    pub bytes: &'a [u8],
    pub user: &'a str,
    pub ports: &'a [&'a str],
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// One tar that holds all the images, as `ctr images import` and `docker load` take it.
pub fn archive(images: &[Image<'_>]) -> Vec<u8> {
    let mut tar = Tar::default();
    let mut manifests = Vec::new();
    for image in images {
        let mut layer = Tar::default();
        layer.file(image.program, 0o755, image.bytes);
        let layer = layer.finish();
        let config = json!({
            "architecture": architecture(), "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": {
                "Entrypoint": [format!("/{}", image.program)], "User": image.user, "WorkingDir": "/",
                "ExposedPorts": image.ports.iter().map(|p| ((*p).to_owned(), json!({}))).collect::<serde_json::Map<_, _>>(),
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config), "layers": [descriptor(LAYER, &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut entry = descriptor(MANIFEST, &manifest);
        let tag = image.reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        entry["annotations"] = json!({"io.containerd.image.name": image.reference, "org.opencontainers.image.ref.name": tag});
        entry["platform"] = json!({"architecture": architecture(), "os": "linux"});
        manifests.push(entry);
        for blob in [layer, config, manifest] {
            tar.blob(&blob);
        }
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    tar.file("index.json", 0o644, index.to_string().as_bytes());
    tar.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
    tar.finish()
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
}

/// A tar in memory: the little of ustar that is needed, so that writing cannot fail.
#[derive(Default)]
struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    fn blob(&mut self, bytes: &[u8]) {
        let digest = digest(bytes);
        self.file(&format!("blobs/sha256/{}", &digest["sha256:".len()..]), 0o644, bytes);
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) {
        let mut header = tar::Header::new_ustar();
        // Paths here are short constants and digests; a longer one would only be cut.
        let name = &mut header.as_old_mut().name;
        let length = path.len().min(name.len());
        name[..length].copy_from_slice(&path.as_bytes()[..length]);
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn an_archive_is_deterministic_and_every_descriptor_names_a_blob() {
        let image = || Image { reference: "knarr.io/x:1", program: "x", bytes: b"program", user: "1:1", ports: &["80/tcp"] };
        let bytes = archive(&[image()]);
        assert_eq!(bytes, archive(&[image()]));
        let mut blobs = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            blobs.insert(path, content);
        }
        let read = |d: &Value| -> Vec<u8> {
            let blob = &blobs[&d["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/")];
            assert_eq!(blob.len() as u64, d["size"].as_u64().unwrap());
            blob.clone()
        };
        let index: Value = serde_json::from_slice(&blobs["index.json"]).unwrap();
        let manifest: Value = serde_json::from_slice(&read(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&read(&manifest["config"])).unwrap();
        let layer = read(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
        let mut layer = tar::Archive::new(layer.as_slice());
        let file = layer.entries().unwrap().next().unwrap().unwrap();
        assert_eq!((file.path().unwrap().display().to_string().as_str(), file.header().mode().unwrap()), ("x", 0o755));
    }
}
