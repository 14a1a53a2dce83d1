//! The forms that `-o` names: one printer for each, made of the command line.
//!
//! Printers turn values into text and never ask the server.

mod columns;
mod debug;
mod json;
mod shape;
mod template;
mod table;
mod yaml;

use serde_json::{Map, Value, json};

pub use columns::Columns;
pub use json::{compact, pretty, pretty_two};
pub use table::{Table, TableOptions, labels_text};
use shape::Shape;
pub use shape::typed;
pub use yaml::{kyaml, yaml};

use crate::call::Call;
use crate::failure::{Failure, Outcome, fail};

pub enum Form {
    Json,
    Yaml,
    Kyaml,
    Name,
    JsonPath { template: jsonpath::Template, text: String, as_json: bool },
    GoTemplate(template::GoTemplate),
    Columns(Columns),
}

/// How upstream holds what is printed, which decides the order of fields.
#[derive(Clone, Copy)]
enum Order {
    /// As maps.
    Sorted,
    /// Objects of the API in their structs.
    Typed,
    Listed(&'static [&'static str]),
}

pub struct Printer {
    pub form: Form,
    allow_missing: bool,
    keep_managed: bool,
    order: Order,
    /// What happened, for `-o name` and no form at all: `created`.
    pub operation: String,
    printed: usize,
    headers: bool,
}

/// The names that a command's `-o` takes, sorted.
pub const BASIC: &[&str] = &["go-template", "go-template-file", "json", "jsonpath", "jsonpath-as-json", "jsonpath-file", "kyaml", "name", "template", "templatefile", "yaml"];
pub const GET: &[&str] =
    &["custom-columns", "custom-columns-file", "go-template", "go-template-file", "json", "jsonpath", "jsonpath-as-json", "jsonpath-file", "kyaml", "name", "template", "templatefile", "wide", "yaml"];

pub fn no_printer(format: &str, allowed: &[&str]) -> Failure {
    Failure::Text(format!("unable to match a printer suitable for the output format {format:?}, allowed formats are: {}", allowed.join(",")))
}

/// `-o json`: the format, `-o jsonpath=...`: with what follows the sign.
fn split_format(output: &str) -> (String, Option<String>) {
    match output.split_once('=') {
        Some((format, rest)) => (format.to_lowercase(), Some(rest.to_owned())),
        None => (output.to_lowercase(), None),
    }
}

fn read_template(path: &str, what: &str) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| Failure::Text(format!("error reading --template {path}, open {path}: {}", crate::failure::go_io(&e)).replace("--template", what)))
}

impl Printer {
    /// The printer that `-o` and `--template` ask for; none where there is no `-o`.
    pub fn of_flags(call: &Call, allowed: &[&str]) -> Outcome<Option<Self>> {
        let flags = &call.flags;
        let (mut output, template) = (flags.text("output").to_owned(), flags.text("template").to_owned());
        if output.is_empty() && !template.is_empty() {
            output = "go-template".into();
        }
        if output.is_empty() {
            return Ok(None);
        }
        let (format, argument) = split_format(&output);
        if !allowed.contains(&format.as_str()) || format == "wide" {
            return if format == "wide" && allowed.contains(&"wide") { Ok(None) } else { Err(no_printer(&output, allowed)) };
        }
        if format.starts_with("jsonpath") && argument.is_some() && !template.is_empty() {
            return Err(no_printer(&output, allowed));
        }
        let argument = argument.filter(|a| !a.is_empty()).or_else(|| Some(template).filter(|t| !t.is_empty()));
        let allow_missing = flags.yes("allow-missing-template-keys");
        let form = Self::form(&format, argument, flags.yes("no-headers"), allow_missing)?;
        Ok(Some(Self { form, allow_missing, keep_managed: flags.yes("show-managed-fields"), order: Order::Sorted, operation: String::new(), printed: 0, headers: true }))
    }

