//! What is worth saying on the way, as a line of Go's structured log.

use std::fmt;

use gotemplate::text::quote;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// One line: a level, a message, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    level: Level,
    message: String,
    about: Vec<(&'static str, String)>,
}

impl Notice {
    pub fn new(level: Level, message: impl Into<String>) -> Notice {
        Notice { level, message: message.into(), about: Vec::new() }
    }

    pub fn about(mut self, key: &'static str, value: impl Into<String>) -> Notice {
        self.about.push((key, value.into()));
        self
    }
}

// Upstream: Go's log/slog/text_handler.go.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        };
        write!(f, "level={level} msg={}", word(&self.message))?;
        self.about.iter().try_for_each(|(key, value)| write!(f, " {key}={}", word(value)))
    }
}

/// A value, in quotes where it could be misread.
fn word(text: &str) -> String {
    let plain = |c: char| c != ' ' && c != '"' && c != '=' && !c.is_control() && !c.is_whitespace() && c != char::REPLACEMENT_CHARACTER;
    if !text.is_empty() && text.chars().all(plain) { text.to_string() } else { quote(text.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_misread_is_quoted() {
        let line = Notice::new(Level::Warn, "returned non-bool value").about("tag", "t1").about("error", "\"a\" is not a table").to_string();
        assert_eq!(line, r#"level=WARN msg="returned non-bool value" tag=t1 error="\"a\" is not a table""#);
        assert_eq!(Notice::new(Level::Info, "").to_string(), "level=INFO msg=\"\"");
    }
}
