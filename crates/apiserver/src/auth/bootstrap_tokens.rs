//! Bootstrap tokens, looked up among the stored Secrets.

use access::{User, bootstrap};
use jiff::Timestamp;
use store::{Store, TableId};

use crate::object;

pub struct BootstrapTokens {
    secrets: TableId,
}

impl BootstrapTokens {
    pub fn new(store: &Store) -> Self {
        Self { secrets: store.table("/registry/secrets") }
    }

    /// The user behind a token; none where there is no such token.
    pub fn user(&self, store: &Store, token: &str) -> Option<User> {
        let (id, secret) = bootstrap::parse_token(token)?;
        let name = format!("{}{id}", bootstrap::PREFIX);
        let record = store.view().get(self.secrets, &object::key("kube-system", &name))?;
        match bootstrap::user(&object::parse(&record.value), id, secret, Timestamp::now()) {
            Ok(user) => Some(user),
            Err(why) => {
                tracing::debug!(secret = name, why, "a bootstrap token was refused");
                None
            }
        }
    }
}
