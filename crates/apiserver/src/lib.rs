//! The API server: every request is read, authenticated, authorized, admitted and answered here.
//!
//! It alone touches the store. Components of the same process talk to it through [`Server::local_client`], with the same
//! identities and checks as on the wire.

mod admission;
mod aggregate;
mod audit;
mod auth;
mod bootstrap;
mod budgets;
mod config;
mod config_accounts;
mod config_file;
mod config_limits;
mod config_runtime;
mod config_serving;
mod custom;
mod derived;
mod discovery;
mod egress;
mod encryption;
mod ending;
mod filters;
mod flow;
mod handler;
mod health;
mod local;
mod metrics;
mod backing;
mod object;
mod parsed;
mod registry;
mod reload;
mod respond;
mod rest;
mod seen;
mod serve;
mod server;
mod sweep;
mod upstream;
mod user;
mod webhook;
mod warnings;
mod wire;

pub use audit::{AuditBatch, AuditConfig, AuditDelivery, AuditLogConfig, AuditMode, AuditWebhookConfig};
pub use config::{AccessConfig, AccountTokens, AdmissionConfig, AuthorizationConfig, AuthorizationFlags, Config, ConfigFile, EtcdConfig, Features, Gates, Inflight, Limits, OidcFlags, PairFiles, RequestHeader, RuntimeConfig, Serving, ServingFiles, Shutdown, TlsChoice, TokenWebhookConfig};
pub use store::EtcdTls;
pub use server::{Server, StartError};
pub use user::User;
