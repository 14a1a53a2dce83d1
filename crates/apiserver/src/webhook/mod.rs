//! Calls to programs that extend the API: admission webhooks and conversion webhooks.
//!
//! Where a call goes is read from a `clientConfig`; a service is resolved to one of its endpoints when a connection is made.
//! A call has an end in time and in bytes. Never follows a redirect, sends no credentials but those of a kubeconfig to whom it names, and trusts only the bundle it
//! is given (the machine's roots where there is none). Errors are worded as Go's HTTP client words them.

mod answer;
mod client;
mod connect;
mod resolve;
mod target;
#[cfg(test)]
mod tests;
mod trust;

#[cfg(test)]
pub use answer::CallError;
pub use client::{Caller, Hooks, words as failure_words};
pub use connect::Connector;
pub use resolve::{Endpoint, Services};
pub use target::{ServicePort, Target};
pub use trust::{client_config, words as tls_words};
