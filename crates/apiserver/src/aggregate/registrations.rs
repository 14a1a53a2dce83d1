//! APIServices that name a service, as they are stored.

use api::meta;
use base64::Engine as _;
use catalog::walk;
use serde_json::Value;
use std::sync::Arc;
use store::{Range, Store};

use crate::derived::Derived;
use crate::object;
use crate::webhook::ServicePort;

pub const TABLE: &str = "/registry/apiregistration.k8s.io/apiservices";

/// A group and version that another server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub name: String,
    pub group: String,
    pub version: String,
    pub service: ServicePort,
    pub ca_bundle: Vec<u8>,
    pub insecure: bool,
    /// Of the group among groups, of the version within it.
    pub priority: (i64, i64),
    pub available: bool,
}

impl Remote {
    fn of(object: &Value) -> Option<Self> {
        let spec = &object["spec"];
        let service = spec.get("service").filter(|s| s.is_object())?;
        let port = u16::try_from(walk::int(service, "port")).ok().filter(|p| *p != 0).unwrap_or(443);
        let available = walk::list(object, "status.conditions").iter().any(|c| walk::text(c, "type") == "Available" && walk::text(c, "status") == "True");
        Some(Self {
            name: meta::name(object).to_owned(),
            group: walk::text(spec, "group").to_owned(),
            version: walk::text(spec, "version").to_owned(),
            service: ServicePort { namespace: walk::text(service, "namespace").to_owned(), name: walk::text(service, "name").to_owned(), port },
            ca_bundle: base64::prelude::BASE64_STANDARD.decode(walk::text(spec, "caBundle")).unwrap_or_default(),
            insecure: walk::flag(spec, "insecureSkipTLSVerify"),
            priority: (walk::int(spec, "groupPriorityMinimum"), walk::int(spec, "versionPriority")),
            available,
        })
    }

    /// Where the group and version are found, here and there.
    pub fn path(&self) -> String {
        format!("/apis/{}/{}", self.group, self.version)
    }
}

/// All of them.
pub struct Registrations {
    pub remotes: Vec<Arc<Remote>>,
}

impl Registrations {
    pub fn derived(store: &Store) -> Derived<Self> {
        Derived::new(vec![store.table(TABLE)], |tables: &[Range]| Self {
            // The core group is this server's own.
            remotes: tables.iter().flat_map(|t| t.scan("", "")).filter_map(|r| Remote::of(&object::parse(&r.value))).filter(|r| !r.group.is_empty()).map(Arc::new).collect(),
        })
    }
}
