//! A service to one of its endpoints.
//!
//! Upstream: apiserver `pkg/util/proxy/proxy.go`, as with `--enable-aggregator-routing`: the server reaches endpoints
//! itself, so that it needs no service proxy beside it.

use api::{ApiError, GroupResource, meta};
use catalog::walk;
use rand::seq::IteratorRandom;
use serde_json::Value;
use store::{Store, TableId};

use super::target::ServicePort;
use crate::egress::Egress;
use crate::object;

/// Where bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// What is known of services.
#[derive(Clone)]
pub struct Services {
    store: Store,
    services: TableId,
    slices: TableId,
    /// The ways there.
    pub egress: Egress,
}

impl Services {
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), services: store.table("/registry/services/specs"), slices: store.table("/registry/endpointslices"), egress: Egress::default() }
    }

    /// The same, reached by these ways.
    pub fn through(self, egress: Egress) -> Self {
        Self { egress, ..self }
    }

    pub fn service(&self, namespace: &str, name: &str) -> Option<Value> {
        self.store.view().get(self.services, &object::key(namespace, name)).map(|r| object::parse(&r.value))
    }

    /// All slices of a service.
    pub fn slices(&self, namespace: &str, name: &str) -> Vec<Value> {
        let range = self.store.view().table(self.slices);
        let of_service = |slice: &Value| meta::label(slice, "kubernetes.io/service-name") == Some(name);
        range.scan(&format!("{namespace}/"), "").map(|r| object::parse(&r.value)).filter(of_service).collect()
    }

    /// One ready endpoint, chosen by chance.
    pub fn resolve(&self, of: &ServicePort) -> Result<Endpoint, ApiError> {
        let (namespace, name) = (of.namespace.as_str(), of.name.as_str());
        let service = self.service(namespace, name).ok_or_else(|| ApiError::not_found(&GroupResource::new("", "services"), name))?;
        if walk::text(&service, "spec.type") == "ExternalName" {
            return Ok(Endpoint { host: walk::text(&service, "spec.externalName").to_owned(), port: of.port });
        }
        choose(&service, &self.slices(namespace, name), of, &mut rand::rng()).map_err(ApiError::unavailable)
    }
}

/// Which endpoint of a service's slices is taken.
fn choose(service: &Value, slices: &[Value], of: &ServicePort, rng: &mut impl rand::Rng) -> Result<Endpoint, String> {
    let ports = walk::list(service, "spec.ports");
    let Some(port) = ports.iter().find(|p| walk::int(p, "port") == i64::from(of.port)) else {
        return Err(format!("no service port {} found for service {:?}", of.port, of.name));
    };
    let port_name = walk::text(port, "name");
    let ready = slices.iter().flat_map(|slice| {
        let number = walk::list(slice, "ports").iter().find(|p| walk::text(p, "name") == port_name).and_then(|p| u16::try_from(walk::int(p, "port")).ok());
        let endpoints = walk::list(slice, "endpoints").iter().filter(|e| walk::at(e, "conditions.ready").as_bool() != Some(false));
        number.into_iter().flat_map(move |port| {
            let addresses = endpoints.clone().flat_map(|e| walk::list(e, "addresses").first()).filter_map(Value::as_str);
            addresses.map(move |host| Endpoint { host: host.to_owned(), port })
        })
    });
    ready.choose(rng).ok_or_else(|| format!("no endpoints available for service {:?}", of.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ready_endpoints_of_the_port_are_taken() {
        let service = json!({"spec": {"ports": [{"name": "a", "port": 1}, {"name": "https", "port": 443}]}});
        let slice = json!({"ports": [{"name": "https", "port": 8443}, {"name": "a", "port": 81}], "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": false}}, {"addresses": ["10.0.0.2"], "conditions": {"ready": true}}]});
        let of = |port| ServicePort { namespace: "ns".into(), name: "s".into(), port };
        let chosen = |slices: &[Value], port| choose(&service, slices, &of(port), &mut rand::rng());
        assert_eq!(chosen(std::slice::from_ref(&slice), 443), Ok(Endpoint { host: "10.0.0.2".into(), port: 8443 }));
        assert_eq!(chosen(&[slice], 444), Err("no service port 444 found for service \"s\"".into()));
        assert_eq!(chosen(&[], 443), Err("no endpoints available for service \"s\"".into()));
    }
}