    fn form(format: &str, argument: Option<String>, no_headers: bool, allow_missing: bool) -> Outcome<Form> {
        let path = |text: String, as_json: bool| -> Outcome<Form> {
            let template = jsonpath::Template::parse(&text).map_err(|e| Failure::Text(format!("error parsing jsonpath {text}, {e}")))?;
            Ok(Form::JsonPath { template, text, as_json })
        };
        Ok(match (format, argument) {
            ("json", _) => Form::Json,
            ("yaml", _) => Form::Yaml,
            ("kyaml", _) => Form::Kyaml,
            ("name", _) => Form::Name,
            ("jsonpath" | "jsonpath-as-json" | "jsonpath-file", None) => return fail("template format specified but no template given"),
            ("jsonpath", Some(text)) => path(text, false)?,
            ("jsonpath-as-json", Some(text)) => path(text, true)?,
            ("jsonpath-file", Some(file)) => path(read_template(&file, "--template")?, false)?,
            ("go-template" | "template" | "go-template-file" | "templatefile", None) => return fail("template format specified but no template given"),
            ("go-template" | "template", Some(text)) => Form::GoTemplate(template::GoTemplate::parse(text, allow_missing)?),
            ("go-template-file" | "templatefile", Some(file)) => Form::GoTemplate(template::GoTemplate::parse(read_template(&file, "--template")?, allow_missing)?),
            ("custom-columns", spec) => Form::Columns(Columns::of_spec(spec.as_deref().unwrap_or_default(), no_headers)?),
            ("custom-columns-file", Some(file)) => Form::Columns(Columns::of_template(&read_template(&file, "template")?)?),
            ("custom-columns-file", None) => return fail("custom-columns format specified but no custom columns given"),
            _ => return fail(format!("unable to match a printer suitable for the output format {format:?}")),
        })
    }

    /// A printer for `NAME operation` lines.
    pub fn named(operation: &str) -> Self {
        Self { form: Form::Name, allow_missing: true, keep_managed: false, order: Order::Sorted, operation: operation.to_owned(), printed: 0, headers: true }
    }

    /// The printer of commands that change things: `-o`'s, or names with what happened.
    pub fn of_change(call: &Call, operation: &str) -> Outcome<Self> {
        let operation = match dry_run(call)? {
            DryRun::None => operation.to_owned(),
            DryRun::Client => format!("{operation} (dry run)"),
            DryRun::Server => format!("{operation} (server dry run)"),
        };
        Ok(Self::of_flags(call, BASIC)?.unwrap_or_else(|| Self::named(&operation)))
    }

    /// The same for objects of built-in types that upstream's command holds as structs.
    pub fn typed(mut self) -> Self {
        self.order = Order::Typed;
        self
    }

    /// The same for a struct of kubectl's own, of which the fields' names are given in their order.
    pub fn listed(mut self, names: &'static [&'static str]) -> Self {
        self.order = Order::Listed(names);
        self
    }

    pub fn print(&mut self, object: &Value) -> Outcome<String> {
        let stripped = if self.keep_managed || !matches!(self.form, Form::Json | Form::Yaml | Form::Kyaml) { None } else { without_managed_fields(object) };
        let object = stripped.as_ref().unwrap_or(object);
        let decoded = if matches!(self.order, Order::Typed) { typed(object) } else { std::borrow::Cow::Borrowed(object) };
        let object = decoded.as_ref();
        let shape = match self.order {
            Order::Sorted => Shape::Sorted,
            Order::Typed => Shape::of(object),
            Order::Listed(names) => Shape::Listed(names),
        };
        self.printed += 1;
        Ok(match &mut self.form {
            Form::Json => json::pretty_as(object, shape) + "\n",
            Form::Yaml => format!("{}{}", if self.printed > 1 { "---\n" } else { "" }, yaml(object)),
            Form::Kyaml => format!("---\n{}", kyaml(object, shape)),
            Form::Name => names(object, &self.operation)?,
            Form::JsonPath { template, text, as_json } => jsonpath_text(template, text, *as_json, object, self.allow_missing)?,
            Form::GoTemplate(template) => template.render(object)?,
            Form::Columns(columns) => {
                let headers = std::mem::replace(&mut self.headers, false);
                columns.print(object, headers)?
            }
        })
    }
}

