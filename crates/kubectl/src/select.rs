//! Which objects a command line means: files, types, names, `type/name`, selectors, categories; fetched where asked for.
//!
//! Never changes an object on the server. Items keep the order of the command line; each carries its own fault.
// Upstream: cli-runtime pkg/resource/builder.go, visitor.go, mapper.go.

use std::rc::Rc;

use http::Method;
use serde_json::Value;

use crate::call::{Call, Namespace};
use crate::client::{JSON, request, with_query};
use crate::discovery::Resource;
use crate::failure::{Failure, Outcome, fail};
use crate::files::{self, Document, FileFlags};

/// One object, known or yet to be fetched.
#[derive(Debug, Clone)]
pub struct Info {
    pub resource: Rc<Resource>,
    pub namespace: String,
    pub name: String,
    pub object: Value,
    pub source: String,
}

impl Info {
    pub fn path(&self) -> String {
        self.resource.path(&self.namespace, &self.name)
    }

    /// `pod/x` as the command line would say it: `pods/x`.
    pub fn object_name(&self) -> String {
        format!("{}/{}", self.resource.name, self.name)
    }

    pub async fn fetch(&mut self, call: &Call) -> Outcome {
        self.object = call.api().await?.get(&self.path()).await?;
        self.refresh();
        Ok(())
    }

    /// Takes name and namespace from the object.
    pub fn refresh(&mut self) {
        self.name = api::meta::name(&self.object).to_owned();
        self.namespace = api::meta::namespace(&self.object).to_owned();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Names are not looked up.
    No,
    /// What was only named is looked up; files stay as they are.
    Named,
    /// Files are looked up too.
    Latest,
}

pub struct Select {
    pub files: FileFlags,
    pub selector: Option<String>,
    pub field_selector: Option<String>,
    pub all: bool,
    pub namespace: Namespace,
    pub all_namespaces: bool,
    /// A type alone means all of it.
    pub empty_selects: bool,
    pub fetch: Fetch,
    pub chunk: i64,
    pub single_type: bool,
    pub local: bool,
    /// Lists stay lists (or Tables).
    pub whole_lists: bool,
    pub accept: String,
    pub params: Vec<(String, String)>,
    pub subresource: String,
    /// Documents without kind or apiVersion are faults of the input.
    pub validate: bool,
}

pub struct Selected {
    pub items: Vec<Outcome<Info>>,
    /// The command line can only mean one object.
    pub single: bool,
}

const MISSING: &str = "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";
pub const LOCAL_ONLY: &str = "error: you must specify resources by --filename when --local is set.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'";

enum What {
    Tuples(Vec<(String, String)>),
    Types { types: Vec<String>, names: Vec<String> },
    Nothing,
}

impl Select {
    /// What the usual flags say.
    pub fn of(call: &Call) -> Outcome<Self> {
        let flags = &call.flags;
        let some = |name: &str| Some(flags.text(name).trim().to_owned()).filter(|t| !t.is_empty());
        let local = flags.yes("local");
        let namespace = if local && !flags.given("namespace") { call.namespace().unwrap_or(Namespace { name: "default".into(), explicit: false }) } else { call.namespace()? };
        Ok(Self {
            files: FileFlags::of(call),
            selector: some("selector"),
            field_selector: some("field-selector"),
            all: flags.yes("all"),
            namespace,
            all_namespaces: flags.yes("all-namespaces"),
            empty_selects: false,
            fetch: Fetch::Named,
            chunk: flags.int("chunk-size"),
            single_type: false,
            local,
            whole_lists: false,
            accept: JSON.into(),
            params: Vec::new(),
            subresource: flags.text("subresource").to_owned(),
            validate: !matches!(flags.text("validate"), "" | "false" | "ignore"),
        })
    }

    pub fn latest(mut self) -> Self {
        self.fetch = Fetch::Latest;
        self
    }

