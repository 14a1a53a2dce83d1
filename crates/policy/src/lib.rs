//! Rules about requests: who may do what. Pure: requests and facts in, decisions out.

pub mod bootstrap;
pub mod rbac;
