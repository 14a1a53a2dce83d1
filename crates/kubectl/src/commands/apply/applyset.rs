//! `apply --prune --applyset`: objects that belong to a set, which an object of its own, the parent, keeps account of.
//!
//! Keeps true: the parent names every kind and namespace in which members may be, before any is made and until all that left are gone.
// Upstream: kubectl pkg/cmd/apply/applyset.go, applyset_pruner.go; KEP-3659.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use base64::Engine as _;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Apply, prune};
use crate::call::Call;
use crate::change;
use crate::client::{APPLY_PATCH, JSON, VERSION, request, with_query};
use crate::discovery::Resource;
use crate::failure::{Failure, Outcome, fail};
use crate::print::DryRun;
use crate::select::Info;

pub const GATE: &str = "KUBECTL_APPLYSET";
const TOOL: &str = "kubectl";
const MANAGER: &str = "kubectl-applyset";
const ID: &str = "applyset.kubernetes.io/id";
const PART_OF: &str = "applyset.kubernetes.io/part-of";
const PARENT_TYPE: &str = "applyset.kubernetes.io/is-parent-type";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// What older tools wrote instead of kinds.
const RESOURCES: &str = "applyset.kubernetes.io/contains-group-resources";

/// Where members are: kinds by `Kind.group`, and namespaces.
#[derive(Default, Clone)]
struct Extent {
    kinds: BTreeMap<String, Rc<Resource>>,
    namespaces: BTreeSet<String>,
}

pub struct ApplySet {
    resource: Rc<Resource>,
    namespace: String,
    name: String,
    /// Before this run, and after it.
    current: Extent,
    updated: Extent,
}

fn group_kind(resource: &Resource) -> String {
    if resource.group.is_empty() { resource.kind.clone() } else { format!("{}.{}", resource.kind, resource.group) }
}

async fn resource_of(call: &Call, name: &str, group: &str) -> Outcome<Rc<Resource>> {
    let word = if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") };
    match call.served().await?.resource(&word) {
        Some(found) => Ok(found),
        None => call.served_now().await?.resource(&word).ok_or_else(|| Failure::Text(format!("no matches for {group}/, Resource={name}"))),
    }
}

async fn resource_of_kind(call: &Call, group_kind: &str) -> Outcome<Rc<Resource>> {
    let (kind, group) = group_kind.split_once('.').unwrap_or((group_kind, ""));
    let find = |all: Vec<Rc<Resource>>| all.into_iter().find(|r| r.kind == kind && r.group == group);
    match find(call.served().await?.preferred()) {
        Some(found) => Ok(found),
        None => find(call.served_now().await?.preferred()).ok_or_else(|| Failure::Text(format!("no matches for kind {kind:?} in group {group:?}"))),
    }
}

impl ApplySet {
    /// The set of the command line; none where it names none.
    pub async fn of(call: &Call) -> Outcome<Option<Self>> {
        let reference = call.flags.text("applyset");
        if reference.is_empty() {
            return Ok(None);
        }
        let invalid = |why: Failure| Failure::Text(format!("invalid parent reference {reference:?}: {}", why.message()));
        let (kind, name) = reference.split_once('/').unwrap_or(("secrets", reference));
        if name.is_empty() {
            return Err(invalid("name cannot be blank".into()));
        }
        let (plural, group) = kind.split_once('.').unwrap_or((kind, ""));
        let resource = resource_of(call, plural, group).await.map_err(invalid)?;
        // Upstream: only a namespace of the command line counts.
        let namespace = call.namespace()?;
        let namespace = if resource.namespaced && namespace.explicit { namespace.name } else { String::new() };
        Ok(Some(Self { resource, namespace, name: name.to_owned(), current: Extent::default(), updated: Extent::default() }))
    }

    fn is_builtin(&self) -> bool {
        self.resource.group.is_empty() && self.resource.version == "v1" && matches!(self.resource.name.as_str(), "secrets" | "configmaps")
    }

    /// `secrets./x`
    fn shown(&self) -> String {
        format!("\"{}.{}/{}\"", self.resource.name, self.resource.group, self.name)
    }

    fn path(&self) -> String {
        self.resource.path(&self.namespace, &self.name)
    }

