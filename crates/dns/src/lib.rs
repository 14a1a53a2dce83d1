//! The cluster's DNS: services, endpoints and pods answered from caches, everything else asked of the host's resolvers.
//!
//! Never writes to the API. Keeps true: an answer about the cluster costs no network and no lock that a writer holds for long; work,
//! memory and time per client are bounded; a query is never sent back to this server.

mod answer;
mod cache;
mod forward;
mod respond;
mod run;
mod serve;
mod zone;

pub use forward::resolvers_from;
pub use run::{Config, Error, run};
