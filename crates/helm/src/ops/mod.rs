//! What commands do to a cluster: apply, wait, hooks, and the operations on releases made of them.

pub mod apply;
pub mod hooks;
pub mod install;
pub mod ownership;
pub mod ready;
pub mod render;
pub mod rollback;
pub mod three_way;
pub mod uninstall;
pub mod upgrade;
pub mod values;
pub mod wait;
