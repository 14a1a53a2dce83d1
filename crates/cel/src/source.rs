//! Positions in an expression and the text of compile errors, as cel-go prints them.
//!
//! Upstream: cel-go common/error.go, common/errors.go. Columns count code points.

use std::fmt;

/// cel-go stops printing after this many errors.
const MAX_REPORTED: usize = 100;

/// One thing wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Offset in code points; `None` where no place can be named.
    pub at: Option<u32>,
    pub message: String,
}

/// Why an expression did not compile: every issue found, printed with the line and a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    pub issues: Vec<Issue>,
    source: String,
}

impl CompileError {
    pub(crate) fn new(source: &str, mut issues: Vec<Issue>) -> CompileError {
        issues.sort_by_key(|i| i.at.map_or(-1, i64::from));
        CompileError { issues, source: source.to_owned() }
    }

    fn place(&self, at: u32) -> (usize, usize, &str) {
        let mut left = at as usize;
        let mut number = 1;
        for line in self.source.split('\n') {
            let length = line.chars().count();
            if left <= length {
                return (number, left, line);
            }
            left -= length + 1;
            number += 1;
        }
        (number, left, "")
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, issue: &Issue) -> fmt::Result {
        let Some(at) = issue.at else {
            return write!(f, "ERROR: <input>:-1:0: {}", issue.message);
        };
        let (number, column, line) = self.place(at);
        write!(f, "ERROR: <input>:{number}:{}: {}", column + 1, issue.message)?;
        write!(f, "\n | {}\n | ", line.replace('\t', " "))?;
        for c in line.chars().take(column) {
            f.write_str(if c.len_utf8() > 1 { "．" } else { "." })?;
        }
        f.write_str(if line.chars().nth(column).is_some_and(|c| c.len_utf8() > 1) { "＾" } else { "^" })
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, issue) in self.issues.iter().take(MAX_REPORTED).enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            self.write(f, issue)?;
        }
        if self.issues.len() > MAX_REPORTED {
            write!(f, "\n{} more errors were truncated", self.issues.len() - MAX_REPORTED)?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileError {}
