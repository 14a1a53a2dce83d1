//! `-o go-template`: Go's text/template over one object, with kubectl's functions `exists` and `base64decode`.
// Upstream: cli-runtime pkg/printers/template.go.

use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use gotemplate::{Budget, Elem, Functions, List, Map, MapType, MissingKey, Set, Signature, Type, Value as Go};
use serde_json::Value;

use crate::failure::{Failure, Outcome};

pub struct GoTemplate {
    text: String,
    set: Rc<Set>,
}

impl GoTemplate {
    pub fn parse(text: String, allow_missing: bool) -> Outcome<Self> {
        let mut functions = Functions::builtin();
        functions.add("base64decode", Signature::fixed(&[Type::String]), decode);
        functions.add("exists", Signature::variadic(&[Type::Any, Type::Any]), exists);
        let mut set = Set::new("output", Rc::new(functions), if allow_missing { MissingKey::Invalid } else { MissingKey::Error });
        set.parse("output", text.as_bytes()).map_err(|e| Failure::Text(format!("error parsing template {text}, {}", e.0)))?;
        Ok(Self { text, set: Rc::new(set) })
    }

    pub fn render(&self, object: &Value) -> Outcome<String> {
        match self.set.execute("output", to_go(object), &Budget::default()) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) => {
                crate::call::out(&format!(
                    "Error executing template: {}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{}\n\traw data was:\n\t\t{}\n\tobject given to template engine was:\n\t\t{}\n\n",
                    e.text,
                    self.text,
                    super::compact(object),
                    super::columns::go_plain(object)
                ));
                Err(Failure::Text(format!("error executing template {:?}: {}", self.text, e.text)))
            }
        }
    }
}

fn decode(args: &[Go]) -> Result<Go, gotemplate::Failure> {
    let Some(Go::Str(text)) = args.first() else { return Err("base64decode takes a string".into()) };
    match base64::engine::general_purpose::STANDARD.decode(text.as_bytes()) {
        Ok(bytes) => Ok(Go::Str(bytes.into())),
        Err(_) => Err("base64 decode failed: illegal base64 data".into()),
    }
}

/// Whether a path of keys and indices leads to something.
fn exists(args: &[Go]) -> Result<Go, gotemplate::Failure> {
    let Some((first, rest)) = args.split_first() else { return Ok(Go::Bool(false)) };
    let mut at = first.clone();
    for step in rest {
        let next = match (&at, step) {
            (Go::Map(map), Go::Str(key)) => map.get(key.as_bytes()),
            (Go::List(list), Go::Int(_, index)) => usize::try_from(*index).ok().and_then(|i| list.items().get(i).cloned()),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(Go::Bool(false)),
        }
    }
    Ok(Go::Bool(true))
}

/// Numbers are floats, as encoding/json gives them.
fn to_go(value: &Value) -> Go {
    match value {
        Value::Null => Go::Nil,
        Value::Bool(b) => Go::Bool(*b),
        Value::Number(n) => Go::Float(n.as_f64().unwrap_or(0.0)),
        Value::String(s) => Go::Str(s.as_str().into()),
        Value::Array(items) => Go::List(List::new(Elem::Any, items.iter().map(to_go).collect())),
        Value::Object(map) => Go::Map(Map::new(MapType::Any, map.iter().map(|(k, v)| (k.as_str().into(), to_go(v))).collect::<BTreeMap<_, _>>())),
    }
}
