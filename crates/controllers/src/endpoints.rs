//! Endpoints and endpoint slices of services: which pods answer, at which addresses and ports.
//!
//! One controller for both, so that they never tell different stories; slices of hand-made Endpoints are mirrored.
//! Upstream: pkg/controller/endpoint, endpointslice, endpointslicemirroring.

mod facts;
mod legacy;
mod mirror;
mod observe;
mod slices;

pub(crate) use observe::start;
