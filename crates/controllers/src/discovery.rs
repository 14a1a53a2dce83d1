//! What resources the API server has now. Asked anew each time: definitions come and go.

use client::{Error, Kind};
use kube::core::discovery::{ApiCapabilities, Scope, verbs};

/// One resource and what may be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub kind: Kind,
    pub namespaced: bool,
    pub verbs: Vec<String>,
}

impl Resource {
    pub fn supports(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    pub fn watchable(&self) -> bool {
        self.supports(verbs::LIST) && self.supports(verbs::WATCH) && self.supports(verbs::DELETE)
    }
}

/// All resources, each kind in its most stable version.
pub(crate) async fn resources(client: &kube::Client) -> Result<Vec<Resource>, Error> {
    let found = match kube::Discovery::new(client.clone()).run_aggregated().await {
        Ok(found) => found,
        Err(_) => kube::Discovery::new(client.clone()).run().await?,
    };
    let mut all = Vec::new();
    for group in found.groups() {
        for (resource, ApiCapabilities { scope, operations, .. }) in group.resources_by_stability() {
            let kind = Kind { group: resource.group.into(), version: resource.version.into(), kind: resource.kind.into(), plural: resource.plural.into() };
            all.push(Resource { kind, namespaced: scope == Scope::Namespaced, verbs: operations });
        }
    }
    Ok(all)
}
