//! The resources that are served, by group, version and name.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::Resource;
use schema::openapi;
use store::{Store, TableId};

/// A resource that is served, with its place in the store.
pub struct Served {
    pub resource: Resource,
    pub table: TableId,
    /// Bytes that items of lists leave out.
    pub head_len: usize,
    /// The resource in whose form objects are stored: itself, but where two versions or groups share a table.
    pub stored: Arc<Resource>,
}

/// All resources served at one moment.
pub struct Registry {
    /// In the order of discovery.
    pub all: Vec<Arc<Served>>,
    by_name: HashMap<(String, String, String), Arc<Served>>,
    pub openapi: openapi::Documents,
}

impl Registry {
    pub fn new(resources: Vec<Resource>, store: &Store) -> Self {
        let stored: HashMap<(String, String, String), Arc<Resource>> =
            resources.iter().map(|r| ((r.group.to_string(), r.version.to_string(), r.plural.to_string()), Arc::new(r.clone()))).collect();
        let serve = |resource: Resource| {
            let table = store.table(&resource.table);
            let head_len = crate::object::head_len(&resource);
            let form = (resource.stored_group.to_string(), resource.stored_version.to_string(), resource.plural.to_string());
            let stored = stored.get(&form).cloned().unwrap_or_else(|| Arc::new(resource.clone()));
            Arc::new(Served { resource, table, head_len, stored })
        };
        let all: Vec<_> = resources.into_iter().map(serve).collect();
        let by_name = all.iter().map(|s| ((s.resource.group.to_string(), s.resource.version.to_string(), s.resource.plural.to_string()), s.clone())).collect();
        let openapi = openapi::Documents::new(all.iter().map(|s| described(&s.resource)).collect());
        Self { all, by_name, openapi }
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Served>> {
        // The three parts are looked up together; the key is owned because tuples of text cannot be borrowed apart.
        self.by_name.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    pub fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Served>> {
        self.all.iter().find(|s| s.resource.group == group && s.resource.version == version && s.resource.kind == kind)
    }

    pub fn has_group_version(&self, group: &str, version: &str) -> bool {
        self.all.iter().any(|s| s.resource.group == group && s.resource.version == version)
    }
}

/// A resource as the OpenAPI documents need to know it.
fn described(resource: &Resource) -> openapi::Resource {
    let owned = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
    let own = resource.gvk();
    let part = |sub: &catalog::Subresource| {
        let kind = sub.kind.as_ref().unwrap_or(&own);
        openapi::Subresource { name: sub.name.to_string(), group: kind.group.clone(), version: kind.version.clone(), kind: kind.kind.clone(), verbs: owned(sub.verbs.names()) }
    };
    openapi::Resource {
        group: own.group.clone(),
        version: own.version.clone(),
        kind: own.kind.clone(),
        plural: resource.plural.to_string(),
        namespaced: resource.namespaced,
        verbs: owned(resource.verbs.names()),
        subresources: resource.subresources.iter().map(part).collect(),
        custom: None,
    }
}
