//! Helm's own functions: templates in templates, what must be given, and YAML, JSON and TOML.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use gotemplate::text::quote;
use gotemplate::{Failure, Functions, Kind, Outcome, Scope, Signature, Str, Type, Value};
use sprig::json::{Style, decode_as, encode};

use super::json::{from_json, from_table, to_json, to_plain};
use super::{ROOT, RenderInput, Say, toml};
use crate::notice::{Level, Notice};
use crate::values::json_kind;

use Type::{Any, String as Text};

/// The marks around what `fail` and `required` say.
pub const WARN_START: &str = "HELM_ERR_START";
pub const WARN_END: &str = "HELM_ERR_END";
/// How often a template may stand within itself.
const MAX_INCLUDES: usize = 1000;

const A: Signature = Signature::fixed(&[Any]);
const T: Signature = Signature::fixed(&[Text]);
const TA: Signature = Signature::fixed(&[Text, Any]);

fn text(args: &[Value], at: usize) -> Str {
    args.get(at).and_then(Value::as_str).cloned().unwrap_or_else(|| Str::from(""))
}

// Upstream: helm pkg/engine/funcs.go and engine.go initFunMap.
pub fn register(f: &mut Functions, input: &RenderInput<'_>) {
    let (lint, say, failing, lookup, resolve) = (input.lint, input.say.clone(), input.say.clone(), input.lookup.clone(), input.resolve.clone());
    let included: Rc<RefCell<HashMap<Str, usize>>> = Rc::default();
    f.add_host("include", TA, move |scope, a| include(scope, &included, text(a, 0), a[1].clone()));
    f.add_host("tpl", TA, |scope, a| tpl(scope, &text(a, 0), a[1].clone()));
    f.add_host("required", TA, move |_, a| required(lint, say.as_deref(), &text(a, 0), a[1].clone()));
    f.add_host("fail", T, move |_, a| {
        if !lint {
            return Err(warning(&text(a, 0)));
        }
        if let Some(say) = &failing {
            say(Notice::new(Level::Info, "funcMap fail").about("message", text(a, 0).text()));
        }
        Ok(Value::str(""))
    });
    f.add_host("lookup", Signature::fixed(&[Text, Text, Text, Text]), move |_, a| match &lookup {
        Some(lookup) if !lint => {
            let found = lookup(&text(a, 0).text(), &text(a, 1).text(), &text(a, 2).text(), &text(a, 3).text())?;
            Ok(Value::Map(from_table(&found)))
        }
        _ => Ok(Value::Map(gotemplate::Map::empty())),
    });
    f.add_host("getHostByName", T, move |_, a| {
        Ok(Value::str(resolve.as_ref().and_then(|resolve| resolve(&text(a, 0).text())).unwrap_or_default()))
    });
    f.add("toYaml", A, |a| Ok(Value::str(trimmed(&to_yaml(&a[0]).unwrap_or_default()))));
    f.add("mustToYaml", A, |a| to_yaml(&a[0]).map(|yaml| Value::str(trimmed(&yaml))));
    f.add("toYamlPretty", A, |a| Ok(Value::str(to_plain(&a[0]).map(|plain| goyaml::to_yaml_pretty(&plain)).as_deref().map_or("", trimmed))));
    f.add("fromYaml", T, |a| Ok(from_yaml(&text(a, 0), Kind::Map)));
    f.add("fromYamlArray", T, |a| Ok(from_yaml(&text(a, 0), Kind::Slice)));
    f.add("toJson", A, |a| Ok(Value::str(encode(&a[0], Style::Plain).unwrap_or_default())));
    f.add("mustToJson", A, |a| encode(&a[0], Style::Plain).map(Value::str));
    f.add("fromJson", T, |a| Ok(from_json_text(&text(a, 0), Kind::Map)));
    f.add("fromJsonArray", T, |a| Ok(from_json_text(&text(a, 0), Kind::Slice)));
    f.add("toToml", A, |a| toml::write(&a[0]).map(Value::str));
    f.add("mustToToml", A, |a| toml::write_or_fail(&a[0]).map(Value::str));
    f.add("fromToml", T, |a| Ok(toml::read(&text(a, 0).text()).map_or_else(|fault| failed(fault, Kind::Map), Value::Map)));
}

