//! The commands, a file each.

pub mod api_resources;
pub mod apply;
pub mod auth;
pub mod certificate;
pub mod completion;
pub mod config;
pub mod cp;
pub mod create;
pub mod debug;
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
pub mod kuberc;
pub mod kustomize;
pub mod label;
pub mod logs;
pub mod node;
pub mod patch;
pub mod plugin;
pub mod port_forward;
pub mod proxy;
pub mod replace;
pub mod rollout;
pub mod run;
pub mod scale;
pub mod set;
pub mod top;
pub mod version;
pub mod wait;

use crate::command::{Command, EMPTY};

pub static ROOT: Command = Command {
    name: "kubectl",
    about: "kubectl talks to a Kubernetes cluster.\n\nEvery command works on whatever cluster the kubeconfig names.",
    subs: &[
        &api_resources::RESOURCES,
        &api_resources::VERSIONS,
        &apply::COMMAND,
        &auth::COMMAND,
        &certificate::COMMAND,
        &completion::COMMAND,
        &completion::COMPLETE,
        &config::COMMAND,
        &cp::COMMAND,
        &create::COMMAND,
        &debug::COMMAND,
        &delete::COMMAND,
        &describe::COMMAND,
        &diff::COMMAND,
        &edit::COMMAND,
        &events::COMMAND,
        &exec::ATTACH,
        &exec::EXEC,
        &explain::COMMAND,
        &expose::COMMAND,
        &get::COMMAND,
        &kuberc::COMMAND,
        &kustomize::COMMAND,
        &label::ANNOTATE,
        &label::LABEL,
        &logs::COMMAND,
        &node::CORDON,
        &node::DRAIN,
        &node::TAINT,
        &node::UNCORDON,
        &patch::COMMAND,
        &plugin::COMMAND,
        &plugin::OPTIONS,
        &port_forward::COMMAND,
        &proxy::COMMAND,
        &replace::COMMAND,
        &rollout::COMMAND,
        &run::COMMAND,
        &scale::AUTOSCALE,
        &scale::SCALE,
        &set::COMMAND,
        &top::COMMAND,
        &version::CLUSTER_INFO,
        &version::COMMAND,
        &wait::COMMAND,
    ],
    ..EMPTY
};
