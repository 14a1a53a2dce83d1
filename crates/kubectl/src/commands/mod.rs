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
    // Upstream: by groups (kubectl pkg/cmd/cmd.go); what may have been meant is told in this order.
    subs: &[
        &create::COMMAND,
        &expose::COMMAND,
        &run::COMMAND,
        &set::COMMAND,
        &explain::COMMAND,
        &get::COMMAND,
        &edit::COMMAND,
        &delete::COMMAND,
        &rollout::COMMAND,
        &scale::SCALE,
        &scale::AUTOSCALE,
        &certificate::COMMAND,
        &version::CLUSTER_INFO,
        &top::COMMAND,
        &node::CORDON,
        &node::UNCORDON,
        &node::DRAIN,
        &node::TAINT,
        &describe::COMMAND,
        &logs::COMMAND,
        &exec::ATTACH,
        &exec::EXEC,
        &port_forward::COMMAND,
        &proxy::COMMAND,
        &cp::COMMAND,
        &auth::COMMAND,
        &debug::COMMAND,
        &events::COMMAND,
        &diff::COMMAND,
        &apply::COMMAND,
        &patch::COMMAND,
        &replace::COMMAND,
        &wait::COMMAND,
        &kustomize::COMMAND,
        &label::LABEL,
        &label::ANNOTATE,
        &completion::COMMAND,
        &completion::COMPLETE,
        &config::COMMAND,
        &plugin::COMMAND,
        &version::COMMAND,
        &api_resources::VERSIONS,
        &api_resources::RESOURCES,
        &plugin::OPTIONS,
        &kuberc::COMMAND,
    ],
    ..EMPTY
};
