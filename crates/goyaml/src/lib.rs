//! YAML and JSON text as Go programs write and read it: what `sigs.k8s.io/yaml` prints, to the byte, and the values that it reads.
//!
//! Knows no Kubernetes, does no IO. Reading is bounded in depth and in what aliases expand to; bad input is an [`Error`] with line and column.

mod colon;
mod emit;
mod guard;
mod json;
mod number;
mod order;
mod read;
mod resolve;
mod scalar;
mod utf8;

pub use emit::{to_yaml, to_yaml_pretty};
pub use json::{to_json, to_json_pretty, write_json_string};
pub use number::{float_g, float_json};
pub use utf8::utf8_fault;
pub use read::{Error, from_yaml, from_yaml_strict, Strict};
pub use resolve::{Plain, resolve};
