//! What a node does next for one pod, and what the pod's status says: a plain function over spec, runtime state, probe results, clock.
//!
//! Never touches a runtime, an API or the clock. Keeps true: the same observation gives the same plan; a container that is being
//! worked on is left alone; a pod that ended stays ended.

mod backoff;
mod conditions;
mod container;
mod init;
mod observed;
mod phase;
mod plan;
mod qos;
mod resize;
mod restart;
mod spec;
mod status;
mod stop;

pub use backoff::{Backoff, BackoffTimings};
pub use container::container_hash;
pub use observed::{Busy, Cause, Container, Memory, Observed, ProbeResult, Probes, RunState, Runtime, Sandbox, Stop, Waiting};
pub use phase::is_terminal_phase;
pub use plan::{Action, Plan, plan};
pub use qos::{QosClass, qos_class};
pub use spec::{Kind, SpecContainer, containers, find_container, is_host_network, uses_readiness};
pub use stop::grace_seconds;
