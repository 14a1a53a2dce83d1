//! Keys, certificates and tokens of a cluster: its own authority, the leaves it issues, TLS settings and the signer of service-account tokens.
//!
//! Never decides who may do what, and never talks to a cluster. Keeps true: private keys are files of mode 0600, written whole or not at all.

mod authority;
mod der;
mod error;
mod file;
mod identity;
mod keyring;
mod request;
mod secret_key;
mod tls;
mod tls_choice;
mod token;
mod token_key;

pub use authority::{Authority, Issued, Leaf};
pub use error::Error;
pub use file::write_private;
pub use identity::{expires, peer_identity};
pub use keyring::Keyring;
pub use request::SigningRequest;
pub use secret_key::SecretKey;
pub use tls::{CertSlot, ClientAuth, ClientRoots, client_config, identity_of_pem, server_config, server_config_of};
pub use tls_choice::TlsChoice;
pub use token::{TokenSigner, detached_signature};
