//! The resources that are served, by group, version and name: those built in and those that definitions add.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::Resource;
use schema::openapi;
use store::{Store, TableId};
use tokio_util::sync::CancellationToken;

use crate::custom;
use crate::custom::definitions::Definitions;

/// A resource that is served, with its place in the store.
pub struct Served {
    pub resource: Resource,
    pub table: TableId,
    /// As the OpenAPI documents know it.
    pub described: Arc<openapi::Described>,
    /// Bytes that items of lists leave out.
    pub head_len: usize,
    /// The resource in whose form objects are stored: itself, but where two versions or groups share a table.
    pub stored: Arc<Resource>,
    /// Custom resources: records of later revisions were written under the very schema that is in force.
    pub since: u64,
    /// Custom resources: set when the definition changes; watches begin anew then.
    pub ended: Option<CancellationToken>,
    /// Whether clients can read the version that is stored.
    pub is_stored_version_served: bool,
}

/// All resources served at one moment.
pub struct Registry {
    /// In the order of discovery.
    pub all: Vec<Arc<Served>>,
    by_name: HashMap<(String, String, String), Arc<Served>>,
    pub openapi: openapi::Documents,
    builtin: usize,
    definitions: Definitions,
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
            let described = described(&resource);
            Arc::new(Served { resource, table, described, head_len, stored, since: 0, ended: None, is_stored_version_served: true })
        };
        let all: Vec<_> = resources.into_iter().map(serve).collect();
        let definitions = Definitions::new(store.view().table(store.table(custom::TABLE)), None, store);
        Self::of(all, definitions, None)
    }

    fn of(builtin: Vec<Arc<Served>>, definitions: Definitions, before: Option<&openapi::Documents>) -> Self {
        let count = builtin.len();
        let mut all = builtin;
        // A definition that names a built-in resource does not take its place.
        let mut by_name: HashMap<_, _> = all.iter().map(|s| (name_of(s), s.clone())).collect();
        for served in definitions.served() {
            if let std::collections::hash_map::Entry::Vacant(slot) = by_name.entry(name_of(&served)) {
                slot.insert(served.clone());
                all.push(served);
            }
        }
        let described = all.iter().map(|s| s.described.clone()).collect();
        let openapi = match before {
            Some(before) => before.followed_by(described),
            None => openapi::Documents::new(described),
        };
        Self { all, by_name, openapi, builtin: count, definitions }
    }

    /// Whether the definitions are still those that this registry was made of.
    pub fn is_current(&self, store: &Store) -> bool {
        self.definitions.is_of(&store.view().table(store.table(custom::TABLE)))
    }

    /// The registry after a change of definitions.
    pub fn renewed(&self, store: &Store) -> Self {
        let range = store.view().table(store.table(custom::TABLE));
        let definitions = Definitions::new(range, Some(&self.definitions), store);
        Self::of(self.all.iter().take(self.builtin).cloned().collect(), definitions, Some(&self.openapi))
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

fn name_of(served: &Served) -> (String, String, String) {
    let resource = &served.resource;
    (resource.group.to_string(), resource.version.to_string(), resource.plural.to_string())
}

/// A resource as the OpenAPI documents need to know it.
pub fn described(resource: &Resource) -> Arc<openapi::Described> {
    let owned = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
    let own = resource.gvk();
    let part = |sub: &catalog::Subresource| {
        let kind = sub.kind.as_ref().unwrap_or(&own);
        openapi::Subresource { name: sub.name.to_string(), group: kind.group.clone(), version: kind.version.clone(), kind: kind.kind.clone(), verbs: owned(sub.verbs.names()) }
    };
    let described = openapi::Resource {
        group: own.group.clone(),
        version: own.version.clone(),
        kind: own.kind.clone(),
        list_kind: resource.list_kind.to_string(),
        plural: resource.plural.to_string(),
        namespaced: resource.namespaced,
        // Upstream: a definition on its way out is published as before.
        verbs: owned(if resource.custom.is_some() { catalog::Verbs::ALL } else { resource.verbs }.names()),
        subresources: resource.subresources.iter().map(part).collect(),
        gives_deleted: resource.gives_deleted,
        custom: resource.custom.as_ref().map(|c| openapi::Custom { schema: c.schema.clone(), preserves: c.preserves }),
    };
    Arc::new(described.into())
}