fn trimmed(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// Upstream: Go writes `<no value>` even where a missing key is to be the zero value; Helm takes it out again.
pub fn without_no_value(text: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"<no value>";
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'<' && text[at..].starts_with(MARK) {
            at += MARK.len();
            continue;
        }
        out.push(text[at]);
        at += 1;
    }
    out
}

fn include(scope: &Scope<'_>, included: &RefCell<HashMap<Str, usize>>, name: Str, data: Value) -> Outcome {
    let depth = *included.borrow_mut().entry(name.clone()).and_modify(|depth| *depth += 1).or_insert(1);
    if depth > MAX_INCLUDES + 1 {
        included.borrow_mut().entry(name.clone()).and_modify(|depth| *depth -= 1);
        let source = Failure::new("unable to execute template");
        return Err(Failure::wrap(&format!("rendering template has a nested reference name: {}", name.text()), source));
    }
    let result = scope.execute(&name.text(), data);
    included.borrow_mut().entry(name).and_modify(|depth| *depth -= 1);
    result.map(Value::str)
}

fn tpl(scope: &Scope<'_>, source: &Str, data: Value) -> Outcome {
    let mut set = scope.set().child();
    scope.budget().make(source.len())?;
    let tree = set.parse(ROOT, source).map_err(|fault| {
        Failure::wrap(&format!("cannot parse template {}", quote(source)), Failure::new(fault.0))
    })?;
    let out = scope.execute_tree(&Rc::new(set), &tree, data).map_err(|fault| {
        Failure::wrap(&format!("error during tpl function execution for {}", quote(source)), fault)
    })?;
    Ok(Value::str(without_no_value(&out)))
}

fn warning(said: &Str) -> Failure {
    Failure::new(format!("{WARN_START}{}{WARN_END}", said.text()))
}

fn required(lint: bool, say: Option<&Say>, said: &Str, value: Value) -> Outcome {
    let missing = match &value {
        Value::Nil => true,
        Value::Str(text) => text.is_empty(),
        _ => false,
    };
    match (missing, lint) {
        (false, _) => Ok(value),
        (true, true) => {
            if let Some(say) = say {
                say(Notice::new(Level::Warn, "missing required value").about("message", said.text()));
            }
            Ok(Value::str(""))
        }
        (true, false) => Err(warning(said)),
    }
}

/// `sigs.k8s.io/yaml`'s Marshal.
pub fn to_yaml(value: &Value) -> Result<String, Failure> {
    let json = to_json(value).map_err(|fault| match fault.text.starts_with("yaml: ") {
        true => Failure::wrap("error converting JSON to YAML", fault),
        false => Failure::wrap("error marshaling into JSON", fault),
    })?;
    Ok(goyaml::to_yaml(&json))
}

/// The error in place of what could not be read.
fn failed(fault: String, wanted: Kind) -> Value {
    match wanted {
        Kind::Map => Value::map([(Str::from("Error"), Value::str(fault))]),
        _ => Value::list(vec![Value::str(fault)]),
    }
}

fn from_yaml(source: &Str, wanted: Kind) -> Value {
    // Upstream: what is to be filled is made before, and null leaves it empty.
    let (empty, name) = match wanted {
        Kind::Map => (Value::Map(gotemplate::Map::empty()), "map[string]interface {}"),
        _ => (Value::list(Vec::new()), "[]interface {}"),
    };
    match goyaml::from_yaml(&source.text()) {
        Err(fault) => failed(format!("error converting YAML to JSON: {fault}"), wanted),
        Ok(serde_json::Value::Null) => empty,
        Ok(found) => {
            let value = from_json(&found);
            if value.kind() == wanted {
                return value;
            }
            let kind = json_kind(&found);
            failed(format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value of type {name}"), wanted)
        }
    }
}

/// What could be read before an error stays beside it.
fn from_json_text(source: &Str, wanted: Kind) -> Value {
    let decoded = decode_as(source, wanted);
    match (decoded.error, decoded.value) {
        (None, value) => value,
        (Some(error), Value::Map(map)) if wanted == Kind::Map => {
            map.set(Str::from("Error"), Value::str(error));
            Value::Map(map)
        }
        (Some(error), _) => failed(error, wanted),
    }
}
