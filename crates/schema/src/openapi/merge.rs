//! What other servers publish, merged into the version 2 document: their paths below a prefix, and the definitions these need.
//!
//! A part is kept packed and is only a value while a document is made. Conflicts are those of upstream: a path that is there
//! stays as it is, a definition that differs gets a name of its own.
// Upstream: kube-openapi pkg/aggregator/aggregator.go

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Fnv;

const DEFINITION: &str = "#/definitions/";
const PARAMETER: &str = "#/parameters/";
const KINDS: &str = "x-kubernetes-group-version-kind";

/// A document as it was sent; nothing in it is read before it is wanted.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow, default)]
    paths: Option<BTreeMap<String, &'a RawValue>>,
    #[serde(borrow, default)]
    definitions: Option<BTreeMap<String, &'a RawValue>>,
    #[serde(borrow, default)]
    parameters: Option<BTreeMap<String, &'a RawValue>>,
}

#[derive(Serialize)]
struct Chosen<'a> {
    paths: BTreeMap<&'a str, &'a RawValue>,
    definitions: BTreeMap<&'a str, &'a RawValue>,
    parameters: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Content {
    pub paths: BTreeMap<String, Value>,
    pub definitions: BTreeMap<String, Value>,
    pub parameters: BTreeMap<String, Value>,
}

/// What another server publishes of one group and version.
#[derive(Debug)]
pub struct Part {
    gzip: Vec<u8>,
    size: usize,
    pub(super) mark: u128,
}

impl Part {
    /// Chooses from a document what lies below a prefix such as `/apis/metrics.k8s.io/v1beta1/`.
    ///
    /// # Errors
    /// Text that is no such document, or more than `most` bytes chosen.
    pub fn of(document: &[u8], prefix: &str, most: usize) -> Result<Self, String> {
        if !document.trim_ascii_start().starts_with(b"{") {
            return Err("no JSON object".into());
        }
        let sent: Sent<'_> = serde_json::from_slice(document).map_err(|e| e.to_string())?;
        let (all, definitions, parameters) = (sent.paths.unwrap_or_default(), sent.definitions.unwrap_or_default(), sent.parameters.unwrap_or_default());
        let paths: BTreeMap<&str, &RawValue> = all.iter().filter(|(path, _)| path.starts_with(prefix)).map(|(path, item)| (path.as_str(), *item)).collect();
        let kept = reached(paths.values().copied(), &definitions, &parameters)?;
        let before = reached(all.values().copied(), &definitions, &parameters)?;
        // Upstream: what nothing referred to in the whole document stays.
        let chosen = Chosen {
            paths,
            definitions: definitions.iter().filter(|(name, _)| kept.definitions.contains(*name) || !before.definitions.contains(*name)).map(|(name, value)| (name.as_str(), *value)).collect(),
            parameters: parameters.iter().filter(|(name, _)| kept.parameters.contains(*name)).map(|(name, value)| (name.as_str(), *value)).collect(),
        };
        for (name, value) in chosen.paths.iter().chain(&chosen.definitions).chain(&chosen.parameters) {
            if !parsed(value)?.is_object() {
                return Err(format!("{name} is no object"));
            }
        }
        let text = serde_json::to_vec(&chosen).map_err(|e| e.to_string())?;
        if text.len() > most {
            return Err(format!("{} bytes below {prefix} are more than {most}", text.len()));
        }
        let mut mark = Fnv::default();
        mark.add(&text);
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        let gzip = out.write_all(&text).and_then(|()| out.finish()).map_err(|e| e.to_string())?;
        Ok(Self { gzip, size: text.len(), mark: mark.0 })
    }

    /// Bytes of what was chosen.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Changes with the content.
    pub fn tag(&self) -> String {
        format!("{:032X}", self.mark)
    }

    /// The same as a document of the third version.
    pub fn v3(&self) -> std::io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&super::convert::document(self.content()?, super::TITLE, super::VERSION))?)
    }

    fn content(&self) -> std::io::Result<Content> {
        let mut text = Vec::with_capacity(self.size);
        GzDecoder::new(&self.gzip[..]).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }
}

fn parsed(raw: &RawValue) -> Result<Value, String> {
    serde_json::from_str(raw.get()).map_err(|e| e.to_string())
}

#[derive(Default)]
struct Reached {
    definitions: BTreeSet<String>,
    parameters: BTreeSet<String>,
}

