//! Key services: KMS plugins of API version 2, asked over their unix sockets to encrypt and decrypt keys.
//!
//! Never keeps a key. Keeps true: a call ends in time, and an answer that upstream would refuse is refused. Callers need no
//! runtime: each plugin has a thread of its own.

mod messages;
mod plugin;

pub use messages::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
pub use plugin::{Error, Plugin, SERVICE};
