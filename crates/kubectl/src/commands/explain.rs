//! `kubectl explain`: what the fields of a resource mean, from the server's OpenAPI documents.
// Upstream: kubectl pkg/explain/v2/templates/plaintext.tmpl (the layout), mitchellh/go-wordwrap.

use serde_json::Value;

use crate::call::{Call, out};
use crate::command::{Command, EMPTY};
use crate::discovery::Resource;
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, text, yes_no};
use crate::openapi;
use crate::{print, run};

const FLAGS: &[Flag] = &[
    yes_no("recursive", "All fields below, by name and type only."),
    text("api-version", "", "The group version to explain, instead of the preferred one."),
    text("output", "plaintext", "plaintext or plaintext-openapiv2.").short('o'),
];

pub const COMMAND: Command = Command {
    name: "explain",
    usage: "TYPE [--recursive=FALSE|TRUE] [--api-version=api-version-group] [-o|--output=plaintext|plaintext-openapiv2]",
    about: "Describe the fields of a resource.\n\nFields are named by their path: <type>.<fieldName>[.<fieldName>]\n\n'kubectl api-resources' tells the types.",
    examples: "# A type\nkubectl explain pods\n\n# One of its fields\nkubectl explain pods.spec.containers",
    flags: &[FLAGS],
    run: run!(run),
    ..EMPTY
};

const MAX_DEPTH: usize = 64;

async fn run(call: &Call) -> Outcome {
    let [word] = call.args() else {
        if call.args().is_empty() {
            return fail("You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.\n");
        }
        return fail("We accept only this format: explain RESOURCE\n");
    };
    let output = call.flags.text("output");
    if !["plaintext", "plaintext-openapiv2"].contains(&output) {
        return Err(print::no_printer(output, &["plaintext", "plaintext-openapiv2"])).map_err(|_| Failure::Text(format!("unrecognized format: {output}")));
    }
    let (resource, path) = find(call, word).await?;
    let version = resource.api_version();
    let Some(document) = openapi::document(call, &version).await? else { return fail(format!("couldn't find resource for \"{}{version}, Resource={}\"", if version.contains('/') { "" } else { "/" }, resource.name)) };
    let Some(schema) = openapi::schema_of(&document, &resource) else {
        return fail(format!("GVR ({version}, Resource={}) not found in OpenAPI schema", resource.name));
    };
    let mut text = String::new();
    if !resource.group.is_empty() {
        text.push_str(&format!("GROUP:      {}\n", resource.group));
    }
    text.push_str(&format!("KIND:       {}\nVERSION:    {}\n\n", resource.kind, resource.version));
    let mut writer = Writer { document: &document, recursive: call.flags.yes("recursive"), out: String::new() };
    if !writer.output(schema, &path, 0) {
        // Upstream: the head was written when the path turns out wrong.
        out(&text);
        let last = path.last().map_or("", |p| p.as_str());
        return fail(format!("field {last:?} does not exist"));
    }
    out(&format!("{text}{}\n", writer.out));
    Ok(())
}

/// `pods.spec`, `deployments.apps.spec`, `deploy.v1.apps.spec`: the longest beginning that names a resource.
async fn find(call: &Call, word: &str) -> Outcome<(std::rc::Rc<Resource>, Vec<String>)> {
    let mut parts: Vec<String> = word.split('.').map(str::to_owned).collect();
    let name = parts.remove(0);
    let asked = call.flags.text("api-version");
    let missing = || Failure::Said(format!("the server doesn't have a resource type {name:?}"));
    let served = call.served().await?;
    let mut found = served.resource(&name);
    // A group in the argument: as many words as make a known one.
    for len in (1..=parts.len()).rev() {
        let group = parts[..len].join(".");
        if served.versions.iter().any(|(g, _)| *g == group)
            && let Some(of_group) = served.resource(&format!("{name}.{group}"))
        {
            parts.drain(..len);
            found = Some(of_group);
            break;
        }
    }
    let found = match found {
        Some(found) => found,
        None => call.resource(&name).await.map_err(|e| if matches!(e, Failure::Text(_)) { missing() } else { e })?,
    };
    if asked.is_empty() {
        return Ok((found, parts));
    }
    let (group, version) = asked.rsplit_once('/').unwrap_or(("", asked));
    match served.of_kind(asked, &found.kind) {
        Some(of_version) => Ok((of_version, parts)),
        None => Ok((std::rc::Rc::new(Resource { group: group.to_owned(), version: version.to_owned(), ..(*found).clone() }), parts)),
    }
}

struct Writer<'a> {
    document: &'a Value,
    recursive: bool,
    out: String,
}

