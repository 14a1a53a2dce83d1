//! Expressions over claims and users.
//!
//! Upstream: apiserver `pkg/authentication/cel/compile.go`.

use std::sync::{Arc, LazyLock};

use api::FieldError;
use api::field::Path;
use cel::{Decl, DeclKind, Env, Program, Type, Value, Vars};
use serde_json::Value as Json;

static CLAIMS: LazyLock<Arc<Decl>> = LazyLock::new(|| Arc::new(Decl::map(Decl::DYN.clone())));
static USER: LazyLock<Arc<Decl>> = LazyLock::new(|| {
    let text = || Decl::new(DeclKind::String);
    let fields = [("username", text()), ("uid", text()), ("groups", Decl::list(text())), ("extra", Decl::map(Decl::list(text())))];
    Arc::new(Decl::record("kubernetes.UserInfo", fields.map(|(name, decl)| (name.to_owned(), decl))))
});

/// What an expression looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Claims,
    User,
}

impl Over {
    fn name(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::User => "user",
        }
    }

    fn decl(self) -> &'static Arc<Decl> {
        match self {
            Self::Claims => &CLAIMS,
            Self::User => &USER,
        }
    }

    fn env(self) -> Env {
        Env::kubernetes().declare(self.name(), self.decl().clone())
    }

    /// Compiles an expression; a fault goes to `errors`.
    pub fn compile(self, source: &str, gives_truth: bool, path: &Path, errors: &mut Vec<FieldError>) -> Option<Program> {
        match self.env().compile(source) {
            Err(error) => errors.push(FieldError::invalid(path, source, format!("compilation failed: {error}"))),
            Ok(program) if gives_truth && program.result_type() != Type::Bool => errors.push(FieldError::invalid(path, source, "must evaluate to bool")),
            Ok(program) => return Some(program),
        }
        None
    }

    /// Whether an expression reads `field` of its variable.
    pub fn reads(self, source: &str, field: &str) -> bool {
        self.env().selects(source, self.name(), field)
    }

    /// The value of an expression, as JSON.
    pub fn evaluate(self, program: &Program, input: &Json) -> Result<Json, String> {
        let value = Value::json(input, self.decl()).map_err(|e| e.to_string())?;
        let outcome = program.evaluate(&Vars::new().with(self.name(), value), cel::RUNTIME_BUDGET);
        let value = outcome.value.map_err(|e| format!("expression '{}' resulted in error: {e}", program.source()))?;
        value.to_json().ok_or_else(|| format!("expression '{}' gives what cannot be told", program.source()))
    }
}
