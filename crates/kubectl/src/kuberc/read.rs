//! From a file's text to preferences in the shape of `kubectl.config.k8s.io/v1beta1`.

use std::path::Path;

use serde_json::{Map, Value, json};

pub const VERSION: &str = "kubectl.config.k8s.io/v1beta1";
const ALPHA: &str = "kubectl.config.k8s.io/v1alpha1";

/// The names of all fields in the order of Go's structs.
pub const FIELDS: &[&str] =
    &["kind", "apiVersion", "defaults", "aliases", "credentialPluginPolicy", "credentialPluginAllowlist", "name", "command", "prependArgs", "appendArgs", "options", "default"];

/// Fields of the structs by the name under which each stands; the version decides what two of them are called.
fn fields(of: &str) -> &'static [&'static str] {
    match of {
        "defaults" | "overrides" => &["command", "options"],
        "aliases" => &["name", "command", "prependArgs", "appendArgs", "options"],
        "options" | "flags" => &["name", "default"],
        "credentialPluginAllowlist" => &["name", "command"],
        _ => &["kind", "apiVersion", "defaults", "aliases", "credentialPluginPolicy", "credentialPluginAllowlist"],
    }
}

/// Preferences, and what strict reading has against them.
pub struct Read {
    pub preferences: Value,
    pub strict: Option<String>,
}

/// The first document that is of a known version and well formed; nothing of an empty text.
pub fn read(text: &str, file: &Path) -> Result<Option<Read>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let found = codec::split_documents(text).into_iter().find_map(document);
    found.map(Some).ok_or_else(|| format!("no valid preferences found in {}, use --v=5 to see details", file.display()))
}

fn document(text: &str) -> Option<Read> {
    let mut strict = Vec::new();
    let value = match goyaml::from_yaml_strict(text) {
        Ok(value) => value,
        Err(why) => {
            strict.push(why.to_string().replace("error converting YAML to JSON: ", ""));
            goyaml::from_yaml(text).ok()?
        }
    };
    let alpha = match value["apiVersion"].as_str()? {
        VERSION => false,
        ALPHA => true,
        _ => return None,
    };
    if value["kind"] != "Preference" {
        return None;
    }
    let mut preferences = object("", "", value.as_object()?, alpha, &mut strict)?;
    preferences.insert("apiVersion".into(), VERSION.into());
    for list in ["defaults", "aliases"] {
        preferences.entry(list).or_insert_with(|| json!([]));
    }
    let preferences = Value::Object(preferences);
    // An entry of the allowlist has a name or a command.
    let both = |entry: &Value| entry.get("name").is_some() && entry.get("command").is_some();
    if preferences["credentialPluginAllowlist"].as_array().is_some_and(|list| list.iter().any(both)) {
        return None;
    }
    let strict = (!strict.is_empty()).then(|| format!("strict decoding error: {}", strict.join(", ")));
    Some(Read { preferences, strict })
}

/// One struct: known fields, unknown ones told by their path; none where a field has another type.
fn object(of: &str, path: &str, map: &Map<String, Value>, alpha: bool, strict: &mut Vec<String>) -> Option<Map<String, Value>> {
    let mut out = Map::new();
    for (key, value) in map {
        let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let name = match (key.as_str(), alpha) {
            ("overrides", true) => "defaults",
            ("flags", true) => "options",
            ("defaults" | "options" | "credentialPluginPolicy" | "credentialPluginAllowlist", true) => "",
            (key, _) => key,
        };
        if !fields(of).contains(&name) {
            strict.push(format!("unknown field {place:?}"));
            continue;
        }
        let value = match (name, value) {
            (_, Value::Null) => continue,
            ("prependArgs" | "appendArgs", Value::Array(items)) if items.iter().all(Value::is_string) => value.clone(),
            ("defaults" | "aliases" | "options" | "credentialPluginAllowlist", Value::Array(items)) => {
                let items = items.iter().enumerate().map(|(i, item)| object(name, &format!("{place}[{i}]"), item.as_object()?, alpha, strict).map(Value::Object));
                Value::Array(items.collect::<Option<_>>()?)
            }
            ("prependArgs" | "appendArgs" | "defaults" | "aliases" | "options" | "credentialPluginAllowlist", _) => return None,
            (_, Value::String(_)) => value.clone(),
            _ => return None,
        };
        out.insert(name.to_owned(), value);
    }
    if of == "defaults" {
        out.entry("options").or_insert(Value::Null);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Read>, String> {
        read(text, Path::new("rc"))
    }

    #[test]
    fn both_versions_and_what_is_wrong() {
        let alpha = of("apiVersion: kubectl.config.k8s.io/v1alpha1\nkind: Preference\noverrides:\n- command: get\n  flags:\n  - name: output\n    default: wide\n").unwrap().unwrap();
        assert_eq!(alpha.preferences["defaults"], json!([{"command": "get", "options": [{"name": "output", "default": "wide"}]}]));
        assert_eq!((alpha.preferences["apiVersion"].as_str(), alpha.strict), (Some(VERSION), None));
        let strange = of(&format!("apiVersion: {VERSION}\nkind: Preference\naliases:\n- name: a\n  foo: 1\n")).unwrap().unwrap();
        assert_eq!(strange.strict.as_deref(), Some("strict decoding error: unknown field \"aliases[0].foo\""));
        assert_eq!(of("kind: Preference\n").err().as_deref(), Some("no valid preferences found in rc, use --v=5 to see details"));
        assert!(of("").unwrap().is_none());
        assert!(of(&format!("apiVersion: v1\nkind: Preference\n---\napiVersion: {VERSION}\nkind: Preference\n")).unwrap().is_some());
    }
}
