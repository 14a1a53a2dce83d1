//! Groups that other servers serve: registered by APIServices, reached through services, passed through as they are.
//!
//! The server identifies itself to them with the front proxy's certificate and names the user in headers. It follows no redirect
//! of theirs. What is registered is derived from the stored objects on each use; whether it works is kept by the steward.

pub mod availability;
pub mod discovery;
pub mod front;
pub mod local;
mod merge;
pub mod openapi;
pub mod proxy;
pub mod registrations;
pub mod steward;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use store::Store;

use crate::derived::Derived;
use crate::webhook::Services;
pub use availability::Found;
use front::Front;
use registrations::{Registrations, Remote};

/// What the server needs to reach the servers of other groups.
pub struct Aggregator {
    registrations: Derived<Registrations>,
    pub services: Services,
    pub front: Front,
    /// What each registered server said it serves, by the registration's name.
    found: Mutex<HashMap<String, Arc<Found>>>,
    published: openapi::Published,
}

impl Aggregator {
    pub fn new(store: &Store, services: Services, folder: &std::path::Path) -> Result<Self, pki::Error> {
        Ok(Self { registrations: Registrations::derived(store), services, front: Front::load_or_create(folder)?, found: Mutex::default(), published: openapi::Published::default() })
    }

    pub fn remotes(&self, store: &Store) -> Arc<Registrations> {
        self.registrations.get(store)
    }

    /// Who serves a path, when it is not this server.
    pub fn route(&self, store: &Store, path: &str) -> Option<Arc<Remote>> {
        let all = self.remotes(store);
        if all.remotes.is_empty() {
            return None;
        }
        let (path, describes) = path.strip_prefix("/openapi/v3").map_or((path, false), |rest| (rest, true));
        let mut parts = path.strip_prefix("/apis/")?.split('/');
        let (group, version) = (parts.next()?, parts.next().filter(|v| !v.is_empty())?);
        // Who publishes the second version alone is described here.
        all.remotes.iter().find(|r| r.group == group && r.version == version).filter(|r| !(describes && self.legacy_part(r).is_some())).cloned()
    }

    pub fn found(&self, name: &str) -> Option<Arc<Found>> {
        self.found.lock().get(name).cloned()
    }
}