    fn id(&self) -> String {
        let whole = [self.name.as_str(), &self.namespace, &self.resource.kind, &self.resource.group].join(".");
        format!("applyset-{}-v1", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(whole)))
    }

    /// Whether the parent may be one.
    pub async fn check(&self, call: &Call) -> Outcome {
        let mut faults = Vec::new();
        if self.resource.namespaced && self.namespace.is_empty() {
            faults.push("namespace is required to use namespace-scoped ApplySet".into());
        }
        if !self.is_builtin() {
            let path = with_query("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &[("labelSelector", PARENT_TYPE)]);
            let name = self.resource.qualified();
            let is_allowed = match call.api().await?.get(&path).await {
                Ok(list) => list["items"].as_array().is_some_and(|all| all.iter().any(|d| api::meta::name(d) == name)),
                Err(e) => {
                    faults.push(Failure::Text(format!("identifying allowed custom resource parent types: {}", e.message())));
                    false
                }
            };
            if !is_allowed {
                faults.push(Failure::Text(format!("resource {:?} is not permitted as an ApplySet parent", self.resource.go_text())));
            }
        }
        Failure::many(faults)
    }

    /// Makes the objects members; where one says that it is another's, that alone is left to be said.
    pub fn label(&self, items: &mut Vec<Outcome<Info>>) {
        for info in items.iter_mut().flatten() {
            if api::meta::label(&info.object, PART_OF).is_some() {
                *items = vec![fail(format!("ApplySet label {PART_OF:?} already set in input data"))];
                return;
            }
            info.object["metadata"]["labels"][PART_OF] = self.id().into();
        }
    }

    /// Reads the parent, and makes it name all that the coming writes may touch.
    pub async fn before(&mut self, call: &Call, apply: &Apply, items: &[Outcome<Info>]) -> Outcome {
        self.fetch(call).await?;
        for info in items.iter().flatten() {
            self.updated.kinds.insert(group_kind(&info.resource), info.resource.clone());
            if info.resource.namespaced && !info.namespace.is_empty() {
                self.updated.namespaces.insert(info.namespace.clone());
            }
        }
        let mut all = self.updated.clone();
        all.kinds.extend(self.current.kinds.clone());
        all.namespaces.extend(self.current.namespaces.iter().cloned());
        self.update(call, apply, &all).await
    }

    async fn fetch(&mut self, call: &Call) -> Outcome {
        let shown = self.shown();
        let parent = match call.api().await?.get(&self.path()).await {
            Ok(parent) => parent,
            Err(e) if e.is_not_found() && self.is_builtin() => return Ok(()),
            Err(e) if e.is_not_found() => return fail("custom resource ApplySet parents cannot be created automatically"),
            Err(e) => return fail(format!("failed to fetch ApplySet parent object {shown}: {}", e.message())),
        };
        let Some(tooling) = api::meta::annotation(&parent, TOOLING) else {
            return fail(format!("ApplySet parent object {shown} already exists and is missing required annotation {TOOLING:?}"));
        };
        let tool = tooling.rsplit_once('/').map_or(tooling, |(tool, _)| tool);
        if tool != TOOL {
            return fail(format!("ApplySet parent object {shown} already exists and is managed by tooling {tool:?} instead of {TOOL:?}"));
        }
        let id = self.id();
        match api::meta::label(&parent, ID) {
            None => return fail(format!("ApplySet parent object {shown} exists and does not have required label {ID}")),
            Some(other) if other != id => return fail(format!("ApplySet parent object {shown} exists and has incorrect value for label {ID:?} (got: {other}, want: {id})")),
            Some(_) => {}
        }
        self.current.kinds = kinds(call, &parent).await.map_err(|e| Failure::Text(format!("parsing ApplySet annotation on {shown}: {}", e.message())))?;
        let namespaces = api::meta::annotation(&parent, NAMESPACES).filter(|n| !n.is_empty());
        self.current.namespaces = namespaces.into_iter().flat_map(|n| n.split(',')).map(str::to_owned).collect();
        if self.resource.namespaced {
            self.current.namespaces.insert(self.namespace.clone());
        }
        Ok(())
    }

    async fn update(&self, call: &Call, apply: &Apply, extent: &Extent) -> Outcome {
        if apply.change.dry == DryRun::Client {
            return Ok(());
        }
        let kinds: Vec<&str> = extent.kinds.keys().map(String::as_str).collect();
        let namespaces: Vec<&str> = extent.namespaces.iter().map(String::as_str).filter(|n| *n != self.namespace).collect();
        let mut parent = json!({
            "kind": self.resource.kind, "apiVersion": self.resource.api_version(),
            "metadata": {
                "name": self.name,
                "annotations": {TOOLING: format!("{TOOL}/{VERSION}"), KINDS: kinds.join(","), NAMESPACES: namespaces.join(",")},
                "labels": {ID: self.id()},
            },
        });
        if !self.namespace.is_empty() {
            parent["metadata"]["namespace"] = self.namespace.clone().into();
        }
        let mut answer = self.send(call, apply, &parent, "false").await;
        if let Err(e) = &answer
            && e.is_conflict()
        {
            let text = format!("WARNING: failed to update ApplySet: {}\nApplySet field manager {MANAGER} should own these fields. Retrying with conflicts forced.", e.message());
            crate::call::log('W', "applyset.go:447", &text);
            answer = self.send(call, apply, &parent, "true").await;
        }
        answer.map_err(|e| Failure::Text(format!("failed to update ApplySet: {}", e.message())))
    }

    async fn send(&self, call: &Call, apply: &Apply, parent: &Value, force: &str) -> Outcome {
        let mut pairs = vec![("fieldManager", MANAGER), ("force", force), ("fieldValidation", change::validation(call)?)];
        if apply.change.dry == DryRun::Server {
            pairs.push(("dryRun", "All"));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        let body = parent.to_string().into_bytes();
        call.api().await?.json(request(Method::PATCH, &with_query(&self.path(), &pairs), JSON, Some((APPLY_PATCH, body)))).await.map(drop)
    }

    /// Deletes the members that were not given, and makes the parent name only what is left.
    pub async fn prune(&self, call: &Call, apply: &Apply) -> Outcome {
        let mut left = Vec::new();
        for resource in self.current.kinds.values() {
            let namespaces: Vec<&str> = if resource.namespaced { self.current.namespaces.iter().map(String::as_str).collect() } else { vec![""] };
            for namespace in namespaces {
                let path = with_query(&resource.collection(namespace), &[("labelSelector", &format!("{PART_OF}={}", self.id()))]);
                let listed = call.api().await?.get(&path).await;
                let mut list = listed.map_err(|e| Failure::Text(format!("listing {}/{}, Kind={} objects for pruning: {}", resource.group, resource.version, resource.kind, e.message())))?;
                let members = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
                left.extend(members.into_iter().filter(|m| !apply.uids.contains(api::meta::uid(m))).map(|m| (resource, m)));
            }
        }
        for (resource, mut object) in left {
            crate::select::with_type(&mut object, &resource.api_version(), &resource.kind);
            let (namespace, name) = (api::meta::namespace(&object), api::meta::name(&object));
            let shown = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
            prune::delete(call, apply, resource, &object).await.map_err(|e| Failure::Text(format!("pruning {} {shown}: {}", group_kind(resource), e.message())))?;
        }
        self.update(call, apply, &self.updated).await.map_err(|e| Failure::Text(format!("apply and prune succeeded, but ApplySet update failed: {}", e.message())))
    }
}

/// The kinds that a parent says its set has.
async fn kinds(call: &Call, parent: &Value) -> Outcome<BTreeMap<String, Rc<Resource>>> {
    let mut found = BTreeMap::new();
    let split = |text: &str| text.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    if let Some(text) = api::meta::annotation(parent, KINDS) {
        for word in split(text) {
            let resource = resource_of_kind(call, &word).await.map_err(|e| Failure::Text(format!("could not find mapping for kind in {KINDS:?} annotation: {}", e.message())))?;
            found.insert(word, resource);
        }
        return Ok(found);
    }
    let Some(text) = api::meta::annotation(parent, RESOURCES).filter(|t| !t.is_empty()) else {
        return fail(format!("kubectl requires the {KINDS:?} annotation to be set on all ApplySet parent objects"));
    };
    for word in split(text) {
        let (name, group) = word.split_once('.').unwrap_or((&word, ""));
        let resource = resource_of(call, name, group).await.map_err(|e| Failure::Text(format!("invalid group resource in {RESOURCES:?} annotation: {}", e.message())))?;
        found.insert(group_kind(&resource), resource);
    }
    Ok(found)
}