/// JSON of an object that upstream holds in its struct.
pub fn pretty_typed(object: &Value) -> String {
    let object = typed(object);
    json::pretty_as(&object, Shape::of(&object))
}

/// JSON with two blanks of a struct of kubectl's own.
pub fn pretty_two_listed(value: &Value, names: &'static [&'static str]) -> String {
    json::with_two_blanks(&json::pretty_as(value, Shape::Listed(names)))
}

fn jsonpath_text(template: &jsonpath::Template, text: &str, as_json: bool, object: &Value, allow_missing: bool) -> Outcome<String> {
    let result = if as_json {
        template.render_json(object, allow_missing).map(|all| all.iter().map(|v| pretty(v) + "\n").collect::<String>())
    } else {
        template.render(object, allow_missing)
    };
    result.map_err(|e| {
        let shown = debug::go_syntax(object);
        Failure::Text(format!("error executing jsonpath {text:?}: Error executing template: {e}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{text}\n\tobject given to jsonpath engine was:\n\t\t{shown}\n\n"))
    })
}

pub fn is_list(object: &Value) -> bool {
    object["items"].is_array() && object["kind"].as_str().is_some_and(|k| k.ends_with("List"))
}

fn names(object: &Value, operation: &str) -> Outcome<String> {
    if is_list(object) {
        return object["items"].as_array().into_iter().flatten().map(|item| names(item, operation)).collect();
    }
    let kind = object["kind"].as_str().unwrap_or_default();
    if kind.is_empty() {
        return fail("missing apiVersion or kind; try GetObjectKind().SetGroupVersionKind() if you know the type");
    }
    let name = object["metadata"]["name"].as_str().filter(|n| !n.is_empty()).unwrap_or("<unknown>");
    let group = object["apiVersion"].as_str().and_then(|v| v.rsplit_once('/')).map(|(group, _)| format!(".{group}")).unwrap_or_default();
    let operation = if operation.is_empty() { String::new() } else { format!(" {operation}") };
    Ok(format!("{}{group}/{name}{operation}\n", kind.to_lowercase()))
}

/// The object without its field owners; none where there are none.
pub fn without_managed_fields(object: &Value) -> Option<Value> {
    let has = |o: &Value| o["metadata"].get("managedFields").is_some();
    let items = object["items"].as_array();
    if !has(object) && !items.is_some_and(|items| items.iter().any(has)) {
        return None;
    }
    let mut copy = object.clone();
    let strip = |o: &mut Value| {
        if let Some(metadata) = o.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    };
    strip(&mut copy);
    for item in copy.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        strip(item);
    }
    Some(copy)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRun {
    None,
    Client,
    Server,
}

pub fn dry_run(call: &Call) -> Outcome<DryRun> {
    match call.flags.text("dry-run") {
        "none" | "" | "false" => Ok(DryRun::None),
        "client" | "unchanged" | "true" => Ok(DryRun::Client),
        "server" => Ok(DryRun::Server),
        other => fail(format!("Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\".")),
    }
}

/// The word that follows what happened.
pub fn dry_run_suffix(dry: DryRun) -> &'static str {
    match dry {
        DryRun::None => "",
        DryRun::Client => " (dry run)",
        DryRun::Server => " (server dry run)",
    }
}

/// A list of objects as `get` shows several.
pub fn list(items: Vec<Value>) -> Value {
    let mut map = Map::new();
    map.insert("apiVersion".into(), "v1".into());
    map.insert("items".into(), Value::Array(items));
    map.insert("kind".into(), "List".into());
    map.insert("metadata".into(), json!({"resourceVersion": ""}));
    Value::Object(map)
}
