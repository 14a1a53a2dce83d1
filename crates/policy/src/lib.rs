//! Rules about requests: who may do what. Pure: requests and facts in, decisions out.

pub mod audit;
pub mod bootstrap;
pub mod event_rate;
pub mod external_ips;
pub mod features;
pub mod flow;
pub mod flow_defaults;
pub mod image_policy;
pub mod limits;
pub mod matching;
pub mod mutating;
pub mod node_restriction;
pub mod node_selector;
pub mod node_taints;
pub mod plugins;
pub mod pod_options;
pub mod pod_security;
pub mod quota;
pub mod quota_limits;
pub mod rbac;
pub mod review;
pub mod scope;
pub mod toleration_restriction;
pub mod type_check;
pub mod validating;
