//! How a release is kept in the cluster: JSON, gzip, base64, in a Secret or a ConfigMap with labels to find it by.
// Upstream: helm pkg/storage/driver/util.go, secrets.go, cfgmaps.go.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::release::Release;

/// No record unpacks to more: an object holds a MiB at most, and releases that Kubernetes can hold are far smaller.
const MAX_RECORD: u64 = 256 * 1024 * 1024;

/// What releases are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Secret,
    ConfigMap,
}

/// The type of the Secrets that hold releases.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";

/// The name of the object that holds a release.
pub fn object_name(release: &str, revision: u64) -> String {
    format!("sh.helm.release.v1.{release}.v{revision}")
}

/// The text of a release.
pub fn encode(release: &Release) -> String {
    let json = goyaml::to_json(&release.to_value());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing to memory does not fail.
    let packed = gzip.write_all(json.as_bytes()).and_then(|()| gzip.finish()).unwrap_or_default();
    base64::engine::general_purpose::STANDARD.encode(packed)
}

/// Reads a release's text; also of versions that did not compress.
pub fn decode(text: &str) -> Result<Release, String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).map_err(|e| format!("release record: {e}"))?;
    let plain = if bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).take(MAX_RECORD + 1).read_to_end(&mut plain).map_err(|e| format!("release record: {e}"))?;
        if plain.len() as u64 > MAX_RECORD {
            return Err(format!("release record: unpacks to more than {MAX_RECORD} bytes"));
        }
        plain
    } else {
        bytes
    };
    Release::from_value(serde_json::from_slice(&plain).map_err(|e| format!("release record: {e}"))?)
}

/// The object that keeps a release. `stamp` is `createdAt` or `modifiedAt`, and the second it says.
pub fn object(driver: Driver, release: &Release, stamp: (&str, i64)) -> Value {
    let mut labels: BTreeMap<String, String> = release.labels.clone();
    labels.insert(stamp.0.into(), stamp.1.to_string());
    labels.insert("name".into(), release.name.clone());
    labels.insert("owner".into(), "helm".into());
    labels.insert("status".into(), release.info.status.as_str().into());
    labels.insert("version".into(), release.revision.to_string());
    let text = encode(release);
    let mut out = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": object_name(&release.name, release.revision), "labels": labels },
    });
    match driver {
        Driver::Secret => {
            out["type"] = SECRET_TYPE.into();
            out["data"] = json!({ "release": base64::engine::general_purpose::STANDARD.encode(text) });
        }
        Driver::ConfigMap => {
            out["kind"] = "ConfigMap".into();
            out["data"] = json!({ "release": text });
        }
    }
    out
}

/// Labels that are the record's own, not the user's.
const OWN_LABELS: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];

/// Whether a user may not set the label.
pub fn is_own_label(name: &str) -> bool {
    OWN_LABELS.contains(&name)
}

/// The release that an object keeps.
pub fn release_of(object: &Value) -> Result<Release, String> {
    let text = object["data"]["release"].as_str().ok_or("an object that should hold a release has no data")?;
    let mut release = if object["kind"] == "ConfigMap" {
        decode(text)?
    } else {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|e| format!("release record: {e}"))?;
        decode(&String::from_utf8_lossy(&bytes))?
    };
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    release.labels = labels.filter(|(k, _)| !is_own_label(k)).map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_string())).collect();
    Ok(release)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Hook, Info, Status};

    #[test]
    fn records_go_there_and_back() {
        let release = Release {
            name: "r".into(),
            namespace: "n".into(),
            revision: 3,
            info: Info { status: Status::PendingUpgrade, notes: "<hi>".into(), ..Info::default() },
            manifest: "a: 1\n".into(),
            hooks: vec![Hook { name: "h".into(), events: vec!["test".into()], weight: -1, ..Hook::default() }],
            labels: BTreeMap::from([("team".into(), "a".into())]),
            apply_method: "ssa".into(),
            ..Release::default()
        };
        for driver in [Driver::Secret, Driver::ConfigMap] {
            let object = object(driver, &release, ("createdAt", 7));
            assert_eq!(object["metadata"]["name"], "sh.helm.release.v1.r.v3");
            assert_eq!(object["metadata"]["labels"]["status"], "pending-upgrade");
            let back = release_of(&object).expect("read");
            assert_eq!((back.to_value(), &back.labels), (release.to_value(), &release.labels));
        }
        assert!(decode("!!").is_err() && decode("e30").is_err() && release_of(&json!({})).is_err());
    }
}