    pub fn unfetched(mut self) -> Self {
        self.fetch = Fetch::No;
        self
    }

    pub fn with_all(mut self) -> Self {
        self.empty_selects = true;
        self
    }

    fn enforced(&self) -> bool {
        self.namespace.explicit
    }

    pub async fn by(mut self, call: &Call, args: &[String]) -> Outcome<Selected> {
        if self.all && (self.selector.is_some() || self.field_selector.is_some()) {
            return fail("setting 'all' parameter but found a non empty selector. ");
        }
        if self.local && !self.files.is_empty() && !args.is_empty() {
            return Err(Failure::Said(LOCAL_ONLY.into()));
        }
        if self.local && self.files.is_empty() {
            return Err(Failure::Said(LOCAL_ONLY.into()));
        }
        let sources = if self.files.is_empty() { None } else { Some(files::read(&self.files).await?) };
        let what = self.what(call, args).await?;
        if self.all && self.selector.is_none() {
            self.selector = Some(String::new());
        }
        if let Some(sources) = sources {
            return self.by_files(call, sources, what).await;
        }
        if let What::Types { names, .. } = &what
            && names.is_empty()
            && self.empty_selects
            && self.selector.is_none()
        {
            self.selector = Some(String::new());
        }
        if self.selector.is_some() || self.field_selector.is_some() {
            return self.by_selector(call, what).await;
        }
        match what {
            What::Tuples(tuples) => self.by_tuples(call, tuples).await,
            What::Types { types, names } if names.is_empty() => {
                for word in &types {
                    call.resource(word).await?;
                }
                fail("resource(s) were provided, but no name was specified")
            }
            What::Types { types, names } => self.by_names(call, types, names).await,
            What::Nothing => Err(Failure::Text(MISSING.into())),
        }
    }

    async fn what(&self, call: &Call, args: &[String]) -> Outcome<What> {
        let mut args = args.to_vec();
        let types = args.first().map(|a| distinct(a)).unwrap_or_default();
        if args.len() >= 2 && types.len() > 1 {
            args = types.iter().flat_map(|t| args[1..].iter().map(move |n| format!("{t}/{n}"))).collect();
        }
        let slashes = args.iter().filter(|a| a.contains('/')).count();
        if slashes > 0 && slashes != args.len() {
            return fail("there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'");
        }
        if slashes > 0 {
            return Ok(What::Tuples(args.iter().map(|a| tuple(a)).collect::<Outcome<_>>()?));
        }
        let Some(first) = args.first() else { return Ok(What::Nothing) };
        let mut types = Vec::new();
        for word in distinct(first) {
            match if self.local { None } else { call.served().await?.category(&word) } {
                Some(members) => types.extend(members.iter().map(|r| r.qualified())),
                None => types.push(word),
            }
        }
        Ok(What::Types { types, names: args[1..].to_vec() })
    }

    async fn mappings(&self, call: &Call, types: &[String]) -> Outcome<Vec<Rc<Resource>>> {
        if types.len() > 1 && self.single_type {
            return fail("you may only specify a single resource type");
        }
        let mut out: Vec<Rc<Resource>> = Vec::new();
        for word in types {
            let found = call.resource(word).await?;
            if !out.iter().any(|r| r.kind == found.kind && r.group == found.group && r.version == found.version) {
                out.push(found);
            }
        }
        Ok(out)
    }

    async fn by_selector(&self, call: &Call, what: What) -> Outcome<Selected> {
        let types = match what {
            What::Tuples(_) => return fail("selectors and the all flag cannot be used when passing resource/name arguments"),
            What::Types { names, .. } if !names.is_empty() => return fail("name cannot be provided when a selector is specified"),
            What::Types { types, .. } => types,
            What::Nothing => return fail("at least one resource must be specified to use a selector"),
        };
        if !self.subresource.is_empty() {
            return fail("subresource cannot be used when bulk resources are specified");
        }
        let mut items = Vec::new();
        for resource in self.mappings(call, &types).await? {
            let namespace = if self.all_namespaces { "" } else { &self.namespace.name };
            match self.list(call, &resource, namespace, &mut items).await {
                Ok(()) => {}
                Err(failure) => items.push(Err(self.list_fault(&resource, failure))),
            }
        }
        Ok(Selected { items, single: false })
    }