/// All that is referred to from somewhere, directly or not; one value is in memory at a time.
fn reached<'a>(from: impl Iterator<Item = &'a RawValue>, definitions: &BTreeMap<String, &'a RawValue>, parameters: &BTreeMap<String, &'a RawValue>) -> Result<Reached, String> {
    let mut found = Reached::default();
    let mut open: Vec<&RawValue> = from.collect();
    while let Some(raw) = open.pop() {
        references(&mut parsed(raw)?, &mut |reference| {
            if let Some(name) = reference.strip_prefix(DEFINITION)
                && let Some(value) = definitions.get(name)
                && found.definitions.insert(name.to_owned())
            {
                open.push(value);
            }
            if let Some(name) = reference.strip_prefix(PARAMETER)
                && let Some(value) = parameters.get(name)
                && found.parameters.insert(name.to_owned())
            {
                open.push(value);
            }
            None
        });
    }
    Ok(found)
}

/// Shows every reference below a value; an answer takes its place. No deeper than the parser allows.
pub(super) fn references(value: &mut Value, see: &mut impl FnMut(&str) -> Option<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| references(item, see)),
        Value::Object(fields) => {
            for (key, field) in fields {
                match field {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(other) = see(reference) {
                            *reference = other;
                        }
                    }
                    other => references(other, see),
                }
            }
        }
        _ => {}
    }
}

/// What parts add to a document.
#[derive(Default)]
pub(super) struct Additions {
    pub paths: BTreeMap<String, Value>,
    pub definitions: BTreeMap<String, Value>,
    pub parameters: BTreeMap<String, Value>,
    /// Definitions of the document itself -> the kinds they are besides.
    kinds: BTreeMap<String, Vec<Value>>,
}

impl Additions {
    /// Merges parts, the first winning, into a document of these paths and definitions.
    pub fn of(parts: &[std::sync::Arc<Part>], paths: &BTreeSet<String>, own: &mut dyn Iterator<Item = (String, Value)>) -> std::io::Result<Self> {
        let mut contents = parts.iter().map(|part| part.content()).collect::<std::io::Result<Vec<_>>>()?;
        let claimed: BTreeSet<&String> = contents.iter().flat_map(|c| c.definitions.keys()).collect();
        let (mut names, mut clashes) = (BTreeSet::new(), BTreeMap::new());
        for (name, schema) in own {
            if claimed.contains(&name) {
                clashes.insert(name.clone(), schema);
            }
            names.insert(name);
        }
        let mut out = Self::default();
        for content in &mut contents {
            let before = content.paths.len();
            content.paths.retain(|path, _| !paths.contains(path) && !out.paths.contains_key(path));
            // Upstream: where every path is taken, nothing is merged.
            if content.paths.is_empty() && before > 0 {
                continue;
            }
            out.add(std::mem::replace(content, Content { paths: BTreeMap::new(), definitions: BTreeMap::new(), parameters: BTreeMap::new() }), &names, &clashes);
        }
        Ok(out)
    }

    fn add(&mut self, mut content: Content, names: &BTreeSet<String>, clashes: &BTreeMap<String, Value>) {
        let mut renamed: BTreeMap<String, String> = BTreeMap::new();
        for (name, schema) in &content.definitions {
            let there = |name: &str| clashes.get(name).or_else(|| self.definitions.get(name));
            let is_same = |other: &Value| without_kinds(other) == without_kinds(schema);
            if there(name).is_none_or(is_same) {
                continue;
            }
            let taken = |new: &str| there(new).is_some() || names.contains(new) || content.definitions.contains_key(new) || renamed.values().any(|r| r == new);
            let fits = |new: &String| there(new).is_some_and(is_same) || !taken(new);
            if let Some(new) = (2..).map(|i| format!("{name}_v{i}")).find(fits) {
                renamed.insert(DEFINITION.to_owned() + name, DEFINITION.to_owned() + &new);
            }
        }
        for (name, parameter) in &content.parameters {
            if self.parameters.get(name).is_some_and(|there| there != parameter)
                && let Some(new) = (2..).map(|i| format!("{name}_v{i}")).find(|new| self.parameters.get(new).is_none_or(|there| there == parameter) && !content.parameters.contains_key(new))
            {
                renamed.insert(PARAMETER.to_owned() + name, PARAMETER.to_owned() + &new);
            }
        }
        if !renamed.is_empty() {
            let mut see = |reference: &str| renamed.get(reference).cloned();
            for value in content.paths.values_mut().chain(content.definitions.values_mut()).chain(content.parameters.values_mut()) {
                references(value, &mut see);
            }
        }
        let name_of = |place: &str, name: String| renamed.get(&(place.to_owned() + &name)).and_then(|new| new.strip_prefix(place)).map_or(name, str::to_owned);
        for (name, schema) in content.definitions {
            let name = name_of(DEFINITION, name);
            let more = schema.get(KINDS).and_then(Value::as_array).cloned().unwrap_or_default();
            if names.contains(&name) {
                self.kinds.entry(name).or_default().extend(more);
            } else if let Some(there) = self.definitions.get_mut(&name) {
                with_kinds(there, &more);
            } else {
                self.definitions.insert(name, schema);
            }
        }
        for (name, parameter) in content.parameters {
            self.parameters.entry(name_of(PARAMETER, name)).or_insert(parameter);
        }
        self.paths.extend(content.paths);
    }

