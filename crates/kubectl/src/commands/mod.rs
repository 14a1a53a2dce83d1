//! The commands, a file each.

pub mod api_resources;
pub mod apply;
pub mod auth;
pub mod certificate;
pub mod config;
pub mod cp;
pub mod create;
pub mod delete;
pub mod describe;
pub mod diff;
pub mod dump;
pub mod edit;
pub mod events;
pub mod exec;
pub mod explain;
pub mod expose;
pub mod get;
pub mod label;
pub mod logs;
pub mod node;
pub mod patch;
pub mod port_forward;
pub mod proxy;
pub mod replace;
pub mod rollout;
pub mod run;
pub mod scale;
pub mod set;
pub mod version;
pub mod wait;

use crate::command::{Command, EMPTY};

pub static ROOT: Command = Command {
    name: "kubectl",
    about: "kubectl talks to a Kubernetes cluster.\n\nEvery command works on whatever cluster the kubeconfig names.",
    subs: &[&config::COMMAND, &get::COMMAND, &explain::COMMAND, &api_resources::RESOURCES, &api_resources::VERSIONS, &version::COMMAND, &version::CLUSTER_INFO, &create::COMMAND, &apply::COMMAND, &delete::COMMAND, &replace::COMMAND, &patch::COMMAND, &edit::COMMAND, &label::LABEL, &label::ANNOTATE, &diff::COMMAND, &auth::COMMAND, &certificate::COMMAND, &cp::COMMAND, &describe::COMMAND, &events::COMMAND, &exec::EXEC, &exec::ATTACH, &expose::COMMAND, &logs::COMMAND, &node::CORDON, &node::UNCORDON, &node::DRAIN, &node::TAINT, &port_forward::COMMAND, &proxy::COMMAND, &rollout::COMMAND, &run::COMMAND, &scale::SCALE, &scale::AUTOSCALE, &set::COMMAND, &wait::COMMAND],
    ..EMPTY
};
