//! Reads k8s-pb's prost sources as text: messages, tags, wire types, and the Go markers kept in the comments.
//!
//! Never compiles them. Names come as prost made them (`ClusterIp`), so callers compare normalised names only.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;

use crate::model::norm;

#[derive(Clone, Debug, Default)]
pub struct PbField {
    pub ident: String,
    pub tag: u32,
    /// `string`, `int32`, `message`, `string, message` ...
    pub wire: String,
    pub repeated: bool,
    pub map: bool,
    /// Normalised definition name of the message, when there is one.
    pub target: Option<String>,
    pub docs: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct PbMsg {
    /// `io.k8s.api.core.v1.AwsElasticBlockStoreVolumeSource`
    pub name: String,
    pub docs: Vec<String>,
    pub fields: Vec<PbField>,
}

pub type PbMsgs = BTreeMap<String, PbMsg>;

pub fn read(src: &Path) -> PbMsgs {
    let mut out = PbMsgs::new();
    for file in crate::openapi_source::files(src) {
        let module = file.parent().and_then(|p| p.strip_prefix(src).ok()).expect("inside the folder");
        let module: Vec<String> = module.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        let text = std::fs::read_to_string(&file).expect("source file");
        for message in parse(&text, &module) {
            out.insert(norm(&message.name), message);
        }
    }
    out
}

fn definition(module: &[String], name: &str) -> String {
    let dashed: Vec<String> = module
        .iter()
        .map(|p| match p.as_str() {
            "apiextensions_apiserver" => "apiextensions-apiserver".into(),
            "kube_aggregator" => "kube-aggregator".into(),
            other => other.to_owned(),
        })
        .collect();
    format!("io.k8s.{}.{name}", dashed.join("."))
}

fn parse(text: &str, module: &[String]) -> Vec<PbMsg> {
    let tag = Regex::new(r#"tag = "(\d+)""#).expect("regex");
    let map = Regex::new(r#"btree_map = "([^"]*)""#).expect("regex");
    let path = Regex::new(r"(?:(?:super|self|crate)::)[\w:]*|[A-Z]\w*").expect("regex");
    let (mut out, mut current): (Vec<PbMsg>, Option<PbMsg>) = (Vec::new(), None);
    let (mut docs, mut attribute, mut pending): (Vec<String>, String, String) = Default::default();
    for line in text.lines() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.strip_prefix(' ').unwrap_or(doc).to_owned());
        } else if let Some(name) = line.strip_prefix("pub struct ").and_then(|r| r.split_whitespace().next()) {
            let name = definition(module, name.trim_end_matches("{}"));
            let message = PbMsg { name, docs: std::mem::take(&mut docs), fields: Vec::new() };
            if line.ends_with("{}") { out.push(message) } else { current = Some(message) }
        } else if let (Some(inner), Some(_)) = (line.strip_prefix("#[prost("), &current) {
            attribute = inner.to_owned();
        } else if line == "}" {
            out.extend(current.take());
        } else if let Some(message) = current.as_mut().filter(|_| !attribute.is_empty()) {
            pending.push_str(line);
            if !line.ends_with(',') || pending.matches('<').count() != pending.matches('>').count() {
                continue;
            }
            let (ident, ty) = pending.trim_start_matches("pub ").split_once(':').expect("field");
            let tag = tag.captures(&attribute).map_or(0, |c| c[1].parse().expect("tag"));
            let map = map.captures(&attribute).map(|c| c[1].to_owned());
            let wire = map.clone().unwrap_or_else(|| attribute.split([',', ' ', '=']).next().unwrap_or("").to_owned());
            let target = wire.ends_with("message").then(|| last_type(&path, ty)).flatten().map(|t| norm(&resolve(module, &t)));
            message.fields.push(PbField {
                ident: ident.trim_start_matches("r#").to_owned(),
                tag,
                wire,
                repeated: attribute.contains("repeated"),
                map: map.is_some(),
                target,
                docs: std::mem::take(&mut docs),
            });
            (attribute, pending) = Default::default();
        } else if !line.starts_with("#[") {
            docs.clear();
        }
    }
    out
}

fn last_type(path: &Regex, ty: &str) -> Option<String> {
    let ty = ty.replace("::prost::alloc::", "").replace("::core::option::Option", "").replace("string::String", "");
    let ty = ty.replace("vec::Vec", "").replace("boxed::Box", "").replace("collections::BTreeMap", "");
    path.find_iter(&ty).last().map(|m| m.as_str().to_owned())
}

fn resolve(module: &[String], path: &str) -> String {
    let mut at: Vec<String> = module.to_vec();
    let mut parts: Vec<&str> = path.split("::").collect();
    let name = parts.pop().unwrap_or_default();
    for part in parts {
        match part {
            "super" => {
                at.pop();
            }
            "crate" => at.clear(),
            "self" => {}
            other => at.push(other.to_owned()),
        }
    }
    definition(&at, name)
}