    // Upstream: cli-runtime pkg/resource/selector.go Visit.
    fn list_fault(&self, resource: &Resource, failure: Failure) -> Failure {
        let Failure::Status(mut status) = failure else { return failure };
        if !matches!(status["reason"].as_str(), Some("BadRequest" | "NotFound")) {
            return Failure::Status(status);
        }
        let (labels, fields) = (self.selector.as_deref().unwrap_or_default(), self.field_selector.as_deref().unwrap_or_default());
        let message = status["message"].as_str().unwrap_or_default().to_owned();
        status["message"] = if labels.is_empty() && fields.is_empty() {
            format!("Unable to list {:?}: {message}", resource.go_text()).into()
        } else {
            format!("Unable to find {:?} that match label selector {labels:?}, field selector {fields:?}: {message}", resource.go_text()).into()
        };
        Failure::Status(status)
    }

    /// All pages of a list.
    async fn list(&self, call: &Call, resource: &Rc<Resource>, namespace: &str, items: &mut Vec<Outcome<Info>>) -> Outcome {
        let api = call.api().await?;
        let mut next = String::new();
        loop {
            let limit = self.chunk.to_string();
            let mut pairs: Vec<(&str, &str)> = self.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            if let Some(selector) = self.selector.as_deref().filter(|s| !s.is_empty()) {
                pairs.push(("labelSelector", selector));
            }
            if let Some(selector) = &self.field_selector {
                pairs.push(("fieldSelector", selector));
            }
            if self.chunk > 0 {
                pairs.push(("limit", &limit));
            }
            if !next.is_empty() {
                pairs.push(("continue", &next));
            }
            let path = resource.collection(namespace);
            let answer = api.json(request(Method::GET, &with_query(&path, &pairs), &self.accept, None)).await;
            let mut list = match answer {
                Ok(list) => list,
                // The list's first page is too old for its next one: what is missing is said, not hidden.
                Err(e) if e.code() == 410 && !next.is_empty() => return Err(e.context("an inconsistent list")),
                Err(e) => return Err(e),
            };
            next = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            if self.whole_lists {
                items.push(Ok(Info { resource: resource.clone(), namespace: namespace.to_owned(), name: String::new(), object: list, source: String::new() }));
            } else {
                let version = list["apiVersion"].as_str().unwrap_or_default().to_owned();
                let kind = list["kind"].as_str().unwrap_or_default().trim_end_matches("List").to_owned();
                for mut object in list["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                    with_type(&mut object, &version, &kind);
                    items.push(Ok(info(resource, object)));
                }
            }
            if next.is_empty() {
                return Ok(());
            }
        }
    }

    fn namespace_of(&self, resource: &Resource) -> Outcome<String> {
        if !resource.namespaced {
            return Ok(String::new());
        }
        if self.all_namespaces {
            return fail("a resource cannot be retrieved by name across all namespaces");
        }
        Ok(self.namespace.name.clone())
    }

    async fn by_tuples(&self, call: &Call, tuples: Vec<(String, String)>) -> Outcome<Selected> {
        let mut named: Vec<(Rc<Resource>, String)> = Vec::new();
        for (word, name) in &tuples {
            named.push((call.resource(word).await?, name.clone()));
        }
        if self.single_type && named.iter().any(|(r, _)| r.qualified() != named[0].0.qualified()) {
            return fail("you may only specify a single resource type");
        }
        self.named(call, named).await
    }

