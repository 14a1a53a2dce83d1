//! `create configmap`, and what configmaps and secrets share: literals, files, env files, the hash of their names.
// Upstream: kubectl pkg/cmd/create/create_configmap.go, pkg/cmd/util/env_file.go, pkg/util/hash.

use base64::Engine as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{COMMON, finish_as, name, object};
use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail, path_error};
use crate::flags::{Flag, array, slice, yes_no};
use crate::{global, run};

pub const SOURCES: &[Flag] = &[
    slice("from-file", "A file whose content is a value, as [key=]path; a folder gives all its files."),
    array("from-literal", "A key and its value, as key=value."),
    slice("from-env-file", "A file of key=value lines."),
    yes_no("append-hash", "Add a hash of the content to the name."),
];

pub const CONFIGMAP: Command = Command {
    name: "configmap",
    aliases: &["cm"],
    usage: "NAME [--from-file=[key=]source] [--from-literal=key1=value1]",
    about: "Create a config map from files, folders or literals.",
    examples: "kubectl create configmap my-config --from-literal=key1=config1 --from-file=path/to/bar",
    flags: &[SOURCES, COMMON, global::PRINT],
    run: run!(configmap),
    ..EMPTY
};

/// What the flags give, in bytes.
pub fn read(call: &Call, what: &str) -> Outcome<Vec<(String, Vec<u8>)>> {
    let flags = &call.flags;
    let mut out = Vec::new();
    if flags.given("from-env-file") && (flags.given("from-file") || flags.given("from-literal")) {
        return fail("from-env-file cannot be combined with from-file or from-literal");
    }
    for source in flags.list("from-literal") {
        match source.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\''))).unwrap_or(value);
                out.push((key.to_owned(), value.as_bytes().to_vec()));
            }
            _ => return fail(format!("invalid literal source {source}, expected key=value")),
        }
    }
    for source in flags.list("from-file") {
        read_source(&source, &mut out)?;
    }
    for file in flags.list("from-env-file") {
        let facts = std::fs::metadata(&file).map_err(|e| Failure::Text(format!("error reading {file}: {}", crate::failure::go_io(&e))))?;
        if facts.is_dir() {
            return fail(if what == "ConfigMap" { "env config file cannot be a directory" } else { "env secret file cannot be a directory" });
        }
        out.extend(env_file(&file)?.into_iter().map(|(k, v)| (k, v.into_bytes())));
    }
    check(&out, what, call)?;
    Ok(out)
}

fn check(pairs: &[(String, Vec<u8>)], what: &str, call: &Call) -> Outcome {
    for (i, (key, _)) in pairs.iter().enumerate() {
        let faults = api::names::config_map_key(key);
        if !faults.is_empty() {
            return fail(format!("{key:?} is not a valid key name for a {what}: {}", faults.join(";")));
        }
        if pairs[..i].iter().any(|(k, _)| k == key) {
            let name = call.args().first().cloned().unwrap_or_default();
            return fail(if what == "ConfigMap" { format!("cannot add key {key:?}, another key by that name already exists in Data for ConfigMap {name:?}") } else { format!("cannot add key {key}, another key by that name already exists") });
        }
    }
    Ok(())
}

fn read_source(source: &str, out: &mut Vec<(String, Vec<u8>)>) -> Outcome {
    let (key, path) = match source.split_once('=') {
        None => (None, source),
        Some((_, rest)) if rest.contains('=') => return fail("key names or file paths cannot contain '='"),
        Some(("", path)) => return fail(format!("key name for file path {path} missing")),
        Some((key, "")) => return fail(format!("file path for key name {key} missing")),
        Some((key, path)) => (Some(key), path),
    };
    let facts = std::fs::metadata(path).map_err(|e| Failure::Text(format!("error reading {path}: {}", crate::failure::go_io(&e))))?;
    let base = |p: &std::path::Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let read = |p: &std::path::Path| std::fs::read(p).map_err(|e| Failure::Text(path_error("open", &p.display().to_string(), &e)));
    if !facts.is_dir() {
        let path = std::path::Path::new(path);
        out.push((key.map_or_else(|| base(path), str::to_owned), read(path)?));
        return Ok(());
    }
    if key.is_some() {
        return fail("cannot give a key name for a directory path");
    }
    let mut files: Vec<_> = std::fs::read_dir(path).map_err(|e| Failure::Text(format!("error listing files in {path}: {}", crate::failure::go_io(&e))))?.flatten().map(|e| e.path()).collect();
    files.sort();
    for file in files.iter().filter(|f| f.is_file()) {
        out.push((base(file), read(file)?));
    }
    Ok(())
}

/// Lines of `key=value`; `key` alone takes the value of this environment.
pub fn env_file(file: &str) -> Outcome<Vec<(String, String)>> {
    let bytes = std::fs::read(file).map_err(|e| Failure::Text(path_error("open", file, &e)))?;
    let mut out = Vec::new();
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let Ok(line) = std::str::from_utf8(line) else {
            return fail(format!("env file {file} contains invalid utf8 bytes at line {}: {:?}", number + 1, String::from_utf8_lossy(line)));
        };
        let line = if number == 0 { line.trim_start_matches('\u{feff}') } else { line };
        let line = line.trim_start_matches(|c: char| c.is_whitespace()).trim_end_matches('\r');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, None), |(k, v)| (k, Some(v)));
        let faults = api::names::env_var_name(key);
        if !faults.is_empty() {
            return fail(format!("{key:?} is not a valid key name: {}", faults.join(";")));
        }
        match value {
            Some(value) => out.push((key.to_owned(), value.to_owned())),
            None => out.extend(std::env::var(key).ok().map(|v| (key.to_owned(), v))),
        }
    }
    Ok(out)
}

/// Ten characters of a digest, vowels replaced.
pub fn hash(value: &Value) -> String {
    let digest = Sha256::digest(crate::print::compact(value).as_bytes());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    hex[..10]
        .chars()
        .map(|c| match c {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            c => c,
        })
        .collect()
}

/// A config map's data: text where it is text.
pub fn data_of(pairs: Vec<(String, Vec<u8>)>) -> (Map<String, Value>, Map<String, Value>) {
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (key, bytes) in pairs {
        match String::from_utf8(bytes) {
            Ok(text) => data.insert(key, text.into()),
            Err(e) => binary.insert(key, base64::engine::general_purpose::STANDARD.encode(e.as_bytes()).into()),
        };
    }
    (data, binary)
}

async fn configmap(call: &Call) -> Outcome {
    let name = name(call)?;
    let (data, binary) = data_of(read(call, "ConfigMap")?);
    let mut made = object("v1", "ConfigMap", &name);
    if call.flags.yes("append-hash") {
        let mut of = json!({"kind": "ConfigMap", "name": name, "data": data.clone()});
        if !binary.is_empty() {
            of["binaryData"] = Value::Object(binary.clone());
        }
        made["metadata"]["name"] = format!("{name}-{}", hash(&of)).into();
    }
    if !data.is_empty() {
        made["data"] = Value::Object(data);
    }
    if !binary.is_empty() {
        made["binaryData"] = Value::Object(binary);
    }
    finish_as(call, "/api/v1/namespaces/{}/configmaps", made, "failed to create configmap").await
}
