//! What a command says when it fails.

use std::fmt;

use charts::notice::{Level, Notice};

/// A command's failure: the text behind `Error: `, and what follows it.
#[derive(Debug, Clone)]
pub struct Failure {
    pub text: String,
    pub code: u8,
}

pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub fn new(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), code: 1 }
    }

    /// The same failure, told what was at work.
    pub fn of(self, what: impl fmt::Display) -> Failure {
        Failure { text: format!("{what}: {}", self.text), code: self.code }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::new(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Failure {
        Failure::new(text)
    }
}

/// A failure of the file system, in Go's words for the common ones.
pub fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{what} {}: {}", path.display(), charts::load::io_text(error)))
}

/// A warning on standard error, in the form of upstream's log.
pub fn warn(message: &str) {
    eprintln!("{}", Notice::new(Level::Warn, message));
}