    async fn by_names(&self, call: &Call, types: Vec<String>, names: Vec<String>) -> Outcome<Selected> {
        if types.len() > 1 {
            return fail("you must specify only one resource");
        }
        let resource = self.mappings(call, &types).await?.remove(0);
        self.named(call, names.into_iter().map(|name| (resource.clone(), name)).collect()).await
    }

    async fn named(&self, call: &Call, named: Vec<(Rc<Resource>, String)>) -> Outcome<Selected> {
        let single = named.len() == 1;
        let mut items = Vec::new();
        for (resource, name) in named {
            if name.is_empty() {
                return fail("resource name may not be empty");
            }
            let namespace = self.namespace_of(&resource)?;
            let info = Info { resource, namespace, name, object: Value::Null, source: String::new() };
            items.push(if self.fetch == Fetch::No { Ok(info) } else { self.get(call, info).await });
        }
        Ok(Selected { items, single })
    }

    async fn get(&self, call: &Call, mut info: Info) -> Outcome<Info> {
        let pairs: Vec<(&str, &str)> = self.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut path = info.path();
        if !self.subresource.is_empty() {
            path = format!("{path}/{}", self.subresource);
        }
        info.object = call.api().await?.json(request(Method::GET, &with_query(&path, &pairs), &self.accept, None)).await?;
        Ok(info)
    }

    async fn by_files(&self, call: &Call, sources: files::Sources, what: What) -> Outcome<Selected> {
        match what {
            What::Nothing => {}
            What::Tuples(_) => return fail("resource/name arguments cannot be provided when a path is specified"),
            What::Types { names, .. } if !names.is_empty() => return fail("name cannot be provided when a path is specified"),
            What::Types { .. } => return fail("when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well"),
        }
        let selector = match self.selector.as_deref().filter(|s| !s.is_empty()) {
            Some(text) => Some(api::selector::LabelSelector::parse(text).map_err(|e| Failure::Text(format!("the provided selector {text:?} is not valid: {e}")))?),
            None => None,
        };
        let mut items = Vec::new();
        for document in sources.documents {
            let document = match document {
                Ok(document) => document,
                Err(e) => {
                    items.push(Err(e));
                    continue;
                }
            };
            for part in flatten(document) {
                let made = self.of_document(call, part).await;
                match (&made, &selector) {
                    (Ok(info), Some(selector)) if !selector.matches(|key| api::meta::label(&info.object, key)) => {}
                    _ => items.push(made),
                }
            }
        }
        Ok(Selected { items, single: sources.single })
    }

    async fn of_document(&self, call: &Call, document: Document) -> Outcome<Info> {
        let Document { source, mut object } = document;
        let (api_version, kind) = identity(&object, &source, self.validate)?;
        let resource = if self.local {
            local_resource(&api_version, &kind)
        } else {
            match call.resource_of_kind(&api_version, &kind).await? {
                Some(resource) => resource,
                None => {
                    let (name, namespace) = (api::meta::name(&object), api::meta::namespace(&object));
                    return fail(format!("resource mapping not found for name: {name:?} namespace: {namespace:?} from {source:?}: no matches for kind {kind:?} in version {api_version:?}\nensure CRDs are installed first"));
                }
            }
        };
        let own = api::meta::namespace(&object).to_owned();
        let namespace = if !resource.namespaced {
            String::new()
        } else if self.local {
            own
        } else if own.is_empty() {
            api::meta::set(&mut object, "namespace", self.namespace.name.as_str());
            self.namespace.name.clone()
        } else if self.enforced() && own != self.namespace.name {
            return fail(format!("the namespace from the provided object {own:?} does not match the namespace {:?}. You must pass '--namespace={own}' to perform this operation.", self.namespace.name));
        } else {
            own
        };
        if !resource.namespaced && !self.local {
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("namespace");
            }
        }
        let name = api::meta::name(&object).to_owned();
        let info = Info { resource, namespace, name, object, source };
        if self.fetch == Fetch::Latest && !self.local && !info.name.is_empty() {
            return self.get(call, info).await;
        }
        Ok(info)
    }
}

