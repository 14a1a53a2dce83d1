//! Rules about requests: who may do what. Pure: requests and facts in, decisions out.

pub mod bootstrap;
pub mod external_ips;
pub mod limits;
pub mod node_taints;
pub mod quota;
pub mod rbac;