    /// Names the kinds that a definition of the document is elsewhere too.
    pub fn name_kinds(&self, name: &str, schema: &mut Value) {
        if let Some(more) = self.kinds.get(name) {
            with_kinds(schema, more);
        }
    }
}

fn without_kinds(schema: &Value) -> Map<String, Value> {
    schema.as_object().into_iter().flatten().filter(|(key, _)| *key != KINDS).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Upstream: kinds in the order of their group, version and name, only where one comes to it.
fn with_kinds(schema: &mut Value, more: &[Value]) {
    let key = |kind: &Value| {
        let part = |name: &str| kind[name].as_str().unwrap_or_default().to_owned();
        format!("{}/{}.{}", part("group"), part("version"), part("kind"))
    };
    let Some(schema) = schema.as_object_mut() else { return };
    let had = schema.get(KINDS).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut kinds: BTreeMap<String, Value> = had.iter().map(|kind| (key(kind), kind.clone())).collect();
    for kind in more {
        kinds.entry(key(kind)).or_insert_with(|| kind.clone());
    }
    if kinds.len() > had.len() {
        schema.insert(KINDS.into(), kinds.into_values().collect());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn part(document: &Value) -> Arc<Part> {
        Arc::new(Part::of(document.to_string().as_bytes(), "/apis/g/v1/", 1 << 20).expect("a document"))
    }

    fn document(path: &str, meta: &Value) -> Value {
        let reference = |name: &str| json!({"$ref": format!("#/definitions/{name}")});
        json!({"swagger": "2.0",
            "paths": {path: {"get": {"parameters": [{"$ref": "#/parameters/p"}], "responses": {"200": {"description": "OK", "schema": reference("Thing")}}}}, "/apis/other/v1/x": {"get": {"schema": reference("Other")}}},
            "definitions": {"Thing": {"type": "object", "properties": {"metadata": reference("Meta")}}, "Meta": meta, "Other": {"type": "object"}, "Alone": {"type": "string"}},
            "parameters": {"p": {"name": "p", "in": "query", "type": "string"}, "q": {"name": "q", "in": "query"}}})
    }

    fn added(parts: &[Arc<Part>], own: &[(&str, Value)]) -> Additions {
        let mut own = own.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone()));
        Additions::of(parts, &BTreeSet::from(["/apis/g/v1/taken".to_owned()]), &mut own).expect("parts are read")
    }

    fn names(of: &BTreeMap<String, Value>) -> Vec<&str> {
        of.keys().map(String::as_str).collect()
    }

    #[test]
    fn only_what_lies_below_the_prefix_is_added() {
        let all = added(&[part(&document("/apis/g/v1/things", &json!({"type": "object"})))], &[]);
        assert_eq!(names(&all.paths), ["/apis/g/v1/things"]);
        assert_eq!(names(&all.definitions), ["Alone", "Meta", "Thing"]);
        assert_eq!(names(&all.parameters), ["p"]);
        assert!(added(&[part(&document("/apis/g/v1/taken", &json!({"type": "object"})))], &[]).definitions.is_empty());
    }

    #[test]
    fn definitions_that_differ_are_renamed_and_their_references_follow() {
        let meta = |kind: &str| json!({"type": "object", KINDS: [{"group": kind, "version": "v1", "kind": "Meta"}]});
        let own = [("Meta", meta("a")), ("Mine", json!({}))];
        let same = added(&[part(&document("/apis/g/v1/things", &meta("b")))], &own);
        assert_eq!(names(&same.definitions), ["Alone", "Thing"]);
        let mut schema = meta("c");
        same.name_kinds("Meta", &mut schema);
        assert_eq!(schema[KINDS], json!([{"group": "b", "version": "v1", "kind": "Meta"}, {"group": "c", "version": "v1", "kind": "Meta"}]));
        let differing = json!({"type": "string"});
        let two = added(&[part(&document("/apis/g/v1/things", &differing)), part(&document("/apis/g/v1/more", &differing))], &own);
        // Upstream: definitions are compared before references in them follow a new name.
        assert_eq!(names(&two.definitions), ["Alone", "Meta_v2", "Thing", "Thing_v2"]);
        assert_eq!(two.definitions["Thing"]["properties"]["metadata"]["$ref"], "#/definitions/Meta_v2");
        let three = added(&[part(&document("/apis/g/v1/things", &differing)), part(&document("/apis/g/v1/more", &json!({"type": "integer"})))], &own);
        assert_eq!(names(&three.definitions), ["Alone", "Meta_v2", "Meta_v3", "Thing", "Thing_v2"]);
        assert_eq!(three.paths["/apis/g/v1/more"]["get"]["responses"]["200"]["schema"]["$ref"], "#/definitions/Thing_v2");
        assert_eq!(three.definitions["Thing_v2"]["properties"]["metadata"]["$ref"], "#/definitions/Meta_v3");
    }

    #[test]
    fn a_part_has_the_form_of_the_third_version_too() {
        let mut document = document("/apis/g/v1/things", &json!({"type": "object"}));
        document["paths"]["/apis/g/v1/things"]["post"] = json!({"consumes": ["a/a"], "produces": ["b/b"], "parameters": [{"in": "body", "name": "body", "required": true, "schema": {"$ref": "#/definitions/Thing"}},
            {"in": "query", "name": "q", "type": "string", "uniqueItems": true, "description": "d"}], "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/Thing"}}}});
        let third: Value = serde_json::from_slice(&part(&document).v3().expect("a document")).expect("JSON");
        let thing = json!({"schema": {"$ref": "#/components/schemas/Thing"}});
        assert_eq!(third["paths"]["/apis/g/v1/things"]["post"], json!({"parameters": [{"in": "query", "name": "q", "description": "d", "schema": {"type": "string", "uniqueItems": true}}],
            "requestBody": {"required": true, "content": {"a/a": thing}}, "responses": {"200": {"description": "OK", "content": {"b/b": thing}}}}));
        assert_eq!(third["paths"]["/apis/g/v1/things"]["get"]["parameters"], json!([{"$ref": "#/components/parameters/p"}]));
        assert_eq!(third["components"]["schemas"]["Thing"]["properties"]["metadata"]["$ref"], "#/components/schemas/Meta");
        assert_eq!(third["components"]["parameters"]["p"], json!({"name": "p", "in": "query", "schema": {"type": "string"}}));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let fails = |text: &str| Part::of(text.as_bytes(), "/apis/g/v1/", 1 << 10).err();
        for text in ["", "{", "[]", r#"{"paths": 1}"#, r#"{"paths": {"/apis/g/v1/x": 1}}"#, r#"{"paths": {"/apis/g/v1/x": {"a": nul}}}"#] {
            assert!(fails(text).is_some(), "{text}");
        }
        let deep = format!(r#"{{"paths": {{"/apis/g/v1/x": {{"a": {}{}}}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(fails(&deep).is_some_and(|why| why.contains("recursion")));
        let long = format!(r#"{{"paths": {{"/apis/g/v1/x": {{"a": "{}"}}}}}}"#, "x".repeat(2 << 10));
        assert!(fails(&long).is_some_and(|why| why.contains("more than 1024")));
        assert!(fails(r#"{"paths": null}"#).is_none());
        let circle = r##"{"paths": {"/apis/g/v1/x": {"$ref": "#/definitions/a"}}, "definitions": {"a": {"$ref": "#/definitions/a"}}}"##;
        assert!(fails(circle).is_none());
    }
}