impl<'a> Writer<'a> {
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        schema["$ref"].as_str().and_then(|r| openapi::resolve(self.document, r)).unwrap_or(schema)
    }

    /// Follows the path; says whether there was something to show.
    fn output(&mut self, schema: &'a Value, path: &[String], depth: usize) -> bool {
        if depth > MAX_DEPTH {
            return false;
        }
        let resolved = self.resolved(schema);
        let Some((first, rest)) = path.split_first() else {
            self.page(resolved);
            return true;
        };
        if let Some(sub) = resolved["properties"].get(first) {
            if rest.is_empty() {
                self.out.push_str(&format!("FIELD: {first} <{}>\n", self.type_of(sub, 0)));
                self.long_enum(sub);
                self.out.push_str("\n\n");
            }
            return self.output(sub, rest, depth + 1);
        }
        if let Some(items) = resolved.get("items") {
            return self.output(items, path, depth + 1);
        }
        if let Some(values) = resolved.get("additionalProperties").filter(|v| v.is_object()) {
            return self.output(values, path, depth + 1);
        }
        resolved["allOf"].as_array().is_some_and(|all| all.iter().any(|sub| self.output(sub, path, depth + 1)))
    }

    fn page(&mut self, resolved: &'a Value) {
        let mut description = String::new();
        self.description(resolved, &mut description, 0);
        let description = if description.is_empty() { "<empty>".to_owned() } else { description };
        self.out.push_str(&format!("DESCRIPTION:\n{}\n", indent(&wrap(&description, 76), 4)));
        let docs = &resolved["externalDocs"];
        if docs.is_object() {
            self.out.push_str("\nEXTERNAL DOCS:\n");
            if let Some(text) = docs["description"].as_str() {
                self.out.push_str(&format!("{}\n", indent(&wrap(text, 76), 4)));
            }
            if let Some(url) = docs["url"].as_str() {
                self.out.push_str(&format!("    URL: {url}\n"));
            }
        }
        let mut list = String::new();
        self.fields(resolved, 1, &mut Vec::new(), &mut list);
        if !list.is_empty() {
            self.out.push_str("FIELDS:\n");
            self.out.push_str(&list);
        }
    }

    fn description(&self, schema: &'a Value, to: &mut String, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let schema = self.resolved(schema);
        if let Some(text) = schema["description"].as_str().filter(|t| !t.is_empty()) {
            to.push_str(text);
            to.push('\n');
        }
        for sub in schema["allOf"].as_array().into_iter().flatten().chain(schema.get("items")).chain(schema.get("additionalProperties").filter(|v| v.is_object())) {
            self.description(sub, to, depth + 1);
        }
    }

    fn fields(&self, schema: &'a Value, level: usize, history: &mut Vec<&'a str>, to: &mut String) {
        let reference = schema["$ref"].as_str().unwrap_or_default();
        if (!reference.is_empty() && history.contains(&reference)) || level > MAX_DEPTH {
            return;
        }
        let resolved = self.resolved(schema);
        history.push(reference);
        for (name, sub) in resolved["properties"].as_object().into_iter().flatten() {
            self.detail(name, sub, resolved, level, to);
            if self.recursive {
                self.fields(sub, level + 1, history, to);
            }
        }
        for sub in resolved["allOf"].as_array().into_iter().flatten().chain(resolved.get("items")).chain(resolved.get("additionalProperties").filter(|v| v.is_object())) {
            self.fields(sub, level, history, to);
        }
        history.pop();
    }

    fn detail(&self, name: &str, schema: &'a Value, parent: &Value, level: usize, to: &mut String) {
        let blanks = level * 2;
        to.push_str(&format!("{}{name}\t<{}>", " ".repeat(blanks), self.type_of(schema, 0)));
        if parent["required"].as_array().is_some_and(|r| r.iter().any(|r| r == name)) {
            to.push_str(" -required-");
        }
        if let Some(values) = schema["enum"].as_array() {
            to.push_str(&format!("\n{}enum: ", " ".repeat(blanks)));
            let shown: Vec<String> = values.iter().take(4).map(enum_text).collect();
            to.push_str(&shown.join(", "));
            if values.len() > 4 {
                to.push_str(", ....");
            }
        }
        to.push('\n');
        if !self.recursive {
            let text = schema["description"].as_str().filter(|t| !t.is_empty()).unwrap_or("<no description>");
            to.push_str(&format!("{}\n\n", indent(&wrap(text, 78 - blanks), blanks + 2)));
        }
    }

    fn long_enum(&mut self, schema: &Value) {
        if let Some(values) = schema["enum"].as_array() {
            self.out.push_str("ENUM:");
            for value in values {
                self.out.push_str(&format!("\n    {}", enum_text(value)));
            }
        }
    }

    fn type_of(&self, schema: &'a Value, depth: usize) -> String {
        if depth > MAX_DEPTH {
            return "Object".into();
        }
        if let Some(items) = schema.get("items") {
            return format!("[]{}", self.type_of(items, depth + 1));
        }
        if let Some(values) = schema.get("additionalProperties").filter(|v| v.is_object()) {
            return format!("map[string]{}", self.type_of(values, depth + 1));
        }
        if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice)
            && schema.get("properties").is_none()
        {
            return self.type_of(only, depth + 1);
        }
        let plain = |schema: &Value| match schema["type"].as_str() {
            Some("object") | None => "Object".to_owned(),
            Some(other) => other.to_owned(),
        };
        match schema["$ref"].as_str() {
            Some(reference) => match openapi::resolve(self.document, reference) {
                Some(target) if target["type"].as_str().is_some_and(|t| t != "object") => plain(target),
                _ => reference.rsplit(['/', '.']).next().unwrap_or("Object").to_owned(),
            },
            None => plain(schema),
        }
    }
}

fn enum_text(value: &Value) -> String {
    match value.as_str() {
        Some("") => "\"\"".into(),
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

fn indent(text: &str, blanks: usize) -> String {
    let margin = " ".repeat(blanks);
    text.split('\n').map(|line| format!("{margin}{line}")).collect::<Vec<_>>().join("\n")
}

/// Breaks lines at blanks; words longer than a line stay whole.
pub fn wrap(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let (mut used, mut blanks) = (0, String::new());
        let mut rest = line;
        while !rest.is_empty() {
            let len = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            blanks.push_str(&rest[..len]);
            rest = &rest[len..];
            let len = rest.find([' ', '\t']).unwrap_or(rest.len());
            let word = &rest[..len];
            rest = &rest[len..];
            let (wide, gap) = (word.chars().count(), blanks.chars().count());
            if word.is_empty() {
                break;
            }
            if used > 0 && used + gap + wide > limit {
                out.push('\n');
                used = 0;
            } else {
                out.push_str(&blanks);
                used += gap;
            }
            blanks.clear();
            out.push_str(word);
            used += wide;
        }
    }
    out
}
