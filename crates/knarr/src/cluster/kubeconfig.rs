//! The kubeconfig of a cluster, and its context in the user's own.
//!
//! Never changes an entry that is not this cluster's. Keeps true: the user's file is replaced whole or not at all, and what it was is kept beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::Issued;
use serde_json::{Value, json};

const ENTRIES_MAX_BYTES: u64 = 16 << 20;

/// A kubeconfig of one cluster, one user, one context, all of one name.
pub fn make(name: &str, server: &str, ca_pem: &str, identity: &Issued) -> Value {
    let user = format!("{name}-admin");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": STANDARD.encode(ca_pem)}}],
        "users": [{"name": user, "user": {
            "client-certificate-data": STANDARD.encode(&identity.cert_pem), "client-key-data": STANDARD.encode(&identity.key_pem),
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    })
}

pub fn write(path: &Path, config: &Value) -> anyhow::Result<()> {
    Ok(pki::write_private(path, to_yaml(config)?.as_bytes())?)
}

/// The first file of $KUBECONFIG, or ~/.kube/config. None without a home.
pub fn users_own() -> Option<PathBuf> {
    if let Some(list) = std::env::var_os("KUBECONFIG")
        && let Some(first) = std::env::split_paths(&list).find(|path| !path.as_os_str().is_empty())
    {
        return Some(first);
    }
    Some(PathBuf::from(std::env::var_os("HOME").filter(|h| !h.is_empty())?).join(".kube/config"))
}

/// Puts the one cluster, user and context of `own` into the file, in place of entries of the same names. True when the file's current
/// context is this one afterwards: it is chosen only where none was.
pub fn merge(path: &Path, own: &Value) -> anyhow::Result<bool> {
    let before = read(path)?;
    let mut merged = before.clone().unwrap_or_else(|| json!({"apiVersion": "v1", "kind": "Config", "preferences": {}}));
    for list in ["clusters", "users", "contexts"] {
        put(&mut merged, list, own[list][0].clone())?;
    }
    let current = merged["current-context"].as_str().unwrap_or_default();
    if current.is_empty() {
        merged["current-context"] = own["current-context"].clone();
    }
    replace(path, before.as_ref(), &merged)?;
    Ok(merged["current-context"] == own["current-context"])
}

/// Takes this cluster's entries out again. True when there were any.
pub fn remove(path: &Path, name: &str) -> anyhow::Result<bool> {
    let Some(before) = read(path)? else { return Ok(false) };
    let mut without = before.clone();
    for (list, entry) in [("clusters", name.to_owned()), ("users", format!("{name}-admin")), ("contexts", name.to_owned())] {
        if let Some(entries) = without.get_mut(list).and_then(Value::as_array_mut) {
            entries.retain(|e| e["name"] != entry.as_str());
        }
    }
    if without["current-context"] == name {
        without["current-context"] = json!("");
    }
    if without == before {
        return Ok(false);
    }
    replace(path, Some(&before), &without)?;
    Ok(true)
}

fn read(path: &Path) -> anyhow::Result<Option<Value>> {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
        Ok(facts) if facts.len() > ENTRIES_MAX_BYTES => bail!("{} is too large for a kubeconfig", path.display()),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let value: Value = serde_saphyr::from_str(&text).map_err(|e| anyhow::anyhow!("{} is not valid YAML: {e}", path.display()))?;
    if !value.is_object() {
        bail!("{} is not a kubeconfig", path.display());
    }
    Ok(Some(value))
}

fn put(config: &mut Value, list: &str, entry: Value) -> anyhow::Result<()> {
    if config[list].is_null() {
        config[list] = json!([]);
    }
    let Some(entries) = config[list].as_array_mut() else { bail!("`{list}` is not a list in the kubeconfig") };
    match entries.iter_mut().find(|e| e["name"] == entry["name"]) {
        Some(old) => *old = entry,
        None => entries.push(entry),
    }
    Ok(())
}

fn replace(path: &Path, before: Option<&Value>, after: &Value) -> anyhow::Result<()> {
    if before == Some(after) {
        return Ok(());
    }
    // A link (dotfiles kept elsewhere) stays a link: its target is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if before.is_some() {
        let kept = path.with_extension("before-knarr");
        if !kept.exists() {
            pki::write_private(&kept, &std::fs::read(&path)?)?;
        }
    }
    write(&path, after)
}

/// What was written is read back and compared before anything is replaced: no entry may suffer from a quoting rule.
fn to_yaml(config: &Value) -> anyhow::Result<String> {
    // One line a value, as people and scripts expect of a kubeconfig.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(config, options).context("writing the kubeconfig as YAML")?;
    let back: Result<Value, _> = serde_saphyr::from_str(&text);
    if back.is_ok_and(|back| back == *config) { Ok(text) } else { Ok(serde_json::to_string_pretty(config)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Value {
        make("knarr", "https://127.0.0.1:6443", "CA", &Issued { cert_pem: "C".into(), key_pem: "K".into() })
    }

    #[test]
    fn other_contexts_stay_and_ours_goes_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let theirs = "apiVersion: v1\nkind: Config\nclusters:\n- name: prod\n  cluster: {server: 'https://prod', extra: 'yes'}\ncontexts:\n- name: prod\n  context: {cluster: prod, user: me, namespace: \"0123\"}\nusers:\n- name: me\n  user: {exec: {command: aws, args: [eks]}}\ncurrent-context: prod\n";
        std::fs::write(&path, theirs).unwrap();
        let before = read(&path).unwrap().unwrap();
        assert!(!merge(&path, &own()).unwrap(), "their current context stays");
        let long = make("knarr", "https://127.0.0.1:6443", &"CERTIFICATE ".repeat(100), &Issued { cert_pem: "C".into(), key_pem: "K".into() });
        assert!(to_yaml(&long).unwrap().lines().all(|line| !line.trim_end().ends_with(['|', '>', '-'])), "a value is on the line of its key");
        let merged = read(&path).unwrap().unwrap();
        assert_eq!(merged["clusters"][0], before["clusters"][0]);
        assert_eq!(merged["contexts"][0], before["contexts"][0]);
        assert_eq!(merged["contexts"][1]["name"], "knarr");
        merge(&path, &own()).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), merged, "twice is once");
        assert!(remove(&path, "knarr").unwrap());
        assert_eq!(read(&path).unwrap().unwrap(), before);
        assert_eq!(std::fs::read_to_string(path.with_extension("before-knarr")).unwrap(), theirs);
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(&path, "clusters: [\n").unwrap();
        assert!(merge(&path, &own()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "clusters: [\n");
        let fresh = dir.path().join("new/config");
        assert!(merge(&fresh, &own()).unwrap());
    }
}
