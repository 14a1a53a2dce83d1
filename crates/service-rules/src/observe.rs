//! What a plan looks at.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::Range;

/// The node the rules are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub pod_range: Range,
    pub service_range: Range,
}

/// The caches at one moment, in any order.
#[derive(Debug, Clone)]
pub struct Observed {
    pub node: Node,
    pub services: Vec<Arc<Service>>,
    pub slices: Vec<Arc<EndpointSlice>>,
    /// Of this node only.
    pub pods: Vec<Arc<Pod>>,
}
