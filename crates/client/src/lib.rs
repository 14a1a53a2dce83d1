//! The client side of the API, shared by every component: connections, caches, queues, the controller shell, events, leases.
//!
//! It never decides anything: decisions are plain functions of the components. It keeps true that everything here is
//! bounded, that a reconcile never starts before the caches have seen its own earlier writes, and that every retry backs off.

mod action;
mod apply;
mod connect;
mod controller;
mod error;
mod event;
mod follow;
mod informer;
mod lease;
mod merge;
mod queue;
mod served;
mod shared;

pub use action::{Action, Announce, Kind, OnFailure, Plan, Propagation, Subresource, Target, controller_owner, owner_reference, reference};
pub use apply::{Executor, Failure, Written, bounded, request_json};
pub use connect::from_kubeconfig;
pub use controller::{Controller, Shell, run_controller};
pub use error::{Error, api_message, is_conflict, is_not_found};
pub use event::{EventType, Recorder};
pub use follow::follow;
pub use informer::{Change, Index, Informer, InformerOptions, ObjectKey, Progress};
pub use lease::{LeaderElector, LeaseTimings};
pub use merge::merge_diff;
pub use queue::{QueueTimings, WorkQueue};
pub use served::Served;
pub use shared::Informers;
