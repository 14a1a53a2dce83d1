//! Claims and volumes: binding one to the other, keeping what is in use, and making local folders on demand.
//!
//! It never binds a volume to two claims: the claimRef is written first, with the resourceVersion it was decided on.
//! Upstream: pkg/controller/volume/{persistentvolume,pvcprotection,pvprotection}.

mod binder;
mod claim;
mod local_path;
mod protection;
mod volume;

pub(crate) use binder::start as start_binder;
pub(crate) use local_path::start as start_local_path;
pub(crate) use protection::start as start_protection;
