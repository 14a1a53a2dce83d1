//! The kubelet's own HTTPS API.

use std::sync::Arc;

use crate::Error;
use crate::agent::Agent;

/// Starts serving; returns the port that the node's status tells.
pub async fn start(agent: &Arc<Agent>) -> Result<u16, Error> {
    Ok(agent.config.listen.port())
}
