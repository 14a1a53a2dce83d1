//! `.Files`: the files of a chart, by name.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use gotemplate::{Kind, MapType, Method, Object, Outcome, Signature, Str, Type, Value};

use super::functions::to_yaml;
use super::pattern::Pattern;
use crate::chart::File;

const NONE: Signature = Signature::fixed(&[]);
const TEXT: Signature = Signature::fixed(&[Type::String]);

pub struct Files(Rc<BTreeMap<Str, Str>>);

impl Files {
    pub fn value(files: &[File]) -> Value {
        let entries = files.iter().map(|file| (Str::from(file.name.as_str()), Str::from(file.data.as_slice())));
        Value::Object(Rc::new(Files(Rc::new(entries.collect()))))
    }
}

fn text(args: &[Value]) -> Str {
    args.first().and_then(Value::as_str).cloned().unwrap_or_else(|| Str::from(""))
}

fn glob(files: &BTreeMap<Str, Str>, pattern: &str) -> Value {
    // Upstream: a pattern that cannot be read stands for all files.
    let pattern = Pattern::parse(pattern);
    let kept = files.iter().filter(|(name, _)| pattern.as_ref().is_none_or(|p| p.matches(&name.text())));
    Value::Object(Rc::new(Files(Rc::new(kept.map(|(name, data)| (name.clone(), data.clone())).collect()))))
}

/// A map of the files by their names without folders, as YAML.
fn as_yaml(files: &BTreeMap<Str, Str>, shown: impl Fn(&Str) -> Value) -> Outcome {
    let entries = files.iter().map(|(name, data)| (Str::from(sprig::paths::base(name)), shown(data)));
    let map = gotemplate::Map::new(MapType::Any, entries.collect());
    let yaml = to_yaml(&Value::Map(map)).unwrap_or_default();
    Ok(Value::str(yaml.strip_suffix('\n').unwrap_or(&yaml)))
}

fn lines(data: &Str) -> Outcome {
    let Some(last) = data.last() else { return Err("runtime error: index out of range [-1]".into()) };
    let body = if *last == b'\n' { &data[..data.len() - 1] } else { data };
    Ok(Value::strings(body.split(|b| *b == b'\n')))
}

impl Object for Files {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed("engine.files")
    }

    fn kind(&self) -> Kind {
        Kind::Map
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn items(&self) -> Vec<(Value, Value)> {
        self.0.iter().map(|(name, data)| (Value::Str(name.clone()), Value::Bytes(Some(data.clone())))).collect()
    }

    fn entry(&self, key: &[u8]) -> Option<Value> {
        self.0.get(key).map(|data| Value::Bytes(Some(data.clone())))
    }

    fn missing_entry(&self) -> Value {
        Value::Bytes(None)
    }

    // Upstream: helm pkg/engine/files.go.
    fn method(&self, name: &str) -> Option<Method> {
        let files = self.0.clone();
        Some(match name {
            "Get" => Method::new(TEXT, move |a| Ok(Value::Str(files.get(&text(a)).cloned().unwrap_or_else(|| Str::from(""))))),
            "GetBytes" => Method::new(TEXT, move |a| Ok(Value::Bytes(files.get(&text(a)).cloned()))),
            "Glob" => Method::new(TEXT, move |a| Ok(glob(&files, &text(a).text()))),
            "AsConfig" => Method::new(NONE, move |_| as_yaml(&files, |data| Value::Str(data.clone()))),
            "AsSecrets" => Method::new(NONE, move |_| as_yaml(&files, |data| Value::str(sprig::base64_encode(data)))),
            "Lines" => Method::new(TEXT, move |a| match files.get(&text(a)) {
                Some(data) => lines(data),
                None => Ok(Value::strings(Vec::<Str>::new())),
            }),
            _ => return None,
        })
    }
}
