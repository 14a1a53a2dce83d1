//! Conflicts and refusals of an apply, in upstream's words.

use std::fmt;

use super::managed::{ManagedEntry, Operation};
use super::path;

/// One field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `"kubectl" using apps/v1`, as the message names the owner.
    pub owner: String,
    pub path: Vec<String>,
}

impl Conflict {
    /// `.spec.replicas`, the field of the status cause.
    pub fn field(&self) -> String {
        path::display_path(&self.path)
    }

    /// The message of the status cause (reason `FieldManagerConflict`).
    pub fn message(&self) -> String {
        format!("conflict with {}", self.owner)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = &self.0[..] {
            return write!(f, "Apply failed with 1 conflict: {}: {}", one.message(), one.field());
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut owners: Vec<&str> = self.0.iter().map(|c| c.owner.as_str()).collect();
        owners.sort_unstable();
        owners.dedup();
        for (index, owner) in owners.iter().enumerate() {
            write!(f, "{}conflicts with {owner}:", if index > 0 { "\n" } else { "" })?;
            for conflict in self.0.iter().filter(|c| c.owner == *owner) {
                write!(f, "\n- {}", conflict.field())?;
            }
        }
        Ok(())
    }
}

/// Why an apply did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 409 with one cause per field.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// 400: the configuration carries what an applier must not set.
    #[error("{0}")]
    Bad(String),
    /// The configuration does not fit the schema; upstream answers 500 here.
    #[error("failed to create typed patch object ({object}): {why}")]
    NotTyped { object: String, why: String },
}

/// How messages name the manager of an entry.
pub(super) fn owner(entry: &ManagedEntry) -> String {
    let mut out = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        out += &format!(" with subresource {:?}", entry.subresource);
    }
    if entry.operation == Operation::Update {
        out += &format!(" using {}", entry.api_version);
    }
    out
}
