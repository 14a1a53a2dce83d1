//! End-to-end tests: upstream's kubectl against a running cluster.
//!
//! Knows only a kubeconfig, the knarr binary and the seed's manifests. `cargo xtask e2e` brings the cluster; without it
//! (`KNARR_E2E` unset) every test says that it was skipped.

mod cluster;
mod image;
mod issuer;
mod kms;
mod life;
mod process;
mod server;
pub mod target;
mod tunnel;
mod webhook;

pub use cluster::{Cluster, Namespace};
pub use image::{Image, shell_image};
pub use issuer::{Issuer, Signer, in_seconds};
pub use kms::KmsPlugin;
pub use life::Kind;
pub use process::{Ran, Running, run};
pub use server::{ApiServer, free_port};
pub use tunnel::Tunnel;
pub use webhook::{Answers, Webhook};
