//! The cluster, through its API alone: objects by what discovery says of their kinds.

mod connect;
mod discovery;
mod object;

pub use connect::{Cluster, Denied, FIELD_OWNER};

pub use object::{Object, parse_objects};