fn info(resource: &Rc<Resource>, object: Value) -> Info {
    let (namespace, name) = (api::meta::namespace(&object).to_owned(), api::meta::name(&object).to_owned());
    Info { resource: resource.clone(), namespace, name, object, source: String::new() }
}

/// Items of lists leave out what the list says once.
pub fn with_type(object: &mut Value, api_version: &str, kind: &str) {
    if object["kind"].is_null()
        && let Some(map) = object.as_object_mut()
    {
        map.insert("apiVersion".into(), api_version.into());
        map.insert("kind".into(), kind.into());
    }
}

/// What is known of a kind without asking: enough to print and to change it.
fn local_resource(api_version: &str, kind: &str) -> Rc<Resource> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    Rc::new(Resource { group: group.into(), version: version.into(), kind: kind.into(), name: format!("{}s", kind.to_lowercase()), singular: kind.to_lowercase(), namespaced: true, ..Resource::default() })
}

/// apiVersion and kind of a document, or upstream's complaint.
pub fn identity(object: &Value, source: &str, validate: bool) -> Outcome<(String, String)> {
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if validate && object.is_object() && (api_version.is_empty() || kind.is_empty()) {
        let unset: Vec<&str> = [(&api_version, "apiVersion not set"), (&kind, "kind not set")].into_iter().filter(|(v, _)| v.is_empty()).map(|(_, why)| why).collect();
        let why = if unset.len() == 1 { unset[0].to_owned() } else { format!("[{}]", unset.join(", ")) };
        return fail(format!("error validating {source:?}: error validating data: {why}; if you choose to ignore these errors, turn validation off with --validate=false"));
    }
    let missing = if kind.is_empty() { "Kind" } else { "apiVersion" };
    if kind.is_empty() || api_version.is_empty() {
        if !object.is_object() {
            let what = match object {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            return fail(format!("unable to decode {source:?}: json: cannot unmarshal {what} into Go value of type struct {{ Items *[]encoding/json.RawMessage }}"));
        }
        return fail(format!("unable to decode {source:?}: Object '{missing}' is missing in '{}'", crate::print::compact(object)));
    }
    Ok((api_version, kind))
}

/// Lists in files are their items.
fn flatten(document: Document) -> Vec<Document> {
    let is_list = document.object["items"].is_array() && document.object["kind"].as_str().is_some_and(|k| k.ends_with("List"));
    if !is_list {
        return vec![document];
    }
    let Document { source, mut object } = document;
    let items = object["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default().trim_end_matches("List").to_owned();
    let version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
    let of_kind = |mut item: Value| {
        if !kind.is_empty() {
            with_type(&mut item, &version, &kind);
        }
        Document { source: source.clone(), object: item }
    };
    items.into_iter().map(of_kind).flat_map(flatten).collect()
}

fn distinct(words: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in words.split(',') {
        if !out.iter().any(|o| o == word) {
            out.push(word.to_owned());
        }
    }
    out
}

fn tuple(word: &str) -> Outcome<(String, String)> {
    let parts: Vec<&str> = word.split('/').collect();
    let [kind, name] = parts[..] else { return fail("arguments in resource/name form may not have more than one slash") };
    if kind.is_empty() || name.is_empty() || kind.contains(',') {
        return fail("arguments in resource/name form must have a single resource and name");
    }
    Ok((kind.to_owned(), name.to_owned()))
}

impl Selected {
    /// All of them, or the faults.
    pub fn all(self) -> Outcome<Vec<Info>> {
        let (mut infos, mut faults) = (Vec::new(), Vec::new());
        for item in self.items {
            match item {
                Ok(info) => infos.push(info),
                Err(e) => faults.push(e),
            }
        }
        Failure::many(faults)?;
        Ok(infos)
    }
}
