//! Why bytes are no object, in upstream's words where clients see them.

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is no JSON (or YAML) at all.
    #[error("{0}")]
    Syntax(String),
    /// A value of another type than the field's, or one that the field's type refuses.
    #[error("{0}")]
    Type(String),
    #[error("{0}")]
    Wire(&'static str),
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    UnknownKind { api_version: String, kind: String },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {field} cannot be written as {expected}")]
pub struct EncodeError {
    pub field: String,
    pub expected: &'static str,
}
